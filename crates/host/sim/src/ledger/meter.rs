//! Numbers about what came out: when, how much, with which pauses. Kept by the ledger, read by whoever asked for the
//! flow. Nothing here judges.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tq_time::Instant;

/// A meter several flows may feed.
pub type SharedMeter = Rc<RefCell<Meter>>;

/// A message meter several flows may feed.
pub type SharedMessageMeter = Rc<RefCell<MessageMeter>>;

/// Bins kept at most; what comes later counts in the last.
const BINS: usize = 10_000_000;

/// Bytes delivered in order, over time.
#[derive(Clone, Debug)]
pub struct Meter {
    bin: Duration,
    origin: Instant,
    bins: Vec<u64>,
    /// Bytes delivered.
    pub bytes: u64,
    /// The first flow began.
    pub started: Option<Instant>,
    /// The first byte came.
    pub first: Option<Instant>,
    /// The last byte so far came.
    pub last: Option<Instant>,
    /// The last flow so far ended.
    pub ended: Option<Instant>,
    /// Flows that have begun and not ended.
    pub active: u32,
    quiet_since: Option<Instant>,
    longest: Option<(Instant, Duration)>,
}

impl Meter {
    /// Counts in bins of this length; zero means 100 ms.
    pub fn new(bin: Duration) -> Self {
        Self {
            bin: if bin.is_zero() { Duration::from_millis(100) } else { bin },
            origin: Instant::ZERO,
            bins: Vec::new(),
            bytes: 0,
            started: None,
            first: None,
            last: None,
            ended: None,
            active: 0,
            quiet_since: None,
            longest: None,
        }
    }

    /// As a flow and its report share it.
    pub fn shared(bin: Duration) -> SharedMeter {
        Rc::new(RefCell::new(Self::new(bin)))
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.bin.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// A flow began.
    pub fn begin(&mut self, now: Instant) {
        if self.started.is_none() {
            self.started = Some(now);
            self.origin = Instant::from_nanos(now.as_nanos() / self.nanos() * self.nanos());
        }
        self.active += 1;
    }

    /// Bytes came out.
    pub fn deliver(&mut self, now: Instant, bytes: u64) {
        self.pause_ends(now);
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.bytes += bytes;
        let since = now.saturating_since(self.origin).as_nanos() / u128::from(self.nanos());
        let bin = usize::try_from(since).unwrap_or(BINS).min(BINS - 1);
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += bytes;
        self.quiet_since = Some(now);
    }

    /// A flow ended.
    pub fn end(&mut self, now: Instant) {
        self.pause_ends(now);
        self.active = self.active.saturating_sub(1);
        self.ended = Some(now);
        // with nothing asked for, silence is no pause
        self.quiet_since = self.quiet_since.filter(|_| self.active > 0).map(|_| now);
    }

    fn pause_ends(&mut self, now: Instant) {
        if let Some(since) = self.quiet_since {
            let pause = now - since;
            if self.longest.is_none_or(|(_, longest)| pause > longest) {
                self.longest = Some((since, pause));
            }
        }
    }

    /// The longest time without a byte between the first byte and the end of a flow, and when it began. At `now` a
    /// pause may be going on; it counts.
    pub fn longest_gap(&self, now: Instant) -> Option<(Instant, Duration)> {
        let running = self.quiet_since.filter(|_| self.active > 0).map(|since| (since, now - since));
        // of equals the earlier
        self.longest.into_iter().chain(running).reduce(|a, b| if b.1 > a.1 { b } else { a })
    }

    /// The time series: when the first bin begins, how long each is, bytes in each.
    pub fn series(&self) -> (Instant, Duration, &[u64]) {
        (self.origin, self.bin, &self.bins)
    }

    /// Bytes per second from the first start to the last end, or to the last byte if a flow is not over.
    pub fn goodput(&self) -> f64 {
        let end = if self.active == 0 { self.ended } else { self.last };
        let seconds = self.started.zip(end).map_or(0.0, |(start, end)| (end - start).as_secs_f64());
        if seconds > 0.0 { self.bytes as f64 / seconds } else { 0.0 }
    }
}

/// Messages that came out.
#[derive(Clone, Debug, Default)]
pub struct MessageMeter {
    /// Messages handed in.
    pub sent: u64,
    /// Messages the carrier did not take.
    pub refused: u64,
    /// Messages that came out.
    pub received: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that came after one with a higher number (RFC 4737 §3.1).
    pub reordered: u64,
    /// By how many numbers at most.
    pub furthest: u64,
    /// Of each that came out, in that order: its number, when it came, how long it took.
    pub arrivals: Vec<Arrival>,
    /// When the first was handed in.
    pub first_sent: Option<Instant>,
    /// When the last was handed in.
    pub last_sent: Option<Instant>,
}

/// A message that came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number.
    pub number: u64,
    /// When it came.
    pub at: Instant,
    /// Since it was handed in.
    pub delay: Duration,
}

impl MessageMeter {
    /// As a flow and its report share it.
    pub fn shared() -> SharedMessageMeter {
        SharedMessageMeter::default()
    }

    /// Messages that were handed in and have not come out: lost, or still under way.
    pub fn missing(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// The delay that `parts` of 1000 of the messages did not exceed; `None` if none came.
    pub fn delay(&self, parts: u32) -> Option<Duration> {
        let mut delays: Vec<Duration> = self.arrivals.iter().map(|arrival| arrival.delay).collect();
        delays.sort_unstable();
        let rank = (delays.len() as u64 * u64::from(parts.min(1000))).div_ceil(1000).max(1) - 1;
        delays.get(rank as usize).copied()
    }
}
