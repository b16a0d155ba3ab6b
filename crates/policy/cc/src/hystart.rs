//! HyStart++ (RFC 9406): leaves slow start when the round-trip time rises, before a queue overflows.
//!
//! It watches the smallest RTT of each round (a flight, delimited by packet numbers) and says by which divisor
//! slow start grows and when it ends. It never touches a window, and runs in the initial slow start only.

use tq_time::Duration;

use crate::rtt::nanos;

#[cfg(test)]
mod tests;

// RFC 9406 §4.3.
const MIN_RTT_THRESH: u64 = 4_000_000;
const MAX_RTT_THRESH: u64 = 16_000_000;
const MIN_RTT_DIVISOR: u64 = 8;
const N_RTT_SAMPLE: u32 = 8;
/// Samples that are enough at the end of a round: where acknowledgements are thin it has no more to give.
const N_RTT_SAMPLE_WHOLE: u32 = 3;
pub(crate) const CSS_GROWTH_DIVISOR: u64 = 4;
const CSS_ROUNDS: u32 = 5;

const UNKNOWN: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Standard slow start, watching for a rise.
    Watching,
    /// Conservative slow start, making sure that the rise was no jitter.
    Conservative { baseline: u64, rounds: u32 },
    /// Slow start was left once; the standard one is used from then on.
    Done,
}

/// State of HyStart++ for one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HyStart {
    phase: Phase,
    last_pn: u64,
    window_end: u64,
    last_min: u64,
    current_min: u64,
    samples: u32,
    /// Rounds that ended.
    rounds: u32,
}

/// Rise of the round-trip time above `base` ns that is a sign of a queue.
pub(crate) fn threshold(base: u64) -> u64 {
    (base / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH)
}

impl HyStart {
    /// Ready for the first packet.
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Watching,
            last_pn: 0,
            window_end: 0,
            last_min: UNKNOWN,
            current_min: UNKNOWN,
            samples: 0,
            rounds: 0,
        }
    }

    /// Rounds that ended so far.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// A packet left. A number below the last one means that another packet number space took over (Handshake
    /// to application data): the round then ends with this packet.
    pub(crate) fn on_sent(&mut self, pn: u64) {
        if pn < self.last_pn {
            self.window_end = pn;
        }
        self.last_pn = pn;
    }

    /// An acknowledgement arrived with its RTT sample. True when slow start is to end (`ssthresh = cwnd`).
    pub(crate) fn on_ack(&mut self, largest_pn: u64, sample: Duration) -> bool {
        if self.phase == Phase::Done {
            return false;
        }
        self.current_min = self.current_min.min(nanos(sample));
        self.samples = self.samples.saturating_add(1);
        let ends = largest_pn >= self.window_end;
        if self.samples >= if ends { N_RTT_SAMPLE_WHOLE } else { N_RTT_SAMPLE } {
            self.judge();
        }
        ends && self.next_round()
    }

    /// What slow start divides its growth by: 1, or 4 in conservative slow start.
    pub(crate) fn divisor(&self) -> u64 {
        match self.phase {
            Phase::Conservative { .. } => CSS_GROWTH_DIVISOR,
            Phase::Watching | Phase::Done => 1,
        }
    }

    /// The initial slow start is over (loss, ECN-CE or after [`HyStart::on_ack`] said so).
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Done;
    }

    /// Round trips so far went by another way back: they compare with none that follow.
    pub(crate) fn restart(&mut self) {
        (self.last_min, self.current_min, self.samples) = (UNKNOWN, UNKNOWN, 0);
        if self.phase != Phase::Done {
            self.phase = Phase::Watching;
        }
    }

    /// Compares this round's minimum with the one before, or with the baseline.
    fn judge(&mut self) {
        match self.phase {
            Phase::Watching
                if self.last_min != UNKNOWN
                    && self.current_min >= self.last_min + threshold(self.last_min) =>
            {
                self.phase = Phase::Conservative { baseline: self.current_min, rounds: 0 };
            }
            Phase::Conservative { baseline, .. } if self.current_min < baseline => {
                self.phase = Phase::Watching;
            }
            _ => {}
        }
    }

    /// Starts a round. A round in which the conservative phase began counts in full (RFC 9406 §4.2).
    fn next_round(&mut self) -> bool {
        self.window_end = self.last_pn;
        self.last_min = self.current_min;
        self.current_min = UNKNOWN;
        self.samples = 0;
        self.rounds = self.rounds.wrapping_add(1);
        if let Phase::Conservative { rounds, .. } = &mut self.phase {
            *rounds += 1;
            if *rounds >= CSS_ROUNDS {
                self.phase = Phase::Done;
                return true;
            }
        }
        false
    }
}
