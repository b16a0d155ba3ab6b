//! What links could have carried: the integral of their rates over the time they worked.
//!
//! For fluid ceilings. Counts rates, pauses and outages; leaves out loss, queues, headers and shared queues.

use tq_linkmodel::{Change, Direction, Rate, State};
use tq_time::Duration;

use crate::changes::nanos;
use crate::scenario::Scenario;

const SECOND: u128 = 1_000_000_000;

impl Scenario {
    /// Bytes of IP that one direction of link `i` can carry from `from` until `to`, all events counted; `None` if
    /// there is no limit (or no such link).
    pub fn usable(
        &self,
        i: usize,
        direction: Direction,
        seed: u64,
        from: Duration,
        to: Duration,
    ) -> Option<u64> {
        let mut sum = 0u128;
        for piece in self.pieces(i, direction, seed, from, to)? {
            if piece.state == State::Up {
                sum += carried(&piece.rate, piece.from, piece.until)?;
            }
        }
        Some(u64::try_from(sum / SECOND).unwrap_or(u64::MAX))
    }

    /// For how long from `from` until `to` one direction of link `i` works; pauses count as working.
    pub fn works(&self, i: usize, direction: Direction, seed: u64, from: Duration, to: Duration) -> Duration {
        let pieces = self.pieces(i, direction, seed, from, to).unwrap_or_default();
        let up = pieces.iter().filter(|piece| piece.state == State::Up);
        Duration::from_nanos(up.map(|piece| piece.until - piece.from).sum())
    }

    /// The time cut where rate or state change.
    fn pieces(
        &self,
        i: usize,
        direction: Direction,
        seed: u64,
        from: Duration,
        to: Duration,
    ) -> Option<Vec<Piece>> {
        let (mut at, to) = (nanos(from), nanos(to));
        let mut rate = self.links.get(i)?.rate(direction, seed);
        let mut state = State::Up;
        let mut pieces = Vec::new();
        for timed in self.changes_with(seed) {
            if timed.link != i || timed.direction != direction {
                continue;
            }
            let until = timed.at.as_nanos().min(to);
            if until > at {
                pieces.push(Piece { from: at, until, rate: rate.clone(), state });
                at = until;
            }
            match timed.change {
                Change::Rate(new) => rate = new,
                Change::State(new) => state = new,
                Change::Delay(_) | Change::Loss(_) | Change::Mtu(_) => {}
            }
        }
        if at < to {
            pieces.push(Piece { from: at, until: to, rate, state });
        }
        Some(pieces)
    }
}

/// A time with one rate and one state.
struct Piece {
    from: u64,
    until: u64,
    rate: Rate,
    state: State,
}

/// Byte-nanoseconds (of a second each) that a rate carries; `None` if there is no limit.
fn carried(rate: &Rate, from: u64, until: u64) -> Option<u128> {
    match rate {
        Rate::Unlimited => None,
        Rate::Fixed(rate) => Some(u128::from(*rate) * u128::from(until - from)),
        Rate::Profile { profile, offset } => {
            let (offset, round) = (nanos(*offset), nanos(profile.time()));
            let upto = |at: u64| {
                let (mut sum, mut left) = (0, at % round);
                for segment in profile.segments() {
                    let time = nanos(segment.time).min(left);
                    sum += u128::from(time) * u128::from(segment.rate);
                    left -= time;
                }
                let whole: u128 =
                    profile.segments().iter().map(|s| s.time.as_nanos() * u128::from(s.rate)).sum();
                u128::from(at / round) * whole + sum
            };
            Some(upto(until.saturating_add(offset)) - upto(from.saturating_add(offset)))
        }
        Rate::Trace { trace, offset } => {
            let (offset, round) = (nanos(*offset), nanos(trace.time()));
            let text = trace.to_string();
            let times: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
            let upto = |at: u64| {
                let inside = times.partition_point(|time| time.saturating_mul(1_000_000) < at % round);
                u128::from(at / round) * u128::from(trace.chances()) + inside as u128
            };
            let chances = upto(until.saturating_add(offset)) - upto(from.saturating_add(offset));
            Some(chances * u128::from(tq_linkmodel::Trace::BYTES) * SECOND)
        }
    }
}
