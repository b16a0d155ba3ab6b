//! Transport parameters (RFC 9000 §18, RFC 9221, RFC 9287, RFC 9368, multipath, ACK frequency, reliable reset).
//!
//! Decoding checks what a parameter may say by itself and who may send it. Whether connection ids match the ones seen
//! is the connection's to check.

use core::net::{SocketAddrV4, SocketAddrV6};
use core::time::Duration;

use smallvec::SmallVec;

use crate::{Cid, PathId, Reader, ResetToken, Side, UnexpectedEnd, Version, Writer, varint_len};

/// Parameter ids.
pub(crate) mod id {
    pub(crate) const ORIGINAL_DCID: u64 = 0x00;
    pub(crate) const MAX_IDLE_TIMEOUT: u64 = 0x01;
    pub(crate) const STATELESS_RESET_TOKEN: u64 = 0x02;
    pub(crate) const MAX_UDP_PAYLOAD_SIZE: u64 = 0x03;
    pub(crate) const INITIAL_MAX_DATA: u64 = 0x04;
    pub(crate) const INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: u64 = 0x05;
    pub(crate) const INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: u64 = 0x06;
    pub(crate) const INITIAL_MAX_STREAM_DATA_UNI: u64 = 0x07;
    pub(crate) const INITIAL_MAX_STREAMS_BIDI: u64 = 0x08;
    pub(crate) const INITIAL_MAX_STREAMS_UNI: u64 = 0x09;
    pub(crate) const ACK_DELAY_EXPONENT: u64 = 0x0a;
    pub(crate) const MAX_ACK_DELAY: u64 = 0x0b;
    pub(crate) const DISABLE_ACTIVE_MIGRATION: u64 = 0x0c;
    pub(crate) const PREFERRED_ADDRESS: u64 = 0x0d;
    pub(crate) const ACTIVE_CID_LIMIT: u64 = 0x0e;
    pub(crate) const INITIAL_SCID: u64 = 0x0f;
    pub(crate) const RETRY_SCID: u64 = 0x10;
    pub(crate) const VERSION_INFORMATION: u64 = 0x11;
    pub(crate) const RESET_STREAM_AT: u64 = 0x1d;
    pub(crate) const MAX_DATAGRAM_FRAME_SIZE: u64 = 0x20;
    pub(crate) const INITIAL_MAX_PATH_ID: u64 = 0x3e;
    pub(crate) const GREASE_QUIC_BIT: u64 = 0x2ab2;
    pub(crate) const MIN_ACK_DELAY: u64 = 0xff04_de1b;
}

/// What an endpoint declares during the handshake. `Default` is what absence of a parameter means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportParameters {
    /// DCID of the client's first Initial (server only).
    pub original_dcid: Option<Cid>,
    /// Silence after which the connection is dropped; zero: never.
    pub max_idle_timeout: Duration,
    /// Token for the handshake connection id (server only).
    pub stateless_reset_token: Option<ResetToken>,
    /// Largest UDP payload accepted, 1200 to 65527.
    pub max_udp_payload_size: u64,
    /// Connection flow control, bytes.
    pub initial_max_data: u64,
    /// Window of bidirectional streams the sender of the parameters opens, bytes.
    pub initial_max_stream_data_bidi_local: u64,
    /// Window of bidirectional streams the receiver of the parameters opens, bytes.
    pub initial_max_stream_data_bidi_remote: u64,
    /// Window of unidirectional streams, bytes.
    pub initial_max_stream_data_uni: u64,
    /// Bidirectional streams allowed, at most 2^60.
    pub initial_max_streams_bidi: u64,
    /// Unidirectional streams allowed, at most 2^60.
    pub initial_max_streams_uni: u64,
    /// Scale of ACK Delay, 0 to 20.
    pub ack_delay_exponent: u8,
    /// Longest deliberate delay of an ACK, below 2^14 ms.
    pub max_ack_delay: Duration,
    /// The peer must not migrate away from the handshake address.
    pub disable_active_migration: bool,
    /// Where the server would rather be (server only).
    pub preferred_address: Option<PreferredAddress>,
    /// Connection ids it will keep, at least 2.
    pub active_cid_limit: u64,
    /// SCID of its first Initial.
    pub initial_scid: Option<Cid>,
    /// SCID of its Retry (server only).
    pub retry_scid: Option<Cid>,
    /// Chosen and available versions (RFC 9368).
    pub version_information: Option<VersionInformation>,
    /// RESET_STREAM_AT is understood.
    pub reset_stream_at: bool,
    /// Largest DATAGRAM frame accepted, bytes; 0: none.
    pub max_datagram_frame_size: u64,
    /// Highest path id to begin with; absent: no multipath.
    pub initial_max_path_id: Option<PathId>,
    /// The fixed bit may be cleared towards it.
    pub grease_quic_bit: bool,
    /// Shortest ACK delay it can do; absent: no ACK_FREQUENCY.
    pub min_ack_delay: Option<Duration>,
}

