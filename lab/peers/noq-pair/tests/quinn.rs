//! A stack without multipath: one path, as if nothing had been offered.

use std::time::Duration;

use noq_pair::ours::{self, Ours};
use noq_pair::quinn::Quinn;
use noq_pair::{End, Identity, Multipath, Net, Pair};

const SECOND: Duration = Duration::from_secs(1);

// MUST mp21-2-1
#[test]
fn quinn_is_spoken_to_over_one_path() {
    let (identity, net) = (Identity::new(), Net::new(&[10, 20]));
    let client = Ours::client(&identity, ours::paths(4), net.addresses());
    let mut pair = Pair::new(client, Quinn::server(&identity), net);
    pair.connect();
    assert!(!pair.client.is_multipath());
    assert_eq!(pair.client.open_path(pair.now, 1), Err("multipath is not in force".to_owned()));
    pair.exchange(2 << 20, 10 * SECOND);
    assert_eq!(pair.net.links[1].carried, [0, 0]);
    assert_eq!((pair.client.error(), pair.server.error()), (None, None));
}

// MUST mp21-2-1
#[test]
fn quinn_is_answered_over_one_path() {
    let (identity, net) = (Identity::new(), Net::new(&[10]));
    let server = Ours::server(&identity, ours::paths(4));
    let mut pair = Pair::new(Quinn::client(&identity), server, net);
    pair.connect();
    assert!(!pair.server.is_multipath());
    pair.exchange(2 << 20, 10 * SECOND);
    assert_eq!((pair.client.error(), pair.server.error()), (None, None));
}
