//! What a run has shown, as plain numbers that can leave the thread it ran in.

use tq_linkmodel::{Counters, Direction};
use tq_sim::ledger::Meter;
use tq_time::{Duration, Instant};

/// One run over one link, or over several together.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Each link that was played, in the scenario's order.
    pub lanes: Vec<Lane>,
    /// The seed.
    pub seed: u64,
    /// When the run ended.
    pub end: Instant,
    /// What each traffic moved, competing connections one by one.
    pub flows: Vec<Flow>,
    /// What became of paths; all zero if there was one link.
    pub paths: PathEnds,
    /// Times, flows and offsets at which bytes were lost, altered, doubled or invented, in words. Empty in a good run.
    pub violations: Vec<String>,
    /// What the scenario asks for and this run did not do, in words.
    pub left_out: Vec<String>,
    /// Connections that ended with an error, in words.
    pub errors: Vec<String>,
    /// Handshakes that completed.
    pub handshakes: u64,
    /// QUIC packets sent by all ends.
    pub packets: u64,
    /// Of these, how many their senders took for lost.
    pub packets_lost: u64,
    /// Key updates of the scenario's own connection, as client and server count them.
    pub key_updates: [u64; 2],
}

/// A link in a run.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// The link's place in the scenario.
    pub link: usize,
    /// What the link did, up and down.
    pub counters: [Counters; 2],
    /// Queue and window over time.
    pub samples: Vec<Sample>,
}

/// What became of the paths of a run over several links.
#[derive(Clone, Debug, Default)]
pub struct PathEnds {
    /// Open at the end, at the client.
    pub open: u64,
    /// Given up during the run.
    pub abandons: u64,
    /// Times either end found one out; looked at every 10 ms.
    pub outs: u64,
    /// Times either end suspected one that then spoke.
    pub false_suspects: u64,
    /// Payload that went again on another path though it was not lost, from both ends.
    pub twice: u64,
    /// Orders of the time line that the connection refused, in words.
    pub refused: Vec<String>,
    /// What the guard did with a path at either end: when, and as the event's name says.
    pub guarded: Vec<(Instant, u32, &'static str)>,
    /// Groups that either end found a path in, zero for none any more: when, path and group, by time.
    pub grouped: Vec<(Instant, u32, u32)>,
}

/// What one traffic moved.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// Its place in the scenario's traffic.
    pub traffic: usize,
    /// Whether it is another connection beside the scenario's own.
    pub competing: bool,
    /// Whether it has an end of its own.
    pub finite: bool,
    /// Bytes that the server got.
    pub up: Curve,
    /// Bytes that the client got.
    pub down: Curve,
    /// When all was done, if it was.
    pub done: Option<Instant>,
    /// How long requests, pages or datagrams took, as they ended.
    pub latencies: Vec<Duration>,
    /// Datagrams handed in and come out; zero for others.
    pub messages: (u64, u64),
}

/// In-order bytes over time.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// All of them.
    pub bytes: u64,
    /// When the first came.
    pub first: Option<Instant>,
    /// When the last flow ended.
    pub ended: Option<Instant>,
    /// The begin of the first bin.
    pub origin: Instant,
    /// How long bins are.
    pub bin: Duration,
    /// Bytes in each.
    pub bins: Vec<u64>,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// How long a packet would wait now, shared queues included, up and down.
    pub waiting: [Duration; 2],
    /// Bytes in the link's own queues, up and down.
    pub queued: [u64; 2],
    /// Congestion windows of the first connection's path, client and server, in bytes; 0 without one.
    pub cwnd: [u64; 2],
    /// Smoothed round trip of its server.
    pub srtt: Duration,
    /// Bytes of IP that have left the link so far, up and down.
    pub delivered: [u64; 2],
}

impl Curve {
    pub(super) fn of(meter: &Meter) -> Self {
        let (origin, bin, bins) = meter.series();
        let ended = meter.ended.filter(|_| meter.active == 0);
        Self { bytes: meter.bytes, first: meter.first, ended, origin, bin, bins: bins.to_vec() }
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.bin.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// Bytes from `from` to before `to`, to the grain of the bins.
    pub fn between(&self, from: Instant, to: Instant) -> u64 {
        let bin =
            |at: Instant| (at.saturating_since(self.origin).as_nanos() / u128::from(self.nanos())) as usize;
        let (from, to) = (bin(from).min(self.bins.len()), bin(to).min(self.bins.len()));
        self.bins[from..to.max(from)].iter().sum()
    }

    /// The longest time without a byte between `from` and `to`, to the grain of the bins; what is before the first
    /// byte of all and after the end counts if it is within.
    pub fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        let (mut last, mut longest) = (from, Duration::ZERO);
        for (at, _) in self.points().filter(|(_, bytes)| *bytes > 0) {
            if at > from && at < to {
                longest = longest.max(at.saturating_since(last).saturating_sub(self.bin));
                last = at;
            }
        }
        longest.max(to.saturating_since(last).saturating_sub(self.bin))
    }

    /// The first byte at or after a moment, to the grain of the bins.
    pub fn next_after(&self, moment: Instant) -> Option<Instant> {
        self.points().find(|(at, bytes)| *at >= moment && *bytes > 0).map(|(at, _)| at)
    }

    /// Ends of bins with their bytes.
    pub fn points(&self) -> impl Iterator<Item = (Instant, u64)> + '_ {
        let (origin, nanos) = (self.origin.as_nanos(), self.nanos());
        self.bins.iter().zip(1..).map(move |(bytes, at)| (Instant::from_nanos(origin + at * nanos), *bytes))
    }
}

impl Flow {
    /// The bytes of one direction.
    pub const fn way(&self, direction: Direction) -> &Curve {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }
}

impl Lane {
    /// Bytes that came out of the link in one direction.
    pub fn delivered(&self, direction: Direction) -> u64 {
        self.counters[usize::from(direction == Direction::Down)].delivered_bytes
    }
}

impl Outcome {
    /// The lane of a link, if it was played.
    pub fn lane(&self, link: usize) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.link == link)
    }

    /// Whether several links were played together.
    pub fn is_bond(&self) -> bool {
        self.lanes.len() > 1
    }

    /// The scenario's own traffic.
    pub fn own(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter().filter(|flow| !flow.competing)
    }

    /// When the last of the own traffic that has an end was done; `None` if some was not, or none has an end.
    pub fn completion(&self) -> Option<Instant> {
        let finite = || self.own().filter(|flow| flow.finite);
        let last = finite().filter_map(|flow| flow.last_byte()).max();
        last.filter(|_| finite().all(|flow| flow.done.is_some()))
    }

    /// Own payload bytes between two moments, both ways.
    pub fn between(&self, from: Instant, to: Instant) -> u64 {
        self.own().map(|flow| flow.up.between(from, to) + flow.down.between(from, to)).sum()
    }

    /// Whether every byte was in place and no connection failed.
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }
}

impl Flow {
    /// When its last byte came, either way.
    pub fn last_byte(&self) -> Option<Instant> {
        [self.up.ended, self.down.ended].into_iter().flatten().max().or(self.done)
    }
}
