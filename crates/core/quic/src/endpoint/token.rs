//! Address validation tokens: sealed, so that nobody can make or read them, and bound to address, time and kind
//! (RFC 9000 §8.1.3, §8.1.4; threat 4). Only the kind is in the clear (and authenticated), so that a Retry token that
//! does not open is told from a token that may be somebody else's.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tq_cc::Profile;

use tq_buf::mem::{Vec, vec};
use tq_crypto::TAG_LEN;
use tq_time::Instant;
use tq_wire::{Cid, PathId, Reader, UnexpectedEnd, Version, Writer};

use crate::shared::Shared;

const RETRY: u8 = 1;
const NEW_TOKEN: u8 = 2;
/// The same with what was measured of the client's links.
const LINKS_TOKEN: u8 = 3;
const NONCE: usize = 12;
/// Kind and nonce.
const HEAD: usize = 1 + NONCE;
/// Links of a client that a token tells of.
pub(crate) const MAX_LINKS: usize = 8;
/// Longest Retry token of ours: head, time, version, address, port, two ids, tag.
const MAX_RETRY_LEN: usize = HEAD + 8 + 4 + 17 + 2 + 2 * 21 + TAG_LEN;
/// Longest token of ours: head, time, version, address, links with address, round trip, rate and time each, tag.
const MAX_LEN: usize = HEAD + 8 + 4 + 17 + MAX_LINKS * (17 + 4 + 4 + 8) + TAG_LEN;
/// Shortest Retry token of ours: an IPv4 address, ids of 8 and 4 bytes.
const MIN_RETRY_LEN: usize = HEAD + 8 + 4 + 5 + 2 + 9 + 5 + TAG_LEN;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    issued: Instant,
    version: Version,
    ip: IpAddr,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// From a Retry: good for the same address and port, for a moment.
    Retry { port: u16, odcid: Cid, scid: Cid },
    /// From NEW_TOKEN: good for the same address, for days.
    New(Vec<Link>),
}

/// What was measured of one of a client's links, in our sending direction. The client keeps it for us and can neither read
/// nor change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The client's address there.
    pub(crate) ip: IpAddr,
    pub(crate) profile: Profile,
    pub(crate) measured: Instant,
}

/// Bytes per second in one step of a rate in a token.
const RATE_STEP: u64 = 1024;

impl Link {
    fn encode(&self, w: &mut Writer<'_>) {
        encode_ip(self.ip, w);
        w.u32(u32::try_from(self.profile.min_rtt.as_micros()).unwrap_or(u32::MAX));
        w.u32(u32::try_from(self.profile.rate / RATE_STEP).unwrap_or(u32::MAX));
        w.slice(&self.measured.as_nanos().to_be_bytes());
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, UnexpectedEnd> {
        let ip = decode_ip(r)?;
        let min_rtt = Duration::from_micros(r.u32()?.into());
        let rate = u64::from(r.u32()?) * RATE_STEP;
        let measured = Instant::from_nanos(u64::from_be_bytes(r.array()?));
        Ok(Self { ip, profile: Profile { min_rtt, rate }, measured })
    }
}

fn encode_ip(ip: IpAddr, w: &mut Writer<'_>) {
    match ip {
        IpAddr::V4(ip) => {
            w.u8(4);
            w.slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            w.u8(16);
            w.slice(&ip.octets());
        }
    }
}

fn decode_ip(r: &mut Reader<'_>) -> Result<IpAddr, UnexpectedEnd> {
    match r.u8()? {
        4 => Ok(r.array::<4>()?.into()),
        16 => Ok(r.array::<16>()?.into()),
        _ => Err(UnexpectedEnd),
    }
}

/// What a token that came with an Initial is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The address is proven; what the Retry was about.
    Retry { odcid: Cid, scid: Cid },
    /// One of NEW_TOKEN: whether the address is proven, and what was measured of links, perhaps other ones.
    New { valid: bool, links: Vec<Link> },
    /// Worth nothing; treat the Initial as if it had none.
    Useless,
    /// A Retry token that does not hold: INVALID_TOKEN.
    Invalid,
}

impl Token {
    /// A token of NEW_TOKEN for this address.
    pub(crate) fn new(now: Instant, remote: SocketAddr, version: Version, links: Vec<Link>) -> Self {
        Self { issued: now, version, ip: remote.ip(), kind: Kind::New(links) }
    }

