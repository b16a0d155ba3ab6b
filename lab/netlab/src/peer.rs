//! Transports that are measured: the kernel's TCP and MPTCP as they are, and our QUIC over one link or all.
//!
//! Decides what a transfer is and how its progress is kept. Both ends run on threads of this process, inside the lab's
//! hosts: the client in the router, the server at the network's end.

use std::sync::{Arc, Mutex, PoisonError};

use tq_linkmodel::{Duration, Instant};
use tq_udp::Clock;

pub mod quic;
pub mod tcp;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Our QUIC, a path over each link.
    Tq,
    /// Our QUIC, over one link.
    TqOne,
    /// Kernel TCP.
    Tcp,
    /// Kernel MPTCP over all links.
    Mptcp,
}

impl Peer {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tq => "tq",
            Self::TqOne => "tq-one",
            Self::Tcp => "tcp",
            Self::Mptcp => "mptcp",
        }
    }

    /// Whether it is our QUIC.
    pub const fn is_quic(self) -> bool {
        matches!(self, Self::Tq | Self::TqOne)
    }

    /// What it is over one link, if it uses all there are.
    pub const fn alone(self) -> Option<Self> {
        match self {
            Self::Tq => Some(Self::TqOne),
            Self::Mptcp => Some(Self::Tcp),
            Self::TqOne | Self::Tcp => None,
        }
    }
}

impl std::str::FromStr for Peer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::Tq, Self::TqOne, Self::Tcp, Self::Mptcp];
        all.into_iter().find(|peer| peer.name() == name).ok_or_else(|| "tq, tq-one, tcp or mptcp".into())
    }
}

/// A transfer over one link, or from the first over all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The link whose addresses are used.
    pub link: usize,
    /// Whether the user's end sends.
    pub upload: bool,
    /// Bytes on each stream; endless if `None`.
    pub bytes: Option<u64>,
    /// Streams at a time; TCP has a connection for each.
    pub streams: u32,
    /// Congestion control, by the stack's own name.
    pub cc: String,
    /// Begins then.
    pub start: Instant,
    /// Is given up then.
    pub stop: Instant,
}

/// In-order bytes handed to the receiving application, and when.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Vec<(Instant, u64)>>>);

impl Progress {
    /// What comes within this time is one entry.
    const GRAIN: Duration = Duration::from_micros(500);

    /// Takes note of bytes that came now. For one stream: each has a progress of its own.
    pub fn add(&self, bytes: u64) {
        let now = Clock::now();
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match list.last_mut() {
            Some((at, sum)) if now - *at < Self::GRAIN => *sum += bytes,
            _ => list.push((now, bytes)),
        }
    }

    /// The entries so far.
    pub fn list(&self) -> Vec<(Instant, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What came of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Entries of all streams, in order of time.
    pub progress: Vec<(Instant, u64)>,
    /// Whether all bytes came; of endless traffic never.
    pub complete: bool,
    /// What went wrong.
    pub error: Option<String>,
}

impl Done {
    /// Puts streams together.
    pub fn gather(streams: &[Progress], wanted: Option<u64>, error: Option<String>) -> Self {
        let mut progress: Vec<_> = streams.iter().flat_map(Progress::list).collect();
        progress.sort_unstable();
        let bytes: u64 = progress.iter().map(|(_, bytes)| bytes).sum();
        let complete = error.is_none() && wanted.is_some_and(|wanted| bytes >= wanted * streams.len() as u64);
        Self { progress, complete, error }
    }
}

/// Sleeps until a moment.
pub fn sleep_until(at: Instant) {
    std::thread::sleep(at - Clock::now());
}
