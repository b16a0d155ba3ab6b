//! Deficit round robin over paths: quantum 1500 bytes times the weight, as accounting.
//!
//! Emission is in bursts: a deficit may go negative by one. A path without room gathers no deficit, its share goes
//! to the others; among paths that always have room the shares stay within one quantum and one burst.

use crate::demand::Pick;
use crate::field::Field;
use crate::memory::Memory;
use crate::view::PathView;

/// Bytes one unit of weight adds per round.
pub(super) const QUANTUM: i64 = 1500;

fn quantum(view: &PathView) -> i64 {
    QUANTUM * i64::from(view.weight.max(1))
}

pub(super) fn pick(memory: &mut Memory, field: &Field<'_>) -> Pick {
    let Some(rounds) = field.ready().map(|view| rounds_needed(memory, view)).min() else {
        return field.wait();
    };
    if rounds > 0 {
        for view in field.ready() {
            let deficit = memory.of(view.id, 0);
            memory.set(view.id, deficit.saturating_add(rounds.saturating_mul(quantum(view))));
        }
    }
    // The path whose turn it is goes on until its deficit is used up.
    let turn = |id: u32| (i64::from(id) < memory.cursor, id);
    let next =
        field.ready().map(|view| view.id).filter(|id| memory.of(*id, 1) > 0).min_by_key(|id| turn(*id));
    next.map_or(Pick::Nothing, Pick::Send)
}

/// Rounds until the path's deficit is positive.
fn rounds_needed(memory: &Memory, view: &PathView) -> i64 {
    let deficit = memory.of(view.id, 0);
    if deficit > 0 { 0 } else { deficit.saturating_neg() / quantum(view) + 1 }
}

pub(super) fn on_sent(memory: &mut Memory, id: u32, bytes: u64) {
    let left = memory.of(id, 0).saturating_sub_unsigned(bytes);
    memory.set(id, left);
    memory.cursor = i64::from(id) + i64::from(left <= 0);
}
