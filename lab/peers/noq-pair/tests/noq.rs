//! Multipath between our core and noq's, each as client and as server (draft-ietf-quic-multipath-21).

use std::time::Duration;

use noq_pair::noq::{self, Noq};
use noq_pair::ours::{self, Ours};
use noq_pair::{Identity, Multipath, Net, Pair};
use noq_proto::{EndpointConfig, TransportConfig};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MIB: usize = 1 << 20;

/// One way in milliseconds, by link.
const TWO: [u64; 2] = [10, 20];
const FOUR: [u64; 4] = [10, 20, 30, 5];

/// We are the client; both ends allow so many paths.
fn we_open(delays: &[u64], count: u32) -> Pair<Ours, Noq> {
    we_open_to(noq::paths(count), delays, count)
}

fn we_open_to(config: TransportConfig, delays: &[u64], count: u32) -> Pair<Ours, Noq> {
    let (identity, net) = (Identity::new(), Net::new(delays));
    let client = Ours::client(&identity, ours::paths(count), net.addresses());
    Pair::new(client, Noq::server(&identity, config), net)
}

/// noq is the client.
fn noq_opens(delays: &[u64], count: u32) -> Pair<Noq, Ours> {
    noq_opens_with(noq::paths(count), delays, count)
}

fn noq_opens_with(config: TransportConfig, delays: &[u64], count: u32) -> Pair<Noq, Ours> {
    let (identity, net) = (Identity::new(), Net::new(delays));
    let client = Noq::client(&identity, config, net.addresses());
    Pair::new(client, Ours::server(&identity, ours::paths(count)), net)
}

/// A noq that gives a path up that has been silent for three seconds, and says something on each every second.
fn watchful(count: u32) -> TransportConfig {
    let mut config = noq::paths(count);
    config.default_path_max_idle_timeout(Some(3 * SECOND));
    config.default_path_keep_alive_interval(Some(SECOND));
    config
}

// MUST mp21-2-1
#[test]
fn multipath_is_in_force_only_if_both_want_it() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>, both: bool) {
        pair.connect();
        assert_eq!((pair.client.is_multipath(), pair.server.is_multipath()), (both, both));
        assert_eq!(pair.client.open_path(pair.now, 1).is_ok(), both);
        pair.exchange(MIB / 4, 5 * SECOND);
    }
    let ours = |wanted: bool| if wanted { ours::paths(4) } else { Default::default() };
    let noqs = |wanted: bool| if wanted { noq::paths(4) } else { TransportConfig::default() };
    for (we, they) in [(false, false), (true, false), (false, true), (true, true)] {
        let (identity, net) = (Identity::new(), Net::new(&TWO));
        let client = Ours::client(&identity, ours(we), net.addresses());
        check(Pair::new(client, Noq::server(&identity, noqs(they)), net), we && they);
        let net = Net::new(&TWO);
        let client = Noq::client(&identity, noqs(they), net.addresses());
        check(Pair::new(client, Ours::server(&identity, ours(we)), net), we && they);
    }
}

/// Every link carries a fair part, and together they are faster than one.
fn uses_all(mut pair: Pair<impl Multipath, impl Multipath>) {
    pair.connect_all();
    let links = pair.net.links.len() as u32;
    for (way, sizes) in [[8 * MIB, 0], [0, 8 * MIB]].into_iter().enumerate() {
        let carried: Vec<u64> = pair.net.links.iter().map(|link| link.carried[way]).collect();
        pair.begin(sizes);
        let took = pair.finish(20 * SECOND);
        for (link, before) in pair.net.links.iter().zip(carried) {
            assert!(link.carried[way] - before > 300_000, "{:?} in {took:?}", pair.net.links);
        }
        // one link alone takes 3.4 s
        assert!(took < 3400 * MS / links + SECOND, "{took:?} over {links} links");
    }
    for id in 0..links {
        assert!(pair.client.remote_of(id).is_some() && pair.server.remote_of(id).is_some());
    }
    assert_eq!((pair.client.error(), pair.server.error()), (None, None));
}

#[test]
fn two_paths_carry_data_both_ways() {
    uses_all(we_open(&TWO, 2));
    uses_all(noq_opens(&TWO, 2));
}