/// preferred_address (RFC 9000 §18.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreferredAddress {
    /// IPv4 address and port, if any.
    pub v4: Option<SocketAddrV4>,
    /// IPv6 address and port, if any.
    pub v6: Option<SocketAddrV6>,
    /// Connection id with sequence number 1.
    pub cid: Cid,
    /// Its reset token.
    pub token: ResetToken,
}

/// version_information (RFC 9368 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInformation {
    /// The version of the connection.
    pub chosen: Version,
    /// All versions it could speak; at most 64 are kept.
    pub available: SmallVec<[Version; 4]>,
}

impl Default for TransportParameters {
    fn default() -> Self {
        Self {
            original_dcid: None,
            max_idle_timeout: Duration::ZERO,
            stateless_reset_token: None,
            max_udp_payload_size: 65_527,
            initial_max_data: 0,
            initial_max_stream_data_bidi_local: 0,
            initial_max_stream_data_bidi_remote: 0,
            initial_max_stream_data_uni: 0,
            initial_max_streams_bidi: 0,
            initial_max_streams_uni: 0,
            ack_delay_exponent: 3,
            max_ack_delay: Duration::from_millis(25),
            disable_active_migration: false,
            preferred_address: None,
            active_cid_limit: 2,
            initial_scid: None,
            retry_scid: None,
            version_information: None,
            reset_stream_at: false,
            max_datagram_frame_size: 0,
            initial_max_path_id: None,
            grease_quic_bit: false,
            min_ack_delay: None,
        }
    }
}

/// Transport parameters that cannot stand: TRANSPORT_PARAMETER_ERROR, except where `Wrong` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterError {
    /// Id of the parameter, if one is to blame.
    pub id: Option<u64>,
    /// What is wrong with it.
    pub why: &'static str,
}

impl From<UnexpectedEnd> for ParameterError {
    fn from(_: UnexpectedEnd) -> Self {
        Self { id: None, why: "transport parameters are cut off" }
    }
}

impl TransportParameters {
    /// Reads the extension's content as sent by `sender`.
    ///
    /// # Errors
    /// A truncated or duplicate parameter, a value out of range, a parameter only a server may send.
    pub fn decode(bytes: &[u8], sender: Side) -> Result<Self, ParameterError> {
        let mut r = Reader::new(bytes);
        let mut params = Self::default();
        let mut seen: SmallVec<[u64; 32]> = SmallVec::new();
        let mut unknown = 0;
        while !r.is_empty() {
            let id = r.varint()?;
            let value = r.prefixed()?;
            let fail = |why| ParameterError { id: Some(id), why };
            if seen.contains(&id) {
                return Err(fail("transport parameter sent twice"));
            }
            // unknown ids beyond these are not remembered: a peer must not make us search long lists
            unknown += usize::from(!known(id));
            if known(id) || unknown <= 40 {
                seen.push(id);
            }
            let mut v = Reader::new(value);
            params.read(id, sender, &mut v).map_err(|why| fail(why.unwrap_or("value is cut off")))?;
            if known(id) && !v.is_empty() {
                return Err(fail("value is longer than it can be"));
            }
        }
        Ok(params)
    }

