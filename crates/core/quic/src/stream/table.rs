//! Which streams exist, found by id in constant time.
//!
//! A stream the peer opened by opening a higher one is only a mark until somebody asks for it. The map is never
//! iterated; walks go over the slab, whose order follows from the calls alone. Whether an id may exist is not decided
//! here.

use core::hash::{BuildHasher, Hasher};

use hashbrown::HashMap;
use slab::Slab;
use tq_buf::mem::{Box, Vec};
use tq_wire::StreamId;

use super::priority::{Entry, Ticket};
use super::{Owes, RecvPart, SendPart};

/// Streams that are gone and kept for the next ones, about a kilobyte each: as many as end in one round trip of many small
/// requests, and those that stay when no stream is open.
const SPARE: usize = 128;
const SPARE_IN_QUIET: usize = 8;

/// In the map for a stream that is open but has no state yet.
const UNTOUCHED: u32 = u32::MAX;

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) priority: i32,
    /// Control frames to write.
    pub(super) owes: Owes,
    /// Its place among the streams that owe some.
    pub(super) control: Ticket,
    /// Absent for the peer's unidirectional streams.
    pub(super) send: Option<SendPart>,
    /// Absent for our unidirectional streams.
    pub(super) recv: Option<RecvPart>,
}

/// What the table knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Here, under this key.
    At(u32),
    /// Open, without state so far.
    Untouched,
    /// Not here: never opened, or gone.
    Nothing,
}

/// Spreads ids with one wide multiplication by a secret: a peer chooses which of its ids stay open.
#[derive(Debug)]
struct IdHasher {
    key: u64,
    hash: u64,
}

/// Makes hashers with the secret of one connection.
#[derive(Clone, Debug)]
struct IdKey(u64);

impl Default for IdKey {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl BuildHasher for IdKey {
    type Hasher = IdHasher;
    fn build_hasher(&self) -> IdHasher {
        IdHasher { key: self.0, hash: 0 }
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.hash ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, id: u64) {
        // both halves of the product, so that every bit of the id reaches the bits that choose a place
        let wide = u128::from(id ^ self.key) * u128::from(self.key | 1);
        self.hash = wide as u64 ^ (wide >> 64) as u64;
    }
}

/// Gives a part that is there its limit, or makes one, or takes away one that is not to be there.
fn set<P>(
    part: &mut Option<P>,
    limit: Option<u64>,
    change: impl FnOnce(&mut P, u64),
    new: impl FnOnce(u64) -> P,
) {
    match (part.as_mut(), limit) {
        (Some(part), Some(limit)) => change(part, limit),
        (_, limit) => *part = limit.map(new),
    }
}

/// The streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Table {
    ids: HashMap<u64, u32, IdKey>,
    slots: Slab<Box<Stream>>,
    /// Renewed already, but for the limits.
    #[expect(clippy::vec_box, reason = "they go back to the slots as they are, without a copy")]
    spare: Vec<Box<Stream>>,
    /// The id found last and its key: one stream often has several frames in a row.
    last: Option<(StreamId, u32)>,
}

impl Table {
    /// Hashes ids with this secret. To be called while there are none.
    pub(super) fn set_key(&mut self, key: u64) {
        if self.ids.is_empty() {
            self.ids = HashMap::with_hasher(IdKey(key));
        }
    }

    pub(super) fn find(&mut self, id: StreamId) -> Found {
        match self.last {
            Some((last, key)) if last == id => return Found::At(key),
            _ => {}
        }
        match self.ids.get(&id.0) {
            Some(&UNTOUCHED) => Found::Untouched,
            Some(&key) => {
                self.last = Some((id, key));
                Found::At(key)
            }
            None => Found::Nothing,
        }
    }

    /// Marks a stream as open.
    pub(super) fn mark(&mut self, id: StreamId) {
        self.ids.insert(id.0, UNTOUCHED);
    }

