//! Several paths: two endpoints with several addresses each, and a peer without rules that knows what it may say.

use std::net::SocketAddr;

use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{Frames, NewConnectionId};
use tq_quic::wire::{Cid, Frame, PathId, ResetToken, TransportParameters};
use tq_quic::{Event, Handle, PathEvent, PathInfo, TransportConfig};

use super::Pair;
use super::raw::{Raw, bytes, params};

/// A configuration that allows so many paths.
pub fn paths(count: u32) -> TransportConfig {
    let mut config = TransportConfig::default();
    config.max_paths = Some(count);
    config
}

/// Address of a client's link.
pub fn link(n: usize) -> SocketAddr {
    let text = if n == 0 { super::CLIENT.to_string() } else { format!("198.51.{n}.1:4000") };
    text.parse().expect("an address")
}

/// A pair of which both ends allow `count` paths and the client has as many links.
pub fn pair(count: u32) -> Pair {
    let mut pair = Pair::new(paths(count), paths(count));
    pair.client.others = (1..count as usize).map(link).collect();
    pair
}

/// Sets the one-way delay of a client's link in both directions.
pub fn delay(pair: &mut Pair, n: usize, delay: Duration) {
    let server = pair.server.address;
    pair.delays.insert((link(n), server), delay);
    pair.delays.insert((server, link(n)), delay);
}

/// Opens a path over link `n` of the client.
pub fn open(pair: &mut Pair, client: Handle, n: usize) -> PathId {
    let (now, remote) = (pair.now, pair.server.address);
    pair.client(client).open_path(now, n as u32, Some(link(n).ip()), remote).expect("a path")
}

/// A connection over all links of the client.
pub fn connected(pair: &mut Pair) -> (Handle, Handle) {
    let (client, server) = pair.connected();
    let may = Event::Path(PathEvent::MayOpen);
    pair.drive_for(Duration::from_secs(2), |pair| pair.client.has(client, &may));
    let ids: Vec<PathId> = (1..=pair.client.others.len()).map(|n| open(pair, client, n)).collect();
    let valid = |pair: &Pair| {
        ids.iter().all(|id| {
            let event = Event::Path(PathEvent::Validated(*id));
            pair.client.has(client, &event) && pair.server.has(server, &event)
        })
    };
    pair.drive_for(Duration::from_secs(3), |pair| valid(pair));
    assert!(valid(pair), "{:?} {:?}", pair.client.events, pair.server.events);
    (client, server)
}

/// What the client knows of a path.
pub fn info(pair: &mut Pair, client: Handle, id: PathId) -> Option<PathInfo> {
    pair.client(client).paths().find(|path| path.id == id)
}

/// An id we issue to a victim, named after its path and number.
pub fn issue(path: u32, seq: u64) -> NewConnectionId {
    let mut name = *b"p000s000";
    name[1..4].copy_from_slice(&path.to_be_bytes()[1..]);
    name[5..].copy_from_slice(&seq.to_be_bytes()[5..]);
    let mut token = [9; 16];
    token[..8].copy_from_slice(&name);
    NewConnectionId {
        path: Some(PathId(path)),
        seq,
        retire_prior_to: 0,
        cid: Cid::new(&name).expect("short"),
        token: ResetToken(token),
    }
}

/// The peer's parameters with multipath.
pub fn raw_params(max: u32) -> TransportParameters {
    TransportParameters { initial_max_path_id: Some(PathId(max)), ..params() }
}

/// A server that allows `count` paths; we allow as many, and it has two ids of ours for each.
pub fn raw_server(count: u32) -> Raw {
    prepare(Raw::server_with(paths(count), raw_params(count - 1)), count)
}

/// A client that allows `count` paths; we allow as many, and it has two ids of ours for each.
pub fn raw_client(count: u32) -> Raw {
    prepare(Raw::client_with(paths(count), raw_params(count - 1)), count)
}

fn prepare(mut raw: Raw, count: u32) -> Raw {
    for path in 1..count {
        for seq in 0..2 {
            give(&mut raw, path, seq);
        }
    }
    raw.pass(Duration::from_millis(100));
    raw
}

/// Gives the victim an id of ours.
pub fn give(raw: &mut Raw, path: u32, seq: u64) {
    let f = issue(path, seq);
    raw.names.insert(f.cid, path);
    raw.frames(&[Frame::NewConnectionId(f)]);
}

/// Ids the victim has issued for `path`, by sequence number. Takes what it has sent.
pub fn victims_ids(raw: &mut Raw) -> Vec<(u32, u64, Cid)> {
    let packets = raw.packets();
    let frames = packets.iter().flat_map(|packet| Frames::new(&packet.payload)).flatten();
    let ids = frames.filter_map(|frame| match frame {
        Frame::NewConnectionId(f) => Some((f.path.map_or(0, |path| path.0), f.seq, f.cid)),
        _ => None,
    });
    ids.collect()
}

/// Speaks on a path from now on.
pub fn speak_on(raw: &mut Raw, path: u32, cid: Cid) {
    raw.path = path;
    raw.dcid = cid;
}

/// Acknowledges everything the victim sent, on its paths, so that it goes on.
pub fn ack_all(raw: &mut Raw) -> Vec<super::raw::Packet> {
    let packets = raw.packets();
    for packet in packets.iter().filter(|packet| packet.level == Level::OneRtt) {
        let ack = path_ack(packet.path, packet.pn..packet.pn + 1);
        raw.send(Level::OneRtt, &ack);
    }
    packets
}

/// A PATH_ACK of one range.
pub fn path_ack(path: u32, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = vec![0; 64];
    let mut w = tq_quic::wire::Writer::new(&mut out);
    tq_quic::wire::frame::encode_ack(&mut w, Some(PathId(path)), std::iter::once(range), 0, None);
    let len = w.len();
    out.truncate(len);
    out
}

/// One frame as bytes.
pub fn one(frame: &Frame<'_>) -> Vec<u8> {
    bytes(std::slice::from_ref(frame))
}
