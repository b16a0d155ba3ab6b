//! How many streams of a direction there are and may be: ours under the peer's limit, the peer's under ours
//! (RFC 9000 §4.6). Knows numbers, never streams.

/// Most streams of a kind there can be.
pub(super) const MOST: u64 = 1 << 60;

/// Streams we open.
#[derive(Clone, Debug, Default)]
pub(super) struct Local {
    /// How many were opened: the index of the next.
    pub(super) opened: u64,
    /// How many the peer allows.
    pub(super) limit: u64,
    /// Whether an open was refused and waits to hear.
    pub(super) starved: bool,
    /// The limit at which STREAMS_BLOCKED was owed last.
    pub(super) told: Option<u64>,
}

/// Streams the peer opens.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    /// How many it may open in all, as granted.
    pub(super) limit: u64,
    /// All below this index are or were open.
    pub(super) opened: u64,
    /// Index the application accepts next.
    pub(super) accepted: u64,
    ended: u64,
    /// Whether the next one is worth an event.
    pub(super) armed: bool,
}

impl Remote {
    /// So many may be open at a time.
    pub(super) fn new(concurrent: u64) -> Self {
        Self { limit: concurrent, opened: 0, accepted: 0, ended: 0, armed: true }
    }

    /// One of `concurrent` that may be open at a time ended. Grants more once a quarter of them can be given back; says
    /// whether MAX_STREAMS is owed.
    // MUST 9000-4.6-5
    pub(super) fn end(&mut self, concurrent: u64) -> bool {
        self.ended += 1;
        let limit = self.ended.saturating_add(concurrent).min(MOST);
        let moves = limit > self.limit && limit - self.limit >= (concurrent / 4).max(1);
        if moves {
            self.limit = limit;
        }
        moves
    }
}
