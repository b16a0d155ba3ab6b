//! Key phases (RFC 9001 §6): updates by either end, both at once, over links that lose and reorder.

mod pair;

use pair::Pair;
use pair::flow::Flow;
use pair::link::bottleneck;
use pair::raw::{Raw, Tweak};
use tq_quic::TransportConfig;
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::{Frame, Side};

const MS: Duration = Duration::from_millis(1);

/// Loses one in `loss` and delays each by up to `jitter`.
fn rough(pair: &mut Pair, seed: u32, loss: u32, jitter: u64) {
    let mut n = seed | 1;
    pair.link = Box::new(move |flying| {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        flying.at += Duration::from_micros(u64::from(n >> 8) % (jitter * 1000 + 1));
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        loss == 0 || !(n >> 8).is_multiple_of(loss)
    });
}

fn generations(pair: &mut Pair, flow: &Flow) -> (u64, u64) {
    (pair.client(flow.client).stats().key_generation, pair.server(flow.server).stats().key_generation)
}

#[test]
fn both_ends_updating_on_their_own_over_a_rough_link_stay_together() {
    for seed in 0..10 {
        let mut config = TransportConfig::default();
        config.key_update_after = 100;
        let mut pair = Pair::new(config.clone(), config);
        rough(&mut pair, seed, 30, 8);
        let mut flow = Flow::connect(&mut pair, Side::Client, 3 << 20);
        let ends = (flow.client, flow.server);
        let mut back = Flow::over(&mut pair, ends, Side::Server, 3 << 20);
        pair.drive_for(Duration::from_secs(60), |pair| flow.work(pair) & back.work(pair));
        assert!(flow.done && back.done, "seed {seed}: {:?} {:?}", pair.client.events, pair.server.events);
        let (client, server) = generations(&mut pair, &flow);
        assert!(client >= 2 && client.abs_diff(server) <= 1, "{client} and {server}");
    }
}

// MUST 9001-6.1-2
#[test]
fn an_update_waits_for_an_acknowledgement_and_three_pto() {
    let mut pair = Pair::default();
    pair.link = bottleneck(12_500_000, 200_000, pair.delay, None).0;
    let mut flow = Flow::connect(&mut pair, Side::Client, 100 << 20);
    flow.run_for(&mut pair, 200 * MS);
    let now = pair.now;
    assert!(pair.client(flow.client).update_keys(now));
    assert!(!pair.client(flow.client).update_keys(now), "not two at once");
    flow.run_for(&mut pair, 30 * MS);
    let now = pair.now;
    assert!(!pair.client(flow.client).update_keys(now), "three PTO have not passed");
    flow.run_for(&mut pair, 400 * MS);
    let now = pair.now;
    assert!(pair.client(flow.client).update_keys(now));
    flow.run_for(&mut pair, 400 * MS);
    assert_eq!(generations(&mut pair, &flow), (2, 2));
}

// MUST 9001-6.1-1
#[test]
fn no_update_before_the_handshake_is_confirmed() {
    let mut pair = Pair::default();
    let client = pair.connect();
    pair.drive_for(Duration::from_secs(1), |pair| {
        let now = pair.now;
        let connection = pair.client.connections.get_mut(&client).expect("alive");
        assert!(!connection.update_keys(now));
        !connection.is_handshaking()
    });
}

#[test]
fn both_ends_updating_at_the_same_moment_agree() {
    let mut pair = Pair::default();
    let mut flow = Flow::connect(&mut pair, Side::Client, 20 << 20);
    let ends = (flow.client, flow.server);
    let mut back = Flow::over(&mut pair, ends, Side::Server, 20 << 20);
    let until = pair.now + 100 * MS;
    pair.drive_for(100 * MS, |pair| {
        flow.work(pair);
        back.work(pair);
        pair.now >= until
    });
    let now = pair.now;
    assert!(pair.client(ends.0).update_keys(now) && pair.server(ends.1).update_keys(now));
    pair.drive_for(Duration::from_secs(20), |pair| flow.work(pair) & back.work(pair));
    assert!(flow.done && back.done);
    assert_eq!(generations(&mut pair, &flow), (1, 1));
    let dropped = pair.client(ends.0).stats().counters.dropped(DropReason::DecryptionFailed);
    assert_eq!(dropped, 0);
}

// MUST 9001-6.1-3, 9001-6.3-2
#[test]
fn stragglers_of_the_phase_before_are_opened_for_three_pto() {
    let mut raw = Raw::server();
    let old = raw.packet(Level::OneRtt, &[1, 0, 0, 0], Tweak::default());
    let older = raw.packet(Level::OneRtt, &[1, 0, 0, 0], Tweak::default());
    let new = raw.packet(Level::OneRtt, &[1, 0, 0, 0], Tweak { generation: 1, ..Tweak::default() });
    raw.deliver(new);
    let before = raw.victim().stats().counters.packets_received;
    raw.deliver(old);
    assert_eq!(raw.victim().stats().counters.packets_received, before + 1);
    raw.pass(Duration::from_secs(10));
    raw.deliver(older);
    assert_eq!(raw.victim().stats().counters.packets_received, before + 1);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::KeysDiscarded), 1);
}

// MUST 9001-6.2-1, 9001-6.2-2
#[test]
fn an_update_is_answered_with_the_new_keys() {
    let mut raw = Raw::client();
    raw.datagrams.clear();
    let new = raw.packet(Level::OneRtt, &[1, 0, 0, 0], Tweak { generation: 1, ..Tweak::default() });
    raw.deliver(new);
    raw.pass(10 * MS);
    raw.victim_generation = 1;
    let packets = raw.packets();
    assert!(packets.iter().any(|p| p.frames().iter().any(|f| matches!(f, Frame::Ack(_)))), "{packets:?}");
}

// MUST 9001-5.5-1, 9001-5.5-2
#[test]
fn a_forged_phase_bit_changes_nothing() {
    let mut raw = Raw::server();
    for _ in 0..50 {
        // the bit says next phase, the key does not
        let forged = raw.packet(Level::OneRtt, &[1, 0, 0, 0], Tweak { first: 4, ..Tweak::default() });
        raw.deliver(forged);
    }
    assert_eq!(raw.victim().stats().key_generation, 0);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::DecryptionFailed), 50);
    raw.frames(&[Frame::Ping]);
    assert_eq!(raw.violation(), None);
}
