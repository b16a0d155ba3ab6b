//! What is played: every case between every pair of stacks of which one is ours, over every kind of link.
//!
//! Decides sizes, limits, seeds and which cells belong to the subset. It starts nothing.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};

/// One of a few things that people call by name.
pub(super) trait Named: Copy + 'static {
    /// All of them, in the order of tables.
    const ALL: &'static [Self];

    fn name(self) -> &'static str;

    /// The one of this name, or an error that says what there is.
    fn named(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name).with_context(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|one| one.name()).collect();
            format!("`{name}`: there are {}", names.join(", "))
        })
    }
}

/// Declares an enum whose members have a name.
macro_rules! named {
    ($($(#[$doc:meta])* enum $kind:ident { $($variant:ident = $name:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $kind { $($variant,)* }

        impl Named for $kind {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    )*};
}

named! {
    /// A test case, by the name the public interop runner gives it, and `datagram`.
    enum Case {
        Handshake = "handshake",
        Transfer = "transfer",
        Multiplexing = "multiplexing",
        Retry = "retry",
        ChaCha20 = "chacha20",
        KeyUpdate = "keyupdate",
        VersionNegotiation = "versionnegotiation",
        Datagram = "datagram",
        Ecn = "ecn",
    }

    /// Whose endpoint.
    enum Stack {
        Ours = "ours",
        Quinn = "quinn",
        Aioquic = "aioquic",
    }

    /// What the network between the two does.
    enum Link {
        Clean = "clean",
        Loss = "loss",
        Corruption = "corruption",
    }
}

/// Share of datagrams that an impaired link loses or corrupts.
pub(super) const IMPAIRED: f64 = 0.02;
/// Files that a multiplexing client asks for at once.
pub(super) const STREAMS: usize = 150;

/// Who talks to whom; one of them is ours.
pub(super) const PAIRS: [Pair; 5] = [
    Pair { client: Stack::Ours, server: Stack::Ours },
    Pair { client: Stack::Ours, server: Stack::Quinn },
    Pair { client: Stack::Quinn, server: Stack::Ours },
    Pair { client: Stack::Ours, server: Stack::Aioquic },
    Pair { client: Stack::Aioquic, server: Stack::Ours },
];

/// A client and a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) client: Stack,
    pub(super) server: Stack,
}

impl Pair {
    pub(super) fn has(self, stack: Stack) -> bool {
        self.client == stack || self.server == stack
    }

    /// The stack that ours is tested against.
    pub(super) fn peer(self) -> Stack {
        if self.client == Stack::Ours { self.server } else { self.client }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.client.name(), self.server.name())
    }
}

impl Case {
    /// Names and sizes of the files to fetch, all at once.
    pub(super) fn files(self) -> Vec<(String, usize)> {
        let one = |size| vec![(format!("file-{size}"), size)];
        match self {
            Self::Handshake | Self::Retry | Self::VersionNegotiation | Self::Datagram => one(1_000),
            Self::Transfer => one(10 << 20),
            // Large enough that no answer ends before all requests that may be sent are.
            Self::Multiplexing => (0..STREAMS).map(|n| (format!("file-{n}"), 20_000)).collect(),
            Self::ChaCha20 | Self::Ecn => one(1 << 20),
            Self::KeyUpdate => one(3 << 20),
        }
    }
}

impl Link {
    /// For people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Loss => "2 % loss",
            Self::Corruption => "2 % corruption",
        }
    }
}

/// One entry of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) case: Case,
    pub(super) pair: Pair,
    pub(super) link: Link,
}

impl Cell {
    /// Whether the cell makes sense: marks do not survive a relay.
    pub(super) fn applies(self) -> bool {
        self.case != Case::Ecn || self.link == Link::Clean
    }

    /// Whether datagrams go through the relay.
    pub(super) fn relayed(self) -> bool {
        self.case != Case::Ecn
    }

    /// Whether every run of the tests plays it.
    pub(super) fn in_subset(self) -> bool {
        self.link == Link::Clean || matches!(self.case, Case::Handshake | Case::Transfer)
    }

    /// How often the client is run at least, one after the other: where few datagrams make up a run, one alone
    /// would seldom meet an impairment.
    pub(super) fn runs(self) -> usize {
        match self.case {
            _ if self.link == Link::Clean => 1,
            Case::Handshake | Case::Retry | Case::VersionNegotiation => 10,
            Case::Datagram => 4,
            _ => 1,
        }
    }

    /// After which time the cell has failed.
    pub(super) fn limit(self) -> Duration {
        Duration::from_secs(if self.link == Link::Clean { 20 } else { 30 })
    }

    /// The relay's, a number of the cell's own: FNV-1a of its name, mixed with what was chosen.
    pub(super) fn seed(self, chosen: u64) -> u64 {
        let name = self.to_string();
        let own = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        own ^ chosen
    }
}

/// The name of its folder.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { client, server } = self.pair;
        write!(f, "{}-{}-{}-{}", self.case.name(), client.name(), server.name(), self.link.name())
    }
}

/// Which cells are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) subset: bool,
    pub(super) case: Option<Case>,
    pub(super) peer: Option<Stack>,
}

impl Choice {
    /// The cells, in the order of the table: by case, by link, by pair.
    pub(super) fn cells(self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &case in Case::ALL.iter().filter(|case| self.case.is_none_or(|one| one == **case)) {
            for &link in Link::ALL {
                let pairs = PAIRS.iter().filter(|pair| self.peer.is_none_or(|peer| pair.peer() == peer));
                cells.extend(pairs.map(|&pair| Cell { case, pair, link }));
            }
        }
        cells.retain(|cell| cell.applies() && (!self.subset || cell.in_subset()));
        cells
    }
}

#[cfg(test)]
mod tests;
