//! A bounded look into a ClientHello, before any TLS state exists: which name, protocols and certificate types it
//! asks for, so that a server can pick what to answer with.
//!
//! It reads what a choice needs and leaves judging the rest to TLS. It never allocates, and no bytes make it panic.

use std::fmt;

/// Longest ClientHello that is buffered, bytes.
pub const MAX_HELLO: usize = 16 * 1024;

/// Raw public key among certificate types (RFC 7250 §3).
const RAW: u8 = 2;
/// X.509 among certificate types.
const X509: u8 = 0;

/// Why the bytes cannot be a ClientHello; closes with [`PeekError::alert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeekError {
    /// The first handshake message is another one.
    NotClientHello,
    /// It says it is longer than [`MAX_HELLO`].
    TooLong,
    /// A length or a list does not fit.
    Malformed(&'static str),
    /// A field has a value QUIC forbids.
    Forbidden(&'static str),
}

impl PeekError {
    /// TLS alert to close with.
    pub const fn alert(self) -> u8 {
        match self {
            Self::NotClientHello => 10,
            Self::Forbidden(_) => 47,
            Self::TooLong | Self::Malformed(_) => 50,
        }
    }

    /// A few words for a reason phrase.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotClientHello => "the first handshake message is no ClientHello",
            Self::TooLong => "ClientHello too long",
            Self::Malformed(why) | Self::Forbidden(why) => why,
        }
    }
}

impl fmt::Display for PeekError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for PeekError {}

/// What a ClientHello asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    server_name: Option<&'a str>,
    alpn: &'a [u8],
    server_types: Option<&'a [u8]>,
    client_types: Option<&'a [u8]>,
    params: Option<&'a [u8]>,
}

impl<'a> ClientHello<'a> {
    /// The DNS name it wants (RFC 6066 §3), as sent; `None` without one or if it is no DNS name.
    pub fn server_name(&self) -> Option<&'a str> {
        self.server_name
    }

    /// Application protocols it offers, best first (RFC 7301).
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = Bytes(self.alpn);
        std::iter::from_fn(move || rest.list8().ok())
    }

    /// Certificate types it accepts from a server, best first: 0 is X.509, 2 a raw key (RFC 7250).
    pub fn server_certificate_types(&self) -> &'a [u8] {
        self.server_types.unwrap_or(&[X509])
    }

    /// Certificate types it could show itself.
    pub fn client_certificate_types(&self) -> &'a [u8] {
        self.client_types.unwrap_or(&[X509])
    }

    /// Its QUIC transport parameters (RFC 9001 §8.2), as sent.
    pub fn transport_parameters(&self) -> Option<&'a [u8]> {
        self.params
    }

    /// Whether a server may answer with a raw key.
    pub fn accepts_raw_key(&self) -> bool {
        self.server_certificate_types().contains(&RAW)
    }

    /// Whether a server may answer with a certificate.
    pub fn accepts_certificate(&self) -> bool {
        self.server_certificate_types().contains(&X509)
    }

    /// Whether it likes raw keys better than certificates.
    pub fn prefers_raw_key(&self) -> bool {
        self.server_certificate_types().iter().find(|kind| matches!(**kind, RAW | X509)) == Some(&RAW)
    }

    /// Whether it could show a raw key.
    pub fn shows_raw_key(&self) -> bool {
        self.client_certificate_types().contains(&RAW)
    }

    /// Whether it could show a certificate.
    pub fn shows_certificate(&self) -> bool {
        self.client_certificate_types().contains(&X509)
    }
}

/// Looks into the ClientHello at the start of `bytes`; `None` until all of it is there.
///
/// # Errors
/// See [`PeekError`].
pub fn peek(bytes: &[u8]) -> Result<Option<ClientHello<'_>>, PeekError> {
    match bytes.first() {
        None => return Ok(None),
        Some(1) => {}
        Some(_) => return Err(PeekError::NotClientHello),
    }
    let Some([_, high, middle, low]) = bytes.first_chunk() else { return Ok(None) };
    let len = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    if len > MAX_HELLO - 4 {
        return Err(PeekError::TooLong);
    }
    match bytes.get(4..4 + len) {
        Some(body) => hello(Bytes(body)).map(Some),
        None => Ok(None),
    }
}

fn hello(mut body: Bytes<'_>) -> Result<ClientHello<'_>, PeekError> {
    let _legacy_version_and_random = body.take(2 + 32)?;
    if !body.list8()?.is_empty() {
        // RFC 9001 §8.4
        return Err(PeekError::Forbidden("ClientHello with a legacy session id"));
    }
    let _suites = body.list16()?;
    let _compression = body.list8()?;
    let mut extensions = Bytes(body.list16()?);
    if !body.0.is_empty() {
        return Err(PeekError::Malformed("bytes after the extensions of a ClientHello"));
    }
    let mut hello = ClientHello::default();
    let mut seen = [false; 5];
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let mut value = Bytes(extensions.list16()?);
        let slot = match kind {
            0 => 0,
            16 => 1,
            19 => 2,
            20 => 3,
            0x39 => 4,
            _ => continue,
        };
        if std::mem::replace(&mut seen[slot], true) {
            return Err(PeekError::Forbidden("extension sent twice"));
        }
        match slot {
            0 => hello.server_name = server_name(&mut value)?,
            1 => hello.alpn = protocols(&mut value)?,
            2 => hello.client_types = Some(types(&mut value)?),
            3 => hello.server_types = Some(types(&mut value)?),
            _ => hello.params = Some(std::mem::take(&mut value.0)),
        }
        if !value.0.is_empty() {
            return Err(PeekError::Malformed("bytes after the content of an extension"));
        }
    }
    Ok(hello)
}

fn server_name<'a>(value: &mut Bytes<'a>) -> Result<Option<&'a str>, PeekError> {
    let mut list = Bytes(value.list16()?);
    if list.take(1)? != [0] {
        // no other kind of name exists, so where it ends is not known
        return Ok(None);
    }
    let name = list.list16()?;
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match (1..=253).contains(&name.len()) && name.iter().all(fits) {
        true => Ok(std::str::from_utf8(name).ok()),
        false => Ok(None),
    }
}

fn protocols<'a>(value: &mut Bytes<'a>) -> Result<&'a [u8], PeekError> {
    let list = value.list16()?;
    let mut rest = Bytes(list);
    while !rest.0.is_empty() {
        if rest.list8()?.is_empty() {
            return Err(PeekError::Malformed("empty application protocol"));
        }
    }
    Ok(list)
}

fn types<'a>(value: &mut Bytes<'a>) -> Result<&'a [u8], PeekError> {
    match value.list8()? {
        [] => Err(PeekError::Malformed("empty list of certificate types")),
        list => Ok(list),
    }
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], PeekError> {
        let (head, rest) =
            self.0.split_at_checked(len).ok_or(PeekError::Malformed("ClientHello is cut off"))?;
        self.0 = rest;
        Ok(head)
    }

    fn u16(&mut self) -> Result<u16, PeekError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Bytes behind a length of one byte.
    fn list8(&mut self) -> Result<&'a [u8], PeekError> {
        let len = self.take(1)?[0];
        self.take(usize::from(len))
    }

    /// Bytes behind a length of two bytes.
    fn list16(&mut self) -> Result<&'a [u8], PeekError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }
}

#[cfg(test)]
mod tests;
