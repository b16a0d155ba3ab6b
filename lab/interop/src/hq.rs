//! HTTP/0.9 over QUIC: a stream carries `GET /PATH` and a line end there, the file and the end back. The same files over
//! HTTP/3 where a peer speaks nothing else.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tq::{Bytes, Connection, RecvStream, SendStream};

use crate::h3;

/// Application protocol.
pub const ALPN: &str = "hq-interop";

/// Longest request answered, bytes.
const REQUEST: usize = 8192;
/// Bytes read from a file at a time.
const BLOCK: usize = 256 * 1024;
/// Codes a stream is reset with when there is no file to send.
const BAD_REQUEST: u64 = 400;
const NOT_FOUND: u64 = 404;
const BROKEN: u64 = 500;

/// Fetches `path` into `file`, over HTTP/3 if there is an `authority` to name; `each` is called after every part.
/// Returns the bytes received.
///
/// # Errors
/// The stream failed, or the file cannot be written.
pub async fn fetch(
    connection: &Connection,
    authority: Option<&str>,
    path: &str,
    file: &Path,
    mut each: impl FnMut(&Connection),
) -> Result<u64> {
    let (mut send, mut recv) = connection.open_bi().await?;
    let request = authority.map_or_else(|| format!("GET {path}\r\n").into(), |name| h3::request(name, path));
    send.write_all(&request).await?;
    send.finish()?;
    let mut body = authority.map(|_| h3::Body::default());
    let mut out = File::create(file).await.with_context(|| format!("cannot create {}", file.display()))?;
    let (mut received, mut parts) = (0, Vec::new());
    while let Some(chunk) = recv.read_chunk(usize::MAX).await.with_context(|| format!("fetching {path}"))? {
        received += chunk.len() as u64;
        match &mut body {
            Some(body) => {
                body.take(chunk, |part| parts.push(part)).with_context(|| format!("fetching {path}"))?
            }
            None => parts.push(chunk),
        }
        for part in parts.drain(..) {
            out.write_all(&part).await.with_context(|| format!("cannot write {}", file.display()))?;
        }
        each(connection);
    }
    ensure!(body.is_none_or(|body| body.is_whole()), "{path}: the answer is not whole");
    out.flush().await.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(received)
}

/// Answers one request with a file of `www`.
///
/// # Errors
/// The stream failed. A request for nothing that is there only resets the stream.
pub async fn answer(www: &Path, http3: bool, send: &mut SendStream, recv: &mut RecvStream) -> Result<()> {
    let request = recv.read_to_end(REQUEST).await?;
    let path = if http3 {
        h3::wanted(&request).ok().map(|path| format!("GET {path}").into())
    } else {
        Some(request)
    };
    let Some(path) = path.and_then(|request| requested(www, &request)) else {
        send.reset(BAD_REQUEST)?;
        return Ok(());
    };
    let Ok(mut file) = File::open(&path).await else {
        send.reset(NOT_FOUND)?;
        return Ok(());
    };
    if http3 {
        send.write_all(&h3::answer(file.metadata().await?.len())).await?;
    }
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        match file.read_buf(&mut block).await {
            Ok(0) => break,
            Ok(_) => send.write_chunk(Bytes::from(block)).await?,
            Err(_) => {
                send.reset(BROKEN)?;
                return Ok(());
            }
        }
    }
    send.finish()?;
    Ok(())
}

/// The file a request means. The runner's files lie flat: anything but a plain name is refused.
fn requested(www: &Path, request: &[u8]) -> Option<PathBuf> {
    let line = std::str::from_utf8(request).ok()?.trim_end_matches(['\r', '\n']);
    let name = line.strip_prefix("GET ")?.trim_end_matches(" HTTP/0.9").strip_prefix('/')?;
    let plain = !name.contains(['/', '\\', '\0']) && !matches!(name, "" | "." | "..");
    plain.then(|| www.join(name))
}

#[cfg(test)]
mod tests;
