//! 0-RTT and resumption over real TLS: what arrives early, what goes again when it was not taken, over links that
//! lose, repeat and reorder.

mod pair;

use std::sync::Arc;

use bytes::Bytes;
use pair::flow::{drain, pattern};
use pair::{End, Pair, Policy, SERVER};
use tq_quic::handshake::ServerTls;
use tq_quic::time::Duration;
use tq_quic::wire::{Dir, StreamId, Version};
use tq_quic::{
    ClientConfig, Connection, EarlyData, EndpointConfig, Event, Handle, SendDatagramError, ServerConfig,
    StreamEvent, TransportConfig,
};

const MS: Duration = Duration::from_millis(1);
const ACCEPTED: Event = Event::EarlyData { accepted: true };
const REJECTED: Event = Event::EarlyData { accepted: false };

/// A pair whose TLS does 0-RTT, and what makes a server that remembers nothing.
struct Early {
    pair: Pair,
    forgetful: Box<dyn Fn() -> Arc<dyn ServerTls>>,
    version: Version,
}

fn speaking(versions: &[Version]) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.versions = versions.to_vec();
    config
}

impl Early {
    fn new(client: TransportConfig, server: TransportConfig) -> Self {
        Self::of(client, server, &[Version::V1], &[Version::V1])
    }

    fn of(client: TransportConfig, server: TransportConfig, ours: &[Version], theirs: &[Version]) -> Self {
        let mut pair = Pair::with(client, server, speaking(ours), speaking(theirs));
        let (identity, roots) = tq_tls::self_signed(&["localhost"]).expect("a certificate");
        let trust = tq_tls::ClientConfig::with_roots(roots).alpn(["test"]);
        pair.tls = trust.early_data(true).build().expect("client TLS");
        let config = tq_tls::ServerConfig::new().certificate(identity).alpn(["test"]).early_data(true);
        let forgetful: Box<dyn Fn() -> Arc<dyn ServerTls>> =
            Box::new(move || config.clone().build().expect("server TLS"));
        let mut early = Self { forgetful, pair, version: Version::V1 };
        early.forget();
        early
    }

    /// The server starts anew.
    fn forget(&mut self) {
        let transport = Arc::clone(&self.pair.server_config.transport);
        self.serve(ServerConfig { tls: (self.forgetful)(), transport });
    }

    fn serve(&mut self, config: ServerConfig) {
        self.pair.server_config = Arc::new(config);
        self.pair.server.endpoint.set_server(Some(Arc::clone(&self.pair.server_config)));
    }

    fn transport(&mut self, transport: TransportConfig) {
        let tls = Arc::clone(&self.pair.server_config.tls);
        self.serve(ServerConfig { tls, transport: Arc::new(transport) });
    }

    fn connect(&mut self) -> Handle {
        let pair = &mut self.pair;
        let mut config = ClientConfig::new(Arc::clone(&pair.tls), Arc::clone(&pair.client_transport));
        config.version = self.version;
        pair.connect_with(&config)
    }

    /// One connection, by which the client gets tickets.
    fn acquainted(mut self) -> Self {
        let client = self.connect();
        let pair = &mut self.pair;
        pair.drive_for(Duration::from_secs(5), |pair| pair.client.has(client, &Event::Confirmed));
        pair.pass(100 * MS);
        let now = pair.now;
        pair.client(client).close(now, 0, b"");
        pair.pass(Duration::from_secs(5));
        assert!(pair.client.connections.is_empty() && pair.server.connections.is_empty());
        for end in [&mut pair.client, &mut pair.server] {
            end.events.clear();
            end.accepted.clear();
        }
        pair.link = Box::new(|_| true);
        self
    }

    fn ready() -> Self {
        Self::new(TransportConfig::default(), TransportConfig::default()).acquainted()
    }

