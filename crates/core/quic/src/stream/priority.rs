//! Who is next: streams that have something to do, highest priority first, in turns within a priority.
//!
//! Of those with bytes to send, who has little goes first: a stream that comes, and one that comes back and has had less than its
//! turns meanwhile, need not wait until all others had theirs (like the new flows of RFC 8290 §4.1, but with what a stream had
//! remembered, so that one that has a little several times a round is first each time and one that has much is not).
//!
//! Only streams with something to do are here, so idle ones cost nothing. An entry is revoked by forgetting its ticket;
//! what is left of it is dropped when it comes to the front or when such remains outnumber the living. What a stream
//! does in its turn is not decided here.

use tq_buf::mem::{Vec, VecDeque};

/// Bytes of a turn before the next stream of the priority has its own: a burst of some ten packets.
const TURN: usize = 16 << 10;
/// Turns those that go first may have before one of the others has one, however many come.
const AHEAD: usize = 4;
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

/// What a stream has had, beyond one turn in each round. Kept by the stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Had {
    round: u32,
    bytes: usize,
}

#[derive(Debug)]
struct Level {
    priority: i32,
    queue: VecDeque<Entry>,
    /// Those who have had less than their turn, before the queue.
    first: VecDeque<Entry>,
    /// Bytes left of the turn of the queue's front entry.
    left: usize,
    /// Of those in the queue, how many have their turn yet in this round.
    yet: usize,
    round: u32,
    /// Bytes that those before the queue may have before it has some.
    ahead: usize,
}

impl Level {
    const fn new(priority: i32) -> Self {
        Self {
            priority,
            queue: VecDeque::new(),
            first: VecDeque::new(),
            left: TURN,
            yet: 0,
            round: 0,
            ahead: AHEAD * TURN,
        }
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.first.is_empty()
    }

    /// The turn of the queue's front entry is over.
    fn next(&mut self) {
        self.left = TURN;
        self.yet = self.yet.saturating_sub(1);
        if self.yet == 0 {
            self.round = self.round.wrapping_add(1);
            self.yet = self.queue.len();
        }
    }

    /// Whether one that comes with what it `had` so far goes first: a turn of that is forgotten with each round.
    fn is_due(&self, had: &mut Had) -> bool {
        let rounds = self.round.wrapping_sub(had.round) as usize;
        *had = Had { round: self.round, bytes: had.bytes.saturating_sub(rounds.saturating_mul(TURN)) };
        had.bytes < TURN
    }

    /// Whether one that goes first is next.
    fn leads(&self) -> bool {
        !self.first.is_empty() && (self.ahead > 0 || self.queue.is_empty())
    }

    /// The front entry of those before the queue was given `bytes`; its turn is `over`, so that it waits with the others now, or
    /// it may come back as often as it has little.
    fn led(&mut self, bytes: usize, over: bool) {
        if !self.queue.is_empty() {
            self.ahead = self.ahead.saturating_sub(bytes);
        }
        if over && let Some(entry) = self.first.pop_front() {
            self.queue.push_back(entry);
            self.allow(TURN);
        }
    }

    /// The front entry of the queue was given `bytes`.
    fn followed(&mut self, bytes: usize, fair: bool) {
        // As much for those before it, and more if they are more.
        self.allow(bytes.saturating_mul((self.first.len() / self.queue.len().max(1)).max(1)));
        self.left = self.left.saturating_sub(bytes);
        if self.left == 0 {
            if fair {
                self.queue.rotate_left(1);
            }
            self.next();
        }
    }

