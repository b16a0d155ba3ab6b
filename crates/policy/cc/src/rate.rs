//! Delivery rate of a path, sampled per acknowledgement (draft-cheng-iccrg-delivery-rate-estimation §3).
//!
//! Each packet remembers how much had been delivered when it left; when it is acknowledged, the difference over the
//! longer of the time it took to send and the time it took to be acknowledged is a rate that neither sending
//! bursts nor compressed acknowledgements overstate. It filters nothing: a maximum or mean over samples is the
//! user's choice.
//!
//! The draft also drops samples over less than the minimum RTT. Here a packet is acknowledged at most once and its
//! reference point is never later than its sending, so an interval is at least that packet's own RTT.

use tq_time::{Duration, Instant};

use crate::rtt::nanos;

#[cfg(test)]
mod tests;

/// The bit of [`SentState`]'s `flight` that says the sender had too little to send.
const LIMITED: u32 = 1 << 31;

/// What a packet carries while in flight: 32 bytes, as there is one for each packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentState {
    /// Bytes delivered on the path when the packet left.
    pub delivered: u64,
    /// When the last of them was acknowledged.
    pub delivered_at: Instant,
    /// When the packet that began this sampling interval left.
    pub first_sent_at: Instant,
    /// Bytes lost on the path when the packet left, modulo 2^32.
    lost: u32,
    /// Bytes in flight before it, below 2^31, and [`LIMITED`].
    flight: u32,
}

impl SentState {
    /// Bytes that were in flight when the packet left, without it; at most 2^31 - 1.
    pub const fn in_flight(&self) -> u64 {
        (self.flight & !LIMITED) as u64
    }

    /// The sender had too little to send.
    pub const fn app_limited(&self) -> bool {
        self.flight & LIMITED != 0
    }
}

/// What became of the path while one packet was in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// Bytes delivered on the path when the packet left.
    pub delivered_before: u64,
    /// Bytes delivered by now.
    pub delivered: u64,
    /// Bytes that were in flight when it left, without it.
    pub in_flight: u64,
    /// Bytes declared lost since it left.
    pub lost: u64,
    /// The application held the sender back when it left.
    pub app_limited: bool,
}

/// A rate measured over one acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSample {
    /// Bytes delivered over the interval.
    pub delivered: u64,
    /// Its length, not zero.
    pub interval: Duration,
    /// Bytes per second.
    pub rate: u64,
    /// The application held the sender back: the path may be faster.
    pub app_limited: bool,
}

/// The newest packet of the acknowledgement being processed.
#[derive(Clone, Copy, Debug)]
struct Newest {
    sent_at: Instant,
    state: SentState,
}

/// Rate sampler of one path.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateSampler {
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    /// Samples are limited by the application until this much is delivered; zero if they are not.
    app_limited_until: u64,
    newest: Option<Newest>,
    lost: u64,
    flight: Option<Flight>,
}

impl RateSampler {
    /// A sampler that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A packet that counts as in flight leaves; keep the result with it. `in_flight_before` is without it.
    pub fn on_sent(&mut self, now: Instant, in_flight_before: u64) -> SentState {
        if in_flight_before == 0 {
            // Idle time is not the path's slowness.
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        let limited = if self.app_limited_until != 0 { LIMITED } else { 0 };
        SentState {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            lost: self.lost as u32,
            flight: in_flight_before.min(u64::from(!LIMITED)) as u32 | limited,
        }
    }

    /// Packets of `bytes` in sum were declared lost, the newest of which left with `state`: what happened since then,
    /// these bytes included.
    pub fn on_lost(&mut self, bytes: u64, state: &SentState) -> Flight {
        self.lost = self.lost.wrapping_add(bytes);
        self.since(state)
    }

    fn since(&self, state: &SentState) -> Flight {
        Flight {
            delivered_before: state.delivered,
            delivered: self.delivered,
            in_flight: state.in_flight(),
            lost: u64::from((self.lost as u32).wrapping_sub(state.lost)),
            app_limited: state.app_limited(),
        }
    }

    /// A packet of `bytes` sent at `sent_at` with `state` is newly acknowledged. Called for each packet of a
    /// frame in any order, before [`RateSampler::sample`].
    pub fn on_acked(&mut self, now: Instant, bytes: u64, sent_at: Instant, state: &SentState) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_at = now;
        let newer = |newest: Newest| (sent_at, state.delivered) > (newest.sent_at, newest.state.delivered);
        if self.newest.is_none_or(newer) {
            self.newest = Some(Newest { sent_at, state: *state });
        }
    }

    /// The sender has nothing more to send though the window (with `in_flight` bytes used) would allow it.
    pub fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = self.delivered.saturating_add(in_flight).max(1);
    }

    /// The rate of the acknowledgement just processed; `None` if nothing was acknowledged or no time passed.
    pub fn sample(&mut self) -> Option<RateSample> {
        if self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        self.flight = None;
        let Newest { sent_at, state } = self.newest.take()?;
        self.flight = Some(self.since(&state));
        self.first_sent_at = self.first_sent_at.max(sent_at);
        let sending = sent_at.saturating_since(state.first_sent_at);
        let acking = self.delivered_at.saturating_since(state.delivered_at);
        let interval = sending.max(acking);
        let delivered = self.delivered.saturating_sub(state.delivered);
        let rate = u128::from(delivered) * 1_000_000_000 / u128::from(nanos(interval).max(1));
        (!interval.is_zero()).then_some(RateSample {
            delivered,
            interval,
            rate: u64::try_from(rate).unwrap_or(u64::MAX),
            app_limited: state.app_limited(),
        })
    }

    /// The flight of the packet the last call of [`RateSampler::sample`] was about; `None` if nothing was acknowledged.
    pub fn flight(&self) -> Option<Flight> {
        self.flight
    }
}