    /// Connects and writes `data` on a stream before anything was heard.
    fn write(&mut self, data: &[u8]) -> (Handle, StreamId) {
        let client = self.connect();
        (client, write(self.pair.client(client), data))
    }

    /// Runs until the server has read `expected` from `id`, to the end of the stream.
    fn delivered(&mut self, id: StreamId, expected: &[u8]) {
        let mut got = Vec::new();
        let mut done = false;
        self.pair.drive_for(Duration::from_secs(30), |pair| {
            if let Some(server) = pair.server.accepted.front().copied()
                && let Some(connection) = pair.server.connections.get_mut(&server)
            {
                done |= drain(connection, id, &mut got);
            }
            done
        });
        assert!(done && got == expected, "{} of {} bytes, done: {done}", got.len(), expected.len());
    }
}

fn write(connection: &mut Connection, data: &[u8]) -> StreamId {
    let id = connection.open(Dir::Uni).expect("remembered limits allow a stream");
    assert_eq!(connection.write_slice(id, data), Ok(data.len()));
    connection.finish(id).expect("first finish");
    id
}

#[test]
fn data_of_a_second_connection_arrives_with_its_first_flight() {
    let mut early = Early::ready();
    let start = early.pair.now;
    let (client, id) = early.write(b"early");
    assert_eq!(early.pair.client(client).early_data(), EarlyData::Pending);
    early.delivered(id, b"early");
    assert_eq!(early.pair.now, start + early.pair.delay, "in half a round trip");
    let server = early.pair.server.accepted[0];
    assert!(early.pair.server(server).is_handshaking());
    assert!(early.pair.server.has(server, &ACCEPTED));
    early.pair.drive_for(Duration::from_secs(1), |pair| pair.client.has(client, &Event::Confirmed));
    assert!(early.pair.client.has(client, &ACCEPTED) && early.pair.client.has(client, &Event::Confirmed));
    assert_eq!(early.pair.client(client).early_data(), EarlyData::Accepted);
    assert_eq!(early.pair.client(client).stats().counters.packets_lost, 0);
}

#[test]
fn what_becomes_of_early_data_is_told_before_the_handshake_is_complete() {
    let mut early = Early::ready();
    let (client, id) = early.write(b"early");
    early.delivered(id, b"early");
    early.pair.pass(100 * MS);
    let at = |event: &Event| early.pair.client.events.iter().position(|(_, e)| e == event);
    assert!(at(&ACCEPTED) < at(&Event::Connected), "{:?}", early.pair.client.events);
    assert!(early.pair.client.has(client, &Event::Connected));
}

// MUST 9001-5.6-1
#[test]
fn nothing_is_early_unless_it_was_asked_for_and_a_ticket_is_known() {
    let mut pair = Pair::default();
    for _ in 0..2 {
        let client = pair.connect();
        assert_eq!(pair.client(client).open(Dir::Uni), None);
        assert_eq!(pair.client(client).early_data(), EarlyData::None);
        pair.pass(Duration::from_secs(1));
        assert!(pair.client.has(client, &Event::Confirmed));
        assert!(!pair.client.has(client, &ACCEPTED) && !pair.client.has(client, &REJECTED));
    }
    let mut early = Early::new(TransportConfig::default(), TransportConfig::default());
    let client = early.connect();
    assert_eq!(early.pair.client(client).early_data(), EarlyData::None, "nobody has met this server");
}

// MUST 9001-4.6.2-2
#[test]
fn data_the_server_does_not_take_is_sent_again_once() {
    let mut early = Early::ready();
    early.forget();
    let data = pattern(20_000);
    let (client, id) = early.write(&data);
    early.delivered(id, &data);
    early.pair.pass(200 * MS);
    let server = early.pair.server.accepted[0];
    assert!(early.pair.client.has(client, &REJECTED) && !early.pair.server.has(server, &ACCEPTED));
    assert_eq!(early.pair.client(client).early_data(), EarlyData::Rejected);
    let stats = early.pair.client(client).stats();
    assert_eq!(stats.counters.packets_lost, 0, "what was rejected is not lost");
    let received = early.pair.server(server).stats();
    assert_eq!(received.counters.dropped(tq_quic::event::DropReason::DecryptionFailed), 0);
}

