//! Each path with room in turn, by id. The cursor is the id last sent on, plus one.

use crate::demand::Pick;
use crate::field::Field;
use crate::memory::Memory;

pub(super) fn pick(memory: &Memory, field: &Field<'_>) -> Pick {
    // Ids at or after the cursor come first, then those before it.
    let turn = |id: u32| (i64::from(id) < memory.cursor, id);
    let next = field.ready().map(|view| view.id).min_by_key(|id| turn(*id));
    next.map_or_else(|| field.wait(), Pick::Send)
}

pub(super) fn on_sent(memory: &mut Memory, id: u32) {
    memory.cursor = i64::from(id) + 1;
}
