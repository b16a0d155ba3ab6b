//! Datagram size of a path: probing upwards (DPLPMTUD, RFC 8899, RFC 9000 §14.3) and falling back when large packets
//! vanish. A lost probe is never a sign of congestion.

use core::time::Duration;

use tq_time::Instant;

use crate::config::MIN_MTU;

/// Losses of a probe size before it counts as too big (RFC 8899 §5.1.2 MAX_PROBES).
const MAX_PROBES: u8 = 3;
/// The search ends when the gap is no more than this.
const PRECISION: u16 = 20;
/// When to look again whether the path grew (RFC 8899 §5.1.1 PMTU_RAISE_TIMER).
const RAISE: Duration = Duration::from_secs(600);
/// Rounds of loss of full-size packets, with none of them acknowledged, before the path counts as a black hole.
const BLACK_HOLE_LOSSES: u8 = 4;

/// Datagram size of one path, in bytes of UDP payload.
#[derive(Clone, Debug)]
pub(crate) struct Mtu {
    current: u16,
    max: u16,
    /// Smallest size known not to pass, one above `max` at first.
    too_big: u16,
    enabled: bool,
    probe: Option<u16>,
    failures: u8,
    /// No probe before this.
    next_at: Option<Instant>,
    large_losses: u8,
}

impl Mtu {
    pub(crate) fn new(initial: u16, max: u16, enabled: bool) -> Self {
        let initial = initial.max(MIN_MTU);
        let max = max.max(initial);
        Self {
            current: initial,
            max,
            too_big: max.saturating_add(1),
            enabled,
            probe: None,
            failures: 0,
            next_at: None,
            large_losses: 0,
        }
    }

    /// Size to send with.
    #[inline]
    pub(crate) fn current(&self) -> u16 {
        self.current
    }

    /// Largest size that may ever be sent.
    pub(crate) fn max(&self) -> u16 {
        self.max
    }

    /// The peer accepts no more than this.
    pub(crate) fn limit(&mut self, max_udp_payload: u64) {
        self.max = self.max.min(u16::try_from(max_udp_payload).unwrap_or(u16::MAX)).max(MIN_MTU);
        self.current = self.current.min(self.max);
        self.too_big = self.too_big.min(self.max.saturating_add(1));
    }

    /// The size to probe now, if any. The first probe asks for the most, which is what most paths carry; then the
    /// search halves.
    pub(crate) fn next_probe(&self, now: Instant) -> Option<u16> {
        if !self.enabled || self.probe.is_some() || self.next_at.is_some_and(|at| now < at) {
            return None;
        }
        if self.too_big > self.max && self.current < self.max {
            return Some(self.max);
        }
        let gap = self.too_big.saturating_sub(self.current);
        (gap > PRECISION).then(|| self.current + gap / 2)
    }

    pub(crate) fn on_probe_sent(&mut self, size: u16) {
        self.probe = Some(size);
    }

    /// Nobody will say what became of the probe.
    pub(crate) fn abandon_probe(&mut self) {
        self.probe = None;
    }

    /// A probe arrived; returns whether the size changed.
    pub(crate) fn on_probe_acked(&mut self, size: u16, now: Instant) -> bool {
        self.probe = None;
        self.failures = 0;
        self.large_losses = 0;
        if size <= self.current {
            return false;
        }
        self.current = size;
        self.settle(now);
        true
    }

    /// A probe did not arrive, or the socket refused it.
    pub(crate) fn on_probe_lost(&mut self, size: u16, now: Instant) {
        self.probe = None;
        self.failures += 1;
        if self.failures >= MAX_PROBES {
            self.reject(size, now);
        }
    }

    /// The local interface cannot carry `size`. Returns whether the current size had to shrink.
    pub(crate) fn on_too_big(&mut self, size: u16, now: Instant) -> bool {
        self.probe = None;
        self.reject(size, now);
        if size > self.current || self.current == MIN_MTU {
            return false;
        }
        // what lies between is looked for at once
        (self.current, self.next_at) = (MIN_MTU, None);
        true
    }

    fn reject(&mut self, size: u16, now: Instant) {
        self.failures = 0;
        self.too_big = self.too_big.min(size.max(MIN_MTU + 1));
        self.settle(now);
    }

    /// Ends the search when there is nothing left to find, until the raise timer.
    fn settle(&mut self, now: Instant) {
        if self.current == self.max || self.too_big.saturating_sub(self.current) <= PRECISION {
            self.next_at = Some(now + RAISE);
            self.too_big = self.max.saturating_add(1);
        }
    }

    /// A packet larger than the minimum was acknowledged.
    pub(crate) fn on_large_acked(&mut self) {
        self.large_losses = 0;
    }

    /// A round of loss with packets of the current size in it. Returns whether the path was declared a black hole for
    /// them: the size is back at the minimum.
    pub(crate) fn on_large_lost(&mut self, now: Instant) -> bool {
        if self.current == MIN_MTU {
            return false;
        }
        self.large_losses += 1;
        if self.large_losses < BLACK_HOLE_LOSSES {
            return false;
        }
        self.large_losses = 0;
        self.too_big = self.current.max(MIN_MTU + 1);
        self.current = MIN_MTU;
        self.next_at = Some(now + Duration::from_secs(60));
        true
    }

    /// Whether no further probe is planned for now.
    pub(crate) fn is_done(&self, now: Instant) -> bool {
        self.next_probe(now).is_none() && self.probe.is_none()
    }
}