#[test]
fn a_rejection_in_the_middle_of_a_long_stream_leaves_every_byte_once() {
    for rejected in [false, true] {
        let mut early = Early::ready();
        if rejected {
            early.forget();
        }
        let start = early.pair.now;
        let client = early.connect();
        let data = pattern(300_000);
        let id = early.pair.client(client).open(Dir::Uni).expect("allowed");
        let (mut at, mut got, mut done) = (0, Vec::new(), false);
        early.pair.drive_for(Duration::from_secs(30), |pair| {
            if at <= data.len() {
                pair::flow::pump(pair.client(client), id, &data, &mut at);
            }
            if let Some(server) = pair.server.accepted.front().copied() {
                done |= drain(pair.server(server), id, &mut got);
            }
            done
        });
        assert!(done && got == data, "rejected: {rejected}, {} bytes", got.len());
        assert!(early.pair.now < start + 300 * MS, "nothing waited for a timeout");
        assert_eq!(early.pair.client(client).stats().counters.ptos, 0);
        assert_eq!(early.pair.client.has(client, &REJECTED), rejected);
    }
}

/// Three streams written early over a link, and an answer back.
fn exchange(mut early: Early, rejected: bool, what: &str) {
    let data = [pattern(10), pattern(900), pattern(4000)];
    let client = early.connect();
    let ids = data.clone().map(|data| write(early.pair.client(client), &data));
    for (id, data) in ids.into_iter().zip(&data) {
        early.delivered(id, data);
    }
    let server = early.pair.server.accepted[0];
    let back = write(early.pair.server(server), b"answer");
    let mut got = Vec::new();
    let mut done = false;
    early.pair.drive_for(Duration::from_secs(30), |pair| {
        done |= drain(pair.client(client), back, &mut got);
        done && pair.client.has(client, &Event::Confirmed)
    });
    assert!(done && got == b"answer", "{what}: {:?}", early.pair.client.events);
    assert!(early.pair.client.has(client, if rejected { &REJECTED } else { &ACCEPTED }), "{what}");
    assert_eq!(early.pair.server.accepted.len(), 1, "{what}");
}

#[test]
fn any_one_datagram_of_the_handshake_may_be_lost() {
    for rejected in [false, true] {
        for lost in 0..20 {
            let mut early = Early::ready();
            if rejected {
                early.forget();
            }
            let mut count = 0;
            early.pair.link = Box::new(move |_| {
                count += 1;
                count - 1 != lost
            });
            exchange(early, rejected, &format!("rejected: {rejected}, without datagram {lost}"));
        }
    }
}

#[test]
fn the_link_may_lose_and_reorder_as_it_likes() {
    for seed in 0..60u32 {
        let mut early = Early::ready();
        let rejected = seed.is_multiple_of(2);
        if rejected {
            early.forget();
        }
        let mut n = seed * 2 + 1;
        early.pair.link = Box::new(move |flying| {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            flying.at += Duration::from_micros(u64::from(n >> 8) % 40_000);
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            !(n >> 8).is_multiple_of(5)
        });
        let data = pattern(3000);
        let (client, id) = early.write(&data);
        early.delivered(id, &data);
        early.pair.drive_for(Duration::from_secs(30), |pair| pair.client.has(client, &Event::Confirmed));
        assert!(early.pair.client.has(client, &Event::Confirmed), "seed {seed}");
    }
}

