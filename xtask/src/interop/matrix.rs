//! What is played: every case between every pair of stacks of which one is ours, over every kind of link that
//! the case is for.
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
    /// A test case, by the name the public interop runner gives it, and `datagram` and `migration`.
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
        LongRtt = "longrtt",
        Resumption = "resumption",
        ZeroRtt = "zerortt",
        Blackhole = "blackhole",
        AmplificationLimit = "amplificationlimit",
        HandshakeLoss = "handshakeloss",
        HandshakeCorruption = "handshakecorruption",
        TransferLoss = "transferloss",
        TransferCorruption = "transfercorruption",
        Ipv6 = "ipv6",
        V2 = "v2",
        RebindPort = "rebind-port",
        RebindAddr = "rebind-addr",
        ConnectionMigration = "connectionmigration",
        Migration = "migration",
        Goodput = "goodput",
        CrossTraffic = "crosstraffic",
    }

    /// Whose endpoint.
    enum Stack {
        Ours = "ours",
        Quinn = "quinn",
        Aioquic = "aioquic",
        Noq = "noq",
        S2n = "s2n-quic",
        Quiche = "quiche",
        Ngtcp2 = "ngtcp2",
    }

    /// What the network between the two does.
    enum Link {
        Clean = "clean",
        Loss = "loss",
        Corruption = "corruption",
        Runner = "runner",
    }
}

/// Share of datagrams that an impaired link loses or corrupts.
pub(super) const IMPAIRED: f64 = 0.02;
/// Files that a multiplexing client asks for at once.
pub(super) const STREAMS: usize = 150;
/// The same of the public runner, and its connections of a handshake case.
const RUNNERS_STREAMS: usize = 1999;
const HANDSHAKES: usize = 50;

/// Share of datagrams that the public runner's handshake cases lose or corrupt.
pub(super) const HARSH: f64 = 0.3;

const OURS: Stack = Stack::Ours;

