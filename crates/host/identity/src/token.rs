//! The join token: all a router needs, in one line.
//!
//! `tquic://1/` and the base64url of fields, each a type octet, a length octet and that many bytes; the last is a CRC-32 of all
//! before, so that a torn line is told from a wrong one. Fields of unknown types are skipped. Whoever has the line can join
//! once, as that device.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::text::{base64, crc32, from_base64};
use crate::{Name, Secret, TokenError};

const SCHEME: &str = "tquic://";
const VERSION: &str = "1";

const IPV4: u8 = 1;
const IPV6: u8 = 2;
const PORT: u8 = 3;
const SERVER_KEY: u8 = 4;
const TENANT: u8 = 5;
const DEVICE: u8 = 6;
const SECRET: u8 = 7;
const EXPIRY: u8 = 8;
const CHECKSUM: u8 = 255;

/// A checksum field as a whole.
const TRAILER: usize = 6;

/// What a device joins with. `Debug` does not show the secret, `Display` does: it is the line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where the server is, 1 to [`Token::MAX_ADDRESSES`], best first.
    pub addresses: Vec<IpAddr>,
    /// Its UDP port.
    pub port: u16,
    /// Its Ed25519 public key.
    pub server_key: [u8; 32],
    /// Whose device it is.
    pub tenant: Name,
    /// Which device.
    pub device: Name,
    /// What proves it.
    pub secret: Secret,
    /// After this second since 1970 it opens nothing; none: never.
    pub expires: Option<u64>,
}

impl Token {
    /// Most addresses in a token.
    pub const MAX_ADDRESSES: usize = 8;
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(192);
        let mut put = |kind: u8, value: &[u8]| {
            bytes.extend_from_slice(&[kind, value.len() as u8]);
            bytes.extend_from_slice(value);
        };
        for address in self.addresses.iter().take(Self::MAX_ADDRESSES) {
            match address {
                IpAddr::V4(ip) => put(IPV4, &ip.octets()),
                IpAddr::V6(ip) => put(IPV6, &ip.octets()),
            }
        }
        put(PORT, &self.port.to_be_bytes());
        put(SERVER_KEY, &self.server_key);
        put(TENANT, self.tenant.as_str().as_bytes());
        put(DEVICE, self.device.as_str().as_bytes());
        put(SECRET, &self.secret.0);
        if let Some(expires) = self.expires {
            put(EXPIRY, &expires.to_be_bytes());
        }
        let sum = crc32(&bytes).to_be_bytes();
        bytes.extend_from_slice(&[CHECKSUM, 4]);
        bytes.extend_from_slice(&sum);
        write!(f, "{SCHEME}{VERSION}/{}", base64(&bytes))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let rest = text.strip_prefix(SCHEME).ok_or(TokenError::NotAToken)?;
        let (version, body) = rest.split_once('/').ok_or(TokenError::Torn)?;
        if version != VERSION {
            return Err(TokenError::Version(version.chars().take(8).collect()));
        }
        let offset = text.len() - body.len();
        let bytes = from_base64(body).map_err(|at| TokenError::Character { at: offset + at + 1 })?;
        let (fields, trailer) =
            bytes.split_at_checked(bytes.len().wrapping_sub(TRAILER)).ok_or(TokenError::Torn)?;
        let sum = trailer.strip_prefix(&[CHECKSUM, 4]).ok_or(TokenError::Torn)?;
        if sum != crc32(fields).to_be_bytes() {
            return Err(TokenError::Checksum);
        }
        read(fields)
    }
}

/// The token of checked fields.
fn read(mut fields: &[u8]) -> Result<Token, TokenError> {
    let mut found = Found::default();
    while let [kind, len, rest @ ..] = fields {
        let (value, rest) = rest.split_at_checked(usize::from(*len)).ok_or(TokenError::Torn)?;
        found.take(*kind, value)?;
        fields = rest;
    }
    if !fields.is_empty() {
        return Err(TokenError::Torn);
    }
    if found.addresses.is_empty() {
        return Err(TokenError::Missing("server's address"));
    }
    Ok(Token {
        addresses: found.addresses,
        port: found.port.ok_or(TokenError::Missing("port"))?,
        server_key: found.server_key.ok_or(TokenError::Missing("server's key"))?,
        tenant: found.tenant.ok_or(TokenError::Missing("tenant"))?,
        device: found.device.ok_or(TokenError::Missing("device"))?,
        secret: Secret(found.secret.ok_or(TokenError::Missing("secret"))?),
        expires: found.expires,
    })
}

#[derive(Default)]
struct Found {
    addresses: Vec<IpAddr>,
    port: Option<u16>,
    server_key: Option<[u8; 32]>,
    tenant: Option<Name>,
    device: Option<Name>,
    secret: Option<[u8; 32]>,
    expires: Option<u64>,
}

impl Found {
    fn take(&mut self, kind: u8, value: &[u8]) -> Result<(), TokenError> {
        match kind {
            IPV4 => self.address(fixed::<4>(value, "server's address")?.into())?,
            IPV6 => self.address(fixed::<16>(value, "server's address")?.into())?,
            PORT => once(&mut self.port, port(value)?, "port")?,
            SERVER_KEY => once(&mut self.server_key, fixed(value, "server's key")?, "server's key")?,
            TENANT => once(&mut self.tenant, name(value, "tenant")?, "tenant")?,
            DEVICE => once(&mut self.device, name(value, "device")?, "device")?,
            SECRET => once(&mut self.secret, fixed(value, "secret")?, "secret")?,
            EXPIRY => {
                let expires = u64::from_be_bytes(fixed(value, "expiry")?);
                once(&mut self.expires, expires, "expiry")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn address(&mut self, address: IpAddr) -> Result<(), TokenError> {
        let unusable = address.is_unspecified() || address.is_multicast();
        if unusable || self.addresses.len() >= Token::MAX_ADDRESSES {
            return Err(TokenError::Field("server's address"));
        }
        self.addresses.push(address);
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T, field: &'static str) -> Result<(), TokenError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(TokenError::Field(field)),
    }
}

fn fixed<const N: usize>(value: &[u8], field: &'static str) -> Result<[u8; N], TokenError> {
    value.try_into().map_err(|_| TokenError::Field(field))
}

fn port(value: &[u8]) -> Result<u16, TokenError> {
    match u16::from_be_bytes(fixed(value, "port")?) {
        0 => Err(TokenError::Field("port")),
        port => Ok(port),
    }
}

fn name(value: &[u8], field: &'static str) -> Result<Name, TokenError> {
    let text = std::str::from_utf8(value).map_err(|_| TokenError::Field(field))?;
    text.parse().map_err(|_| TokenError::Field(field))
}

#[cfg(test)]
mod tests;
