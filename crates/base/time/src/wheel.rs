//! The deadlines of many owners: a hierarchical timing wheel.
//!
//! Decides in constant time per operation which owner is due. It never decides when to look: the host asks
//! [`Wheel::next`] and sleeps until then.
//!
//! Time is cut into ticks. Level 0 has a slot for each of the next 64 ticks, level 1 a slot for each 64 ticks of
//! the next 4096, and so on. Ticks are numbers in base 64: a deadline goes to the level of the highest digit in
//! which it differs from the present, to the slot of that digit. When the present reaches a slot above level 0,
//! its deadlines agree in one more digit and go down, at most once per level. Deadlines beyond the eighth digit
//! wait in a list of their own.

use crate::{Instant, mem::Vec};

#[cfg(test)]
mod tests;

const LEVELS: usize = 8;
const SLOTS: usize = 64;
/// Bits of a digit.
const DIGIT: u32 = 6;
/// The list of what is beyond all levels.
const BEYOND: u16 = (LEVELS * SLOTS) as u16;
/// No key, no slot.
const NONE: u32 = u32::MAX;
const NOWHERE: u16 = u16::MAX;

/// A deadline and its neighbours in the ring of its slot.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Instant,
    prev: u32,
    next: u32,
    slot: u16,
}

const VACANT: Entry = Entry { at: Instant::MAX, prev: NONE, next: NONE, slot: NOWHERE };

/// A hierarchical timing wheel of 8 levels with 64 slots each, for one deadline per key.
///
/// Keys are indices of a slab: memory is 24 bytes times the largest key ever inserted, plus 2 KiB. The key
/// `u32::MAX` is not an index and is ignored.
///
/// Deadlines are exact to the nanosecond; the tick only decides which of them share a slot. Insertion and
/// removal take constant time. [`next`](Self::next) and a [`pop`](Self::pop) that finds nothing look at the
/// deadlines of one tick; a key costs at most eight moves from its insertion to its expiry.
///
/// Time does not go back: a `now` earlier than one given before is taken as that one's tick, and keys that are
/// not due by it stay.
#[derive(Debug)]
pub struct Wheel {
    /// log2 of the nanoseconds of a tick.
    shift: u32,
    /// The present, in ticks. No deadline in a slot above level 0 is in the past.
    present: u64,
    /// One bit per slot that has entries.
    occupied: [u64; LEVELS],
    /// The first key of each slot, and of what is beyond.
    heads: [u32; LEVELS * SLOTS + 1],
    entries: Vec<Entry>,
    len: usize,
}

impl Wheel {
    /// An empty wheel with ticks of 2^14 ns, about 16 µs. Does not allocate.
    pub const fn new() -> Self {
        Self::with_tick(14)
    }

    /// An empty wheel with ticks of 2^`shift` ns, at most 2^32 ns (4.3 s).
    ///
    /// A tick is best as long as the host's wake-ups are apart: shorter ones make deadlines move down more
    /// often, longer ones put more of them in one slot.
    pub const fn with_tick(shift: u32) -> Self {
        Self {
            shift: if shift < 32 { shift } else { 32 },
            present: 0,
            occupied: [0; LEVELS],
            heads: [NONE; LEVELS * SLOTS + 1],
            entries: Vec::new(),
            len: 0,
        }
    }

    /// How many keys have a deadline.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there no deadline?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The deadline of `key`.
    pub fn at(&self, key: u32) -> Option<Instant> {
        self.entries.get(key as usize).filter(|entry| entry.slot != NOWHERE).map(|entry| entry.at)
    }

