//! The two ends of a connection: options by name, for whoever builds the endpoints.
//!
//! Decides which names exist; what they do is the stack's business. `None` is the stack's own default.

use tq_time::Duration;

/// Congestion control by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cc {
    /// The stack chooses.
    #[default]
    Auto,
    /// CUBIC (RFC 9438).
    Cubic,
    /// NewReno (RFC 9002).
    Reno,
    /// BBR.
    Bbr,
    /// Copa.
    Copa,
    /// Westwood.
    Westwood,
    /// Coupled: OLIA.
    Olia,
    /// Coupled: LIA (RFC 6356).
    Lia,
    /// Coupled: BALIA.
    Balia,
}

impl Cc {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Auto,
        Self::Cubic,
        Self::Reno,
        Self::Bbr,
        Self::Copa,
        Self::Westwood,
        Self::Olia,
        Self::Lia,
        Self::Balia,
    ];

    /// The name in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cubic => "cubic",
            Self::Reno => "reno",
            Self::Bbr => "bbr",
            Self::Copa => "copa",
            Self::Westwood => "westwood",
            Self::Olia => "olia",
            Self::Lia => "lia",
            Self::Balia => "balia",
        }
    }
}

/// The names of schedulers.
pub const SCHEDULERS: [&str; 9] = [
    "aggregate",
    "roundrobin",
    "minrtt",
    "weighted",
    "blest",
    "ecf",
    "deadline",
    "redundant",
    "programmable",
];

/// Options of one end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Congestion control.
    pub cc: Cc,
    /// The scheduler, one of [`SCHEDULERS`].
    pub scheduler: Option<String>,
    /// Flow control of one stream, in bytes.
    pub stream_window: Option<u64>,
    /// Flow control of the connection, in bytes.
    pub connection_window: Option<u64>,
    /// Most datagrams in one batch to the socket.
    pub max_segments: Option<u32>,
    /// First window of a path, in packets.
    pub initial_window: Option<u32>,
    /// Longest UDP payload to send, in bytes.
    pub max_datagram: Option<u64>,
    /// The longest time without a packet that a connection survives.
    pub idle_timeout: Option<Duration>,
    /// The time after which an idle path is pinged.
    pub keep_alive: Option<Duration>,
    /// How long acknowledgements may wait.
    pub ack_delay: Option<Duration>,
    /// Whether the end takes part in ACK frequency.
    pub ack_frequency: Option<bool>,
    /// Whether several paths may be used.
    pub multipath: Option<bool>,
    /// Whether packets are marked ECN-capable.
    pub ecn: Option<bool>,
    /// Whether packets are paced.
    pub pacing: Option<bool>,
    /// Whether controllers whose window falls with losses keep their queue short.
    pub governor: Option<bool>,
    /// Whether larger packets are tried (DPLPMTUD).
    pub mtu_discovery: Option<bool>,
    /// The grain of the host's timers.
    pub timer_tick: Option<Duration>,
}

/// Both ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// The user's end: it connects.
    pub client: Host,
    /// The network's end.
    pub server: Host,
}