#[test]
fn every_datagram_may_come_twice() {
    for rejected in [false, true] {
        let mut early = Early::ready();
        if rejected {
            early.forget();
        }
        let data = pattern(5000);
        let (client, id) = early.write(&data);
        let (mut got, mut done) = (Vec::new(), false);
        early.pair.drive_for(Duration::from_secs(10), |pair| {
            pair.flush();
            let now = pair.now;
            let fresh = |at: tq_quic::time::Instant| at == now + pair.delay;
            let again: Vec<_> = pair.flying.values().filter(|f| fresh(f.at)).cloned().collect();
            for mut flying in again {
                flying.at += 3 * MS;
                pair.inject(flying);
            }
            if let Some(server) = pair.server.accepted.front().copied() {
                done |= drain(pair.server(server), id, &mut got);
            }
            done && pair.client.has(client, &Event::Confirmed)
        });
        assert!(done && got == data);
        assert_eq!(early.pair.server.accepted.len(), 1);
    }
}

#[test]
fn packets_that_overtake_the_initial_are_kept_for_it() {
    let mut early = Early::ready();
    let mut first = true;
    early.pair.link = Box::new(move |flying| {
        if std::mem::take(&mut first) {
            flying.at += 5 * MS;
        }
        true
    });
    let start = early.pair.now;
    let data = pattern(4000);
    let (client, id) = early.write(&data);
    early.delivered(id, &data);
    assert_eq!(early.pair.now, start + early.pair.delay + 5 * MS, "nothing had to be sent again");
    early.pair.pass(100 * MS);
    assert!(early.pair.client.has(client, &ACCEPTED));
    assert_eq!(early.pair.client(client).stats().counters.packets_lost, 0);
}

#[test]
fn a_server_that_asks_for_proof_of_the_address_takes_early_data_afterwards() {
    let mut early = Early::ready();
    // a token of the last connection would do
    early.pair.server.policy = |incoming| if incoming.may_retry() { Policy::Retry } else { Policy::Accept };
    let data = pattern(5000);
    let (client, id) = early.write(&data);
    early.delivered(id, &data);
    assert!(early.pair.server(early.pair.server.accepted[0]).is_handshaking(), "still early");
    early.pair.pass(100 * MS);
    assert!(early.pair.client.has(client, &ACCEPTED));
}

#[test]
fn a_server_may_answer_before_the_handshake_is_complete() {
    let mut early = Early::ready();
    let (client, id) = early.write(b"question");
    early.delivered(id, b"question");
    let server = early.pair.server.accepted[0];
    let data = pattern(2000);
    let back = write(early.pair.server(server), &data);
    let asked = early.pair.now;
    let (mut got, mut done) = (Vec::new(), false);
    early.pair.drive_for(Duration::from_secs(5), |pair| {
        done |= drain(pair.client(client), back, &mut got);
        done
    });
    assert!(got == data);
    assert_eq!(early.pair.now, asked + early.pair.delay, "half a round trip later");
}

#[test]
fn until_the_address_is_proven_early_data_earns_three_times_its_bytes() {
    let mut early = Early::ready();
    // without the token of the last connection
    early.pair.client = End::new(pair::CLIENT, EndpointConfig::default());
    let before = early.pair.sent[1];
    let (_, id) = early.write(&pattern(3000));
    early.delivered(id, &pattern(3000));
    let server = early.pair.server.accepted[0];
    early.pair.link = Box::new(|flying| flying.from == SERVER.parse().expect("an address"));
    let id = early.pair.server(server).open(Dir::Uni).expect("allowed");
    let _ = early.pair.server(server).write_slice(id, &pattern(200_000));
    let heard = early.pair.server(server).stats().counters.bytes_received;
    early.pair.pass(Duration::from_secs(3));
    let sent = early.pair.sent[1] - before;
    assert!(sent <= 3 * heard, "{sent} for {heard}");
}

