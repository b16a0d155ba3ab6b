//! What needs a state no peer brings about in a test's time: counts near the limits of an AEAD, timers of single spaces.
//! A client over keys that hide nothing.

use tq_buf::mem::{Arc, Box, Vec, vec};
use tq_crypto::{
    Crypto, DirectionalKeys, Entropy, Hash, HeaderKey, KeyPair, Keys, OpenFailed, PacketKey, SAMPLE_LEN,
    Suite, TAG_LEN,
};
use tq_time::{Duration, Instant};
use tq_wire::frame::{Frames, encode_ack};
use tq_wire::{Cid, Code, Dir, Ecn, Frame, PathId, TransportParameters, Version, Writer};

use super::recovery::LossTimer;
use super::{Connection, PathCids, RecvMeta, SpaceId};
use crate::config::{ClientConfig, EndpointConfig, TransportConfig};
use crate::endpoint::Endpoint;
use crate::error::ConnectionError;
use crate::handshake::keys::OneRtt;
use crate::handshake::{
    ClientTls, ExportError, KeyChange, Level, PeerIdentity, Session, StartError, TlsError,
};
use crate::path::{Path, PathState, Tuple};
use crate::space::{SentPacket, Space};
use crate::token::Token;

const MS: Duration = Duration::from_millis(1);

/// Keys that change nothing; a packet whose last byte is not zero does not open.
struct Clear;

impl PacketKey for Clear {
    fn seal(&self, _: PathId, _: u64, _: usize, packet: &mut [u8]) {
        let len = packet.len();
        packet[len - TAG_LEN..].fill(0);
    }

    fn open(&self, _: PathId, _: u64, _: &[u8], payload: &mut [u8]) -> Result<usize, OpenFailed> {
        match payload.last() {
            Some(0) => Ok(payload.len() - TAG_LEN),
            _ => Err(OpenFailed),
        }
    }
}

impl HeaderKey for Clear {
    fn mask(&self, _: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        [0; 5]
    }
}

impl Crypto for Clear {
    fn hkdf_extract(&self, _: &[u8], _: &[u8]) -> [u8; 32] {
        [0; 32]
    }

    fn hkdf_expand(&self, _: Hash, _: &[u8], _: &[u8], out: &mut [u8]) {
        out.fill(0);
    }

    fn hmac_sha256(&self, _: &[u8], _: &[u8]) -> [u8; 32] {
        [0; 32]
    }

    fn packet_key(&self, _: Suite, _: &[u8], _: [u8; 12]) -> Box<dyn PacketKey> {
        Box::new(Self)
    }

    fn header_key(&self, _: Suite, _: &[u8]) -> Box<dyn HeaderKey> {
        Box::new(Self)
    }
}

