//! What waits to be sent, and what a scheduler may answer.

use core::fmt;

use tq_time::Instant;

#[cfg(test)]
mod tests;

/// Class of the data at the head of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Every packet counts in milliseconds; two copies where two links allow it.
    Realtime = 0,
    /// Best path, one copy.
    Interactive = 1,
    /// As much as possible.
    #[default]
    Bulk = 2,
    /// Bulk that may wait.
    Background = 3,
}

impl Class {
    /// Realtime or interactive: the path's delay matters more than its rate, and the pacer is not waited for.
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::Realtime | Self::Interactive)
    }
}

/// The lowest range not yet acknowledged that holds delivery up, or the oldest packet in flight at a tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Path it was sent on.
    pub path: u32,
    /// When it was sent.
    pub sent_at: Instant,
    /// Its length, bytes.
    pub bytes: u64,
}

/// What waits to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Bytes of the class that could be sent now: unsent data flow control allows, plus losses not yet re-sent.
    pub backlog: u64,
    /// The same of the one stream (or flow) with most; a slow path serves only a stream that is long enough.
    /// See [`crate::Scheduler::threshold`]. `u64::MAX` if streams are not told apart.
    pub stream_backlog: u64,
    /// Length of the datagram that waits, bytes; zero for data that fills whatever the path carries.
    pub packet: u16,
    /// What holds delivery up; `None` if nothing does.
    pub blocking: Option<Outstanding>,
    /// Bytes that may be sent twice at present.
    pub resend_budget: u64,
    /// Bytes the peer's flow control allows beyond the lowest byte not acknowledged; `u64::MAX` if not known.
    pub send_window: u64,
    /// Whether the end of the data is known (FIN written).
    pub final_known: bool,
    /// When the data is worthless.
    pub deadline: Option<Instant>,
    /// Class of the data.
    pub class: Class,
    /// Longest the receiver would hold data that overtook other data, ns; `u64::MAX` for streams, which reassemble.
    pub hold_budget: u64,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            backlog: 0,
            stream_backlog: u64::MAX,
            packet: 0,
            blocking: None,
            resend_budget: 0,
            send_window: u64::MAX,
            final_known: false,
            deadline: None,
            class: Class::Bulk,
            hold_budget: u64::MAX,
        }
    }
}

/// Most copies of one datagram.
pub const MAX_COPIES: usize = 4;

/// A few path ids, in order of preference, without repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSet {
    ids: [u32; MAX_COPIES],
    len: u8,
}

impl PathSet {
    /// Adds an id; `false` if it was there or the set is full.
    pub fn insert(&mut self, id: u32) -> bool {
        let len = usize::from(self.len);
        if len == MAX_COPIES || self.contains(id) {
            return false;
        }
        self.ids[len] = id;
        self.len += 1;
        true
    }

    /// Whether the id is in the set.
    pub fn contains(&self, id: u32) -> bool {
        self.as_slice().contains(&id)
    }

    /// The ids, best first.
    pub fn as_slice(&self) -> &[u32] {
        &self.ids[..usize::from(self.len)]
    }
}

impl FromIterator<u32> for PathSet {
    fn from_iter<T: IntoIterator<Item = u32>>(ids: T) -> Self {
        let mut set = Self::default();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

/// A scheduler's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// A burst of new data ([`crate::PathView::burst`]) on this path.
    Send(u32),
    /// The same datagram on each of these paths.
    Duplicate(PathSet),
    /// Send again on `on` what is outstanding on `from`: the [`Demand::blocking`] range.
    Reinject {
        /// Path the copy goes on.
        on: u32,
        /// Path that holds the original.
        from: u32,
    },
    /// A path with room is held by its pacer and nothing else is better: ask again then.
    WaitUntil(Instant),
    /// No path may take data now: ask again after an acknowledgement or a change of a path.
    Nothing,
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(id) => write!(f, "send {id}"),
            Self::Duplicate(set) => {
                f.write_str("duplicate")?;
                set.as_slice().iter().try_for_each(|id| write!(f, " {id}"))
            }
            Self::Reinject { on, from } => write!(f, "reinject {on} {from}"),
            Self::WaitUntil(at) => write!(f, "wait {}", at.as_nanos()),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}