#[test]
fn four_paths_carry_data_both_ways() {
    uses_all(we_open(&FOUR, 4));
    uses_all(noq_opens(&FOUR, 4));
}

#[test]
fn nothing_is_lost_where_datagrams_are() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>) {
        pair.net.links.iter_mut().zip([37, 23]).for_each(|(link, every)| link.lose_every = every);
        pair.connect_all();
        pair.exchange(2 * MIB, 60 * SECOND);
    }
    check(we_open(&TWO, 2));
    check(noq_opens(&TWO, 2));
}

#[test]
fn a_path_on_backup_rests_until_it_is_available_again_or_needed() {
    fn check<C: Multipath, S: Multipath>(mut pair: Pair<C, S>, by_client: bool) {
        pair.connect_all();
        let set = |pair: &mut Pair<C, S>, backup| {
            let now = pair.now;
            if by_client {
                pair.client.set_status(now, 1, backup);
            } else {
                pair.server.set_status(now, 1, backup);
            }
            pair.pass(200 * MS);
        };
        set(&mut pair, true);
        let told =
            if by_client { pair.server.is_backup_for_peer(1) } else { pair.client.is_backup_for_peer(1) };
        assert!(told);
        let carried = |pair: &Pair<C, S>| pair.net.links[1].carried.iter().sum::<u64>();
        let before = carried(&pair);
        pair.exchange(2 * MIB, 20 * SECOND);
        let rested = carried(&pair) - before;
        assert!(rested < 40_000, "{rested} bytes on a path that is to rest");
        set(&mut pair, false);
        let before = carried(&pair);
        pair.exchange(4 * MIB, 20 * SECOND);
        assert!(carried(&pair) - before > 400_000);
        // and on backup again it takes over when the other goes
        set(&mut pair, true);
        let now = pair.now;
        pair.client.close_path(now, 0, 0x3e);
        pair.exchange(MIB, 20 * SECOND);
    }
    for by_client in [true, false] {
        check(we_open(&TWO, 2), by_client);
        check(noq_opens(&TWO, 2), by_client);
    }
}

// MUST mp21-3.4-1, mp21-3.4-3
#[test]
fn either_end_abandons_either_path_and_the_data_goes_on() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>, by_client: bool, gone: u32) {
        pair.connect_all();
        pair.begin([4 * MIB; 2]);
        pair.pass(300 * MS);
        let now = pair.now;
        if by_client {
            pair.client.close_path(now, gone, 0x3e);
        } else {
            pair.server.close_path(now, gone, 0x3e);
        }
        pair.finish(20 * SECOND);
        assert!(pair.client.is_abandoned(gone) && pair.server.is_abandoned(gone));
        pair.pass(10 * SECOND);
        assert!(pair.client.is_gone(gone) && pair.server.is_gone(gone));
        let carried = pair.net.links[gone as usize].carried;
        pair.exchange(MIB, 20 * SECOND);
        assert_eq!(pair.net.links[gone as usize].carried, carried, "nothing goes there any more");
    }
    for by_client in [true, false] {
        for gone in [0, 1] {
            check(we_open(&TWO, 2), by_client, gone);
            check(noq_opens(&TWO, 2), by_client, gone);
        }
    }
}

// MUST mp21-3.1.2-1
#[test]
fn one_path_is_rebound_and_the_other_does_not_notice() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>, rebound: usize) {
        pair.connect_all();
        pair.begin([6 * MIB; 2]);
        pair.pass(300 * MS);
        let elsewhere = "203.0.113.77:9999".parse().expect("an address");
        pair.net.links[rebound].outside = elsewhere;
        let before = pair.net.links[rebound].carried;
        pair.finish(30 * SECOND);
        pair.pass(SECOND);
        let (id, other) = (rebound as u32, 1 - rebound);
        assert_eq!(pair.server.remote_of(id), Some(elsewhere));
        assert_eq!(pair.server.remote_of(other as u32), Some(noq_pair::client(other as u8)));
        let after = pair.net.links[rebound].carried;
        assert!((0..2).all(|way| after[way] - before[way] > 200_000), "{before:?} {after:?}");
    }
    for rebound in [0, 1] {
        check(we_open(&TWO, 2), rebound);
        check(noq_opens(&TWO, 2), rebound);
    }
}