impl Entropy for Clear {
    fn fill(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

fn keys() -> Keys {
    let one = || DirectionalKeys { header: Box::new(Clear), packet: Box::new(Clear) };
    Keys { local: one(), remote: one() }
}

fn next() -> KeyPair {
    KeyPair { local: Box::new(Clear), remote: Box::new(Clear) }
}

/// Says hello once, and has keys for any number of updates.
struct Hello(bool);

impl Session for Hello {
    fn read(&mut self, _: Level, _: &[u8]) -> Result<(), TlsError> {
        Ok(())
    }

    fn write(&mut self, out: &mut Vec<u8>) -> Option<KeyChange> {
        if !core::mem::replace(&mut self.0, true) {
            out.extend_from_slice(&[1; 300]);
        }
        None
    }

    fn is_handshaking(&self) -> bool {
        true
    }

    fn peer_params(&self) -> Option<&[u8]> {
        None
    }

    fn early_keys(&mut self) -> Option<DirectionalKeys> {
        None
    }

    fn early_accepted(&self) -> Option<bool> {
        None
    }

    fn next_keys(&mut self) -> Option<KeyPair> {
        Some(next())
    }

    fn suite(&self) -> Option<Suite> {
        None
    }

    fn alpn(&self) -> Option<&[u8]> {
        None
    }

    fn server_name(&self) -> Option<&str> {
        None
    }

    fn peer(&self) -> PeerIdentity {
        PeerIdentity::Anonymous
    }

    fn export(&self, _: &mut [u8], _: &[u8], _: &[u8]) -> Result<(), ExportError> {
        Err(ExportError)
    }
}

impl ClientTls for Hello {
    fn start(&self, _: Version, _: &str, _: &[u8]) -> Result<Box<dyn Session>, StartError> {
        Ok(Box::new(Self(false)))
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000) + Duration::from_millis(millis)
}

/// A client that has said nothing yet.
fn client() -> Connection {
    let mut endpoint = Endpoint::new(EndpointConfig::default(), Arc::new(Clear), Arc::new(Clear));
    let config = ClientConfig::new(Arc::new(Hello(false)), Arc::new(TransportConfig::default()));
    let remote = "192.0.2.2:443".parse().expect("an address");
    endpoint.connect(at(0), &config, remote, 0, "localhost").expect("starts").1
}

/// The same with Handshake keys.
fn half_way() -> Connection {
    let mut client = client();
    client.handshake = Some(Space::new(1, true));
    client.keys.handshake = Some(keys());
    client
}

/// The same after the handshake.
fn confirmed(suite: Suite) -> Connection {
    let mut client = client();
    client.initial = None;
    client.keys.initial = None;
    client.keys.one_rtt = Some(OneRtt::new(keys(), suite));
    client.hs.params_seen = true;
    client.hs.complete = true;
    client.hs.confirmed = true;
    client.hs.peer_validated = true;
    client
}

/// As if packet `pn` of 1200 bytes had been sent.
fn sent(client: &mut Connection, id: SpaceId, now: Instant, pn: u64, eliciting: bool) {
    let rate = client.paths[0].rates.on_sent(now, 0);
    let packet = SentPacket {
        at: now,
        size: 1200,
        eliciting,
        in_flight: eliciting,
        ect0: false,
        mtu_probe: false,
        beside: false,
        copied: false,
        tokens: Default::default(),
        rate,
    };
    client.space_mut(id).expect("the space is there").sent.record(pn, packet);
}

/// An ACK of one packet, held back for `delay`.
fn acked(client: &mut Connection, id: SpaceId, now: Instant, pn: u64, delay: Duration) {
    let mut out = [0; 64];
    let mut w = Writer::new(&mut out);
    let field = delay.as_micros() as u64 >> 3;
    encode_ack(&mut w, None, core::iter::once(pn..pn + 1), field, None);
    let len = w.len();
    let Some(Ok(Frame::Ack(ack))) = Frames::new(&out[..len]).next() else { panic!("an ACK") };
    client.on_ack(now, id, (0, 0), &ack).expect("it was sent");
}

const APP: SpaceId = SpaceId::App(0);

// MUST 9002-6.2.1-2
#[test]
fn of_several_spaces_the_one_that_is_due_first_is_probed() {
    for (initial, handshake, first) in [(10, 50, SpaceId::Initial), (50, 10, SpaceId::Handshake)] {
        let mut client = half_way();
        sent(&mut client, SpaceId::Initial, at(initial), 0, true);
        sent(&mut client, SpaceId::Handshake, at(handshake), 0, true);
        let due = at(10) + client.paths[0].pto(Duration::ZERO);
        assert_eq!(client.loss_timer(0), Some((due, LossTimer::Probe(first))));
    }
}

// MUST 9002-6.2.1-3
#[test]
fn application_data_is_not_probed_before_the_handshake_is_confirmed() {
    let probed = |client: &Connection| client.loss_timer(0).map(|(_, what)| what);
    // 0-RTT, of which the server has acknowledged the Initial alone
    let mut early = client();
    sent(&mut early, APP, at(1), 0, true);
    assert_eq!(probed(&early), Some(LossTimer::Probe(SpaceId::Initial)));
    let mut later = half_way();
    sent(&mut later, APP, at(1), 0, true);
    assert_eq!(probed(&later), Some(LossTimer::Probe(SpaceId::Handshake)));
    // the ClientHello, which nobody has sent here, went with the Initial keys
    later.initial = None;
    later.hs.peer_validated = true;
    later.hs.complete = true;
    assert_eq!(probed(&later), None);
    later.hs.confirmed = true;
    assert_eq!(probed(&later), Some(LossTimer::Probe(APP)));
}

// MUST 9002-6.2.1-5
#[test]
fn nothing_is_probed_while_a_packet_is_about_to_be_lost() {
    let mut client = confirmed(Suite::Aes128Gcm);
    sent(&mut client, APP, at(0), 0, true);
    sent(&mut client, APP, at(1), 1, true);
    sent(&mut client, APP, at(1), 2, true);
    acked(&mut client, APP, at(21), 1, Duration::ZERO);
    let due = at(0) + client.paths[0].rtt.loss_delay();
    assert_eq!(client.loss_timer(0), Some((due, LossTimer::Time(APP))));
    client.on_deadline(due);
    assert_eq!(client.counters.packets_lost, 1);
    assert!(matches!(client.loss_timer(0), Some((_, LossTimer::Probe(APP)))));
}

// MUST 9002-6.2.2-1, 9002-6.4-1, 9002-6.4-2
#[test]
fn keys_that_go_take_packets_bytes_and_timers_along() {
    for id in [SpaceId::Initial, SpaceId::Handshake] {
        let mut client = half_way();
        client.hs.peer_validated = true;
        sent(&mut client, id, at(0), 0, true);
        sent(&mut client, id, at(0), 1, true);
        client.paths[0].pto_count = 3;
        assert_eq!(client.in_flight(0), 2400);
        assert!(client.loss_timer(0).is_some());
        client.discard_level(at(5), id);
        assert_eq!((client.in_flight(0), client.paths[0].pto_count), (0, 0));
        assert_eq!(client.loss_timer(0), None);
        assert!(client.space(id).is_none());
    }
}

// MUST 9002-5.1-1
#[test]
fn only_acks_of_something_that_elicits_them_give_a_sample() {
    let mut client = confirmed(Suite::Aes128Gcm);
    sent(&mut client, APP, at(0), 0, true);
    sent(&mut client, APP, at(1), 1, false);
    acked(&mut client, APP, at(30), 1, Duration::ZERO);
    assert!(!client.paths[0].rtt.has_sample());
    sent(&mut client, APP, at(40), 2, true);
    acked(&mut client, APP, at(60), 2, Duration::ZERO);
    assert_eq!(client.paths[0].rtt.latest(), 20 * MS);
    // what is known already says nothing new
    acked(&mut client, APP, at(90), 2, Duration::ZERO);
    assert_eq!(client.paths[0].rtt.latest(), 20 * MS);
}

// MUST 9002-5.3-1
#[test]
fn a_reported_delay_counts_up_to_what_the_peer_promised_once_the_handshake_is_confirmed() {
    for (confirmed_yet, counted) in [(true, 25), (false, 60)] {
        let mut client = confirmed(Suite::Aes128Gcm);
        client.hs.confirmed = confirmed_yet;
        sent(&mut client, APP, at(0), 0, true);
        acked(&mut client, APP, at(100), 0, Duration::ZERO);
        sent(&mut client, APP, at(100), 1, true);
        acked(&mut client, APP, at(300), 1, 60 * MS);
        let smoothed = (7 * 100 * MS + (200 - counted) * MS) / 8;
        assert_eq!(client.paths[0].rtt.smoothed(), smoothed);
    }
}

// MUST 9002-6.2-1
#[test]
fn a_probe_timeout_declares_nothing_lost() {
    let mut client = confirmed(Suite::Aes128Gcm);
    (0..3).for_each(|pn| sent(&mut client, APP, at(0), pn, true));
    let window = client.paths[0].cc.window();
    for _ in 0..3 {
        let (due, what) = client.loss_timer(0).expect("packets are in flight");
        assert_eq!(what, LossTimer::Probe(APP));
        client.on_loss_timer(due, 0, what);
    }
    assert_eq!((client.in_flight(0), client.paths[0].space.sent.eliciting_in_flight()), (3600, 3));
    assert_eq!((client.counters.packets_lost, client.counters.ptos), (0, 3));
    assert_eq!(client.paths[0].cc.window(), window);
}

// MUST 9002-6.2.4-1, 9002-6.2.4-2, 9002-7-2, 9002-7.5-1, 9002-7.5-2
#[test]
fn a_full_window_stops_everything_but_probes_which_count() {
    let mut client = confirmed(Suite::Aes128Gcm);
    let full = client.paths[0].cc.window() / 1200;
    (0..full).for_each(|pn| sent(&mut client, APP, at(0), pn, true));
    for _ in 0..full {
        // the numbers of what was sent
        client.paths[0].space.numbers.take(1 << 40);
    }
    client.paths[0].ping = true;
    let mut buf = vec![0; crate::TRANSMIT_BUFFER];
    assert_eq!(client.transmit(at(1), &mut buf, 10), None);
    let (due, what) = client.loss_timer(0).expect("packets are in flight");
    client.on_loss_timer(due, 0, what);
    let (bytes, packets) = (client.in_flight(0), client.paths[0].space.sent.eliciting_in_flight());
    let mut probes = 0;
    while let Some(transmit) = client.transmit(due, &mut buf, 1) {
        probes += 1;
        assert!(transmit.len > 0 && probes <= 2, "no more than two");
        assert_eq!(client.paths[0].space.sent.eliciting_in_flight(), packets + probes);
    }
    assert!(probes > 0 && client.in_flight(0) > bytes);
}

fn violation(client: &Connection) -> Option<Code> {
    match client.error() {
        Some(ConnectionError::Violation(error)) => Some(error.code),
        _ => None,
    }
}

// MUST 9001-5.3-3, 9001-6.6-1, 9001-6.6-3
#[test]
fn sealed_packets_are_counted_and_keys_change_long_before_their_limit() {
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm] {
        let mut client = confirmed(suite);
        let config = TransportConfig { key_update_after: u64::MAX, ..TransportConfig::default() };
        client.config = Arc::new(config);
        let mut buf = vec![0; crate::TRANSMIT_BUFFER];
        client.paths[0].ping = true;
        client.transmit(at(1), &mut buf, 1).expect("a PING");
        let keys = client.keys.one_rtt.as_mut().expect("keys");
        assert_eq!((keys.sealed, keys.generation), (1, 0));
        keys.sealed = suite.confidentiality_limit() / 2;
        keys.acked = true;
        client.transmit(at(2), &mut buf, 1);
        let keys = client.keys.one_rtt.as_ref().expect("keys");
        assert!(keys.generation == 1 && keys.sealed < 10);
        assert_eq!(violation(&client), None);
    }
}

// MUST 9001-6.1-1, 9001-6.1-2
#[test]
fn keys_change_after_confirmation_and_an_acknowledgement_of_the_phase() {
    let mut client = confirmed(Suite::Aes128Gcm);
    let phase = |client: &mut Connection| {
        let keys = client.keys.one_rtt.as_mut().expect("keys");
        keys.sealed = 5;
        keys.previous = None;
        keys.not_before = None;
    };
    phase(&mut client);
    assert!(!client.update_keys(at(1)), "nothing was acknowledged");
    sent(&mut client, APP, at(1), 0, true);
    acked(&mut client, APP, at(21), 0, Duration::ZERO);
    client.hs.confirmed = false;
    assert!(!client.update_keys(at(22)), "not confirmed");
    client.hs.confirmed = true;
    client.paths[0].space.numbers.take(1 << 40);
    assert!(client.update_keys(at(23)));
    phase(&mut client);
    assert!(!client.update_keys(at(900)), "nothing of this phase was acknowledged");
    sent(&mut client, APP, at(901), 1, true);
    acked(&mut client, APP, at(921), 1, Duration::ZERO);
    assert!(client.update_keys(at(922)));
}

// MUST 9001-6.6-2, 9001-6.6-4
#[test]
fn keys_that_are_used_up_and_cannot_be_replaced_end_the_connection() {
    let mut buf = vec![0; crate::TRANSMIT_BUFFER];
    let mut one_rtt = confirmed(Suite::Aes128Gcm);
    // nothing sealed with them was acknowledged, so that no update may follow
    one_rtt.keys.one_rtt.as_mut().expect("keys").sealed = Suite::Aes128Gcm.confidentiality_limit() - 1024;
    let mut initial = client();
    (0..Suite::Aes128Gcm.confidentiality_limit() - 1024).for_each(|_| {
        initial.initial.as_mut().expect("a space").numbers.take(1 << 40);
    });
    for mut client in [one_rtt, initial] {
        client.paths[0].ping = true;
        let close = client.transmit(at(1), &mut buf, 10).expect("a close");
        assert_eq!(violation(&client), Some(Code::AEAD_LIMIT_REACHED));
        assert!(close.segment.is_none());
        assert_eq!(client.transmit(at(1), &mut buf, 10), None);
    }
    let mut chacha = confirmed(Suite::ChaCha20Poly1305);
    chacha.keys.one_rtt.as_mut().expect("keys").sealed = 1 << 40;
    chacha.paths[0].ping = true;
    assert!(chacha.transmit(at(1), &mut buf, 10).is_some());
    assert_eq!(violation(&chacha), None);
}

/// A short-header packet for `client` with a PING and padding; `tag` is its last byte.
fn short(client: &Connection, pn: u8, tag: u8) -> Vec<u8> {
    let dcid: Cid = client.hs.local_scid;
    let mut packet = vec![0x40];
    packet.extend_from_slice(&dcid);
    packet.extend_from_slice(&[pn, 1, 0, 0, 0]);
    packet.resize(packet.len() + TAG_LEN, 0);
    *packet.last_mut().expect("not empty") = tag;
    packet
}

// MUST 9001-6.6-5, 9001-6.6-6
#[test]
fn packets_that_do_not_open_are_counted_up_to_the_limit_and_then_none_is_processed() {
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
        let mut client = confirmed(suite);
        let remote = client.paths[0].tuple.remote;
        let meta = RecvMeta { remote, local_ip: None, socket: 0, ecn: Ecn::NotEct };
        let good = short(&client, 0, 0);
        client.receive(at(1), &meta, &mut good.clone());
        assert_eq!((client.counters.packets_received, client.keys.forgeries), (1, 0));
        client.keys.forgeries = suite.integrity_limit() - 2;
        let forged = short(&client, 1, 1);
        client.receive(at(2), &meta, &mut forged.clone());
        assert_eq!(client.keys.forgeries, suite.integrity_limit() - 1);
        assert_eq!(violation(&client), None);
        client.receive(at(2), &meta, &mut forged.clone());
        assert_eq!(violation(&client), Some(Code::AEAD_LIMIT_REACHED));
        let good = short(&client, 2, 0);
        client.receive(at(3), &meta, &mut good.clone());
        assert_eq!(client.counters.packets_received, 1);
    }
}

