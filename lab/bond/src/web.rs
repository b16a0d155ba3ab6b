//! A file server, for where there is none: GET of the files of one folder, PUT of anything.
//!
//! Decides that a PUT is digested and thrown away, and that what came is told. Speaks as much HTTP/1.1 as `curl` needs:
//! a request for each connection, lengths known. One thread for each.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tq_udp::Clock;

use crate::files::Digest;
use crate::transfer::Flow;

/// What has been uploaded; `error` stays until all of it is there.
#[derive(Clone, Debug, Default)]
pub struct Uploads(Arc<Mutex<Vec<Flow>>>);

impl Uploads {
    /// The uploads so far, those under way included.
    pub fn all(&self) -> Vec<Flow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Bytes so far of the last one.
    pub fn last_bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().map_or(0, |flow| flow.bytes)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Flow>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves until the process ends.
pub fn serve(listener: TcpListener, folder: &Path) -> Uploads {
    let (uploads, folder) = (Uploads::default(), folder.to_owned());
    let told = uploads.clone();
    thread::spawn(move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            let (folder, uploads) = (folder.clone(), told.clone());
            // A client that goes away is its own business.
            thread::spawn(move || drop(answer(tcp, &folder, &uploads)));
        }
    });
    uploads
}

/// A request's first line and what of its headers matters.
struct Head {
    method: String,
    name: String,
    length: u64,
    asks: bool,
}

fn head(input: &mut impl BufRead) -> io::Result<Head> {
    let mut lines = input.take(8 << 10).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let mut head = Head { method, name: path.trim_start_matches('/').to_owned(), length: 0, asks: false };
    for line in lines {
        let line = line?.to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("content-length", length)) => head.length = length.trim().parse().unwrap_or(0),
            Some(("expect", _)) => head.asks = true,
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    Ok(head)
}

fn answer(tcp: TcpStream, folder: &Path, uploads: &Uploads) -> io::Result<()> {
    let (mut input, mut out) = (BufReader::with_capacity(64 << 10, tcp.try_clone()?), tcp);
    let head = head(&mut input)?;
    // A name is a file of the folder: no way leads out of it.
    let known =
        (!head.name.contains(['/', '\\']) && !head.name.starts_with('.')).then(|| folder.join(&head.name));
    match (head.method.as_str(), known) {
        ("GET", Some(path)) if path.is_file() => get(&mut out, path),
        ("PUT", Some(_)) => {
            if head.asks {
                out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let sha256 = put(&mut input, head.length, uploads)?;
            status(&mut out, "201 Created", &sha256)
        }
        _ => status(&mut out, "404 Not Found", ""),
    }
}

fn status(out: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    write!(out, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn get(out: &mut TcpStream, path: PathBuf) -> io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    io::copy(&mut file, out).map(drop)
}

/// Takes an upload in; its digest.
fn put(input: &mut impl Read, length: u64, uploads: &Uploads) -> io::Result<String> {
    let begun = Clock::now();
    let place = uploads.change(|all| {
        let error = Some("not all of it has come".to_owned());
        all.push(Flow { begun, ended: begun, error, ..Flow::default() });
        all.len() - 1
    });
    let (mut sum, mut buffer, mut left) = (Digest::default(), vec![0; 64 << 10], length);
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = input.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sum.add(&buffer[..count]);
        left -= count as u64;
        let now = Clock::now();
        uploads.change(|all| {
            all[place].marks.add(now, count as u64);
            all[place].bytes += count as u64;
            all[place].ended = now;
        });
    }
    let sha256 = sum.hex();
    uploads.change(|all| {
        all[place].sha256.clone_from(&sha256);
        all[place].error = None;
    });
    Ok(sha256)
}

/// Gives back what comes, until the process ends.
pub fn echo(listener: TcpListener) {
    thread::spawn(move || {
        for mut tcp in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = tcp.set_nodelay(true);
                let mut input = tcp.try_clone()?;
                io::copy(&mut input, &mut tcp)
            });
        }
    });
}
