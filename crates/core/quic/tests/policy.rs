//! What an end thinks of sending on its paths: most, share, cost. The peer's direction does not notice.

mod cuts;
mod pair;

use cuts::{Line, MS, Net, Stream};
use tq_quic::sched::Kind;
use tq_quic::wire::{PathId, Side};
use tq_quic::{ClosePathError, PathPolicy};

const LINES: [Line; 2] = [Line::new(20, 20), Line::new(20, 20)];

fn policy(change: impl FnOnce(&mut PathPolicy)) -> PathPolicy {
    let mut policy = PathPolicy::default();
    change(&mut policy);
    policy
}

/// Bytes each path carries in two seconds of an upload, with these policies of the client's.
fn carried(scheduler: Kind, from: Side, policies: [PathPolicy; 2]) -> [u64; 2] {
    let mut net = Net::new(&LINES, 7, |config| config.scheduler = scheduler);
    let mut stream = Stream::start(&mut net, from, u64::MAX);
    for (n, policy) in (0..).zip(policies) {
        net.pair.client(stream.client).set_path_policy(PathId(n), policy).expect("a path");
    }
    stream.run(&mut net, 500 * MS);
    let sent = |stream: &Stream, net: &mut Net| {
        let sender = stream.sender(&mut net.pair);
        [0, 1].map(|n| sender.path_stats(PathId(n)).expect("a path").bytes_sent)
    };
    let before = sent(&stream, &mut net);
    stream.run(&mut net, 2000 * MS);
    let after = sent(&stream, &mut net);
    [0, 1].map(|n| after[n] - before[n])
}

#[test]
fn a_path_carries_no_more_than_its_policy_lets_it() {
    let most = policy(|policy| policy.max_rate = Some(250_000));
    for scheduler in [Kind::Aggregate, Kind::MinRtt] {
        let [free, held] = carried(scheduler, Side::Client, [PathPolicy::default(), most]);
        assert!((300_000..=550_000).contains(&held), "{scheduler}: {held}");
        assert!(free > 4_000_000, "{scheduler}: {free}");
    }
}

#[test]
fn a_metered_path_takes_what_does_not_fit_after_a_second_of_that() {
    let mut net = Net::new(&LINES, 7, |config| config.scheduler = Kind::Aggregate);
    let mut stream = Stream::start(&mut net, Side::Client, u64::MAX);
    let metered = policy(|policy| policy.cost = PathPolicy::METERED);
    net.pair.client(stream.client).set_path_policy(PathId(1), metered).expect("a path");
    let mut sent = Vec::new();
    for _ in 0..30 {
        stream.run(&mut net, 100 * MS);
        let sender = stream.sender(&mut net.pair);
        sent.push([0, 1].map(|n| sender.path_stats(PathId(n)).expect("a path").bytes_sent));
    }
    // What the handshake and validation take, and a sign of life.
    assert!(sent[8][0] > 1_000_000 && sent[8][1] < 20_000, "{sent:?}");
    assert!(sent[29][1] - sent[15][1] > 2_000_000, "{sent:?}");
}

#[test]
fn the_peer_sends_as_it_did() {
    let most = policy(|policy| policy.max_rate = Some(100_000));
    let both = carried(Kind::Aggregate, Side::Server, [most, most]);
    assert!(both.iter().all(|bytes| *bytes > 3_000_000), "{both:?}");
}

#[test]
fn a_path_that_is_gone_has_no_policy() {
    let mut net = Net::new(&LINES, 1, |_| {});
    let stream = Stream::start(&mut net, Side::Client, 1);
    let now = net.pair.now;
    let client = net.pair.client(stream.client);
    assert_eq!(client.set_path_policy(PathId(9), PathPolicy::default()), Err(ClosePathError::Unknown));
    client.close_path(now, PathId(1), 0).expect("one is left");
    assert_eq!(client.set_path_policy(PathId(1), PathPolicy::default()), Err(ClosePathError::Unknown));
    let dear = policy(|policy| policy.cost = 2);
    client.set_path_policy(PathId(0), dear).expect("it is there");
    assert_eq!(client.paths().next().map(|path| path.policy), Some(dear));
}