/// Who talks to whom; one of them is ours.
pub(super) const PAIRS: [Pair; 13] = [
    Pair { client: OURS, server: OURS },
    Pair { client: OURS, server: Stack::Quinn },
    Pair { client: Stack::Quinn, server: OURS },
    Pair { client: OURS, server: Stack::Aioquic },
    Pair { client: Stack::Aioquic, server: OURS },
    Pair { client: OURS, server: Stack::Noq },
    Pair { client: Stack::Noq, server: OURS },
    Pair { client: OURS, server: Stack::S2n },
    Pair { client: Stack::S2n, server: OURS },
    Pair { client: OURS, server: Stack::Quiche },
    Pair { client: Stack::Quiche, server: OURS },
    Pair { client: OURS, server: Stack::Ngtcp2 },
    Pair { client: Stack::Ngtcp2, server: OURS },
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

impl Stack {
    /// Whether every run of the tests plays against it: those that build in seconds.
    pub(super) fn is_light(self) -> bool {
        matches!(self, Self::Ours | Self::Quinn | Self::Aioquic | Self::Noq)
    }

    /// Whether its programs speak HTTP/3 and nothing else.
    pub(super) fn is_http3(self) -> bool {
        self == Self::Ngtcp2
    }
}

impl Case {
    /// Whether the case is played on loopback without a rate.
    pub(super) fn is_fast(self) -> bool {
        matches!(
            self,
            Self::Handshake
                | Self::Transfer
                | Self::Multiplexing
                | Self::Retry
                | Self::ChaCha20
                | Self::KeyUpdate
                | Self::VersionNegotiation
                | Self::Datagram
                | Self::Ecn
        )
    }

    /// Whether it is played over the public runner's link: what the runner has, and `migration`. `ecn` is only played
    /// without a relay.
    pub(super) fn is_runners(self) -> bool {
        !matches!(self, Self::VersionNegotiation | Self::Datagram | Self::Ecn)
    }
}

impl Link {
    /// For people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Loss => "2 % loss",
            Self::Corruption => "2 % corruption",
            Self::Runner => "10 Mbit/s",
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
    /// Whether the cell makes sense: marks do not survive a relay, and the runner's cases bring their own link.
    pub(super) fn applies(self) -> bool {
        match self.link {
            Link::Clean => self.case.is_fast(),
            Link::Loss | Link::Corruption => self.case.is_fast() && self.case != Case::Ecn,
            Link::Runner => self.case.is_runners(),
        }
    }

    /// Whether the relay has a second door.
    pub(super) fn two_doors(self) -> bool {
        match self.case {
            // This server prefers an address that it listens on itself.
            Case::ConnectionMigration => self.pair.server != Stack::Ngtcp2,
            Case::CrossTraffic => true,
            _ => false,
        }
    }

    /// Whether datagrams go through the relay.
    pub(super) fn relayed(self) -> bool {
        self.case != Case::Ecn
    }

    /// Whether it is better played early, so that nobody waits for it alone in the end.
    pub(super) fn is_slow(self) -> bool {
        self.case == Case::LongRtt || self.limit() > Duration::from_secs(60)
    }

    /// Whether every run of the tests plays it.
    pub(super) fn in_subset(self) -> bool {
        let quick = matches!(
            self.case,
            Case::LongRtt
                | Case::AmplificationLimit
                | Case::Ipv6
                | Case::ConnectionMigration
                | Case::Migration
        );
        self.pair.peer().is_light()
            && match self.link {
                Link::Clean => true,
                Link::Loss | Link::Corruption => matches!(self.case, Case::Handshake | Case::Transfer),
                Link::Runner => quick,
            }
    }

    /// Shares of datagrams lost and corrupted.
    pub(super) fn impairment(self) -> (f64, f64) {
        match (self.link, self.case) {
            (Link::Loss, _) | (Link::Runner, Case::TransferLoss) => (IMPAIRED, 0.0),
            (Link::Corruption, _) | (Link::Runner, Case::TransferCorruption) => (0.0, IMPAIRED),
            (Link::Runner, Case::HandshakeLoss) => (HARSH, 0.0),
            (Link::Runner, Case::HandshakeCorruption) => (0.0, HARSH),
            _ => (0.0, 0.0),
        }
    }

    pub(super) fn impaired(self) -> bool {
        self.loses() || self.corrupts()
    }

    pub(super) fn loses(self) -> bool {
        self.impairment().0 > 0.0
    }

    pub(super) fn corrupts(self) -> bool {
        self.impairment().1 > 0.0
    }

    /// What the relay is told about the link, losses and corruption aside.
    pub(super) fn network(self) -> Vec<&'static str> {
        if self.link != Link::Runner {
            return Vec::new();
        }
        let delay = if self.case == Case::LongRtt { "750" } else { "15" };
        let mut words = vec!["--rate", "10", "--queue", "25", "--delay", delay];
        words.extend(match self.case {
            Case::Blackhole => &["--outage", "5000,2000"][..],
            Case::RebindPort => &["--rebind-port", "1000,5000"],
            Case::RebindAddr => &["--rebind-addr", "1000,5000"],
            Case::AmplificationLimit => &["--swallow", "2,7"],
            _ => &[],
        });
        words
    }

    /// Names and sizes of the files to fetch, all at once or in turn as the case has it.
    pub(super) fn files(self) -> Vec<(String, usize)> {
        let of = |sizes: &[usize]| sizes.iter().map(|size| (format!("file-{size}"), *size)).collect();
        let many = |count, size: usize| (0..count).map(|n| (format!("file-{n}"), size)).collect();
        let runner = self.link == Link::Runner;
        match self.case {
            Case::Transfer if runner => of(&[2 << 20, 3 << 20, 5 << 20]),
            Case::Transfer | Case::Blackhole | Case::RebindPort | Case::RebindAddr | Case::Goodput => {
                of(&[10 << 20])
            }
            Case::TransferLoss | Case::TransferCorruption | Case::ConnectionMigration | Case::Migration => {
                of(&[2 << 20])
            }
            Case::CrossTraffic => of(&[25 << 20]),
            Case::Multiplexing if runner => many(RUNNERS_STREAMS, 32),
            // Large enough that no answer ends before all requests that may be sent are.
            Case::Multiplexing => many(STREAMS, 20_000),
            Case::ChaCha20 if runner => of(&[3 << 20]),
            Case::ChaCha20 | Case::Ecn => of(&[1 << 20]),
            Case::KeyUpdate => of(&[3 << 20]),
            Case::AmplificationLimit | Case::Ipv6 => of(&[5 << 10]),
            Case::Resumption => of(&[5 << 10, 10 << 10]),
            // Names so long that the requests fill several packets; ngtcp2 makes up what is called by a number alone.
            Case::ZeroRtt => (0..40).map(|n| (format!("{n:n>250}"), 32)).collect(),
            Case::HandshakeLoss | Case::HandshakeCorruption => many(HANDSHAKES, 1 << 10),
            Case::Handshake
            | Case::Retry
            | Case::VersionNegotiation
            | Case::Datagram
            | Case::LongRtt
            | Case::V2 => of(&[1_000]),
        }
    }

    /// Connections that a client makes.
    pub(super) fn connections(self) -> usize {
        match self.case {
            Case::HandshakeLoss | Case::HandshakeCorruption => HANDSHAKES,
            Case::Resumption | Case::ZeroRtt => 2,
            _ => 1,
        }
    }

    /// Whether connections may be more than those that were asked for: those refused, and offers of a version
    /// that nobody speaks.
    pub(super) fn in_turn(self) -> bool {
        self.runs() > 1 || self.corrupts() || matches!(self.case, Case::VersionNegotiation)
    }

    /// How often the client is run at least, one after the other: where few datagrams make up a run, one alone
    /// would seldom meet an impairment.
    pub(super) fn runs(self) -> usize {
        match (self.link, self.case) {
            (Link::Clean | Link::Runner, _) => 1,
            (_, Case::Handshake | Case::Retry | Case::VersionNegotiation) => 10,
            (_, Case::Datagram) => 4,
            _ => 1,
        }
    }

    /// After which time the cell has failed.
    pub(super) fn limit(self) -> Duration {
        Duration::from_secs(match (self.link, self.case) {
            (Link::Clean, _) => 20,
            (Link::Loss | Link::Corruption, _) => 30,
            (Link::Runner, Case::HandshakeLoss | Case::HandshakeCorruption) => 300,
            (Link::Runner, Case::CrossTraffic) => 180,
            (Link::Runner, _) => 60,
        })
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
    pub(super) link: Option<Link>,
}

impl Choice {
    /// The cells, in the order of the table: by case, by link, by pair.
    pub(super) fn cells(self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &case in Case::ALL.iter().filter(|case| self.case.is_none_or(|one| one == **case)) {
            for &link in Link::ALL.iter().filter(|link| self.link.is_none_or(|one| one == **link)) {
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
