//! Links with a rate and a queue, as closures for [`Pair::link`](super::Pair).

use std::cell::RefCell;
use std::rc::Rc;

use tq_quic::time::{Duration, Instant};
use tq_quic::wire::Ecn;

use super::{Flying, Link, SERVER};

/// What a bottleneck did.
#[derive(Debug, Default)]
pub struct Seen {
    pub delivered: u64,
    pub dropped: u64,
    pub marked: u64,
    pub longest_queue: Duration,
}

/// A drop-tail queue of `queue` bytes in front of `rate` bytes per second towards the server; the way back is free.
/// `mark_above`: packets that wait longer leave with CE if they came with ECT.
pub fn bottleneck(
    rate: u64,
    queue: u64,
    delay: Duration,
    mark_above: Option<Duration>,
) -> (Link, Rc<RefCell<Seen>>) {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let theirs = Rc::clone(&seen);
    let mut free_at = Instant::ZERO;
    let server = SERVER.parse().expect("an address");
    let link = move |flying: &mut Flying| {
        if flying.to != server {
            return true;
        }
        let sent = Instant::from_nanos(flying.at.as_nanos() - delay.as_nanos() as u64);
        let start = free_at.max(sent);
        let wait = start.saturating_since(sent);
        let mut seen = theirs.borrow_mut();
        let waiting = wait.as_nanos() * u128::from(rate) / 1_000_000_000;
        if waiting + flying.bytes.len() as u128 > u128::from(queue) {
            seen.dropped += 1;
            return false;
        }
        if mark_above.is_some_and(|bound| wait > bound) && flying.ecn != Ecn::NotEct {
            flying.ecn = Ecn::Ce;
            seen.marked += 1;
        }
        // 28 bytes of IP and UDP headers
        let wire = (flying.bytes.len() as u64 + 28) * 1_000_000_000 / rate;
        free_at = start + Duration::from_nanos(wire);
        flying.at = free_at + delay;
        seen.delivered += flying.bytes.len() as u64;
        seen.longest_queue = seen.longest_queue.max(wait);
        true
    };
    (Box::new(link), seen)
}
