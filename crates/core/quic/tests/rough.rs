//! Links that lose, double and reorder; handshakes in pieces; ends that come at bad moments.

mod pair;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use pair::flow::Flow;
use pair::plain::Plain;
use pair::{CLIENT, Flying, Pair, Policy, SERVER};
use tq_quic::time::Duration;
use tq_quic::wire::{Code, Side};
use tq_quic::{ConnectionError, Event, ServerConfig, TransportConfig};

const MS: Duration = Duration::from_millis(1);

struct Rough {
    n: u32,
    loss: u32,
    double: u32,
    jitter: u32,
}

impl Rough {
    fn roll(&mut self, sides: u32) -> u32 {
        self.n = self.n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.n >> 8) % sides.max(1)
    }

    /// Percentages, and milliseconds of jitter. What is doubled waits in the cell to be injected.
    fn link(mut self) -> (pair::Link, Rc<RefCell<Vec<Flying>>>) {
        let doubles: Rc<RefCell<Vec<Flying>>> = Rc::default();
        let made = Rc::clone(&doubles);
        let link = move |flying: &mut Flying| {
            let jitter = self.roll(self.jitter * 1000 + 1);
            flying.at += Duration::from_micros(jitter.into());
            if self.roll(100) < self.double {
                let mut copy = flying.clone();
                copy.at += Duration::from_millis(self.roll(30).into());
                made.borrow_mut().push(copy);
            }
            self.roll(100) >= self.loss
        };
        (Box::new(link), doubles)
    }
}

/// Handshake and a transfer each way.
fn over(rough: Rough, pair: &mut Pair, len: usize) {
    let (link, doubles) = rough.link();
    pair.link = link;
    let client = pair.connect();
    let mut flows: Vec<Flow> = Vec::new();
    pair.drive_for(Duration::from_secs(120), |pair| {
        doubles.borrow_mut().drain(..).for_each(|copy| pair.inject(copy));
        if flows.is_empty() {
            if pair.client.has(client, &Event::Connected)
                && let Some(server) = pair.server.connections.iter().find(|(_, c)| !c.is_handshaking())
            {
                let ends = (client, *server.0);
                flows = [Side::Client, Side::Server].map(|side| Flow::over(pair, ends, side, len)).into();
            }
            return false;
        }
        flows.iter_mut().fold(true, |done, flow| flow.work(pair) & done)
    });
    assert!(flows.iter().all(|flow| flow.done && flow.got == flow.data), "{:?}", pair.client.events);
    assert_eq!(flows.len(), 2, "no handshake: {:?} {:?}", pair.client.events, pair.server.events);
}

#[test]
fn everything_arrives_over_links_that_lose_double_and_reorder() {
    for seed in 1..40 {
        let rough = Rough { n: seed * 7919, loss: seed % 12, double: seed % 25, jitter: seed % 17 };
        over(rough, &mut Pair::default(), 1 << 20);
    }
}

#[test]
fn without_offload_everything_arrives_as_well() {
    let mut pair = Pair::default();
    (pair.client.segments, pair.server.segments) = (1, 1);
    over(Rough { n: 3, loss: 2, double: 5, jitter: 3 }, &mut pair, 4 << 20);
}

/// Ends whose ClientHello takes `hello` bytes and whose certificates take `chain`.
fn large(hello: usize, chain: usize) -> Pair {
    let mut pair = Pair { tls: Arc::new(Plain { hello, ..Plain::default() }), ..Pair::default() };
    let tls = Arc::new(Plain { chain, ..Plain::default() });
    let transport = Arc::new(TransportConfig::default());
    pair.server.endpoint.set_server(Some(Arc::new(ServerConfig { tls, transport })));
    pair
}

#[test]
fn a_client_hello_in_several_datagrams_is_put_together() {
    for hello in [900, 1300, 2500, 8000] {
        let mut pair = large(hello, 3000);
        let start = pair.now;
        pair.connected();
        assert!(pair.now - start <= 60 * MS, "{hello}: {:?}", pair.now - start);
        assert_eq!(pair.server.endpoint.connections(), 1);
    }
}

#[test]
fn a_client_hello_whose_pieces_arrive_in_reverse_is_put_together() {
    let mut pair = large(4000, 1000);
    let mut n = 0;
    pair.link = Box::new(move |flying| {
        n += 1;
        if n <= 4 {
            flying.at += (5 - n) * MS;
        }
        true
    });
    pair.connected();
    assert_eq!(pair.server.endpoint.connections(), 1);
}

#[test]
fn a_client_hello_in_several_datagrams_survives_a_retry() {
    let mut pair = large(4000, 1000);
    pair.server.policy = |_| Policy::Retry;
    let start = pair.now;
    pair.connected();
    assert!(pair.now - start <= 90 * MS, "{:?}", pair.now - start);
    assert_eq!(pair.server.endpoint.connections(), 1);
}