// MUST 9000-7.4.1-4
#[test]
fn datagrams_go_early_within_the_remembered_size_and_are_lost_when_rejected() {
    for rejected in [false, true] {
        let mut early = Early::ready();
        if rejected {
            early.forget();
        }
        let client = early.connect();
        early.pair.client(client).send_datagram(Bytes::from_static(b"early")).expect("remembered");
        early.pair.pass(200 * MS);
        let server = early.pair.server.accepted[0];
        let got = early.pair.server(server).read_datagram();
        assert_eq!(got.is_some(), !rejected);
        early.pair.client(client).send_datagram(Bytes::from_static(b"late")).expect("allowed");
        early.pair.pass(50 * MS);
        assert_eq!(early.pair.server(server).read_datagram().as_deref(), Some(&b"late"[..]));
    }
    let mut none = TransportConfig::default();
    none.datagram_receive_buffer = 0;
    let mut early = Early::new(TransportConfig::default(), none).acquainted();
    let client = early.connect();
    assert_eq!(early.pair.client(client).early_data(), EarlyData::Pending);
    let result = early.pair.client(client).send_datagram(Bytes::from_static(b"x"));
    assert_eq!(result, Err(SendDatagramError::Unsupported));
}

// MUST 9000-7.4.1-4, 9000-7.4.1-8
#[test]
fn a_client_keeps_to_the_limits_it_remembers() {
    let mut tight = TransportConfig::default();
    tight.stream.max_uni = 2;
    tight.stream.stream_window = 1000;
    let mut early = Early::new(TransportConfig::default(), tight.clone()).acquainted();
    // the server could take more by now
    let mut wide = tight;
    wide.stream.max_uni = 10;
    early.transport(wide);
    let client = early.connect();
    let data = pattern(1500);
    let id = early.pair.client(client).open(Dir::Uni).expect("the first");
    assert_eq!(early.pair.client(client).write_slice(id, &data), Ok(1500), "held until it may go");
    early.pair.client(client).finish(id).expect("first finish");
    early.pair.client(client).open(Dir::Uni).expect("the second");
    assert_eq!(early.pair.client(client).open(Dir::Uni), None);
    early.delivered(id, &data);
    early.pair.pass(100 * MS);
    assert!(early.pair.client.has(client, &ACCEPTED));
    assert!(early.pair.client(client).open(Dir::Uni).is_some(), "the new limit counts by now");
}

// MUST 9000-7.4.1-5, 9000-7.4.1-7
#[test]
fn a_server_that_grants_less_than_it_did_takes_no_early_data() {
    let mut early = Early::ready();
    let mut less = TransportConfig::default();
    less.stream.max_uni = 1;
    less.stream.stream_window = 2000;
    early.transport(less);
    let data = pattern(5000);
    let (client, id) = early.write(&data);
    early.delivered(id, &data);
    early.pair.pass(100 * MS);
    assert!(early.pair.client.has(client, &REJECTED));
    assert!(early.pair.client.has(client, &Event::Confirmed), "{:?}", early.pair.client.events);
}

// MUST 9001-9.2-1
#[test]
fn the_same_flight_is_taken_once_however_often_it_comes() {
    let mut early = Early::ready();
    let (client, id) = early.write(b"pay 100");
    early.pair.flush();
    let flight: Vec<_> = early.pair.flying.values().cloned().collect();
    early.delivered(id, b"pay 100");
    early.pair.pass(100 * MS);
    let now = early.pair.now;
    early.pair.client(client).close(now, 0, b"");
    early.pair.pass(Duration::from_secs(5));
    assert!(early.pair.server.connections.is_empty());
    let replay = |early: &mut Early, from: &str| {
        for flying in &flight {
            let from = from.parse().expect("an address");
            early.pair.inject(pair::Flying { at: early.pair.now + MS, from, ..flying.clone() });
        }
        early.pair.pass(Duration::from_secs(1));
    };
    for from in [pair::CLIENT, "203.0.113.7:1000", pair::CLIENT] {
        replay(&mut early, from);
    }
    early.forget();
    replay(&mut early, "203.0.113.7:1001");
    let taken = early.pair.server.events.iter().filter(|(_, event)| *event == ACCEPTED).count();
    assert_eq!(taken, 1);
    let readable = |event: &Event| matches!(event, Event::Stream(StreamEvent::Readable(_)));
    let readable = early.pair.server.events.iter().filter(|(_, event)| readable(event)).count();
    assert_eq!(readable, 1, "{:?}", early.pair.server.events);
}

