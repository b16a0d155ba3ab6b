//! When a copy of outstanding data on another path is worth its bytes.
//!
//! One rule for tails, head-of-line blocking, flow control and stalls: send again if the copy would arrive clearly
//! before the original. Declared losses and the data of paths that are out are not its business: they go ahead
//! of new data in any case and cost no budget.

use tq_time::Instant;

use crate::demand::{Outstanding, Pick};
use crate::eta::{eta_optimistic, offset};
use crate::field::Field;
use crate::math::{MS, SECOND, time_for};
use crate::view::{MAX_PATHS, PathView};

#[cfg(test)]
mod tests;

/// Copies are worth it from this many ns earlier.
const MARGIN: u64 = 5 * MS;
/// How long a stall is expected to last at least, ns.
const STALL: u64 = 15 * MS;

/// Bytes that may be sent twice: a bucket that fills with 4 % of what is acknowledged. With what is in it at first that is
/// less than 5 % of ten megabytes or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Twenty-fifths of bytes, so that nothing is lost to rounding.
    credit: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { credit: Self::FIRST * 25 }
    }
}

impl Budget {
    /// What is in the bucket at first, bytes: less than 1 % of ten megabytes.
    pub const FIRST: u64 = 96 * 1024;
    /// Depth of the bucket, bytes; what a suspect path holds if that is more.
    pub const DEPTH: u64 = 256 * 1024;

    /// `bytes` were acknowledged; `suspect_in_flight` is what suspect paths hold.
    pub fn on_acked(&mut self, bytes: u64, suspect_in_flight: u64) {
        let depth = Self::DEPTH.max(suspect_in_flight).saturating_mul(25);
        self.credit = self.credit.saturating_add(bytes).min(depth.max(self.credit));
    }

    /// Bytes available. When empty, only the lowest four packets of a suspect path may still go.
    pub fn available(&self) -> u64 {
        self.credit / 25
    }

    /// `bytes` were sent a second time.
    pub fn on_resent(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_sub(bytes.saturating_mul(25));
    }
}

/// How long after it was sent data on `view` is overdue, ns: a round trip and four times its variation; once, an eighth of the round
/// trip at least (`RFC 9002 §6.1.2`), at a tail. Nothing follows there that would show a loss, room is left idle, and what
/// the probe of a lost end costs is a round trip more.
pub fn overdue(view: &PathView, tail: bool) -> u64 {
    let spare = if tail { view.rttvar.max(view.srtt / 8) } else { view.rttvar.saturating_mul(4) };
    view.srtt.saturating_add(spare)
}

/// How much earlier (ns) a copy sent on `on` at `now` arrives than the original `held` on `from`; negative if later.
/// `offset` makes relative delays absolute.
fn gain(field: &Field<'_>, held: &Outstanding, from: &PathView, on: &PathView, offset: i64) -> i64 {
    let (now, tail) = (field.now, field.demand.backlog == 0);
    let time = |at: Instant| i64::try_from(at.as_nanos()).unwrap_or(i64::MAX);
    let expected = time(held.sent_at).saturating_add_unsigned(overdue(from, tail));
    let late = time(now).saturating_sub(expected);
    let original = if late < 0 {
        time(held.sent_at).saturating_add(eta_optimistic(from)).saturating_add(offset)
    } else {
        // A stall lasts as long again; an end that is lost until a probe of it is answered.
        let least = if tail { from.srtt.max(STALL) } else { STALL };
        time(now).saturating_add(late.max(i64::try_from(least).unwrap_or(i64::MAX)))
    };
    let copy = eta_optimistic(on).saturating_add(offset);
    original.saturating_sub(time(now)).saturating_sub(copy).saturating_sub_unsigned(took(held.bytes, on))
}

fn took(bytes: u64, on: &PathView) -> u64 {
    match on.rate() {
        0 => 0,
        rate => time_for(bytes, rate).min(SECOND),
    }
}

/// The best re-injection of the demand's blocking range, if one is worth it.
pub(crate) fn pick(field: &Field<'_>) -> Option<Pick> {
    let held = field.demand.blocking?;
    if held.bytes > field.demand.resend_budget {
        return None;
    }
    let offset = offset(field.views().iter());
    let from = field.views().iter().take(MAX_PATHS).find(|view| view.id == held.path)?;
    let on =
        field.ready().filter(|view| view.id != from.id).min_by_key(|view| (eta_optimistic(view), view.id))?;
    let delay = u64::try_from(eta_optimistic(on).saturating_add(offset)).unwrap_or(0);
    let enough = i64::try_from(MARGIN.max(delay / 4)).unwrap_or(i64::MAX);
    (gain(field, &held, from, on, offset) > enough).then_some(Pick::Reinject { on: on.id, from: from.id })
}
