//! When bytes would arrive, and how much a path delivers in a time.
//!
//! Two estimates on purpose: a path that is the faster one of a comparison is judged by its standing queue only,
//! a slower candidate by everything it has in flight. With one estimate for both, a fast path's own start-up
//! window looks like a queue and the slow path is used too early. All times are ns and carry the same offset as
//! [`PathView::rel_owd`]; only differences mean something.

use crate::math::{MS, bytes_in, doubled, narrow, signed_diff, time_for};
use crate::view::{CapacityState, PathView};

#[cfg(test)]
mod tests;

/// `rel_owd + queue`: arrival of a byte sent now if this is the faster path.
pub fn eta_optimistic(path: &PathView) -> i64 {
    path.rel_owd.saturating_add_unsigned(path.queue)
}

/// `rel_owd + max(queue, (in_flight + size)/r_measured − min_rtt)`: arrival of `size` bytes sent now if this is the
/// slower path. Without a rate only the queue counts.
pub fn eta_pessimistic(path: &PathView, size: u64) -> i64 {
    let drain = match path.r_measured {
        0 => 0,
        rate => {
            let rate = if is_filling(path) { rate.max(path.window_rate()) } else { rate };
            time_for(path.in_flight.saturating_add(size), rate).saturating_sub(path.min_rtt)
        }
    };
    path.rel_owd.saturating_add_unsigned(path.queue.max(drain))
}

/// The most by which round trips of a path without a queue differ, ns.
fn noise(path: &PathView) -> u64 {
    (path.min_rtt / 8).clamp(4 * MS, 16 * MS)
}

/// Slow start goes on and no queue was seen: rates say what was sent, and not what the path could carry.
fn is_filling(path: &PathView) -> bool {
    path.capacity_state == CapacityState::Growing && path.srtt <= path.min_rtt.saturating_add(noise(path))
}

/// Bytes the path delivers in `nanos`, by what is known about it.
pub(crate) fn delivers(path: &PathView, nanos: u64) -> u64 {
    match path.capacity_state {
        CapacityState::Measured => bytes_in(path.capacity, nanos),
        CapacityState::Growing if path.srtt > 0 => {
            // A window's worth leaves at once where none is in flight; where one is, each acknowledgement
            // releases two packets, twice as many. The plain `cwnd · (2^(d/rtt) − 1)` halves a busy path.
            let start = path.cwnd.saturating_add(path.in_flight.min(path.cwnd));
            let grown = doubled(start, nanos, path.srtt) - start;
            let cap = if path.capacity_cap == 0 { u64::MAX } else { bytes_in(path.capacity_cap, nanos) };
            // Where a queue stands the path carries what it can already.
            let full = path.r_measured > 0 && path.queue > noise(path);
            let full = if full { bytes_in(path.r_measured, nanos) } else { u64::MAX };
            grown.min(cap).min(full)
        }
        CapacityState::Growing => 0,
        CapacityState::Stale | CapacityState::Unknown if path.srtt > 0 => {
            narrow(u128::from(path.cwnd) * u128::from(nanos) / u128::from(path.srtt))
        }
        CapacityState::Stale | CapacityState::Unknown => bytes_in(path.capacity, nanos),
    }
}

/// What turns a view's relative delay into an absolute one: half the smallest round trip is the delay of the path
/// it was measured on (the return half is common).
pub(crate) fn offset<'a>(paths: impl Iterator<Item = &'a PathView>) -> i64 {
    let sampled = paths.filter(|path| path.min_rtt > 0);
    let best = sampled.min_by_key(|path| (path.min_rtt, path.id));
    best.map_or(0, |path| signed_diff(path.min_rtt / 2, 0).saturating_sub(path.rel_owd))
}
