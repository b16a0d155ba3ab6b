//! What a refusal of the interface may do to the datagram size, and what it may not.

use tq_time::Instant;

use super::{MIN_MTU, Mtu};

// MUST 9000-14.2.1-1
#[test]
fn no_refusal_lowers_the_size_below_1200() {
    let now = Instant::ZERO;
    for claim in [0, 1, 68, 576, 1199, 1200, 1201, 1452] {
        let mut mtu = Mtu::new(1200, 1452, true);
        mtu.on_probe_sent(1452);
        assert!(mtu.on_probe_acked(1452, now));
        mtu.on_too_big(claim, now);
        mtu.on_too_big(claim, now);
        assert_eq!(mtu.current(), MIN_MTU, "after a claim of {claim}");
        if let Some(size) = mtu.next_probe(now) {
            assert!(size > MIN_MTU);
        }
    }
}

// MUST 9000-14.2.1-3
#[test]
fn only_a_probe_that_arrived_raises_the_size() {
    let now = Instant::ZERO;
    let mut mtu = Mtu::new(1200, 1452, true);
    for claim in [1300, 1500, 9000, u16::MAX] {
        mtu.on_too_big(claim, now);
        assert_eq!(mtu.current(), 1200);
    }
    mtu.limit(u64::MAX);
    mtu.on_large_acked();
    mtu.on_probe_sent(1452);
    mtu.on_probe_lost(1452, now);
    assert_eq!(mtu.current(), 1200);
    mtu.on_probe_sent(1300);
    assert!(mtu.on_probe_acked(1300, now));
    assert_eq!(mtu.current(), 1300);
}
