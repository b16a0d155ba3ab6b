//! SOCKS5 (RFC 1928), the part programs use: no authentication, CONNECT, names and both families.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::front::FrontError;
use crate::{Status, Target};

const VERSION: u8 = 5;
const NO_AUTH: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// Reads a request.
pub(crate) async fn request<S: AsyncRead + AsyncWrite + Unpin>(s: &mut S) -> Result<Target, FrontError> {
    let [version, count] = read(s).await?;
    if version != VERSION {
        return Err(FrontError::NotSpoken);
    }
    let mut methods = [0; 255];
    let methods = &mut methods[..usize::from(count)];
    s.read_exact(methods).await?;
    if !methods.contains(&NO_AUTH) {
        s.write_all(&[VERSION, NO_METHOD]).await?;
        return Err(FrontError::NotSpoken);
    }
    s.write_all(&[VERSION, NO_AUTH]).await?;
    let [version, command, _, kind] = read(s).await?;
    if version != VERSION {
        return Err(FrontError::NotSpoken);
    }
    let target = match kind {
        1 => {
            let ip: [u8; 4] = read(s).await?;
            Target::Addr((ip, port(s).await?).into())
        }
        4 => {
            let ip: [u8; 16] = read(s).await?;
            Target::Addr((ip, port(s).await?).into())
        }
        3 => {
            let [len] = read(s).await?;
            let mut name = vec![0; len.into()];
            s.read_exact(&mut name).await?;
            let port = port(s).await?;
            let name = String::from_utf8(name).ok();
            match name.and_then(|name| Target::named(&name, port).ok()) {
                Some(target) => target,
                None => return refuse(s, 1).await,
            }
        }
        _ => return refuse(s, 8).await,
    };
    match (command, &target) {
        (_, Target::Addr(addr)) if addr.port() == 0 => refuse(s, 1).await,
        (CONNECT, _) => Ok(target),
        _ => refuse(s, 7).await,
    }
}

/// Tells the program what became of it.
pub(crate) async fn reply<S: AsyncWrite + Unpin>(s: &mut S, status: Status) -> std::io::Result<()> {
    write(s, status.socks()).await
}

async fn refuse<S: AsyncWrite + Unpin>(s: &mut S, code: u8) -> Result<Target, FrontError> {
    write(s, code).await?;
    Err(FrontError::NotSpoken)
}

/// The address a reply names is of no use to anybody.
async fn write<S: AsyncWrite + Unpin>(s: &mut S, code: u8) -> std::io::Result<()> {
    s.write_all(&[VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

async fn read<S: AsyncRead + Unpin, const N: usize>(s: &mut S) -> Result<[u8; N], FrontError> {
    let mut bytes = [0; N];
    s.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn port<S: AsyncRead + Unpin>(s: &mut S) -> Result<u16, FrontError> {
    read(s).await.map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests;
