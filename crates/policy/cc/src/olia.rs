//! OLIA (Khalili and others, CoNEXT 2012; draft-khalili-mptcp-congestion-control): windows of several paths that together
//! take no more of a shared link than one flow, and move to the better paths.
//!
//! In congestion avoidance a path grows by a part of what Reno would: the square of its share of the rates of all, and a
//! correction that gives to paths that are better than their windows say and takes from the largest windows. Slow start
//! and the halving are Reno's. It knows the other paths only by the factor it is told.

use tq_time::Instant;

use crate::controller::Ack;
use crate::fixed::Bytes;
use crate::recovery::Recovery;
use crate::rtt::nanos;

#[cfg(test)]
mod tests;

/// Factors are in millionths of what Reno would grow by.
const WHOLE: i64 = 1_000_000;
/// Paths that are coupled at most; a factor for more is that of the first.
const MOST: usize = 16;

/// What the others of a group have to know of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Window, bytes.
    pub window: u64,
    /// Smoothed round-trip time, ns.
    pub rtt: u64,
    /// Bytes acknowledged since the last loss, or between the two before if that is more.
    pub run: u64,
}

/// A window that is one of several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Olia {
    state: Recovery,
    undo: Option<Recovery>,
    /// Growth, millionths of Reno's.
    factor: i64,
    /// Bytes acknowledged since the last loss, and between the two before.
    runs: [u64; 2],
}

impl Olia {
    /// The controller of a fresh path with packets of `mtu` bytes, alone for now.
    pub(crate) fn new(mtu: u16) -> Self {
        Self { state: Recovery::new(mtu), undo: None, factor: WHOLE, runs: [0; 2] }
    }

    /// The same, with the faster start of long paths on or off.
    pub(crate) fn with_long_start(mut self, on: bool) -> Self {
        self.state = self.state.with_long_start(on);
        self
    }

    /// What the others have to know.
    pub(crate) fn member(&self, rtt: tq_time::Duration) -> Member {
        let run = self.runs[0].max(self.runs[1]);
        Member { window: self.state.window(), rtt: nanos(rtt), run }
    }

    /// From now on it grows by `factor` millionths of what Reno would.
    pub(crate) fn couple(&mut self, factor: i64) {
        self.factor = factor.clamp(-WHOLE, 2 * WHOLE);
    }

    pub(crate) fn on_sent(&mut self, pn: u64) {
        self.state.on_sent(pn);
    }

    pub(crate) fn on_ack(&mut self, now: Instant, ack: &Ack<'_>) {
        self.runs[0] = self.runs[0].saturating_add(ack.bytes);
        if !self.state.leaves_recovery(now, ack) {
            return;
        }
        let bytes = self.state.slow_start(now, ack);
        if ack.app_limited || bytes == 0 {
            return;
        }
        let cwnd = self.state.window().max(1);
        let reno = Bytes::new(self.state.mtu).scaled(bytes.min(cwnd), cwnd);
        let part = reno.scaled(self.factor.unsigned_abs(), WHOLE.unsigned_abs());
        if self.factor < 0 {
            self.state.cwnd = self.state.cwnd.minus(part).max(self.state.floor());
            // Slow start must not bring back what was taken.
            self.state.ssthresh = self.state.ssthresh.min(self.state.window());
        } else {
            self.state.cwnd = self.state.cwnd.plus(part);
        }
    }

    /// `used`: no more than this was in flight, whatever the window.
    pub(crate) fn on_congestion(
        &mut self,
        now: Instant,
        sent_at: Instant,
        used: u64,
        persistent: bool,
        ecn: bool,
    ) {
        if self.state.is_new_event(sent_at) {
            self.undo = Some(self.state);
            let cwnd = self.state.proven().min(Bytes::new(used));
            self.state.reduce(now, cwnd.scaled(1, 2));
            self.runs = [0, self.runs[0]];
        }
        if ecn {
            // A mark was put on by a queue: it cannot turn out to have been reordering.
            self.undo = None;
        }
        if persistent {
            self.state.collapse(now);
        }
    }

    pub(crate) fn on_spurious(&mut self) {
        if let Some(before) = self.undo.take()
            && before.cwnd > self.state.cwnd
        {
            self.state.restore(before);
        }
    }

    pub(crate) fn on_first_rtt(&mut self, rtt: u64) {
        self.state.on_first_rtt(rtt);
    }

    pub(crate) fn on_mtu(&mut self, mtu: u16) {
        self.state.on_mtu(mtu);
    }

    pub(crate) fn state(&self) -> &Recovery {
        &self.state
    }
}

/// By how many millionths of Reno's growth the first of `group` grows: the square of its share of the rates, and
/// `1/(n |B \ M|)` if it is among the best paths `B` (most acknowledged between losses for its round trip) but not among
/// the largest windows `M`, or `-1/(n |M|)` if it is among these while another is better.
pub fn factor(group: impl Iterator<Item = Member>) -> i64 {
    let mut members = [Member::default(); MOST];
    let mut count = 0;
    for (slot, member) in members.iter_mut().zip(group.filter(|member| member.rtt > 0)) {
        *slot = member;
        count += 1;
    }
    let members = &members[..count];
    let Some(own) = members.first() else { return WHOLE };
    let rate = |member: &Member| u128::from(member.window) * 1_000_000_000 / u128::from(member.rtt);
    let sum: u128 = members.iter().map(rate).sum::<u128>().max(1);
    let share = (rate(own) * 1_000_000 / sum) as i64;
    let square = share * share / WHOLE;

    let largest = members.iter().map(|member| member.window).max().unwrap_or(0);
    let is_largest = |member: &Member| member.window == largest;
    let worse = |one: &Member, other: &Member| {
        let quality = |run: u64, rtt: u64| u128::from(run.min(1 << 40)) * u128::from(rtt.min(1 << 40)).pow(2);
        quality(one.run, other.rtt) < quality(other.run, one.rtt)
    };
    let is_best = |member: &Member| members.iter().all(|other| !worse(member, other));
    let better = members.iter().filter(|member| is_best(member) && !is_largest(member)).count() as i64;
    let large = members.iter().filter(|member| is_largest(member)).count() as i64;
    let paths = count as i64;
    let shift = match (better, is_largest(own)) {
        (0, _) => 0,
        (_, true) => -WHOLE / (paths * large.max(1)),
        _ if is_best(own) => WHOLE / (paths * better),
        _ => 0,
    };
    square + shift
}