    /// Sets the deadline of `key` to `at`, replacing an earlier one. It may be in the past.
    pub fn insert(&mut self, key: u32, at: Instant) {
        if key == NONE {
            return;
        }
        let index = key as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, VACANT);
        } else {
            self.remove(key);
        }
        self.entries[index].at = at;
        self.link(key);
        self.len += 1;
    }

    /// Forgets the deadline of `key`, if it has one.
    pub fn remove(&mut self, key: u32) {
        if self.at(key).is_some() {
            self.unlink(key);
            self.len -= 1;
        }
    }

    /// When to call [`pop`](Self::pop) next: not later than the earliest deadline.
    ///
    /// Exact if that deadline is within the 64 ticks of level 0; else the moment from which more is known.
    pub fn next(&self) -> Option<Instant> {
        match self.earliest()? {
            (slot, _) if usize::from(slot) < SLOTS => {
                self.keys(slot).map(|key| self.entries[key as usize].at).min()
            }
            (_, tick) => Some(self.start_of(tick)),
        }
    }

    /// Takes out a key whose deadline is at or before `now`; earlier ticks first. Call until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<u32> {
        let target = (now.as_nanos() >> self.shift).max(self.present);
        while let Some((slot, tick)) = self.earliest()
            && tick <= target
        {
            self.present = tick;
            if usize::from(slot) >= SLOTS {
                self.move_down(slot);
                continue;
            }
            let due = self.keys(slot).find(|key| self.entries[*key as usize].at <= now);
            if let Some(key) = due {
                self.remove(key);
            }
            return due;
        }
        self.present = target;
        None
    }

    /// The slot that is due first and the tick at which it begins.
    fn earliest(&self) -> Option<(u16, u64)> {
        for (level, occupied) in self.occupied.iter().enumerate() {
            if *occupied != 0 {
                // Within a level all slots are ahead of the present, so the lowest is the first.
                let digit = occupied.trailing_zeros();
                let low = DIGIT * level as u32;
                let tick = (self.present >> (low + DIGIT) << (low + DIGIT)) | u64::from(digit) << low;
                return Some(((level * SLOTS) as u16 + digit as u16, tick));
            }
        }
        let all = DIGIT * LEVELS as u32;
        (self.heads[usize::from(BEYOND)] != NONE).then_some((BEYOND, ((self.present >> all) + 1) << all))
    }

    /// The moment a tick begins.
    fn start_of(&self, tick: u64) -> Instant {
        let nanos = u128::from(tick) << self.shift;
        u64::try_from(nanos).map_or(Instant::MAX, Instant::from_nanos)
    }

    /// The slot for a deadline at `at`.
    fn slot_for(&self, at: Instant) -> u16 {
        let tick = (at.as_nanos() >> self.shift).max(self.present);
        let differs = (tick ^ self.present).max(1);
        let level = differs.ilog2() / DIGIT;
        if level as usize >= LEVELS {
            return BEYOND;
        }
        let digit = (tick >> (DIGIT * level)) as usize % SLOTS;
        (level as usize * SLOTS + digit) as u16
    }

    /// The keys of a slot, oldest first.
    fn keys(&self, slot: u16) -> impl Iterator<Item = u32> + '_ {
        let head = self.heads[usize::from(slot)];
        let mut following = Some(head).filter(|key| *key != NONE);
        core::iter::from_fn(move || {
            let key = following?;
            following = Some(self.entries[key as usize].next).filter(|next| *next != head);
            Some(key)
        })
    }

    /// Spreads the entries of a slot above level 0, which the present has reached, over lower levels.
    fn move_down(&mut self, slot: u16) {
        let mut last = self.heads[usize::from(slot)];
        if last != NONE {
            last = self.entries[last as usize].prev;
        }
        // An entry from beyond may go back there, so count on the last one to end this, not on an empty slot.
        loop {
            let key = self.heads[usize::from(slot)];
            if key == NONE {
                return;
            }
            self.unlink(key);
            self.link(key);
            if key == last {
                return;
            }
        }
    }

    /// Puts `key` at the end of the ring of the slot for its deadline.
    fn link(&mut self, key: u32) {
        let slot = self.slot_for(self.entries[key as usize].at);
        let head = self.heads[usize::from(slot)];
        let (prev, next) = if head == NONE {
            self.heads[usize::from(slot)] = key;
            self.mark(slot, true);
            (key, key)
        } else {
            (self.entries[head as usize].prev, head)
        };
        let entry = &mut self.entries[key as usize];
        (entry.prev, entry.next, entry.slot) = (prev, next, slot);
        self.entries[prev as usize].next = key;
        self.entries[next as usize].prev = key;
    }

    /// Takes `key` out of its ring. It must be in one.
    fn unlink(&mut self, key: u32) {
        let Entry { at, prev, next, slot } = self.entries[key as usize];
        self.entries[key as usize] = Entry { at, ..VACANT };
        if next == key {
            self.heads[usize::from(slot)] = NONE;
            self.mark(slot, false);
            return;
        }
        self.entries[prev as usize].next = next;
        self.entries[next as usize].prev = prev;
        if self.heads[usize::from(slot)] == key {
            self.heads[usize::from(slot)] = next;
        }
    }

    fn mark(&mut self, slot: u16, occupied: bool) {
        let (level, digit) = (usize::from(slot) / SLOTS, usize::from(slot) % SLOTS);
        if let Some(bits) = self.occupied.get_mut(level) {
            *bits = *bits & !(1 << digit) | u64::from(occupied) << digit;
        }
    }
}

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}
