//! BLEST: the slow path is skipped if what it would hold back exceeds the send window (IFIP Networking 2016).
//!
//! X = MSS · (cwnd_F + (r − 1)/2) · r · λ is what the fast path could send during one round trip of the slow one.
//! λ moves between 1.0 and 1.3: up 4 % when the slow path blocked delivery, down 1 % a round otherwise. RTTs less
//! than 1 ms apart are not told apart. The cursor is λ in thousandths, zero standing for the start value.

use crate::demand::Pick;
use crate::field::{Field, wait_for};
use crate::math::{MS, narrow};
use crate::memory::Memory;
use crate::scheduler::Feedback;
use crate::view::PathView;

const THRESHOLD: u64 = MS;
const LAMBDA: i64 = 1200;
const LAMBDA_RANGE: (i64, i64) = (1000, 1300);

fn lambda(memory: &Memory) -> i64 {
    if memory.cursor == 0 { LAMBDA } else { memory.cursor.clamp(LAMBDA_RANGE.0, LAMBDA_RANGE.1) }
}

pub(super) fn pick(memory: &Memory, field: &Field<'_>) -> Pick {
    let by_rtt = |view: &&PathView| (view.srtt, view.id);
    let Some(slow) = field.ready().min_by_key(by_rtt) else { return field.wait() };
    let Some(fast) = field.serving().min_by_key(by_rtt) else { return Pick::Nothing };
    if slow.id == fast.id || slow.srtt.saturating_sub(fast.srtt) < THRESHOLD {
        return Pick::Send(slow.id);
    }
    let len = u64::from(slow.mtu);
    let space = field.demand.send_window.saturating_sub(slow.in_flight).saturating_sub(len);
    if overtakes(fast, slow, lambda(memory)) > space {
        return wait_for(field.fitting().filter(|view| view.id == fast.id));
    }
    Pick::Send(slow.id)
}

/// X in bytes; `r` in thousandths.
fn overtakes(fast: &PathView, slow: &PathView, lambda: i64) -> u64 {
    let r = u128::from(slow.srtt) * 1000 / u128::from(fast.srtt.max(1));
    let window = u128::from(fast.cwnd) * 1000 + u128::from(fast.mtu) * r.saturating_sub(1000) / 2;
    let lambda = u128::from(lambda.unsigned_abs());
    narrow(window.saturating_mul(r) / 1_000_000 * lambda / 1000)
}

pub(super) fn on_feedback(memory: &mut Memory, feedback: Feedback) {
    let now = lambda(memory);
    memory.cursor = match feedback {
        Feedback::Blocked(_) => now + now * 4 / 100,
        Feedback::Round(_) => now - now / 100,
        Feedback::Closed(_) => now,
    }
    .clamp(LAMBDA_RANGE.0, LAMBDA_RANGE.1);
}