    /// Reads one value; `Err(None)` if it is cut off.
    // MUST 9000-4.6-1, 9000-7.4-1, 9000-7.4.2-1, 9000-18.2-7, 9000-18.2-9
    fn read(&mut self, id: u64, sender: Side, v: &mut Reader<'_>) -> Result<(), Option<&'static str>> {
        let cut = |_: UnexpectedEnd| None;
        if sender.is_client() && server_only(id) {
            return Err(Some("a client must not send this"));
        }
        match id {
            id::ORIGINAL_DCID => self.original_dcid = Some(cid(v)?),
            id::MAX_IDLE_TIMEOUT => {
                self.max_idle_timeout = Duration::from_millis(v.varint().map_err(cut)?);
            }
            id::STATELESS_RESET_TOKEN => {
                self.stateless_reset_token = Some(ResetToken(v.array().map_err(cut)?));
            }
            id::MAX_UDP_PAYLOAD_SIZE => {
                self.max_udp_payload_size = within(v, 1200, u64::MAX, "max_udp_payload_size below 1200")?;
            }
            id::INITIAL_MAX_DATA => self.initial_max_data = v.varint().map_err(cut)?,
            id::INITIAL_MAX_STREAM_DATA_BIDI_LOCAL => {
                self.initial_max_stream_data_bidi_local = v.varint().map_err(cut)?;
            }
            id::INITIAL_MAX_STREAM_DATA_BIDI_REMOTE => {
                self.initial_max_stream_data_bidi_remote = v.varint().map_err(cut)?;
            }
            id::INITIAL_MAX_STREAM_DATA_UNI => {
                self.initial_max_stream_data_uni = v.varint().map_err(cut)?;
            }
            id::INITIAL_MAX_STREAMS_BIDI => {
                self.initial_max_streams_bidi = within(v, 0, 1 << 60, "more than 2^60 streams")?;
            }
            id::INITIAL_MAX_STREAMS_UNI => {
                self.initial_max_streams_uni = within(v, 0, 1 << 60, "more than 2^60 streams")?;
            }
            id::ACK_DELAY_EXPONENT => {
                self.ack_delay_exponent = within(v, 0, 20, "ack_delay_exponent above 20")? as u8;
            }
            id::MAX_ACK_DELAY => {
                let ms = within(v, 0, (1 << 14) - 1, "max_ack_delay of 2^14 ms or more")?;
                self.max_ack_delay = Duration::from_millis(ms);
            }
            id::DISABLE_ACTIVE_MIGRATION => self.disable_active_migration = true,
            id::PREFERRED_ADDRESS => self.preferred_address = Some(PreferredAddress::decode(v)?),
            id::ACTIVE_CID_LIMIT => {
                self.active_cid_limit = within(v, 2, u64::MAX, "active_connection_id_limit below 2")?;
            }
            id::INITIAL_SCID => self.initial_scid = Some(cid(v)?),
            id::RETRY_SCID => self.retry_scid = Some(cid(v)?),
            id::VERSION_INFORMATION => self.version_information = Some(VersionInformation::decode(v)?),
            id::RESET_STREAM_AT => self.reset_stream_at = true,
            id::MAX_DATAGRAM_FRAME_SIZE => self.max_datagram_frame_size = v.varint().map_err(cut)?,
            // MUST mp21-2.1-2
            id::INITIAL_MAX_PATH_ID => {
                let max = within(v, 0, u64::from(u32::MAX), "path id above 2^32-1")?;
                self.initial_max_path_id = Some(PathId(max as u32));
            }
            id::GREASE_QUIC_BIT => self.grease_quic_bit = true,
            id::MIN_ACK_DELAY => {
                self.min_ack_delay = Some(Duration::from_micros(v.varint().map_err(cut)?));
            }
            _ => {}
        }
        Ok(())
    }

    /// What two parameters say together.
    ///
    /// # Errors
    /// min_ack_delay above max_ack_delay (ack-frequency §3).
    pub fn check(&self) -> Result<(), ParameterError> {
        match self.min_ack_delay {
            Some(min) if min > self.max_ack_delay => {
                Err(ParameterError { id: Some(id::MIN_ACK_DELAY), why: "min_ack_delay above max_ack_delay" })
            }
            _ => Ok(()),
        }
    }

    /// Writes what differs from the defaults. `grease` adds a reserved parameter with that number (RFC 9000 §18.1).
    /// 1024 bytes always suffice.
    // MUST 9000-7.4-2
    pub fn encode(&self, w: &mut Writer<'_>, grease: Option<u64>) {
        let default = Self::default();
        let number = |w: &mut Writer<'_>, id: u64, value: u64, default: u64| {
            if value != default {
                w.varint(id);
                w.varint(varint_len(value) as u64);
                w.varint(value);
            }
        };
        number(w, id::MAX_IDLE_TIMEOUT, self.max_idle_timeout.as_millis() as u64, 0);
        number(w, id::MAX_UDP_PAYLOAD_SIZE, self.max_udp_payload_size, default.max_udp_payload_size);
        number(w, id::INITIAL_MAX_DATA, self.initial_max_data, 0);
        number(w, id::INITIAL_MAX_STREAM_DATA_BIDI_LOCAL, self.initial_max_stream_data_bidi_local, 0);
        number(w, id::INITIAL_MAX_STREAM_DATA_BIDI_REMOTE, self.initial_max_stream_data_bidi_remote, 0);
        number(w, id::INITIAL_MAX_STREAM_DATA_UNI, self.initial_max_stream_data_uni, 0);
        number(w, id::INITIAL_MAX_STREAMS_BIDI, self.initial_max_streams_bidi, 0);
        number(w, id::INITIAL_MAX_STREAMS_UNI, self.initial_max_streams_uni, 0);
        number(w, id::ACK_DELAY_EXPONENT, u64::from(self.ack_delay_exponent), 3);
        number(w, id::MAX_ACK_DELAY, self.max_ack_delay.as_millis() as u64, 25);
        number(w, id::ACTIVE_CID_LIMIT, self.active_cid_limit, 2);
        number(w, id::MAX_DATAGRAM_FRAME_SIZE, self.max_datagram_frame_size, 0);
        if let Some(path) = self.initial_max_path_id {
            number(w, id::INITIAL_MAX_PATH_ID, u64::from(path.0), u64::MAX);
        }
        if let Some(min) = self.min_ack_delay {
            number(w, id::MIN_ACK_DELAY, min.as_micros() as u64, u64::MAX);
        }
        let bytes = |w: &mut Writer<'_>, id: u64, value: Option<&[u8]>| {
            if let Some(value) = value {
                w.varint(id);
                w.prefixed(value);
            }
        };
        bytes(w, id::ORIGINAL_DCID, self.original_dcid.as_deref());
        bytes(w, id::STATELESS_RESET_TOKEN, self.stateless_reset_token.as_ref().map(|t| &t.0[..]));
        bytes(w, id::INITIAL_SCID, self.initial_scid.as_deref());
        bytes(w, id::RETRY_SCID, self.retry_scid.as_deref());
        bytes(w, id::DISABLE_ACTIVE_MIGRATION, self.disable_active_migration.then_some(&[]));
        bytes(w, id::RESET_STREAM_AT, self.reset_stream_at.then_some(&[]));
        bytes(w, id::GREASE_QUIC_BIT, self.grease_quic_bit.then_some(&[]));
        if let Some(address) = &self.preferred_address {
            address.encode(w);
        }
        if let Some(versions) = &self.version_information {
            versions.encode(w);
        }
        if let Some(n) = grease {
            w.varint(31 * (n % (1 << 24)) + 27);
            w.varint(0);
        }
    }
}

