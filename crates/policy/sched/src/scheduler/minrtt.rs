//! Smallest smoothed RTT with room; paths within a band of it count as equal and share by how full they are.
//!
//! A path the pacer holds back is passed over: with pacing a window is seldom full, and waiting for the pacer would
//! leave every other path idle for ever.

use crate::demand::Pick;
use crate::field::Field;
use crate::math::{MS, div};
use crate::view::PathView;

/// RTTs up to this far above the smallest are the same: an eighth, at least 1 ms.
pub(super) fn band(srtt: u64) -> u64 {
    (srtt / 8).max(MS)
}

pub(super) fn pick(field: &Field<'_>) -> Pick {
    let Some(least) = field.ready().map(|view| view.srtt).min() else { return field.wait() };
    let limit = least.saturating_add(band(least));
    let equal = field.ready().filter(|view| view.srtt <= limit);
    let emptiest = equal.min_by_key(|view| (fill(view), view.srtt, view.id));
    emptiest.map_or(Pick::Nothing, |view| Pick::Send(view.id))
}

/// Part of the window in use, in thousandths.
fn fill(view: &PathView) -> u64 {
    div(u128::from(view.in_flight) * 1000, u128::from(view.cwnd))
}
