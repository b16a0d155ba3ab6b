//! Who sends what.
//!
//! Decides what a kind of traffic consists of; producing it is the runner's business.

use tq_time::Duration;

use crate::host::Cc;

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flow {
    /// From the user to the network.
    Up,
    /// From the network to the user.
    #[default]
    Down,
    /// Both, each with the whole load.
    Both,
}

/// Sizes in bytes, drawn evenly from a range, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The least, not zero.
    pub low: u64,
    /// The most, not below the least.
    pub high: u64,
}

/// A load on the scenario's connection, or beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Its name, for bars and reports; the kind and a number if the file gives none.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Which way the bytes flow; of requests and web pages: the answers.
    pub direction: Flow,
    /// Since the start of the scenario.
    pub start: Duration,
    /// When it stops, if before its load is done; of endless traffic the end of the scenario by default.
    pub stop: Option<Duration>,
    /// Indices of the links it may use; all of them if the file does not say. Never empty.
    pub over: Vec<usize>,
    /// The class of service by name, one of `realtime`, `interactive`, `bulk`, `background`.
    pub class: Option<String>,
}

/// A kind of traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes as fast as possible.
    Bulk {
        /// Bytes on each stream; endless if `None`.
        bytes: Option<u64>,
        /// Streams.
        streams: u32,
        /// Whether a stream begins when the one before has ended; if not, all begin at once.
        sequential: bool,
    },
    /// Questions and answers.
    Requests {
        /// How many in all; until it stops if `None`.
        count: Option<u64>,
        /// Bytes of a question.
        request: Sizes,
        /// Bytes of an answer.
        response: Sizes,
        /// How many at a time.
        outstanding: u32,
        /// From an answer to the next question in its place.
        think: Duration,
    },
    /// Unreliable datagrams, evenly spaced.
    Datagrams {
        /// Bytes of payload.
        size: Sizes,
        /// From one to the next, not zero. Where the file gives a rate: the mean size at that rate.
        interval: Duration,
        /// How many in all; until it stops if `None`.
        count: Option<u64>,
    },
    /// Pages of several objects, loaded one page after the other.
    Web {
        /// How many; until it stops if `None`.
        pages: Option<u64>,
        /// Objects of a page.
        objects: u32,
        /// Bytes of an object.
        size: Sizes,
        /// Objects asked for at a time.
        outstanding: u32,
        /// From a page's last byte to the next page.
        think: Duration,
        /// Whether numbers and sizes of documents and objects are those of pages of today, which the runner knows, instead of
        /// `objects` and `size`.
        mixed: bool,
    },
    /// Other connections on one link, each single-path, sending bulk.
    Competing {
        /// The link; the only one in `over`.
        link: usize,
        /// Their congestion control.
        cc: Cc,
        /// Bytes of each; endless if `None`.
        bytes: Option<u64>,
        /// How many.
        connections: u32,
    },
}

impl Kind {
    /// The names in scenario files.
    pub const NAMES: [&'static str; 5] = ["bulk", "requests", "datagrams", "web", "competing"];

    /// The name in scenario files.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bulk { .. } => "bulk",
            Self::Requests { .. } => "requests",
            Self::Datagrams { .. } => "datagrams",
            Self::Web { .. } => "web",
            Self::Competing { .. } => "competing",
        }
    }
}
