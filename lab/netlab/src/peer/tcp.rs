//! The kernel's TCP and MPTCP, as they are: no option is set but congestion control.
//!
//! Decides how a transfer is asked for: nine bytes from the client, `D` or `U` and the number of bytes, 2^64 - 1 for no
//! end. Blocking sockets on threads; a socket belongs to the namespace of the thread that opened it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tq_linkmodel::Instant;
use tq_packet::{Namespace, Waiting, wait};
use tq_udp::Clock;

use super::{Done, Progress, Transfer, sleep_until};
use crate::names;

const MPTCP: i32 = 262;
const BLOCK: usize = 256 << 10;
/// How often a blocked call looks at the clock.
const LOOK: Duration = Duration::from_millis(100);

/// A server in a namespace, until it is dropped.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    addr: SocketAddr,
    uploads: Arc<std::sync::Mutex<Vec<(u64, Progress)>>>,
}

fn socket(mptcp: bool, cc: &str) -> Result<Socket> {
    let protocol = if mptcp { Protocol::from(MPTCP) } else { Protocol::TCP };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(protocol)).with_context(|| match mptcp {
        true => "this kernel has no MPTCP (CONFIG_MPTCP, net.mptcp.enabled)",
        false => "cannot open a TCP socket",
    })?;
    socket.set_tcp_congestion(cc.as_bytes()).with_context(|| {
        let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
        format!("the kernel has no congestion control {cc:?}; it has {}", known.unwrap_or_default().trim())
    })?;
    Ok(socket)
}

impl Server {
    /// Listens on an address of `namespace`; clients connect to that of their link. `cc` is that of everything it sends.
    pub fn start(namespace: &Namespace, addr: SocketAddr, mptcp: bool, cc: &str) -> Result<Self> {
        let cc = cc.to_owned();
        let listener = namespace.run(|| -> Result<Socket> {
            let listener = socket(mptcp, &cc)?;
            listener.set_reuse_address(true)?;
            listener.bind(&SockAddr::from(addr)).with_context(|| format!("cannot listen on {addr}"))?;
            listener.listen(64)?;
            Ok(listener)
        })??;
        let addr = listener.local_addr()?.as_socket().context("no address")?;
        let (stop, uploads) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut server = Self { stop: Arc::clone(&stop), thread: None, addr, uploads: Arc::clone(&uploads) };
        server.thread = Some(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // An MPTCP listener knows no timeout of its own.
                let ready = wait(&mut [Waiting::new(listener.as_fd())], Some(LOOK)).unwrap_or(0);
                let Some(Ok((stream, _))) = (ready > 0).then(|| listener.accept()) else { continue };
                let (stop, uploads) = (Arc::clone(&stop), Arc::clone(&uploads));
                // What a client that leaves does to its connection is its own business.
                thread::spawn(move || answer(&stream, &stop, &uploads));
            }
        }));
        Ok(server)
    }

    /// Runs a transfer from `namespace`, on threads of its own.
    pub fn transfer(&self, namespace: &Namespace, mptcp: bool, transfer: &Transfer) -> Result<Running> {
        let mut streams = Vec::new();
        for number in 0..transfer.streams {
            let to = SocketAddr::from((names::network(transfer.link), self.addr.port()));
            let (own, progress) = (transfer.clone(), Progress::default());
            let key = transfer.start.as_nanos() << 10 | u64::from(number);
            if own.upload {
                let mut uploads = self.uploads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                uploads.push((key, progress.clone()));
            }
            let mine = progress.clone();
            let handle = namespace
                .spawn("tcp", move || client(&own, to, mptcp, key, &mine).map_err(|e| format!("{e:#}")))?;
            streams.push((progress, handle));
        }
        Ok(Running { streams, wanted: transfer.bytes })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell; its port is free afterwards.
            let _ = thread.join();
        }
    }
}

/// A thread that may not get into its namespace, and may fail there.
type Client = JoinHandle<io::Result<Result<(), String>>>;

/// A transfer under way.
#[derive(Debug)]
pub struct Running {
    streams: Vec<(Progress, Client)>,
    wanted: Option<u64>,
}

impl Running {
    /// Waits until it is over.
    pub fn wait(self) -> Done {
        let mut error = None;
        let mut list = Vec::new();
        for (progress, handle) in self.streams {
            match handle.join() {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(why))) => error = Some(why),
                Ok(Err(why)) => error = Some(why.to_string()),
                Err(_) => error = Some("a client panicked".into()),
            }
            list.push(progress);
        }
        Done::gather(&list, self.wanted, error)
    }
}

fn client(transfer: &Transfer, to: SocketAddr, mptcp: bool, key: u64, progress: &Progress) -> Result<()> {
    sleep_until(transfer.start);
    let socket = socket(mptcp, &transfer.cc)?;
    socket.bind(&SockAddr::from(SocketAddr::from((names::user(transfer.link), 0))))?;
    let left = (transfer.stop - Clock::now()).max(Duration::from_millis(1));
    socket.connect_timeout(&SockAddr::from(to), left).with_context(|| format!("cannot connect to {to}"))?;
    let mut order = [0; 17];
    order[0] = if transfer.upload { b'U' } else { b'D' };
    order[1..9].copy_from_slice(&transfer.bytes.unwrap_or(u64::MAX).to_be_bytes());
    order[9..].copy_from_slice(&key.to_be_bytes());
    (&socket).write_all(&order)?;
    let stop = AtomicBool::new(false);
    if transfer.upload {
        send(&socket, transfer.bytes.unwrap_or(u64::MAX), &stop, Some(transfer.stop))?;
        socket.shutdown(std::net::Shutdown::Write)?;
        // The server closes when it has read everything.
        receive(&socket, &stop, Some(transfer.stop), |_| ())
    } else {
        receive(&socket, &stop, Some(transfer.stop), |bytes| progress.add(bytes))
    }
}

fn answer(
    socket: &Socket,
    stop: &AtomicBool,
    uploads: &std::sync::Mutex<Vec<(u64, Progress)>>,
) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut order = [0; 17];
    (&*socket).read_exact(&mut order)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let (bytes, key) = (number(&order[1..9]), number(&order[9..]));
    if order[0] == b'D' {
        return send(socket, bytes, stop, None);
    }
    let found = uploads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let progress = found.iter().find(|(own, _)| *own == key).map(|(_, progress)| progress.clone());
    drop(found);
    let progress = progress.context("an upload that nobody asked for")?;
    receive(socket, stop, None, |bytes| progress.add(bytes))
}

fn over(stop: &AtomicBool, until: Option<Instant>) -> bool {
    stop.load(Ordering::Relaxed) || until.is_some_and(|until| Clock::now() >= until)
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn send(mut socket: &Socket, mut bytes: u64, stop: &AtomicBool, until: Option<Instant>) -> Result<()> {
    socket.set_write_timeout(Some(LOOK))?;
    let block = vec![0x5a; BLOCK];
    while bytes > 0 && !over(stop, until) {
        let part = bytes.min(BLOCK as u64) as usize;
        match socket.write(&block[..part]) {
            Ok(sent) => bytes -= sent as u64,
            Err(error) if waits(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn receive(
    mut socket: &Socket,
    stop: &AtomicBool,
    until: Option<Instant>,
    mut progress: impl FnMut(u64),
) -> Result<()> {
    socket.set_read_timeout(Some(LOOK))?;
    let mut block = vec![0; BLOCK];
    while !over(stop, until) {
        match socket.read(&mut block) {
            Ok(0) => break,
            Ok(count) => progress(count as u64),
            Err(error) if waits(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
