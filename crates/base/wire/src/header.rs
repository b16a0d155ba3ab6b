//! Packet headers before and after header protection (RFC 8999, RFC 9000 §17, RFC 9369 §3.2).
//!
//! Parsing needs no keys: it finds the connection ids, the token and where the packet number starts. Positions are
//! offsets, so that the datagram can then be decrypted in place.

use core::ops::Range;

use crate::{Cid, Reader, UnexpectedEnd, Version, Writer};

/// Kinds of long-header packets that carry frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LongKind {
    /// First flight, keys known to everybody.
    Initial,
    /// Early data.
    ZeroRtt,
    /// Rest of the handshake.
    Handshake,
}

/// Long-header bit.
pub const FORM_LONG: u8 = 0x80;
/// The bit that is 1 unless greased (RFC 9287).
pub const FIXED_BIT: u8 = 0x40;
/// Key phase bit of a short header.
pub const KEY_PHASE_BIT: u8 = 0x04;
/// Spin bit of a short header.
pub const SPIN_BIT: u8 = 0x20;
/// Reserved bits of a long header, zero after unprotection.
pub const LONG_RESERVED: u8 = 0x0c;
/// Reserved bits of a short header, zero after unprotection.
pub const SHORT_RESERVED: u8 = 0x18;

/// What the plain part of a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// Initial, 0-RTT or Handshake of a known version.
    Long {
        /// Kind of packet.
        kind: LongKind,
        /// v1 or v2.
        version: Version,
        /// Destination connection id.
        dcid: Cid,
        /// Source connection id.
        scid: Cid,
        /// Where the token of an Initial is (empty for others).
        token: Range<usize>,
        /// Where the protected packet number starts.
        pn_offset: usize,
        /// One past the last byte of the packet; another may follow in the datagram.
        end: usize,
    },
    /// 1-RTT.
    Short {
        /// Destination connection id, of the length we issue.
        dcid: Cid,
        /// Where the protected packet number starts.
        pn_offset: usize,
    },
    /// Retry of a known version. The integrity tag is the last 16 bytes.
    Retry {
        /// v1 or v2.
        version: Version,
        /// Destination connection id.
        dcid: Cid,
        /// Source connection id: the next destination.
        scid: Cid,
        /// Where the token is.
        token: Range<usize>,
    },
    /// Version Negotiation.
    VersionNegotiation {
        /// Where the destination connection id is (0 to 255 bytes).
        dcid: Range<usize>,
        /// Where the source connection id is.
        scid: Range<usize>,
        /// Where the list of 32-bit versions is.
        versions: Range<usize>,
    },
    /// A long header of a version not known here; only the invariants hold.
    Unknown {
        /// The version.
        version: Version,
        /// Where the destination connection id is (0 to 255 bytes).
        dcid: Range<usize>,
        /// Where the source connection id is.
        scid: Range<usize>,
    },
}

/// Why a header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The datagram ends inside the header, or the Length field points past its end.
    Truncated,
    /// A known version with a connection id longer than 20 bytes.
    CidTooLong,
}

impl From<UnexpectedEnd> for HeaderError {
    fn from(_: UnexpectedEnd) -> Self {
        Self::Truncated
    }
}

impl Header {
    /// Reads the header at the start of `packet`. `local_cid_len` is the length of the ids we issue.
    // MUST 9000-17.2-3, 9000-17.2-5, 9000-17.2.1-1
    pub fn parse(packet: &[u8], local_cid_len: usize) -> Result<Self, HeaderError> {
        let mut r = Reader::new(packet);
        let first = r.u8()?;
        if first & FORM_LONG == 0 {
            let dcid = Cid::new(r.slice(local_cid_len)?).ok_or(HeaderError::CidTooLong)?;
            return Ok(Self::Short { dcid, pn_offset: r.position() });
        }
        let version = Version(r.u32()?);
        let dcid = range(&mut r)?;
        let scid = range(&mut r)?;
        if version == Version::NEGOTIATION {
            return Ok(Self::VersionNegotiation { dcid, scid, versions: r.position()..packet.len() });
        }
        if !version.is_known() {
            return Ok(Self::Unknown { version, dcid, scid });
        }
        let dcid = Cid::new(&packet[dcid]).ok_or(HeaderError::CidTooLong)?;
        let scid = Cid::new(&packet[scid]).ok_or(HeaderError::CidTooLong)?;
        let Some(kind) = long_kind(version, first) else {
            let token = r.position()..packet.len().checked_sub(16).ok_or(HeaderError::Truncated)?;
            if token.start > token.end {
                return Err(HeaderError::Truncated);
            }
            return Ok(Self::Retry { version, dcid, scid, token });
        };
        let token = match kind {
            LongKind::Initial => {
                let len = usize::try_from(r.varint()?).map_err(|_| HeaderError::Truncated)?;
                let start = r.position();
                r.slice(len)?;
                start..start + len
            }
            _ => 0..0,
        };
        let length = usize::try_from(r.varint()?).map_err(|_| HeaderError::Truncated)?;
        let pn_offset = r.position();
        r.slice(length)?;
        Ok(Self::Long { kind, version, dcid, scid, token, pn_offset, end: pn_offset + length })
    }
}

/// What long headers of all versions have (RFC 8999 §5.1), whatever else the version says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invariants {
    /// The version; that of Version Negotiation is 0.
    pub version: Version,
    /// Where the destination connection id is (0 to 255 bytes).
    pub dcid: Range<usize>,
    /// Where the source connection id is.
    pub scid: Range<usize>,
}

