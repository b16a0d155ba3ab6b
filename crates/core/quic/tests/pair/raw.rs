//! A peer that says what it likes: seals packets of its own over [`Plain`] and opens what the victim answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tq_quic::crypto::{Keys, TAG_LEN, protect, schedule, unprotect};
use tq_quic::handshake::Level;
use tq_quic::time::{Duration, Instant};
use tq_quic::wire::frame::{self, Crypto, Frames};
use tq_quic::wire::header::{self, Header, LongKind};
use tq_quic::wire::{Cid, Ecn, Frame, PathId, Side, TransportParameters, Version, Writer, packet_number};
use tq_quic::{
    ClientConfig, Connection, ConnectionError, EndpointConfig, Handle, ServerConfig, TransportConfig,
    TransportError,
};
use tq_tls::AwsLc;

use super::plain::{self, CLIENT_HELLO, FINISHED, PARAMS, Plain, SERVER_HELLO, message};
use super::{CLIENT, End, Flying, SERVER};

/// What to do to a header before it is protected.
#[derive(Clone, Copy, Default)]
pub struct Tweak {
    /// Bits to set in the first octet.
    pub first: u8,
    /// Bits to clear in it.
    pub clear: u8,
    /// Key updates so far.
    pub generation: u64,
    /// Packet number to use instead of the next.
    pub pn: Option<u64>,
}

/// A packet of the victim that was opened.
#[derive(Clone, Debug)]
pub struct Packet {
    pub level: Level,
    pub pn: u64,
    pub payload: Vec<u8>,
    pub datagram: usize,
    /// The path whose id it carries.
    pub path: u32,
    /// 0-RTT, if the level is that of 1-RTT.
    pub early: bool,
}

impl Packet {
    pub fn frames(&self) -> Vec<Frame<'_>> {
        Frames::new(&self.payload).map(|frame| frame.expect("frames of ours decode")).collect()
    }
}

pub struct Raw {
    pub now: Instant,
    pub victim: End,
    pub handle: Handle,
    pub me: SocketAddr,
    pub side: Side,
    pub version: Version,
    pub odcid: Cid,
    /// Where we send.
    pub dcid: Cid,
    /// What we are called.
    pub scid: Cid,
    pub pn: [u64; 3],
    pub token: Vec<u8>,
    /// Bytes and datagrams the victim got and sent.
    pub received: u64,
    pub sent: u64,
    /// Every datagram of the victim, as sent.
    pub datagrams: Vec<Vec<u8>>,
    largest: BTreeMap<(usize, u32), u64>,
    /// The path we send 1-RTT packets on; `dcid` is to be one of its ids.
    pub path: u32,
    /// Ids we issued for other paths than the first.
    pub names: std::collections::HashMap<Cid, u32>,
    /// Key updates of the victim.
    pub victim_generation: u64,
}

pub fn bytes(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut out = vec![0; frames.iter().map(Frame::encoded_len).sum()];
    let mut w = Writer::new(&mut out);
    frames.iter().for_each(|frame| frame.encode(&mut w));
    out
}

pub fn crypto(offset: u64, data: &[u8]) -> Vec<u8> {
    bytes(&[Frame::Crypto(Crypto { offset, data })])
}

pub fn params() -> TransportParameters {
    TransportParameters {
        initial_max_data: 1 << 30,
        initial_max_stream_data_bidi_local: 1 << 30,
        initial_max_stream_data_bidi_remote: 1 << 30,
        initial_max_stream_data_uni: 1 << 30,
        initial_max_streams_bidi: 100,
        initial_max_streams_uni: 100,
        active_cid_limit: 8,
        max_datagram_frame_size: 65_535,
        ..TransportParameters::default()
    }
}

pub fn encode(params: &TransportParameters) -> Vec<u8> {
    let mut out = vec![0; 1024];
    let mut w = Writer::new(&mut out);
    params.encode(&mut w, None);
    let len = w.len();
    out.truncate(len);
    out
}

/// A ClientHello of a client called `scid`.
pub fn hello(scid: Cid, params: TransportParameters) -> Vec<u8> {
    message(CLIENT_HELLO, &encode(&TransportParameters { initial_scid: Some(scid), ..params }))
}