#[test]
fn a_path_that_dies_in_silence_loses_nothing() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>, cut: usize) {
        pair.connect_all();
        pair.begin([4 * MIB; 2]);
        pair.pass(300 * MS);
        pair.net.links[cut].cut();
        pair.finish(30 * SECOND);
        pair.exchange(MIB, 20 * SECOND);
        assert_eq!((pair.client.error(), pair.server.error()), (None, None));
    }
    for cut in [0, 1] {
        check(we_open_to(watchful(2), &TWO, 2), cut);
        check(noq_opens_with(watchful(2), &TWO, 2), cut);
    }
}

/// noq 1.4 puts all acknowledgements on the first of its paths. If that one dies, none arrives, though the other carries
/// data: which of them is dead is told by challenges, and the dead one is given up.
#[test]
fn what_we_send_outlives_a_path_on_which_noq_acknowledges() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>, sizes: [usize; 2], cut: usize) {
        pair.connect_all();
        pair.begin(sizes);
        pair.pass(300 * MS);
        pair.net.links[cut].cut();
        let took = pair.finish(20 * SECOND);
        assert!(took < 4 * SECOND, "link {cut}: {took:?} for 1.7 s of the link that is left");
    }
    for cut in [0, 1] {
        check(we_open(&TWO, 2), [4 * MIB, 0], cut);
        check(noq_opens(&TWO, 2), [0, 4 * MIB], cut);
    }
}

#[test]
fn two_paths_may_share_a_link() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>) {
        pair.connect();
        assert_eq!(pair.open(0), 1);
        pair.exchange(2 * MIB, 20 * SECOND);
        let now = pair.now;
        pair.client.close_path(now, 0, 0);
        pair.exchange(2 * MIB, 20 * SECOND);
    }
    check(we_open(&TWO, 2));
    check(noq_opens(&TWO, 2));
}

// MUST mp21-3.2.2-1
#[test]
fn connection_ids_that_noq_renews_on_all_paths_are_followed() {
    fn renewing() -> EndpointConfig {
        let mut endpoint = EndpointConfig::default();
        endpoint.cid_generator(std::sync::Arc::new(|| {
            let mut ids = noq_proto::RandomConnectionIdGenerator::new(8);
            ids.set_lifetime(SECOND);
            Box::new(ids)
        }));
        endpoint
    }
    fn check(mut pair: Pair<impl Multipath, impl Multipath>) {
        pair.connect_all();
        for _ in 0..12 {
            pair.exchange(MIB / 2, 5 * SECOND);
            pair.pass(500 * MS);
        }
        assert_eq!((pair.client.error(), pair.server.error()), (None, None));
    }
    let (identity, net) = (Identity::new(), Net::new(&TWO));
    let client = Noq::client_as(renewing(), &identity, noq::paths(2), net.addresses());
    check(Pair::new(client, Ours::server(&identity, ours::paths(2)), net));
    let net = Net::new(&TWO);
    let server = Noq::server_as(renewing(), &identity, noq::paths(2));
    check(Pair::new(Ours::client(&identity, ours::paths(2), net.addresses()), server, net));
}

// MUST mp21-3.4-4
#[test]
fn ids_are_granted_as_others_end_and_never_come_back() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>) {
        pair.connect_all();
        // the limit is told, in words of either stack and in a PATHS_BLOCKED that the other end takes
        let refused = pair.client.open_path(pair.now, 1);
        assert!(refused.is_err(), "{refused:?}");
        for last in 1..=10 {
            let now = pair.now;
            if last % 2 == 0 {
                pair.client.close_path(now, last, 0);
            } else {
                pair.server.close_path(now, last, 0);
            }
            pair.pass(5 * SECOND);
            assert_eq!(pair.open(1), last + 1);
            pair.exchange(MIB / 8, 5 * SECOND);
        }
    }
    check(we_open(&TWO, 2));
    check(noq_opens(&TWO, 2));
}