#[test]
fn a_server_without_early_data_still_resumes() {
    let (identity, roots) = tq_tls::self_signed(&["localhost"]).expect("a certificate");
    let mut early = Early::new(TransportConfig::default(), TransportConfig::default());
    early.pair.tls = tq_tls::ClientConfig::with_roots(roots).alpn(["test"]).build().expect("client TLS");
    let server = tq_tls::ServerConfig::new().certificate(identity).alpn(["test"]).build();
    let transport = Arc::clone(&early.pair.server_config.transport);
    early.serve(ServerConfig { tls: server.expect("server TLS"), transport });
    for resumed in [false, true, true] {
        let client = early.connect();
        assert_eq!(early.pair.client(client).early_data(), EarlyData::None);
        early.pair.drive_for(Duration::from_secs(1), |pair| pair.client.has(client, &Event::Confirmed));
        let server = early.pair.server.accepted.pop_front().expect("accepted");
        assert_eq!(early.pair.client(client).is_resumed(), resumed);
        assert_eq!(early.pair.server(server).is_resumed(), resumed);
        early.pair.pass(200 * MS);
    }
}

#[test]
fn early_data_works_in_version_two() {
    let both = [Version::V1, Version::V2];
    let transport = TransportConfig::default;
    let mut early = Early::of(transport(), transport(), &both, &both);
    // no server that would rather speak version 1
    early.pair.server = End::new(SERVER, speaking(&[Version::V2, Version::V1]));
    early.forget();
    early.version = Version::V2;
    let mut early = early.acquainted();
    let data = pattern(3000);
    let (client, id) = early.write(&data);
    early.delivered(id, &data);
    early.pair.pass(100 * MS);
    assert!(early.pair.client.has(client, &ACCEPTED));
    assert_eq!(early.pair.client(client).version(), Version::V2);
}

#[test]
fn early_data_keeps_to_the_version_of_its_ticket_when_the_server_chooses_another() {
    for rejected in [false, true] {
        let transport = TransportConfig::default;
        let old = [Version::V1];
        let mut early = Early::of(transport(), transport(), &[Version::V1, Version::V2], &old).acquainted();
        // the server learns version 2 and keeps its tickets
        let config = Arc::clone(&early.pair.server_config);
        early.pair.server = End::new(SERVER, speaking(&[Version::V2, Version::V1]));
        early.pair.server.endpoint.set_server(Some(config));
        if rejected {
            early.forget();
        }
        let data = pattern(5000);
        let (client, id) = early.write(&data);
        early.delivered(id, &data);
        early.pair.pass(100 * MS);
        assert!(early.pair.client.has(client, if rejected { &REJECTED } else { &ACCEPTED }));
        assert_eq!(early.pair.client(client).version(), Version::V2);
    }
}

#[test]
fn a_ticket_is_good_for_the_version_that_was_spoken_when_it_came() {
    let transport = TransportConfig::default;
    let (ours, theirs) = ([Version::V1, Version::V2], [Version::V2, Version::V1]);
    let mut early = Early::of(transport(), transport(), &ours, &theirs).acquainted();
    let client = early.connect();
    assert_eq!(early.pair.client(client).early_data(), EarlyData::None, "began with 1, spoke 2");
    early.pair.pass(100 * MS);
    early.pair.server.accepted.clear();
    early.version = Version::V2;
    let (client, id) = early.write(b"early");
    early.delivered(id, b"early");
    assert_eq!(early.pair.client(client).version(), Version::V2);
}