    /// A Retry's token.
    pub(crate) fn retry(now: Instant, remote: SocketAddr, version: Version, odcid: Cid, scid: Cid) -> Self {
        Self { issued: now, version, ip: remote.ip(), kind: Kind::Retry { port: remote.port(), odcid, scid } }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.slice(&self.issued.as_nanos().to_be_bytes());
        w.u32(self.version.0);
        encode_ip(self.ip, w);
        match &self.kind {
            Kind::Retry { port, odcid, scid } => {
                w.u16(*port);
                w.prefixed(odcid);
                w.prefixed(scid);
            }
            Kind::New(links) => links.iter().take(MAX_LINKS).for_each(|link| link.encode(w)),
        }
    }

    fn decode(kind: u8, bytes: &[u8]) -> Result<Self, UnexpectedEnd> {
        let mut r = Reader::new(bytes);
        let issued = Instant::from_nanos(u64::from_be_bytes(r.array()?));
        let version = Version(r.u32()?);
        let ip = decode_ip(&mut r)?;
        let kind = match kind {
            NEW_TOKEN => Kind::New(Vec::new()),
            LINKS_TOKEN => {
                let mut links = Vec::new();
                while !r.is_empty() && links.len() < MAX_LINKS {
                    links.push(Link::decode(&mut r)?);
                }
                Kind::New(links)
            }
            RETRY => Kind::Retry {
                port: r.u16()?,
                odcid: Cid::new(r.prefixed()?).ok_or(UnexpectedEnd)?,
                scid: Cid::new(r.prefixed()?).ok_or(UnexpectedEnd)?,
            },
            _ => return Err(UnexpectedEnd),
        };
        Ok(Self { issued, version, ip, kind })
    }
}

/// The nonce of a token, behind its kind, as a packet key takes it whose IV is zero: one key serves all tokens.
fn nonce(token: &[u8]) -> (PathId, u64) {
    let byte = |at: usize| u64::from(token.get(1 + at).copied().unwrap_or(0));
    let number = |range: core::ops::Range<usize>| range.fold(0, |number, at| number << 8 | byte(at));
    (PathId(number(0..4) as u32), number(4..NONCE))
}

impl Shared {
    /// A token as bytes.
    // MUST 9000-8.1.1-1, 9000-8.1.3-3, 9000-8.1.3-4, 9000-8.1.4-1, 9000-8.1.4-2
    pub(crate) fn seal_token(&self, token: &Token) -> Vec<u8> {
        let mut out = vec![0; MAX_LEN];
        self.entropy.fill(&mut out[1..HEAD]);
        out[0] = match &token.kind {
            Kind::Retry { .. } => RETRY,
            Kind::New(links) if links.is_empty() => NEW_TOKEN,
            Kind::New(_) => LINKS_TOKEN,
        };
        let mut w = Writer::new(&mut out[HEAD..]);
        token.encode(&mut w);
        let end = HEAD + w.len() + TAG_LEN;
        out.truncate(end);
        let (path, pn) = nonce(&out);
        self.token_key.seal(path, pn, HEAD, &mut out);
        out
    }

    /// What a token from `remote` is worth. `dcid` is where the Initial went, in which version: a token is good for the
    /// version it was given in (RFC 9369 §5).
    // MUST 9000-8.1.1-1, 9000-8.1.3-7, 9000-8.1.4-3, 9000-8.1.4-4
    pub(crate) fn judge_token(
        &self,
        now: Instant,
        bytes: &[u8],
        remote: SocketAddr,
        (version, dcid): (Version, &Cid),
        (retry_life, new_life): (Duration, Duration),
    ) -> Verdict {
        let Some(token) = self.open_token(bytes) else {
            let of_retry =
                bytes.first() == Some(&RETRY) && (MIN_RETRY_LEN..=MAX_RETRY_LEN).contains(&bytes.len());
            return if of_retry { Verdict::Invalid } else { Verdict::Useless };
        };
        let age = now.saturating_since(token.issued);
        match token.kind {
            Kind::Retry { port, odcid, scid } => {
                let fits = token.version == version
                    && token.ip == remote.ip()
                    && port == remote.port()
                    && scid == *dcid;
                if fits && age <= retry_life { Verdict::Retry { odcid, scid } } else { Verdict::Invalid }
            }
            Kind::New(links) if age <= new_life => {
                let valid = token.version == version && token.ip == remote.ip();
                Verdict::New { valid, links }
            }
            Kind::New(_) => Verdict::Useless,
        }
    }

    fn open_token(&self, bytes: &[u8]) -> Option<Token> {
        if bytes.len() > MAX_LEN {
            return None;
        }
        let head = *bytes.first_chunk::<HEAD>()?;
        let (path, pn) = nonce(&head);
        let mut body = bytes[HEAD..].to_vec();
        let len = self.token_key.open(path, pn, &head, &mut body).ok()?;
        Token::decode(head[0], &body[..len]).ok()
    }
}