impl Raw {
    fn new(victim: End, side: Side) -> Self {
        Self {
            now: Instant::from_nanos(1_000_000_000),
            victim,
            handle: Handle(0),
            me: if side.is_client() { CLIENT } else { SERVER }.parse().expect("an address"),
            side,
            version: Version::V1,
            odcid: Cid::new(b"original").expect("short"),
            dcid: Cid::new(b"original").expect("short"),
            scid: Cid::new(b"attacker").expect("short"),
            pn: [0; 3],
            token: Vec::new(),
            received: 0,
            sent: 0,
            datagrams: Vec::new(),
            largest: BTreeMap::new(),
            path: 0,
            names: std::collections::HashMap::new(),
            victim_generation: 0,
        }
    }

    /// A server nobody has talked to.
    pub fn idle_server(transport: TransportConfig, endpoint: EndpointConfig, chain: usize) -> Self {
        Self::idle_server_by(Plain { chain, ..Plain::default() }, transport, endpoint)
    }

    pub fn idle_server_by(tls: Plain, transport: TransportConfig, endpoint: EndpointConfig) -> Self {
        let mut victim = End::new(SERVER, endpoint);
        let config = ServerConfig { tls: Arc::new(tls), transport: Arc::new(transport) };
        victim.endpoint.set_server(Some(Arc::new(config)));
        Self::new(victim, Side::Client)
    }

    /// A server that has our ClientHello and answered it.
    pub fn half_open_server(transport: TransportConfig, params: TransportParameters) -> Self {
        let mut raw = Self::idle_server(transport, EndpointConfig::default(), 0);
        raw.hello(params);
        raw
    }

    /// Sends the ClientHello and takes the server's answer.
    pub fn hello(&mut self, params: TransportParameters) {
        let hello = crypto(0, &hello(self.scid, params));
        self.send(Level::Initial, &hello);
        self.handle = *self.victim.accepted.back().expect("the server accepts");
        let first = self.datagrams.first().expect("the server answers");
        if let Ok(Header::Long { scid, .. }) = Header::parse(first, 8) {
            self.dcid = scid;
        }
    }

    /// A server with a confirmed handshake; we are its client.
    pub fn server_with(transport: TransportConfig, params: TransportParameters) -> Self {
        let mut raw = Self::half_open_server(transport, params);
        raw.send(Level::Handshake, &crypto(0, &message(FINISHED, b"")));
        assert!(!raw.victim().is_handshaking(), "{:?}", raw.victim().error());
        raw
    }

    pub fn server() -> Self {
        Self::server_with(TransportConfig::default(), params())
    }

    /// A client whose Initial waits for an answer of ours.
    pub fn half_open_client(transport: TransportConfig) -> Self {
        Self::half_open_client_of(transport, EndpointConfig::default())
    }

    pub fn half_open_client_of(transport: TransportConfig, endpoint: EndpointConfig) -> Self {
        Self::half_open_client_by(Plain::default(), transport, endpoint)
    }

    pub fn half_open_client_by(tls: Plain, transport: TransportConfig, endpoint: EndpointConfig) -> Self {
        let mut raw = Self::new(End::new(CLIENT, endpoint), Side::Server);
        let config = ClientConfig::new(Arc::new(tls), Arc::new(transport));
        let (handle, connection) =
            raw.victim.endpoint.connect(raw.now, &config, raw.me, 0, "localhost").expect("starts");
        raw.victim.connections.insert(handle, connection);
        raw.handle = handle;
        raw.collect();
        let first = raw.datagrams.first().expect("a client speaks first");
        if let Ok(Header::Long { dcid, scid, .. }) = Header::parse(first, 8) {
            (raw.odcid, raw.dcid) = (dcid, scid);
        }
        raw
    }

    /// A client with a confirmed handshake; we are its server.
    pub fn client_with(transport: TransportConfig, params: TransportParameters) -> Self {
        let mut raw = Self::half_open_client(transport);
        raw.answer(params);
        raw.send(Level::OneRtt, &bytes(&[Frame::HandshakeDone]));
        assert!(!raw.victim().is_handshaking(), "{:?}", raw.victim().error());
        raw
    }

    /// A server's flight.
    pub fn answer(&mut self, params: TransportParameters) {
        self.send(Level::Initial, &crypto(0, &message(SERVER_HELLO, b"")));
        let (initial_scid, original_dcid) = (Some(self.scid), Some(self.odcid));
        let params = TransportParameters { initial_scid, original_dcid, ..params };
        let mut flight = message(PARAMS, &encode(&params));
        flight.extend(message(FINISHED, b""));
        self.send(Level::Handshake, &crypto(0, &flight));
    }

    pub fn client() -> Self {
        Self::client_with(TransportConfig::default(), params())
    }

