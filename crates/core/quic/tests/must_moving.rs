//! Rules of RFC 9000 about addresses that change (§9, §21.5.3) that are not tested elsewhere.

mod pair;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use pair::flow::Flow;
use pair::raw::{Packet, Raw, Tweak, bytes, params};
use pair::{CLIENT, Pair, SERVER};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::NewConnectionId;
use tq_quic::wire::params::PreferredAddress;
use tq_quic::wire::{Cid, Dir, Frame, ResetToken, Side, TransportParameters};
use tq_quic::{Event, TransportConfig};

const ELSEWHERE: &str = "203.0.113.5:99";
const PREFERRED: &str = "192.0.2.3:4433";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn new_cid(seq: u64) -> Frame<'static> {
    Frame::NewConnectionId(NewConnectionId {
        path: None,
        seq,
        retire_prior_to: 0,
        cid: Cid::new(&[b"number ", &[seq as u8][..]].concat()).expect("short"),
        token: ResetToken([seq as u8; 16]),
    })
}

fn challenges(packets: &[Packet]) -> Vec<[u8; 8]> {
    let frames = packets.iter().flat_map(Packet::frames);
    frames.filter_map(|f| if let Frame::PathChallenge(d) = f { Some(d) } else { None }).collect()
}

/// A server whose client has given it ids, and sends from elsewhere.
fn moved() -> Raw {
    let mut raw = Raw::server();
    raw.frames(&[new_cid(1), new_cid(2), new_cid(3)]);
    raw.pass(Duration::from_secs(1));
    raw.packets();
    raw.victim.sent_to.clear();
    let packet = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping, Frame::Padding(1150)]), Tweak::default());
    raw.deliver_from(address(ELSEWHERE), packet);
    raw
}

// MUST 9000-9.3.3-1, 9000-8.2.2-3
#[test]
fn the_way_a_client_seems_to_have_left_is_challenged_too() {
    let mut raw = moved();
    for to in [ELSEWHERE, CLIENT] {
        assert!(
            raw.victim.sent_to.iter().any(|(at, len)| *at == address(to) && *len >= 1200),
            "none to {to}"
        );
    }
    let sent = challenges(&raw.packets());
    assert_eq!(sent.len(), 2);
    // whoever answers there has not moved back by that
    let answers = sent.iter().map(|data| Frame::PathResponse(*data)).collect::<Vec<_>>();
    let packet = raw.packet(Level::OneRtt, &bytes(&answers), Tweak::default());
    raw.deliver(packet);
    assert_eq!(raw.victim().remote(), address(ELSEWHERE));
    raw.pass(Duration::from_secs(5));
    assert!(challenges(&raw.packets()).is_empty());
    // but with anything that is not a probe
    let mut raw = moved();
    raw.frames(&[Frame::Ping]);
    assert_eq!(raw.victim().remote(), address(CLIENT));
    raw.packets();
    raw.pass(Duration::from_secs(10));
    assert!(challenges(&raw.packets()).is_empty(), "it was proven all along");
}

// MUST 9000-8.2.2-3
#[test]
fn a_response_goes_where_the_challenge_came_from() {
    let mut raw = Raw::server();
    raw.frames(&[new_cid(1), new_cid(2)]);
    raw.pass(Duration::from_secs(1));
    raw.packets();
    raw.victim.sent_to.clear();
    let probe = [Frame::PathChallenge([7; 8]), Frame::Padding(1150)];
    let packet = raw.packet(Level::OneRtt, &bytes(&probe), Tweak::default());
    raw.deliver_from(address(ELSEWHERE), packet);
    let answers = raw.packets();
    let at =
        answers.iter().position(|p| p.frames().contains(&Frame::PathResponse([7; 8]))).expect("an answer");
    assert_eq!(raw.victim.sent_to[at].0, address(ELSEWHERE));
    assert_eq!(raw.victim().remote(), address(CLIENT));
}

// MUST 9000-21.5.3-1, 9000-9.6.2-1
#[test]
fn before_it_has_answered_a_preferred_address_gets_nothing_but_probes() {
    let preferred = PreferredAddress {
        v4: Some("203.0.113.77:53".parse().expect("an address")),
        v6: None,
        cid: Cid::new(b"prefers!").expect("short"),
        token: ResetToken([9; 16]),
    };
    let params = TransportParameters { preferred_address: Some(preferred), ..params() };
    let mut raw = Raw::client_with(TransportConfig::default(), params);
    let id = raw.victim().open(Dir::Uni).expect("allowed");
    raw.victim().write_slice(id, &[1; 20_000]).expect("room");
    raw.pass(Duration::from_secs(10));
    let there: u64 = raw
        .victim
        .sent_to
        .iter()
        .filter(|(to, _)| *to == address("203.0.113.77:53"))
        .map(|(_, len)| len)
        .sum();
    let packets = raw.packets();
    let probes: Vec<&Packet> =
        packets.iter().filter(|p| p.frames().iter().any(|f| matches!(f, Frame::PathChallenge(_)))).collect();
    assert!(probes.iter().all(|packet| packet.frames().iter().all(Frame::is_probing)));
    assert!(there > 0);
    assert_eq!(there, probes.iter().map(|packet| packet.datagram as u64).sum::<u64>(), "all that went there");
}

// MUST 9000-9.6.2-2, 9000-9.6.2-3
#[test]
fn a_server_sends_data_from_its_first_address_until_the_client_has_answered_at_the_other() {
    let mut config = TransportConfig::default();
    config.preferred_v4 = Some(PREFERRED.parse().expect("an address"));
    let mut pair = Pair::new(TransportConfig::default(), config);
    pair.server.others.push(address(PREFERRED));
    let from: Rc<RefCell<[Vec<usize>; 2]>> = Rc::default();
    let (seen, blocked) = (Rc::clone(&from), Rc::new(RefCell::new(true)));
    let (block, mut first) = (Rc::clone(&blocked), true);
    pair.link = Box::new(move |flying| {
        if flying.from == address(SERVER) || flying.from == address(PREFERRED) {
            seen.borrow_mut()[usize::from(flying.from == address(PREFERRED))].push(flying.bytes.len());
        }
        // the client's own challenge passes, and what is not expanded; its answers do not
        let full = flying.to == address(PREFERRED) && flying.bytes.len() >= 1200;
        !(full && *block.borrow() && !std::mem::take(&mut first))
    });
    let mut flow = Flow::connect(&mut pair, Side::Server, 30 << 20);
    from.borrow_mut().iter_mut().for_each(Vec::clear);
    flow.run_for(&mut pair, Duration::from_millis(300));
    let moved = Event::Moved { remote: address(PREFERRED), socket: 0 };
    assert!(pair.client.has(flow.client, &moved), "the client has moved");
    {
        let from = from.borrow();
        assert!(from[0].len() > 100, "data from the first address: {} datagrams", from[0].len());
        assert!((1..8).contains(&from[1].len()), "probes from the other: {:?}", from[1]);
    }
    *blocked.borrow_mut() = false;
    flow.run(&mut pair, Duration::from_secs(20));
    pair.pass(Duration::from_secs(1));
    // the first may be through before the challenge is repeated
    let mut more = Flow::over(&mut pair, (flow.client, flow.server), Side::Server, 1 << 20);
    more.run(&mut pair, Duration::from_secs(20));
    assert!(from.borrow()[1].len() > 100, "data from the other address");
}