#[test]
fn a_first_limit_of_zero_is_multipath_with_one_path_until_more_are_allowed() {
    let mut pair = we_open_to(noq::paths(1), &TWO, 4);
    pair.connect();
    assert!(pair.client.is_multipath() && pair.server.is_multipath());
    assert!(pair.client.open_path(pair.now, 1).is_err());
    pair.exchange(MIB / 4, 5 * SECOND);
    pair.server.allow_paths(pair.now, 2);
    let may = tq_quic::PathEvent::MayOpen;
    pair.until(SECOND, |pair| pair.client.told(may));
    assert_eq!(pair.open(1), 1);
    pair.exchange(4 * MIB, 20 * SECOND);
}

#[test]
fn openings_that_fail_cost_an_id_each_and_nothing_else() {
    // noq gives the path up; we answer, and allow another
    let mut pair = noq_opens_with(watchful(2), &TWO, 2);
    pair.connect();
    pair.net.links[1].cut();
    for id in 1..=5 {
        assert_eq!(pair.client.open_path(pair.now, 1), Ok(id));
        pair.until(20 * SECOND, |pair| pair.client.is_abandoned(id));
        pair.pass(5 * SECOND);
    }
    pair.net.links[1].open = [true; 2];
    assert_eq!(pair.open(1), 6);
    pair.exchange(4 * MIB, 20 * SECOND);
}

/// noq 1.4 says nothing to PATH_ABANDON of a path it has not seen, and allows none instead: what fails to open is
/// lost from its limit for good. We neither wait for its answer nor take it amiss.
#[test]
fn openings_that_fail_are_not_given_back_by_noq() {
    let mut pair = we_open(&TWO, 4);
    pair.connect();
    pair.net.links[1].cut();
    for id in 1..=2 {
        assert_eq!(pair.client.open_path(pair.now, 1), Ok(id));
        pair.until(20 * SECOND, |pair| pair.client.is_abandoned(id));
        pair.pass(5 * SECOND);
        assert!(pair.client.is_gone(id));
    }
    pair.net.links[1].open = [true; 2];
    assert_eq!(pair.open(1), 3);
    assert!(pair.client.open_path(pair.now, 1).is_err());
    pair.exchange(4 * MIB, 20 * SECOND);
    // those that were used are given back
    pair.client.close_path(pair.now, 3, 0);
    pair.pass(5 * SECOND);
    assert_eq!(pair.open(1), 4);
}

#[test]
fn keys_change_over_all_paths_whoever_begins() {
    fn check(mut pair: Pair<impl Multipath, impl Multipath>) {
        pair.connect_all();
        for _ in 0..4 {
            pair.begin([MIB; 2]);
            pair.pass(200 * MS);
            let now = pair.now;
            pair.client.update_keys(now);
            pair.finish(20 * SECOND);
            pair.pass(3 * SECOND);
            pair.begin([MIB; 2]);
            pair.pass(200 * MS);
            let now = pair.now;
            pair.server.update_keys(now);
            pair.finish(20 * SECOND);
            pair.pass(3 * SECOND);
        }
        assert_eq!((pair.client.error(), pair.server.error()), (None, None));
    }
    check(we_open(&TWO, 2));
    check(noq_opens(&TWO, 2));
}

/// noq refuses initial_max_path_id wherever its own connection ids are empty, whether it wants multipath or not.
// MUST mp21-2.1-3
#[test]
fn a_client_with_empty_connection_ids_is_not_offered_multipath() {
    struct Nameless;
    impl noq_proto::ConnectionIdGenerator for Nameless {
        fn generate_cid(&mut self) -> noq_proto::ConnectionId {
            noq_proto::ConnectionId::new(&[])
        }
        fn cid_len(&self) -> usize {
            0
        }
        fn cid_lifetime(&self) -> Option<Duration> {
            None
        }
    }
    let (identity, net) = (Identity::new(), Net::new(&TWO));
    let mut endpoint = EndpointConfig::default();
    endpoint.cid_generator(std::sync::Arc::new(|| Box::new(Nameless)));
    let client = Noq::client_as(endpoint, &identity, TransportConfig::default(), net.addresses());
    let mut pair = Pair::new(client, Ours::server(&identity, ours::paths(4)), net);
    pair.connect();
    assert!(!pair.server.is_multipath());
    pair.exchange(MIB, 5 * SECOND);
}
