//! What earlier connections measured, as liars would have it: files that say anything, tokens that were changed or come
//! from elsewhere, addresses that prove nothing.

mod pair;

use std::cell::RefCell;
use std::rc::Rc;

use pair::flow::Flow;
use pair::link::bottleneck;
use pair::multi::{self, link};
use pair::{Pair, SERVER};
use proptest::prelude::*;
use tq_quic::cc::{Profile, Resumption};
use tq_quic::time::Duration;
use tq_quic::wire::{PathId, Side, Version};
use tq_quic::{Event, Handle, TransportConfig};

const MIB: usize = 1 << 20;
/// What a profile is worth at most, in packets of the least size.
const MOST: u64 = (1 << 20) / 1200;

fn profile(millis: u64, rate: u64) -> Profile {
    Profile { min_rtt: Duration::from_millis(millis), rate }
}

/// Lets the client remember something of its only link.
fn remembers(pair: &mut Pair, client: Handle, profile: Profile) {
    let now = pair.now;
    pair.client(client).remember(now, (0, None), profile, Duration::ZERO);
}

fn resumption(pair: &mut Pair, server: Handle) -> Option<Resumption> {
    pair.server(server).stats().paths[0].resumption
}

/// A pair with 10 ms each way and 5 MB a second in both directions.
fn broad() -> Pair {
    let mut pair = Pair { delay: Duration::from_millis(10), ..Pair::default() };
    let (mut up, _) = bottleneck(5_000_000, 200_000, pair.delay, None);
    let mut free = pair.now;
    pair.link = Box::new(move |flying| {
        if flying.to == SERVER.parse().expect("an address") {
            return up(flying);
        }
        free = free.max(flying.at) + Duration::from_nanos(flying.bytes.len() as u64 * 200);
        flying.at = free;
        true
    });
    pair
}

/// A download long enough for the server to learn its link.
fn downloaded(pair: &mut Pair) -> (Handle, Handle) {
    let mut flow = Flow::connect(pair, Side::Server, 8 * MIB);
    flow.run(pair, Duration::from_secs(20));
    pair.pass(Duration::from_millis(500));
    (flow.client, flow.server)
}

/// The newest token of the client's for the server.
fn token(pair: &Pair) -> (Version, String, Vec<u8>) {
    let (version, name, token) = pair.client.endpoint.tokens().next().expect("a token");
    (version, name.to_string(), token.to_vec())
}

#[test]
fn a_second_download_begins_with_half_of_what_the_first_was_delivered() {
    let mut pair = broad();
    let (_, server) = downloaded(&mut pair);
    let learnt = pair.server(server).stats().paths[0].learnt.expect("8 MiB are enough");
    assert!(
        learnt.rate.abs_diff(5_000_000) < 500_000 && learnt.min_rtt >= Duration::from_millis(20),
        "{learnt:?}"
    );
    let (_, again) = downloaded(&mut pair);
    assert_eq!(resumption(&mut pair, again), Some(Resumption::Confirmed));
}

#[test]
fn a_server_told_not_to_remember_makes_nothing_of_it() {
    let mut config = TransportConfig::default();
    config.remember = false;
    let mut pair = Pair::new(TransportConfig::default(), config);
    let (_, server) = downloaded(&mut pair);
    assert_eq!(pair.server(server).stats().paths[0].learnt, None);
    assert!(token(&pair).2.len() < 60, "an address and no links");
    let (_, again) = pair.connected();
    pair.pass(Duration::from_millis(100));
    assert_eq!(resumption(&mut pair, again), None);
}

#[test]
fn a_token_that_was_changed_says_nothing() {
    let mut pair = broad();
    downloaded(&mut pair);
    let (version, name, token) = token(&pair);
    assert!(token.len() > 60);
    for at in (0..token.len()).step_by(5) {
        let mut changed = token.clone();
        changed[at] ^= 1;
        pair.client.endpoint.add_token(version, &name, &changed);
        let (_, server) = pair.connected();
        pair.pass(Duration::from_millis(200));
        assert_eq!(resumption(&mut pair, server), None, "octet {at}");
    }
}

#[test]
fn tokens_that_a_host_kept_serve_another_endpoint_of_its() {
    let mut pair = broad();
    downloaded(&mut pair);
    let (version, name, token) = token(&pair);
    let fresh = Pair::default();
    pair.client.endpoint = fresh.client.endpoint;
    pair.client.endpoint.add_token(version, &name, b"");
    pair.client.endpoint.add_token(version, &name, &token);
    let (_, server) = downloaded(&mut pair);
    assert_eq!(resumption(&mut pair, server), Some(Resumption::Confirmed));
}