#[test]
fn copies_that_a_scheduler_asked_for_go_on_the_other_paths() {
    let mut client = confirmed(Suite::Aes128Gcm);
    let limits = TransportParameters {
        initial_max_data: 1 << 20,
        initial_max_stream_data_uni: 1 << 20,
        initial_max_streams_uni: 1,
        ..TransportParameters::default()
    };
    client.streams.on_params(&limits);
    client.multipath.on = true;
    for id in 1..3 {
        let remote = client.paths[0].tuple.remote;
        let tuple = Tuple { remote, local_ip: None, socket: id };
        let mut path = Path::new(PathId(id), tuple, &client.config, at(0), u64::from(id));
        path.state = PathState::Active;
        path.validation.set_validated();
        client.paths.push(path);
        let mut ids = PathCids::new(PathId(id));
        ids.peer.set_first(Cid::new(&[id as u8; 8]).expect("short"), None);
        client.cids.push(ids);
    }
    let stream = client.open(Dir::Uni).expect("allowed");
    assert_eq!(client.write_slice(stream, &[7; 1000]), Ok(1000));
    let mut buf = vec![0; crate::TRANSMIT_BUFFER];
    let first = client.transmit(at(1), &mut buf, 8).expect("data");
    let of = first.socket;
    let on = (0..3).filter(|id| *id != of).collect();
    client.copies = Some(crate::tx::Copies { of, from: 0, on });
    let mut sockets = vec![of];
    // what follows are probes for size
    while let Some(copy) = client.transmit(at(1), &mut buf, 8) {
        sockets.push(copy.socket);
    }
    sockets.truncate(3);
    sockets.sort_unstable();
    assert_eq!(sockets, [0, 1, 2]);
    for path in &mut client.paths {
        let mut tokens = Vec::new();
        (0..4).for_each(|pn| path.space.sent.copy_tokens(pn, &mut tokens));
        assert_eq!(tokens, [Token::Stream { id: stream, offset: 0, len: 1000, fin: false }]);
    }
}