    fn allow(&mut self, bytes: usize) {
        self.ahead = self.ahead.saturating_add(bytes).min(TURN * AHEAD.max(self.first.len()));
    }
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
            true => {
                let entry = self.admit(key);
                *ticket = entry.ticket;
                self.level(priority).queue.push_back(entry);
            }
            false => self.revoke(ticket),
        }
        !wants
    }

    /// The same for a stream that goes first if it `had` less than a turn.
    #[inline]
    pub(super) fn sync_fair(
        &mut self,
        (ticket, had): (&mut Ticket, &mut Had),
        wants: bool,
        key: u32,
        priority: i32,
    ) -> bool {
        if wants && *ticket == Ticket::NONE {
            let entry = self.admit(key);
            *ticket = entry.ticket;
            let level = self.level(priority);
            let list = if level.is_due(had) { &mut level.first } else { &mut level.queue };
            list.push_back(entry);
        }
        self.sync(ticket, wants, key, priority)
    }

    fn admit(&mut self, key: u32) -> Entry {
        self.tickets += 1;
        self.live += 1;
        Entry { key, ticket: Ticket(self.tickets) }
    }

    fn level(&mut self, priority: i32) -> &mut Level {
        let at = match self.levels.binary_search_by(|level| priority.cmp(&level.priority)) {
            Ok(at) => at,
            Err(_) => self.add_level(priority),
        };
        &mut self.levels[at]
    }

    fn add_level(&mut self, priority: i32) -> usize {
        if self.levels.len() >= KEPT_LEVELS {
            self.levels.retain(|level| !level.is_empty());
        }
        let at = self.levels.partition_point(|level| level.priority > priority);
        self.levels.insert(at, Level::new(priority));
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
            loop {
                let leads = level.leads();
                let list = if leads { &mut level.first } else { &mut level.queue };
                let Some(&entry) = list.front() else { break };
                if valid(entry) {
                    return Some((level.priority, entry));
                }
                list.pop_front();
                self.dead -= 1;
                if !leads {
                    level.next();
                }
            }
        }
        None
    }

    /// The first of the next `most` streams of the highest priority that `chosen` takes, told how many have their turns until it is
    /// through; others keep their places.
    pub(super) fn among(
        &mut self,
        most: usize,
        valid: impl Fn(Entry) -> bool,
        chosen: impl Fn(Entry, usize) -> bool,
    ) -> Option<(i32, Entry)> {
        let (priority, _) = self.front(&valid)?;
        let level = self.levels.iter().find(|level| level.priority == priority)?;
        // Revoked ones count until they are dropped, but no more than there are streams in all.
        let first = level.first.len().min(self.live);
        let all = (level.first.len() + level.queue.len()).min(self.live);
        let ahead = level.first.iter().take(most).map(|entry| (*entry, first));
        let queue = level.queue.iter().take(most).map(|entry| (*entry, all));
        let (next, _) = ahead.chain(queue).find(|(entry, turns)| valid(*entry) && chosen(*entry, *turns))?;
        Some((priority, next))
    }

    /// `entry`, of `priority`, was given `bytes`, more than it `had`; with `fair`, others follow when its turn is used up.
    pub(super) fn served(
        &mut self,
        (priority, entry): (i32, Entry),
        bytes: usize,
        fair: bool,
        had: Option<&mut Had>,
    ) {
        let Ok(at) = self.levels.binary_search_by(|level| priority.cmp(&level.priority)) else { return };
        let level = &mut self.levels[at];
        let had = had.map_or(0, |had| {
            had.bytes = had.bytes.saturating_add(bytes);
            had.bytes
        });
        let is_front =
            |list: &VecDeque<Entry>| list.front().is_some_and(|front| front.ticket == entry.ticket);
        if is_front(&level.first) {
            level.led(bytes, fair && had >= TURN);
        } else if is_front(&level.queue) {
            level.followed(bytes, fair);
        }
    }

    /// Whether revoked entries take so much room that [`Ready::compact`] pays.
    pub(super) const fn is_sparse(&self) -> bool {
        self.dead > self.live + 64
    }

    /// Drops revoked entries. Amortised constant time if called when [`Ready::is_sparse`].
    pub(super) fn compact(&mut self, valid: impl Fn(Entry) -> bool) {
        for level in &mut self.levels {
            level.first.retain(|entry| valid(*entry));
            level.queue.retain(|entry| valid(*entry));
            level.yet = level.yet.min(level.queue.len());
        }
        self.dead = 0;
    }

    /// Entries held, revoked ones included.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.levels.iter().map(|level| level.first.len() + level.queue.len()).sum()
    }
}
