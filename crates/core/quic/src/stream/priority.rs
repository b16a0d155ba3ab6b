//! Who is next: streams that have something to do, highest priority first, in turns within a priority.
//!
//! Only streams with something to do are here, so idle ones cost nothing. An entry is revoked by forgetting its ticket;
//! what is left of it is dropped when it comes to the front or when such remains outnumber the living. What a stream
//! does in its turn is not decided here.

use tq_buf::mem::{Vec, VecDeque};

/// Bytes of a turn before the next stream of the priority has its own: a burst of some ten packets.
const TURN: usize = 16 << 10;
/// Priorities whose empty queue is kept for the next time.
const KEPT_LEVELS: usize = 8;

/// A place in a [`Ready`] list, kept by the stream it is for. Never given out twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Ticket {
    /// Not in the list.
    pub(super) const NONE: Self = Self(0);
}

/// A stream, by its key in the table, and the ticket it must still hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) key: u32,
    pub(super) ticket: Ticket,
}

#[derive(Debug)]
struct Level {
    priority: i32,
    queue: VecDeque<Entry>,
    /// Bytes left of the turn of the front entry.
    left: usize,
}

/// Streams waiting for their turn.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// By falling priority.
    levels: Vec<Level>,
    live: usize,
    dead: usize,
    tickets: u64,
}

impl Ready {
    /// Whether no stream waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Makes `ticket` say whether the stream waits, as `wants` demands; true if it was revoked. Constant time.
    #[inline]
    pub(super) fn sync(&mut self, ticket: &mut Ticket, wants: bool, key: u32, priority: i32) -> bool {
        if (*ticket != Ticket::NONE) == wants {
            return false;
        }
        match wants {
            true => *ticket = self.push(key, priority),
            false => self.revoke(ticket),
        }
        !wants
    }

    fn push(&mut self, key: u32, priority: i32) -> Ticket {
        self.tickets += 1;
        self.live += 1;
        let ticket = Ticket(self.tickets);
        let at = match self.levels.binary_search_by(|level| priority.cmp(&level.priority)) {
            Ok(at) => at,
            Err(_) => self.add_level(priority),
        };
        self.levels[at].queue.push_back(Entry { key, ticket });
        ticket
    }

    fn add_level(&mut self, priority: i32) -> usize {
        if self.levels.len() >= KEPT_LEVELS {
            self.levels.retain(|level| !level.queue.is_empty());
        }
        let at = self.levels.partition_point(|level| level.priority > priority);
        self.levels.insert(at, Level { priority, queue: VecDeque::new(), left: TURN });
        at
    }

    /// Takes the holder of `ticket` out.
    pub(super) fn revoke(&mut self, ticket: &mut Ticket) {
        if *ticket != Ticket::NONE {
            *ticket = Ticket::NONE;
            self.live -= 1;
            self.dead += 1;
        }
    }

    /// The next stream and its priority. `valid` says whether an entry's ticket is still held.
    pub(super) fn front(&mut self, valid: impl Fn(Entry) -> bool) -> Option<(i32, Entry)> {
        if self.live == 0 {
            return None;
        }
        for level in &mut self.levels {
            while let Some(&entry) = level.queue.front() {
                if valid(entry) {
                    return Some((level.priority, entry));
                }
                level.queue.pop_front();
                level.left = TURN;
                self.dead -= 1;
            }
        }
        None
    }

    /// The first of the next `most` streams of the highest priority that `chosen` takes; others keep their places.
    pub(super) fn among(
        &mut self,
        most: usize,
        valid: impl Fn(Entry) -> bool,
        chosen: impl Fn(Entry) -> bool,
    ) -> Option<(i32, Entry)> {
        let (priority, _) = self.front(&valid)?;
        let level = self.levels.iter().find(|level| level.priority == priority)?;
        let next = level.queue.iter().take(most).find(|entry| valid(**entry) && chosen(**entry))?;
        Some((priority, *next))
    }

    /// How many streams have turns at the highest priority; revoked ones count until they are dropped, but no more than
    /// there are streams in all.
    pub(super) fn competing(&self) -> usize {
        let level = self.levels.iter().find(|level| !level.queue.is_empty());
        level.map_or(0, |level| level.queue.len().min(self.live))
    }

    /// Whether `entry` is the front of `priority`.
    pub(super) fn is_front(&self, priority: i32, entry: Entry) -> bool {
        let level = self.levels.iter().find(|level| level.priority == priority);
        level.and_then(|level| level.queue.front()).is_some_and(|front| front.ticket == entry.ticket)
    }

    /// The front entry of `priority` had `bytes` of its turn; with `fair`, the next one follows when it is used up.
    pub(super) fn served(&mut self, priority: i32, bytes: usize, fair: bool) {
        let Ok(at) = self.levels.binary_search_by(|level| priority.cmp(&level.priority)) else { return };
        let level = &mut self.levels[at];
        level.left = level.left.saturating_sub(bytes);
        if level.left == 0 {
            level.left = TURN;
            if fair && !level.queue.is_empty() {
                level.queue.rotate_left(1);
            }
        }
    }

    /// Whether revoked entries take so much room that [`Ready::compact`] pays.
    pub(super) const fn is_sparse(&self) -> bool {
        self.dead > self.live + 64
    }

    /// Drops revoked entries. Amortised constant time if called when [`Ready::is_sparse`].
    pub(super) fn compact(&mut self, valid: impl Fn(Entry) -> bool) {
        for level in &mut self.levels {
            level.queue.retain(|entry| valid(*entry));
        }
        self.dead = 0;
    }

    /// Entries held, revoked ones included.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.levels.iter().map(|level| level.queue.len()).sum()
    }
}