/// Flags and structures whose length is fixed by what is read.
fn known(id: u64) -> bool {
    matches!(id, 0..=0x11)
        || matches!(
            id,
            id::RESET_STREAM_AT
                | id::MAX_DATAGRAM_FRAME_SIZE
                | id::INITIAL_MAX_PATH_ID
                | id::GREASE_QUIC_BIT
                | id::MIN_ACK_DELAY
        )
}

// MUST 9000-18.2-9
fn server_only(id: u64) -> bool {
    matches!(id, id::ORIGINAL_DCID | id::STATELESS_RESET_TOKEN | id::PREFERRED_ADDRESS | id::RETRY_SCID)
}

/// The whole value as a connection id.
fn cid(v: &mut Reader<'_>) -> Result<Cid, Option<&'static str>> {
    let bytes = v.slice(v.remaining()).map_err(|_| None)?;
    Cid::new(bytes).ok_or(Some("connection id longer than 20 bytes"))
}

fn within(v: &mut Reader<'_>, min: u64, max: u64, why: &'static str) -> Result<u64, Option<&'static str>> {
    match v.varint().map_err(|_| None)? {
        value if value < min || value > max => Err(Some(why)),
        value => Ok(value),
    }
}

impl PreferredAddress {
    // MUST 9000-18.2-5
    fn decode(v: &mut Reader<'_>) -> Result<Self, Option<&'static str>> {
        let cut = |_: UnexpectedEnd| None;
        let v4 = SocketAddrV4::new(v.array::<4>().map_err(cut)?.into(), v.u16().map_err(cut)?);
        let v6 = SocketAddrV6::new(v.array::<16>().map_err(cut)?.into(), v.u16().map_err(cut)?, 0, 0);
        let len = usize::from(v.u8().map_err(cut)?);
        if len == 0 {
            return Err(Some("preferred_address with an empty connection id"));
        }
        let cid = Cid::new(v.slice(len).map_err(cut)?).ok_or(Some("connection id longer than 20 bytes"))?;
        let token = ResetToken(v.array().map_err(cut)?);
        Ok(Self {
            v4: (!v4.ip().is_unspecified() || v4.port() != 0).then_some(v4),
            v6: (!v6.ip().is_unspecified() || v6.port() != 0).then_some(v6),
            cid,
            token,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.varint(id::PREFERRED_ADDRESS);
        w.varint((4 + 2 + 16 + 2 + 1 + self.cid.len() + ResetToken::LEN) as u64);
        w.slice(&self.v4.map_or([0; 4], |a| a.ip().octets()));
        w.u16(self.v4.map_or(0, |a| a.port()));
        w.slice(&self.v6.map_or([0; 16], |a| a.ip().octets()));
        w.u16(self.v6.map_or(0, |a| a.port()));
        w.u8(self.cid.len() as u8);
        w.slice(&self.cid);
        w.slice(&self.token.0);
    }
}

impl VersionInformation {
    fn decode(v: &mut Reader<'_>) -> Result<Self, Option<&'static str>> {
        if v.remaining() < 4 || !v.remaining().is_multiple_of(4) {
            return Err(Some("version_information not a list of versions"));
        }
        let chosen = Version(v.u32().map_err(|_| None)?);
        let mut available = SmallVec::new();
        let mut zero = chosen == Version::NEGOTIATION;
        while let Ok(version) = v.u32() {
            zero |= version == 0;
            if available.len() < 64 {
                available.push(Version(version));
            }
        }
        if zero { Err(Some("version_information with version 0")) } else { Ok(Self { chosen, available }) }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.varint(id::VERSION_INFORMATION);
        w.varint(4 * (1 + self.available.len() as u64));
        w.u32(self.chosen.0);
        self.available.iter().for_each(|version| w.u32(version.0));
    }
}
