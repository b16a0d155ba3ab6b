//! ECF: wait for the fast path if the backlog completes there earlier than one packet on the slow one (CoNEXT 2017).
//!
//! In the form without divisions: wait if `rtt_F·(x + w_F) < (1 + waiting·β)·w_F·(rtt_S + δ)` and
//! `rtt_S·x ≥ w_S·(2·rtt_F + δ)`, β = ¼, δ = max(σ_F, σ_S). `w` is what a path delivers per round trip: measured
//! rate times RTT, else the window. The cursor is 1 while waiting.

use crate::demand::Pick;
use crate::field::{Field, wait_for};
use crate::math::bytes_in;
use crate::memory::Memory;
use crate::view::{CapacityState, PathView};

pub(super) fn pick(memory: &mut Memory, field: &Field<'_>) -> Pick {
    let by_rtt = |view: &&PathView| (view.srtt, view.id);
    let Some(slow) = field.ready().min_by_key(by_rtt) else { return field.wait() };
    let Some(fast) = field.serving().min_by_key(by_rtt) else { return Pick::Nothing };
    if slow.id != fast.id && waits(fast, slow, field.demand.backlog, memory.cursor == 1) {
        memory.cursor = 1;
        return wait_for(field.fitting().filter(|view| view.id == fast.id));
    }
    if slow.id != fast.id {
        memory.cursor = 0;
    }
    Pick::Send(slow.id)
}

fn waits(fast: &PathView, slow: &PathView, backlog: u64, waiting: bool) -> bool {
    let delta = u128::from(fast.sigma.max(slow.sigma));
    let (rtt_f, rtt_s) = (u128::from(fast.srtt), u128::from(slow.srtt));
    let (w_f, w_s) = (u128::from(per_round(fast)), u128::from(per_round(slow)));
    let x = u128::from(backlog);
    // Both sides times four, for β = ¼.
    let patience = if waiting { 5 } else { 4 };
    let sooner = mul(rtt_f, x + w_f).saturating_mul(4) < mul(w_f, rtt_s + delta).saturating_mul(patience);
    sooner && mul(rtt_s, x) >= mul(w_s, 2 * rtt_f + delta)
}

fn mul(a: u128, b: u128) -> u128 {
    a.saturating_mul(b)
}

/// Bytes the path delivers in one round trip.
fn per_round(view: &PathView) -> u64 {
    let measured = view.capacity_state == CapacityState::Measured && view.capacity > 0;
    let bytes = if measured { bytes_in(view.capacity, view.srtt) } else { view.cwnd };
    bytes.max(u64::from(view.mtu))
}