    pub fn victim(&mut self) -> &mut Connection {
        self.victim.connections.get_mut(&self.handle).expect("the victim lives")
    }

    /// What the victim holds against us.
    pub fn violation(&self) -> Option<TransportError> {
        match self.victim.closed(self.handle)? {
            ConnectionError::Violation(error) => Some(error.clone()),
            other => panic!("ended with {other:?}"),
        }
    }

    fn keys(&self, level: Level) -> Keys {
        match level {
            Level::Initial => schedule::initial_keys(&AwsLc, self.version, &self.odcid, self.side),
            level => plain::keys(self.version, level, self.side),
        }
    }

    /// One packet, as a datagram of its own unless `pad` is 0: an Initial is then expanded to 1200 bytes.
    pub fn packet(&mut self, level: Level, payload: &[u8], tweak: Tweak) -> Vec<u8> {
        let pn = tweak.pn.unwrap_or(self.pn[level as usize]);
        self.pn[level as usize] = self.pn[level as usize].max(pn + 1);
        let mut out = vec![0; 20_000];
        let mut w = Writer::new(&mut out);
        let length_at = match level {
            Level::OneRtt => {
                header::encode_short(&mut w, &self.dcid, 4, tweak.generation & 1 == 1, false);
                None
            }
            level => {
                let kind = if level == Level::Initial { LongKind::Initial } else { LongKind::Handshake };
                let (version, token) = (self.version, &self.token[..]);
                let long = header::Long { kind, version, dcid: &self.dcid, scid: &self.scid, token };
                Some(long.encode(&mut w, 4))
            }
        };
        header::encode_pn(&mut w, pn, 4);
        let header_len = w.len();
        w.slice(payload);
        let mut end = w.len() + TAG_LEN;
        if level == Level::Initial {
            end = end.max(1200);
        }
        out.truncate(end);
        out[0] = (out[0] | tweak.first) & !tweak.clear;
        if let Some(at) = length_at {
            header::set_length(&mut out, at, end - header_len + 4);
        }
        let keys = match level {
            Level::OneRtt => plain::updated(self.version, self.side, tweak.generation),
            level => self.keys(level).local,
        };
        let path = if level == Level::OneRtt { PathId(self.path) } else { PathId::ZERO };
        keys.packet.seal(path, pn, header_len, &mut out);
        protect(&*keys.header, &mut out, header_len - 4, 4);
        out
    }

    /// A 0-RTT packet of a client, as a datagram.
    pub fn early(&mut self, payload: &[u8], pn: Option<u64>) -> Vec<u8> {
        let pn = pn.unwrap_or(self.pn[2]);
        self.pn[2] = self.pn[2].max(pn + 1);
        let mut out = vec![0; 20_000];
        let mut w = Writer::new(&mut out);
        let (kind, version) = (LongKind::ZeroRtt, self.version);
        let long = header::Long { kind, version, dcid: &self.dcid, scid: &self.scid, token: &[] };
        let length_at = long.encode(&mut w, 4);
        header::encode_pn(&mut w, pn, 4);
        let header_len = w.len();
        w.slice(payload);
        let end = w.len() + TAG_LEN;
        out.truncate(end);
        header::set_length(&mut out, length_at, end - header_len + 4);
        let keys = plain::early_keys(version);
        keys.packet.seal(PathId::ZERO, pn, header_len, &mut out);
        protect(&*keys.header, &mut out, header_len - 4, 4);
        out
    }

    /// Hands a datagram to the victim and takes what it answers at once.
    pub fn deliver(&mut self, datagram: Vec<u8>) {
        self.deliver_from(self.me, datagram);
    }

    pub fn deliver_from(&mut self, from: SocketAddr, datagram: Vec<u8>) {
        self.received += datagram.len() as u64;
        let to = self.victim.address;
        let flying = Flying { at: self.now, from, to, ecn: Ecn::NotEct, bytes: datagram };
        if let Some((_, reply)) = self.victim.receive(self.now, &flying) {
            self.sent += reply.len() as u64;
            self.datagrams.push(reply);
        }
        self.collect();
    }

    pub fn send(&mut self, level: Level, payload: &[u8]) {
        let datagram = self.packet(level, payload, Tweak::default());
        self.deliver(datagram);
    }

