//! What a scheduler remembers between decisions: one number per path and one besides.
//!
//! The meaning of the numbers is the scheduler's. Being plain and bounded, they are recorded with a decision, so
//! that a replay starts where the decision did.

use crate::view::MAX_PATHS;

#[cfg(test)]
mod tests;

/// A scheduler's state: at most [`MAX_PATHS`] numbers by path id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// A number of the connection.
    pub cursor: i64,
    slots: [(u32, i64); MAX_PATHS],
    len: u8,
}

impl Memory {
    /// The path's number, or `default` if none was set.
    pub fn of(&self, id: u32, default: i64) -> i64 {
        self.entries().iter().find(|(known, _)| *known == id).map_or(default, |(_, value)| *value)
    }

    /// Sets the path's number. With [`MAX_PATHS`] paths known a further one is not remembered: paths that are
    /// gone are to be [`Memory::forget`]-ten.
    pub fn set(&mut self, id: u32, value: i64) {
        let len = usize::from(self.len);
        if let Some(slot) = self.slots[..len].iter_mut().find(|(known, _)| *known == id) {
            slot.1 = value;
        } else if len < MAX_PATHS {
            self.slots[len] = (id, value);
            self.len += 1;
        }
    }

    /// Forgets a path.
    pub fn forget(&mut self, id: u32) {
        let len = usize::from(self.len);
        if let Some(index) = self.slots[..len].iter().position(|(known, _)| *known == id) {
            self.slots.copy_within(index + 1..len, index);
            self.slots[len - 1] = (0, 0);
            self.len -= 1;
        }
    }

    /// Paths remembered, with their numbers.
    pub fn entries(&self) -> &[(u32, i64)] {
        &self.slots[..usize::from(self.len)]
    }
}
