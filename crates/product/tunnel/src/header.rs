//! What a stream begins with: where to connect, and the answer.
//!
//! Both are a length of two octets and that many more; what stands behind the fields known here is skipped, so that later
//! versions can say more. Open: version 1, kind 1 (TCP), address type 4, 6 or 3 (a name with a length octet), the address, port,
//! class 0 to 3, flags; or kind 2 (a measurement) and which. Answer: a status.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tq::{ReadExactError, RecvStream};

use crate::{Measure, Status};

/// Longest header, octets behind the length.
pub const MAX_HEADER: usize = 512;

const VERSION: u8 = 1;
const TCP: u8 = 1;
const MEASURE: u8 = 2;
const V4: u8 = 4;
const V6: u8 = 6;
const NAME: u8 = 3;

/// Longest name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// Where a stream leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An address.
    Addr(SocketAddr),
    /// A name that the far side resolves, and a port.
    Name(String, u16),
    /// The far side itself, to measure the way to it.
    Measure(Measure),
}

impl Target {
    /// A name and a port, or the address if the name is one.
    ///
    /// # Errors
    /// The name is empty, too long or has characters no name has; the port is 0.
    pub fn named(name: &str, port: u16) -> Result<Self, HeaderError> {
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if port == 0 {
            return Err(HeaderError::Address);
        }
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Addr(SocketAddr::new(ip, port)));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if bare.len() != name.len() || !(1..=MAX_NAME).contains(&name.len()) || !name.chars().all(plain) {
            return Err(HeaderError::Address);
        }
        Ok(Self::Name(name.to_owned(), port))
    }

    /// `HOST:PORT`, an IPv6 address in brackets.
    ///
    /// # Errors
    /// As [`Target::named`].
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        let (host, port) = text.rsplit_once(':').ok_or(HeaderError::Address)?;
        let digits = !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or(HeaderError::Address)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(HeaderError::Address);
        }
        Self::named(host, port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(addr) => addr.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Measure(what) => f.write_str(what.name()),
        }
    }
}

/// A stream's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Where to connect.
    pub target: Target,
    /// Class of service, 0 (best effort) to 3. Carried, not acted on yet.
    pub class: u8,
}

/// A header that cannot be used: the peer's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// Longer than [`MAX_HEADER`].
    TooLong(usize),
    /// It ends inside a field.
    Torn,
    /// Of a version or kind not known here.
    Version(u8, u8),
    /// No usable address.
    Address,
    /// The stream ended or the connection did.
    Lost,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(len) => write!(f, "a header of {len} bytes, at most {MAX_HEADER} are read"),
            Self::Torn => f.write_str("a header that ends inside a field"),
            Self::Version(version, kind) => write!(f, "a header of version {version} and kind {kind}"),
            Self::Address => f.write_str("a target that is no address or name with a port"),
            Self::Lost => f.write_str("the stream ended before its header did"),
        }
    }
}

impl std::error::Error for HeaderError {}

impl From<ReadExactError> for HeaderError {
    fn from(_: ReadExactError) -> Self {
        Self::Lost
    }
}

impl Open {
    /// TCP to `target`, best effort.
    pub fn tcp(target: Target) -> Self {
        Self { target, class: 0 }
    }

    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        if let Target::Measure(what) = self.target {
            return framed(&[VERSION, MEASURE, what as u8]);
        }
        let mut body = vec![VERSION, TCP];
        let port = match &self.target {
            Target::Addr(addr) => {
                match addr.ip().to_canonical() {
                    std::net::IpAddr::V4(ip) => {
                        body.push(V4);
                        body.extend_from_slice(&ip.octets());
                    }
                    std::net::IpAddr::V6(ip) => {
                        body.push(V6);
                        body.extend_from_slice(&ip.octets());
                    }
                }
                addr.port()
            }
            Target::Name(name, port) => {
                let name = &name.as_bytes()[..name.len().min(MAX_NAME)];
                body.extend_from_slice(&[NAME, name.len() as u8]);
                body.extend_from_slice(name);
                *port
            }
            Target::Measure(_) => 0,
        };
        body.extend_from_slice(&port.to_be_bytes());
        body.extend_from_slice(&[self.class, 0]);
        framed(&body)
    }

    /// What the bytes behind the length say.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn decode(body: &[u8]) -> Result<Self, HeaderError> {
        let [version, kind, address, rest @ ..] = body else { return Err(HeaderError::Torn) };
        if (*version, *kind) == (VERSION, MEASURE) {
            let what = Measure::ALL.get(usize::from(*address)).ok_or(HeaderError::Address)?;
            return Ok(Self::tcp(Target::Measure(*what)));
        }
        if (*version, *kind) != (VERSION, TCP) {
            return Err(HeaderError::Version(*version, *kind));
        }
        let (target, rest) = match *address {
            V4 => {
                let (ip, rest) = rest.split_first_chunk::<4>().ok_or(HeaderError::Torn)?;
                let (port, rest) = port(rest)?;
                (Target::Addr((Ipv4Addr::from(*ip), port).into()), rest)
            }
            V6 => {
                let (ip, rest) = rest.split_first_chunk::<16>().ok_or(HeaderError::Torn)?;
                let (port, rest) = port(rest)?;
                (Target::Addr((Ipv6Addr::from(*ip), port).into()), rest)
            }
            NAME => {
                let (len, rest) = rest.split_first().ok_or(HeaderError::Torn)?;
                let (name, rest) = rest.split_at_checked((*len).into()).ok_or(HeaderError::Torn)?;
                let name = std::str::from_utf8(name).map_err(|_| HeaderError::Address)?;
                let (port, rest) = port(rest)?;
                (Target::named(name, port)?, rest)
            }
            _ => return Err(HeaderError::Address),
        };
        let [class, _flags, ..] = rest else { return Err(HeaderError::Torn) };
        Ok(Self { target, class: (*class).min(3) })
    }

    /// Reads a header from the beginning of a stream.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub async fn read(recv: &mut RecvStream) -> Result<Self, HeaderError> {
        Self::decode(&read_framed(recv).await?)
    }
}

fn port(bytes: &[u8]) -> Result<(u16, &[u8]), HeaderError> {
    let (port, rest) = bytes.split_first_chunk::<2>().ok_or(HeaderError::Torn)?;
    match u16::from_be_bytes(*port) {
        0 => Err(HeaderError::Address),
        port => Ok((port, rest)),
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u16).to_be_bytes()[..], body].concat()
}

async fn read_framed(recv: &mut RecvStream) -> Result<Vec<u8>, HeaderError> {
    let mut len = [0; 2];
    recv.read_exact(&mut len).await?;
    let len = usize::from(u16::from_be_bytes(len));
    if len > MAX_HEADER {
        return Err(HeaderError::TooLong(len));
    }
    let mut body = vec![0; len];
    recv.read_exact(&mut body).await?;
    Ok(body)
}

/// The bytes of an answer.
pub(crate) fn answer(status: Status) -> Vec<u8> {
    framed(&[status as u8])
}

/// Reads an answer from the beginning of a stream.
pub(crate) async fn read_answer(recv: &mut RecvStream) -> Result<Status, HeaderError> {
    let body = read_framed(recv).await?;
    body.first().map(|octet| Status::of(*octet)).ok_or(HeaderError::Torn)
}

#[cfg(test)]
mod tests;