    /// 1-RTT frames.
    pub fn frames(&mut self, frames: &[Frame<'_>]) {
        self.send(Level::OneRtt, &bytes(frames));
    }

    /// Takes what the victim has to send.
    pub fn collect(&mut self) {
        for (transmit, bytes) in self.victim.transmit(self.now) {
            for datagram in bytes.chunks(transmit.segment.unwrap_or(bytes.len())) {
                self.sent += datagram.len() as u64;
                self.datagrams.push(datagram.to_vec());
            }
        }
        self.victim.collect();
    }

    /// Lets time pass for the victim.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0;
        while let Some(at) = self.victim.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.victim.on_deadline(self.now);
            self.collect();
            steps += 1;
            assert!(steps < 100_000, "a deadline does not pass");
        }
        self.now = until;
    }

    /// [`Raw::packets`], and those that follow when the newest of 1-RTT is acknowledged.
    pub fn packets_with_acks(&mut self) -> Vec<Packet> {
        let mut all = self.packets();
        let newest = all.iter().rfind(|packet| packet.level == Level::OneRtt).map(|packet| packet.pn);
        if let Some(pn) = newest {
            self.send(Level::OneRtt, &Self::ack_one(pn));
            all.append(&mut self.packets());
        }
        all
    }

    /// Opens everything the victim has sent since the last call.
    pub fn packets(&mut self) -> Vec<Packet> {
        let mut out = Vec::new();
        for mut datagram in std::mem::take(&mut self.datagrams) {
            let (mut rest, whole) = (&mut datagram[..], out.len());
            let len = rest.len();
            while !rest.is_empty() {
                let mut early = false;
                let (level, pn_offset, end) = match Header::parse(rest, self.scid.len()) {
                    Ok(Header::Long { kind: LongKind::Initial, pn_offset, end, .. }) => {
                        (Level::Initial, pn_offset, end)
                    }
                    Ok(Header::Long { kind: LongKind::Handshake, pn_offset, end, .. }) => {
                        (Level::Handshake, pn_offset, end)
                    }
                    Ok(Header::Long { kind: LongKind::ZeroRtt, pn_offset, end, .. }) => {
                        early = true;
                        (Level::OneRtt, pn_offset, end)
                    }
                    Ok(Header::Short { pn_offset, .. }) => (Level::OneRtt, pn_offset, rest.len()),
                    _ => break,
                };
                let (packet, after) = rest.split_at_mut(end);
                out.extend(self.open(level, early, packet, pn_offset));
                rest = after;
            }
            out[whole..].iter_mut().for_each(|packet| packet.datagram = len);
        }
        out
    }

    fn open(&mut self, level: Level, early: bool, packet: &mut [u8], pn_offset: usize) -> Option<Packet> {
        let keys = match level {
            Level::OneRtt if early => plain::early_keys(self.version),
            Level::OneRtt => plain::updated(self.version, !self.side, self.victim_generation),
            level => self.keys(level).remote,
        };
        let head = unprotect(&*keys.header, packet, pn_offset)?;
        let path = Cid::new(&packet[1..=self.scid.len()]).and_then(|cid| self.names.get(&cid).copied());
        let path = path.filter(|_| level == Level::OneRtt && !early).unwrap_or(0);
        let largest = self.largest.entry((level as usize, path)).or_default();
        let pn = packet_number::decode(head.truncated, head.pn_len, *largest);
        let (header, body) = packet.split_at_mut(pn_offset + head.pn_len);
        let len = keys.packet.open(PathId(path), pn, header, body).ok()?;
        *largest = (*largest).max(pn + 1);
        Some(Packet { level, pn, payload: body[..len].to_vec(), datagram: 0, path, early })
    }

    /// An ACK of exactly these ranges, ascending.
    pub fn ack(ranges: &[std::ops::Range<u64>]) -> Vec<u8> {
        let mut out = vec![0; 16_000];
        let mut w = Writer::new(&mut out);
        let written = frame::encode_ack(&mut w, None, ranges.iter().cloned(), 0, None);
        assert_eq!(written, ranges.len(), "room for all ranges");
        let len = w.len();
        out.truncate(len);
        out
    }

    /// An ACK of one packet.
    pub fn ack_one(pn: u64) -> Vec<u8> {
        Self::ack(std::slice::from_ref(&(pn..pn + 1)))
    }

    /// The CONNECTION_CLOSE the victim sent: code and frame type.
    pub fn close_sent(&mut self) -> Option<(u64, Option<u64>, Vec<u8>)> {
        self.packets().iter().find_map(|packet| {
            packet.frames().iter().find_map(|frame| match frame {
                Frame::Close(close) => Some((close.code, close.frame_type, close.reason.to_vec())),
                _ => None,
            })
        })
    }
}