impl Invariants {
    /// Reads the start of `packet`; `None` if it has no long header, or not a whole one.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let mut r = Reader::new(packet);
        let long = r.u8().ok()? & FORM_LONG != 0;
        let version = Version(r.u32().ok()?);
        let (dcid, scid) = (range(&mut r).ok()?, range(&mut r).ok()?);
        long.then_some(Self { version, dcid, scid })
    }
}

/// A length octet and that many bytes, as a range.
fn range(r: &mut Reader<'_>) -> Result<Range<usize>, UnexpectedEnd> {
    let len = usize::from(r.u8()?);
    let start = r.position();
    r.slice(len)?;
    Ok(start..start + len)
}

/// The type bits rotate between v1 and v2; `None` is Retry.
// MUST 9000-17.2.5-1
fn long_kind(version: Version, first: u8) -> Option<LongKind> {
    let bits = (first >> 4) & 3;
    match if version == Version::V2 { bits.wrapping_sub(1) & 3 } else { bits } {
        0 => Some(LongKind::Initial),
        1 => Some(LongKind::ZeroRtt),
        2 => Some(LongKind::Handshake),
        _ => None,
    }
}

/// First octet of a long header without packet number length and reserved bits.
// MUST 9000-17.2-6
fn long_first(version: Version, kind: Option<LongKind>) -> u8 {
    let bits = match kind {
        Some(LongKind::Initial) => 0,
        Some(LongKind::ZeroRtt) => 1,
        Some(LongKind::Handshake) => 2,
        None => 3u8,
    };
    let bits = if version == Version::V2 { (bits + 1) & 3 } else { bits };
    FORM_LONG | FIXED_BIT | bits << 4
}

/// A long header to write: Initial, 0-RTT or Handshake.
#[derive(Clone, Copy, Debug)]
pub struct Long<'a> {
    /// Kind of packet.
    pub kind: LongKind,
    /// v1 or v2.
    pub version: Version,
    /// Destination connection id.
    pub dcid: &'a Cid,
    /// Source connection id.
    pub scid: &'a Cid,
    /// Token of an Initial; ignored for others.
    pub token: &'a [u8],
}

impl Long<'_> {
    /// Bytes up to the packet number.
    pub fn encoded_len(&self) -> usize {
        let token = match self.kind {
            LongKind::Initial => crate::varint_len(self.token.len() as u64) + self.token.len(),
            _ => 0,
        };
        1 + 4 + 1 + self.dcid.len() + 1 + self.scid.len() + token + 2
    }

    /// Writes everything before the packet number; returns where the two-byte Length field is, to be filled in by
    /// [`set_length`]. `pn_len` is 1 to 4.
    pub fn encode(&self, w: &mut Writer<'_>, pn_len: usize) -> usize {
        w.u8(long_first(self.version, Some(self.kind)) | (pn_len - 1) as u8);
        w.u32(self.version.0);
        w.u8(self.dcid.len() as u8);
        w.slice(self.dcid);
        w.u8(self.scid.len() as u8);
        w.slice(self.scid);
        if self.kind == LongKind::Initial {
            w.prefixed(self.token);
        }
        let at = w.len();
        w.varint2(0);
        at
    }
}

/// Fills in the Length field left at `at`: packet number, payload and tag, below 2^14.
pub fn set_length(packet: &mut [u8], at: usize, length: usize) {
    debug_assert!(length < 1 << 14);
    packet[at..at + 2].copy_from_slice(&(length as u16 | 0x4000).to_be_bytes());
}

/// Writes a short header up to the packet number.
// MUST 9000-17.3.1-2
pub fn encode_short(w: &mut Writer<'_>, dcid: &Cid, pn_len: usize, key_phase: bool, spin: bool) {
    let phase = if key_phase { KEY_PHASE_BIT } else { 0 };
    let spin = if spin { SPIN_BIT } else { 0 };
    w.u8(FIXED_BIT | phase | spin | (pn_len - 1) as u8);
    w.slice(dcid);
}

/// Writes the low `len` bytes of a packet number.
pub fn encode_pn(w: &mut Writer<'_>, pn: u64, len: usize) {
    w.slice(&(pn as u32).to_be_bytes()[4 - len..]);
}

/// Writes a Retry packet without its integrity tag.
pub fn encode_retry(w: &mut Writer<'_>, version: Version, dcid: &Cid, scid: &Cid, token: &[u8]) {
    w.u8(long_first(version, None) | 0x0f);
    w.u32(version.0);
    w.u8(dcid.len() as u8);
    w.slice(dcid);
    w.u8(scid.len() as u8);
    w.slice(scid);
    w.slice(token);
}

/// Writes a Version Negotiation packet. `random` greases the unused bits of the first octet; ids may be up to 255
/// bytes (RFC 8999 §6).
// MUST 9000-17.2.1-2
pub fn encode_negotiation(w: &mut Writer<'_>, random: u8, dcid: &[u8], scid: &[u8], versions: &[Version]) {
    w.u8(FORM_LONG | FIXED_BIT | random);
    w.u32(Version::NEGOTIATION.0);
    w.u8(dcid.len() as u8);
    w.slice(dcid);
    w.u8(scid.len() as u8);
    w.slice(scid);
    versions.iter().for_each(|version| w.u32(version.0));
}
