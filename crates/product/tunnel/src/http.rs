//! HTTP CONNECT (RFC 9110 §9.3.6) as programs use it: one request, then bytes.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::front::FrontError;
use crate::{Status, Target};

/// Longest request, bytes.
const LIMIT: usize = 8 * 1024;

/// Reads a request up to its empty line, and not a byte more.
pub(crate) async fn request<S: AsyncRead + AsyncWrite + Unpin>(s: &mut S) -> Result<Target, FrontError> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LIMIT {
            write(s, 431, "Request Header Fields Too Large").await?;
            return Err(FrontError::NotSpoken);
        }
        // Byte by byte from the kernel would be slow for large transfers; this is one line per connection.
        head.push(s.read_u8().await?);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
    let parts = (words.next(), words.next(), words.next(), words.next());
    let (Some(method), Some(authority), Some("HTTP/1.1" | "HTTP/1.0"), None) = parts else {
        write(s, 400, "Bad Request").await?;
        return Err(FrontError::NotSpoken);
    };
    if method != "CONNECT" {
        write(s, 405, "Only CONNECT").await?;
        return Err(FrontError::NotSpoken);
    }
    match Target::parse(authority) {
        Ok(target) => Ok(target),
        Err(_) => {
            write(s, 400, "Bad Request").await?;
            Err(FrontError::NotSpoken)
        }
    }
}

/// Tells the program what became of it.
pub(crate) async fn reply<S: AsyncWrite + Unpin>(s: &mut S, status: Status) -> std::io::Result<()> {
    let (code, reason) = status.http();
    match status {
        Status::Ok => s.write_all(format!("HTTP/1.1 {code} {reason}\r\n\r\n").as_bytes()).await,
        _ => write(s, code, reason).await,
    }
}

async fn write<S: AsyncWrite + Unpin>(s: &mut S, code: u16, reason: &str) -> std::io::Result<()> {
    let allow = if code == 405 { "Allow: CONNECT\r\n" } else { "" };
    let text = format!("HTTP/1.1 {code} {reason}\r\n{allow}Content-Length: 0\r\nConnection: close\r\n\r\n");
    s.write_all(text.as_bytes()).await
}

#[cfg(test)]
mod tests;