    /// Gives a stream its state: a sending part with this limit and a receiving part with this window, or without them.
    pub(super) fn insert(&mut self, id: StreamId, limit: Option<u64>, window: Option<u64>) -> u32 {
        let stream = match self.spare.pop() {
            Some(mut stream) => {
                (stream.id, stream.priority) = (id, 0);
                (stream.owes, stream.control) = (Owes::default(), Ticket::NONE);
                set(&mut stream.send, limit, SendPart::set_limit, SendPart::new);
                set(&mut stream.recv, window, RecvPart::set_window, RecvPart::new);
                stream
            }
            None => Box::new(Stream {
                id,
                priority: 0,
                owes: Owes::default(),
                control: Ticket::NONE,
                send: limit.map(SendPart::new),
                recv: window.map(RecvPart::new),
            }),
        };
        let key = self.slots.insert(stream) as u32;
        self.ids.insert(id.0, key);
        self.last = Some((id, key));
        key
    }

    /// The stream at a key that [`Table::find`] gave.
    pub(super) fn get(&self, key: u32) -> Option<&Stream> {
        self.slots.get(key as usize).map(|stream| &**stream)
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, key: u32) -> Option<&mut Stream> {
        self.slots.get_mut(key as usize).map(|stream| &mut **stream)
    }

    /// Forgets a stream.
    pub(super) fn remove(&mut self, key: u32) {
        if let Some(mut stream) = self.slots.try_remove(key as usize) {
            self.ids.remove(&stream.id.0);
            self.last = None;
            if self.spare.len() < SPARE {
                stream.send.iter_mut().for_each(SendPart::renew);
                stream.recv.iter_mut().for_each(RecvPart::renew);
                self.spare.push(stream);
            }
        }
    }

    /// A packet has been taken in: without a stream that is open, little is kept for later ones.
    pub(super) fn calm(&mut self) {
        if self.ids.is_empty() && self.spare.len() > SPARE_IN_QUIET {
            self.spare.truncate(SPARE_IN_QUIET);
            self.spare.shrink_to_fit();
        }
    }

    /// Whether the entry is the stream's place among those with fresh bytes.
    pub(super) fn has_fresh(&self, entry: Entry) -> bool {
        self.send(entry).is_some_and(|send| send.places.fresh == entry.ticket)
    }

    /// Bytes that may go for the first time on the stream of an entry, but for the connection's credit.
    pub(super) fn fresh_bytes(&self, entry: Entry) -> u64 {
        self.send(entry).map_or(0, SendPart::fresh_bytes)
    }

    /// Whether the entry is the stream's place among those that need no credit.
    pub(super) fn has_free(&self, entry: Entry) -> bool {
        self.send(entry).is_some_and(|send| send.places.free == entry.ticket)
    }

    /// Whether the entry is the stream's place among those whose writer waits.
    pub(super) fn is_waiting(&self, entry: Entry) -> bool {
        self.send(entry).is_some_and(|send| send.places.waiting == entry.ticket)
    }

    /// Whether the entry is the stream's place among those that owe control frames.
    pub(super) fn has_control(&self, entry: Entry) -> bool {
        self.get(entry.key).is_some_and(|stream| stream.control == entry.ticket)
    }

    fn send(&self, entry: Entry) -> Option<&SendPart> {
        self.get(entry.key)?.send.as_ref()
    }

    /// Keys of all streams with state, by id. For rare walks: sorts.
    pub(super) fn keys(&self) -> Vec<u32> {
        let mut keys: Vec<_> = self.slots.iter().map(|(key, stream)| (stream.id, key as u32)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// Whether a stream is in the middle of being received. For rare walks.
    pub(super) fn awaits(&self) -> bool {
        self.slots.iter().any(|(_, stream)| stream.recv.as_ref().is_some_and(RecvPart::awaits))
    }

    /// Streams open now, those without state included.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}
