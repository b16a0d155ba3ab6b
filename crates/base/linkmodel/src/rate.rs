//! How fast bytes leave a queue: never, always, evenly, by a trace or by a profile.
//!
//! Serving is exact: the part of a nanosecond that a packet did not need is credited to the next one, so a rate
//! holds over any time. Decides when a last byte leaves; knows nothing of queues.

use tq_buf::mem::Arc;
use tq_time::Duration;

use crate::profile::{Profile, Spot};
use crate::trace::{Place, Trace};

#[cfg(test)]
mod tests;

/// Bytes times nanoseconds: what a rate of one byte per second carries in a nanosecond is the unit.
pub(crate) const SECOND: u64 = 1_000_000_000;
/// From here on a rate is no limit, in bytes per second.
const ENDLESS: u64 = 1_000_000_000_000;

/// How fast bytes of IP leave the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rate {
    /// At once.
    #[default]
    Unlimited,
    /// Bytes per second. 0 stands still; 10^12 and more is no limit.
    Fixed(u64),
    /// By the opportunities of a trace; a packet leaves whole, at the one that carries its last byte.
    Trace {
        /// The trace, repeated for ever.
        trace: Arc<Trace>,
        /// Where in the trace the host's epoch lies.
        offset: Duration,
    },
    /// By a profile, which also brings delay and loss of its own.
    Profile {
        /// The profile, repeated for ever.
        profile: Arc<Profile>,
        /// Where in the profile the host's epoch lies.
        offset: Duration,
    },
}

impl Rate {
    /// A fixed rate in megabits (10^6) per second.
    pub const fn mbps(megabits: u64) -> Self {
        Self::Fixed(megabits.saturating_mul(125_000))
    }

    /// A trace that begins at the host's epoch.
    pub fn trace(trace: Trace) -> Self {
        Self::Trace { trace: Arc::new(trace), offset: Duration::ZERO }
    }

    /// A profile that begins at the host's epoch.
    pub fn profile(profile: Profile) -> Self {
        Self::Profile { profile: Arc::new(profile), offset: Duration::ZERO }
    }

    /// Sends `need` byte-nanoseconds from `start` on, but not past `stop`.
    #[inline]
    pub(crate) fn serve(&self, cursor: &mut Cursor, start: u64, need: u64, stop: u64) -> Served {
        match self {
            Self::Fixed(rate) if *rate < ENDLESS => cursor.fixed(*rate, start, need, stop),
            Self::Unlimited | Self::Fixed(_) => Served::Left(start),
            Self::Trace { trace, offset } => {
                let offset = nanos(*offset);
                cursor.credit = 0;
                let stop = stop.saturating_add(offset);
                trace.serve(&mut cursor.place, start.saturating_add(offset), need, stop).earlier(offset)
            }
            Self::Profile { profile, offset } => {
                let offset = nanos(*offset);
                let stop = stop.saturating_add(offset);
                profile.serve(cursor, start.saturating_add(offset), need, stop).earlier(offset)
            }
        }
    }

    /// Delay in nanoseconds and loss in parts per million that come on top at `at`.
    #[inline]
    pub(crate) fn weather(&self, cursor: &mut Cursor, at: u64) -> (u64, u32) {
        match self {
            Self::Unlimited | Self::Fixed(_) | Self::Trace { .. } => (0, 0),
            Self::Profile { profile, offset } => {
                let segment = profile.segment(&mut cursor.spot, at.saturating_add(nanos(*offset)));
                (nanos(segment.delay), segment.loss_ppm)
            }
        }
    }

    /// Whether a packet waits for its moment and then leaves whole.
    pub(crate) const fn leaves_whole(&self) -> bool {
        matches!(self, Self::Trace { .. })
    }
}

/// What came of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The last byte leaves then, in nanoseconds.
    Left(u64),
    /// At the stop this much was still to be sent.
    Rest(u64),
}

impl Served {
    const fn earlier(self, offset: u64) -> Self {
        match self {
            Self::Left(at) => Self::Left(at.saturating_sub(offset)),
            Self::Rest(_) => self,
        }
    }
}

/// Where serving has got to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// Byte-nanoseconds already sent in the nanosecond in which the last packet ended.
    pub(crate) credit: u64,
    pub(crate) spot: Spot,
    pub(crate) place: Place,
}

impl Cursor {
    /// Serves at an even rate.
    #[inline]
    pub(crate) fn fixed(&mut self, rate: u64, start: u64, need: u64, stop: u64) -> Served {
        let used = self.credit.min(need);
        self.credit -= used;
        let need = need - used;
        if need == 0 {
            return Served::Left(start);
        }
        let room = u128::from(stop.saturating_sub(start)) * u128::from(rate);
        if room < u128::from(need) {
            self.credit = 0;
            return Served::Rest(need - room as u64);
        }
        let time = need.div_ceil(rate);
        self.credit = time * rate - need;
        Served::Left(start + time)
    }
}

/// A duration as nanoseconds, cut off at 584 years.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(SECOND).saturating_add(duration.subsec_nanos() as u64)
}