#[test]
fn what_was_measured_at_another_address_says_nothing_of_this_one() {
    let mut pair = broad();
    downloaded(&mut pair);
    pair.client.address = "198.51.100.9:4000".parse().expect("an address");
    let (_, server) = pair.connected();
    pair.pass(Duration::from_millis(200));
    assert_eq!(resumption(&mut pair, server), None);
}

#[test]
fn what_is_a_day_old_says_nothing() {
    let mut pair = broad();
    downloaded(&mut pair);
    pair.now += Duration::from_secs(25 * 3600);
    let (_, server) = pair.connected();
    pair.pass(Duration::from_millis(200));
    assert_eq!(resumption(&mut pair, server), None);
}

#[test]
fn an_address_that_proves_nothing_gets_three_times_its_bytes_whatever_is_remembered() {
    let mut pair = multi::pair(2);
    let (client, server) = pair.connected();
    pair.pass(Duration::from_millis(100));
    let now = pair.now;
    for millis in [1, 20, 1000] {
        pair.server(server).remember(now, (0, None), profile(millis, 1 << 36), Duration::ZERO);
    }
    let mut flow = Flow::over(&mut pair, (client, server), Side::Server, 4 * MIB);
    // what the server answers there never arrives, so that nothing comes back to prove it
    let counted = Rc::new(RefCell::new((0u64, 0u64)));
    let seen = Rc::clone(&counted);
    pair.link = Box::new(move |flying| {
        let mut seen = seen.borrow_mut();
        if flying.from == link(1) {
            seen.0 += flying.bytes.len() as u64;
        }
        if flying.to == link(1) {
            seen.1 += flying.bytes.len() as u64;
            assert!(seen.1 <= 3 * seen.0, "{seen:?}");
            return false;
        }
        true
    });
    let path = multi::open(&mut pair, client, 1);
    flow.run(&mut pair, Duration::from_secs(20));
    assert!(counted.borrow().1 > 0);
    assert_eq!(pair.server(server).path_stats(path).and_then(|stats| stats.resumption), None);
}

#[test]
fn a_host_may_tell_of_sixteen_links_and_the_oldest_is_forgotten() {
    let mut pair = Pair { delay: Duration::from_millis(20), ..Pair::default() };
    let client = pair.connect();
    let now = pair.now;
    let told = |pair: &mut Pair, socket| {
        let ip = None;
        pair.client(client).remember(now, (socket, ip), profile(40, 2_000_000), Duration::ZERO);
    };
    told(&mut pair, 0);
    for socket in 1..=16 {
        told(&mut pair, socket);
    }
    pair.pass(Duration::from_millis(300));
    assert_eq!(pair.client(client).path_stats(PathId::ZERO).and_then(|stats| stats.resumption), None);
}

/// Uploads over a bottleneck; what was lost and how long it took.
fn upload(rate: u64, delay: u64, told: Option<Profile>) -> (u64, f64) {
    let mut pair = Pair { delay: Duration::from_millis(delay), ..Pair::default() };
    pair.link = bottleneck(rate, rate / 10, pair.delay, None).0;
    let client = pair.connect();
    if let Some(profile) = told {
        remembers(&mut pair, client, profile);
    }
    pair.drive_for(Duration::from_secs(5), |pair| pair.client.has(client, &Event::Confirmed));
    let server = pair.server.accepted.pop_front().expect("a connection");
    let mut flow = Flow::over(&mut pair, (client, server), Side::Client, MIB);
    let took = flow.run(&mut pair, Duration::from_secs(300));
    (pair.client(client).stats().counters.packets_lost, took)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_lie_costs_a_window_of_a_mebibyte_and_no_more(
        (rate, delay) in (50_000u64..10_000_000, 1u64..200),
        // so that most are believed
        (percent, claimed) in (20u64..400, 1u64..1 << 40),
    ) {
        let told = Profile { min_rtt: Duration::from_micros(delay * 20 * percent), rate: claimed };
        let (lost_without, without) = upload(rate, delay, None);
        let (lost, with) = upload(rate, delay, Some(told));
        prop_assert!(lost <= lost_without + MOST, "{} packets lost, {} without", lost, lost_without);
        // what overflows a queue goes again: a window's worth of time, and the round trips that takes to notice
        let window = 1_048_576.0 / rate as f64;
        let more = window + 20.0 * (delay as f64 / 1000.0) + 2.0;
        prop_assert!(with <= without + more, "{} s, {} without", with, without);
    }
}