#[test]
fn large_handshakes_survive_rough_links() {
    for seed in 1..40 {
        let rough = Rough { n: seed * 104_729, loss: 15, double: 20, jitter: 20 };
        over(rough, &mut large(3000, 5000), 10_000);
    }
}

fn peer_code(end: &pair::End, handle: tq_quic::Handle) -> Option<Code> {
    match end.closed(handle)? {
        ConnectionError::PeerTransport { code, .. } => Some(*code),
        _ => None,
    }
}

#[test]
fn a_client_that_gives_up_during_the_handshake_tells_the_server() {
    for wait in [0, 5, 15, 21, 25, 35] {
        let mut pair = Pair::default();
        let client = pair.connect();
        pair.pass(wait * MS);
        let now = pair.now;
        pair.client(client).close(now, 7, b"changed my mind");
        pair.pass(5000 * MS);
        assert!(pair.client.connections.is_empty());
        assert_eq!(pair.server.endpoint.connections(), 0, "closed after {wait} ms");
        if let Some(server) = pair.server.accepted.front() {
            let closed = pair.server.closed(*server).expect("the server heard of it");
            let early = matches!(closed, ConnectionError::PeerTransport { code, reason, .. }
                if *code == Code::APPLICATION_ERROR && reason.is_empty());
            let late = matches!(closed, ConnectionError::PeerApplication { code: 7, .. });
            assert!(early || late, "{closed:?}");
        }
    }
}

#[test]
fn a_server_that_gives_up_during_the_handshake_tells_the_client() {
    let mut pair = Pair::default();
    let client = pair.connect();
    pair.drive_for(100 * MS, |pair| !pair.server.accepted.is_empty());
    let server = pair.server.accepted[0];
    let now = pair.now;
    pair.server(server).close(now, 7, b"secret reason");
    pair.pass(5000 * MS);
    let closed = pair.client.closed(client).expect("told");
    assert!(
        matches!(closed, ConnectionError::PeerTransport { code: Code::APPLICATION_ERROR, .. })
            || matches!(closed, ConnectionError::PeerApplication { code: 7, .. }),
        "{closed:?}"
    );
    assert!(pair.client.connections.is_empty() && pair.server.endpoint.connections() == 0);
}

// MUST 9001-4.8-1
#[test]
fn a_tls_failure_reaches_the_peer_with_its_alert() {
    let mut pair = Pair::default();
    let (identity, roots) = tq_tls::self_signed(&["localhost"]).expect("a certificate");
    let _ = identity;
    // trusts another certificate than the server shows
    pair.tls = tq_tls::ClientConfig::with_roots(roots).alpn(["test"]).build().expect("client TLS");
    let client = pair.connect();
    pair.pass(1000 * MS);
    assert!(
        matches!(pair.client.closed(client), Some(ConnectionError::Violation(error)) if error.code.alert().is_some())
    );
    let server = pair.server.accepted[0];
    assert!(peer_code(&pair.server, server).is_some_and(|code| code.alert().is_some()));
    pair.pass(10_000 * MS);
    assert_eq!(pair.server.endpoint.connections(), 0);
}

#[test]
fn a_late_copy_of_the_first_datagram_does_not_disturb() {
    let mut pair = Pair::default();
    let first: Rc<RefCell<Option<Flying>>> = Rc::default();
    let seen = Rc::clone(&first);
    pair.link = Box::new(move |flying| {
        seen.borrow_mut().get_or_insert(flying.clone());
        true
    });
    let (client, server) = pair.connected();
    let copy = first.borrow().clone().expect("a first datagram");
    pair.inject(Flying { at: pair.now + 50 * MS, ..copy });
    pair.pass(100 * MS);
    // it looks like another client, and times out like one
    assert!(pair.client.closed(client).is_none() && pair.server.closed(server).is_none());
    pair.client(client).send_datagram(vec![1; 10].into()).expect("room");
    pair.pass(100 * MS);
    assert!(pair.server(server).read_datagram().is_some());
    assert_eq!(pair.client.closed(client), None);
}

#[test]
fn many_rebindings_in_a_row_use_up_no_ids() {
    let mut pair = Pair::default();
    let outside = Rc::new(RefCell::new(CLIENT.parse::<SocketAddr>().expect("an address")));
    let mine = Rc::clone(&outside);
    let server: SocketAddr = SERVER.parse().expect("an address");
    pair.link = Box::new(move |flying| {
        if flying.to == server {
            flying.from = *mine.borrow();
            return true;
        }
        flying.to == *mine.borrow()
    });
    let (client, server) = pair.connected();
    for port in 5000..5060 {
        outside.borrow_mut().set_port(port);
        pair.client(client).send_datagram(vec![1; 1000].into()).expect("room");
        pair.pass(200 * MS);
        assert_eq!(pair.server(server).remote().port(), port);
        assert!(pair.server(server).stats().paths[0].validated, "port {port}");
    }
    assert!(pair.client.closed(client).is_none() && pair.server.closed(server).is_none());
}
