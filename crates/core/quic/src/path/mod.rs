//! A path: one pair of addresses with everything that depends on it, kept under its path id.
//!
//! It knows its packet number space, RTT, window, pacer, MTU, validation and amplification budget. It never decides
//! what is sent, only how much may be.

mod ecn;
mod gauge;
mod mtu;
mod state;
mod status;
mod validate;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
pub(crate) use ecn::EcnPath;
pub(crate) use gauge::Gauge;
pub(crate) use mtu::Mtu;
pub use state::PathState;
pub(crate) use state::{Cause, Refused};
pub use status::Status;
pub(crate) use status::Statuses;
use tq_buf::mem::{Box, VecDeque};
use tq_cc::{Controller, Pacer, RateSampler, Rtt};
use tq_sched::{Health, Monitor};
use tq_time::Instant;
use tq_wire::{Ecn, PathId};
pub(crate) use validate::{Proof, Validation};

use crate::config::{MIN_MTU, TransportConfig};
use crate::connection::RecvMeta;
use crate::space::{AckPolicy, Space};

/// Exponent after which the PTO no longer doubles; with a base of 1 s that is 17 minutes.
const MAX_BACKOFF: u32 = 10;

/// An unproven address with less room than this gets nothing: an ACK may not fit, in a long header with two connection ids
/// of 20 bytes.
const SMALLEST_PACKET: u64 = 128;

/// Why others are to send again what a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resending {
    /// It is silent; an acknowledgement ends it.
    Silent,
    /// The same, for so long that the budget does not count any more.
    Overdue,
    /// The peer would rather not use it, perhaps because its link is gone. What was acknowledged before is no sign of life.
    Demoted,
}

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) remote: SocketAddr,
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) socket: u32,
}

impl Tuple {
    /// Where a datagram came from.
    pub(crate) fn of(meta: &RecvMeta) -> Self {
        Self { remote: meta.remote, local_ip: meta.local_ip, socket: meta.socket }
    }

    /// Whether a datagram came this way. An address of ours that is not known is not compared.
    #[inline]
    pub(crate) fn is_of(&self, meta: &RecvMeta) -> bool {
        self.remote == meta.remote && self.same_local(&Self::of(meta))
    }

    /// Whether our end is the same.
    pub(crate) fn same_local(&self, other: &Self) -> bool {
        let ips = self.local_ip.zip(other.local_ip);
        self.socket == other.socket && ips.is_none_or(|(one, other)| one == other)
    }
}

/// What this end thinks of sending on a path. The peer is not told: it decides for its own direction.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathPolicy {
    /// 0 is flat rate. The aggregate scheduler fills cheaper paths first, among those it would use at all, and uses those from
    /// [`PathPolicy::METERED`] on only after a second in which the others could not carry all.
    pub cost: u8,
    /// Share for the weighted scheduler; zero counts as one. `None`: by what the path is measured to carry.
    pub weight: Option<u16>,
    /// Bytes per second that may be sent at most, in the long run; less than [`PathPolicy::LEAST_RATE`] counts as that.
    /// `None` is what congestion control finds. Without pacing it is not kept.
    pub max_rate: Option<u64>,
}

impl PathPolicy {
    /// The least cost of what is paid by the byte.
    pub const METERED: u8 = 10;
    /// One packet a second or so.
    pub const LEAST_RATE: u64 = 1500;
}

/// One path.
pub(crate) struct Path {
    pub(crate) id: PathId,
    /// What both ends have agreed of it.
    pub(crate) state: PathState,
    pub(crate) tuple: Tuple,
    /// The address before the last change, until the present one is proven.
    pub(crate) fallback: Option<Box<Fallback>>,
    /// Full datagrams still to be sent to open it.
    pub(crate) flight: u8,
    /// What had come on all paths when it was opened, and how many datagrams more were sent to open it since.
    pub(crate) came_before: u64,
    pub(crate) lifted: u8,
    /// ACK-only packets sent in a row; now and then one carries a PING so that ranges can be forgotten.
    pub(crate) ack_only: u32,
    /// Where acknowledgements of what comes on this path save time: on this other path as well.
    pub(crate) ack_on: Option<PathId>,
    /// When a packet came on it last.
    pub(crate) heard_at: Option<Instant>,
    /// It leads elsewhere than its round trips did.
    pub(crate) moved: bool,
    /// The oldest packet that waited for an answer before the acknowledgement at hand.
    pub(crate) waited: Option<Instant>,
    /// When an acknowledgement of it that told something new last came on the path itself.
    pub(crate) own_word_at: Option<Instant>,
    /// When it was made, or was back from being out.
    pub(crate) back_at: Instant,
    /// The path on which something of this one was acknowledged last.
    pub(crate) told_on: PathId,
    /// What this end thinks of sending on it.
    pub(crate) policy: PathPolicy,
    /// How it does in our sending direction; judged only beside other paths.
    pub(crate) monitor: Monitor,
    /// Paths with the same number share a bottleneck; zero if it shares with none that is known.
    pub(crate) group: u32,
    /// What is measured of it; only where there may be several paths.
    pub(crate) gauge: Gauge,
    /// Its application packet number space.
    pub(crate) space: Space,
    /// Round trips as congestion control sees them: always by the same way back.
    pub(crate) rtt: Rtt,
    /// Round trips by the slowest way back in use: loss and probes wait for those.
    pub(crate) rtt_slow: Option<Rtt>,
    pub(crate) cc: Controller,
    pub(crate) pacer: Pacer,
    pub(crate) rates: RateSampler,
    pub(crate) mtu: Mtu,
    pub(crate) ecn: EcnPath,
    pub(crate) validation: Validation,
    /// PTOs in a row without an acknowledgement.
    pub(crate) pto_count: u32,
    /// Probe packets to send whatever the window says: Initial, Handshake, 1-RTT.
    pub(crate) probes: [u8; 3],
    /// A PING is wanted.
    pub(crate) ping: bool,
    /// Messages that are to go on this path and no other.
    pub(crate) messages: VecDeque<Bytes>,
    /// Below this number nothing is left that did not go again elsewhere.
    pub(crate) rescued: u64,
    /// Others are to send again what is outstanding here.
    pub(crate) resend: Option<Resending>,
    /// Packets that may go again even if the budget is empty.
    pub(crate) free_resends: u8,
    /// Bytes of this path that went again on others though they were not lost.
    pub(crate) bytes_resent: u64,
    /// Bytes acknowledged in its application space.
    pub(crate) bytes_acked: u64,
    /// Not before this may the pacer let the next batch go.
    pub(crate) paced_until: Option<Instant>,
    /// Lowest packet number opened with the current key phase.
    pub(crate) phase_start: Option<u64>,
    /// Highest packet number opened before the current key phase, or with the keys of the one before it.
    pub(crate) older_top: Option<u64>,
    /// First packet number sealed with the current key phase.
    pub(crate) sealed_from: u64,
    /// The window was not the limit when last asked.
    pub(crate) app_limited: bool,
    pub(crate) packets_lost: u64,
    /// Packets declared lost since the window was last reduced, and not delivered after all.
    pub(crate) lost_in_event: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

impl Path {
    pub(crate) fn new(
        id: PathId,
        tuple: Tuple,
        config: &TransportConfig,
        now: Instant,
        skip_seed: u64,
    ) -> Self {
        let mtu = Mtu::new(config.initial_mtu, config.max_mtu, config.mtu_discovery);
        let mut space = Space::new(skip_seed, false);
        space.owed.set_policy(AckPolicy::within(config.max_ack_delay));
        Self {
            id,
            state: PathState::Created,
            tuple,
            fallback: None,
            flight: 0,
            came_before: 0,
            lifted: 0,
            ack_only: 0,
            ack_on: None,
            heard_at: None,
            moved: false,
            waited: None,
            own_word_at: None,
            back_at: now,
            told_on: id,
            policy: PathPolicy::default(),
            monitor: Monitor::new(now),
            group: 0,
            gauge: Gauge::default(),
            space,
            rtt: Rtt::new(config.initial_rtt),
            rtt_slow: None,
            // Half of it: when a path probes must not tell which numbers are left out.
            cc: controller(config, now, mtu.current(), skip_seed >> 32),
            pacer: Pacer::new(),
            rates: RateSampler::new(),
            mtu,
            ecn: EcnPath::new(config.ecn),
            validation: Validation::new(),
            pto_count: 0,
            probes: [0; 3],
            ping: false,
            rescued: 0,
            resend: None,
            free_resends: 0,
            bytes_resent: 0,
            bytes_acked: 0,
            messages: VecDeque::new(),
            paced_until: None,
            phase_start: None,
            older_top: None,
            sealed_from: 0,
            app_limited: false,
            packets_lost: 0,
            lost_in_event: 0,
            bytes_sent: 0,
            bytes_received: 0,
        }
    }

    /// PTO without backoff; `max_ack_delay` is zero for Initial and Handshake (RFC 9002 §6.2.1).
    pub(crate) fn pto_base(&self, max_ack_delay: Duration) -> Duration {
        let pto = self.rtt.pto_base(max_ack_delay);
        self.rtt_slow.map_or(pto, |slow| pto.max(slow.pto_base(max_ack_delay)))
    }

    /// A challenge that went out at `sent_at` was answered: both ways over this path, and better than any guess until an
    /// acknowledgement says more.
    pub(crate) fn on_answered(&mut self, now: Instant, sent_at: Instant) {
        if !self.rtt.has_sample() {
            let rtt = now.saturating_since(sent_at);
            self.space.sent.on_first_rtt(now);
            self.rtt.update(rtt, Duration::ZERO);
            self.cc.on_first_rtt(now, rtt);
        }
    }

    /// Bytes per second that its window allows without a queue: after a loss of its own a path brings no more, whoever else is
    /// in use.
    pub(crate) fn allowed_rate(&self) -> u64 {
        let nanos = self.rtt.min().as_nanos().max(1);
        u64::try_from(u128::from(self.cc.window()) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }

    /// Age at which a packet is lost once a later one was acknowledged (RFC 9002 §6.1.2).
    pub(crate) fn loss_delay(&self) -> Duration {
        let delay = self.rtt.loss_delay();
        self.rtt_slow.map_or(delay, |slow| delay.max(slow.loss_delay()))
    }

    /// PTO with backoff.
    // MUST 9002-6.2.1-4
    pub(crate) fn pto(&self, max_ack_delay: Duration) -> Duration {
        self.pto_base(max_ack_delay) * (1 << self.pto_count.min(MAX_BACKOFF))
    }

    /// Bytes per second at which packets leave: what congestion control finds, and no more than the policy says.
    pub(crate) fn pacing_rate(&self) -> u64 {
        let rate = self.cc.pacing_rate(&self.rtt);
        match self.policy.max_rate.map(|most| most.max(PathPolicy::LEAST_RATE)) {
            Some(most) if rate == 0 => most,
            Some(most) => rate.min(most),
            None => rate,
        }
    }

    /// How it does in our sending direction.
    pub(crate) fn health(&self) -> Health {
        self.monitor.state()
    }

    /// Whether new data may go there as far as its health is concerned.
    pub(crate) fn is_healthy(&self) -> bool {
        !matches!(self.health(), Health::Suspect | Health::Out)
    }

    /// Whether `other` has the same two addresses.
    pub(crate) fn is_at(&self, other: &Tuple) -> bool {
        let same_local = match (self.tuple.local_ip, other.local_ip) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        self.tuple.remote == other.remote && self.tuple.socket == other.socket && same_local
    }

    /// Bytes a peer's address may still be sent before it is validated (RFC 9000 §8.1).
    // MUST 9000-8-1, 9000-8.1-1, 9000-14.1-4
    pub(crate) fn amplification_budget(&self) -> u64 {
        self.validation.budget()
    }

    /// Whether nothing but a challenge may be sent before the peer is heard of again: there is no room for a packet, or
    /// what room there is is kept to repeat the challenge.
    pub(crate) fn is_blocked(&self) -> bool {
        let least = if self.validation.is_challenging() { u64::from(MIN_MTU) } else { SMALLEST_PACKET };
        self.validation.budget() < least
    }

    /// Mark for the next packet.
    pub(crate) fn mark(&self) -> Ecn {
        if self.ecn.marks() { Ecn::Ect0 } else { Ecn::NotEct }
    }

    /// A new address behind the same path: what was learnt of the old one no longer holds (RFC 9000 §9.4), and is
    /// returned in case the address turns out to be forged. Nothing changes but the port: all of it holds.
    // MUST 9000-9.4-2
    pub(crate) fn reset_for_new_tuple(
        &mut self,
        tuple: Tuple,
        config: &TransportConfig,
        now: Instant,
    ) -> Option<Learnt> {
        let port_only = self.tuple.remote.ip() == tuple.remote.ip() && self.tuple.same_local(&tuple);
        self.tuple = tuple;
        self.pto_count = 0;
        if port_only {
            return None;
        }
        let mut mtu = Mtu::new(config.initial_mtu, config.max_mtu, config.mtu_discovery);
        mtu.limit(self.mtu.max().into());
        let fresh = Learnt {
            rtt: Rtt::new(config.initial_rtt),
            cc: controller(config, now, mtu.current(), self.cc.seed()),
            mtu,
            ecn: EcnPath::new(config.ecn),
        };
        self.space.sent.set_elsewhere(Instant::ZERO, now);
        self.pacer = Pacer::new();
        self.rates = RateSampler::new();
        (self.rtt_slow, self.gauge, self.moved) = (None, Gauge::default(), true);
        Some(self.exchange(fresh))
    }

    /// Back at an address left at `since`, with what was known of it, if anything was forgotten (RFC 9000 §9.3.3).
    pub(crate) fn restore(&mut self, tuple: Tuple, learnt: Option<Learnt>, since: Instant, now: Instant) {
        self.tuple = tuple;
        self.pto_count = 0;
        self.space.sent.set_elsewhere(since, now);
        if let Some(learnt) = learnt {
            self.pacer = Pacer::new();
            self.rates = RateSampler::new();
            (self.rtt_slow, self.gauge, self.moved) = (None, Gauge::default(), true);
            self.exchange(learnt);
        }
        self.mtu.abandon_probe();
    }

    fn exchange(&mut self, with: Learnt) -> Learnt {
        let ecn = core::mem::replace(&mut self.ecn, with.ecn);
        self.ecn.go_on_from(&ecn);
        Learnt {
            rtt: core::mem::replace(&mut self.rtt, with.rtt),
            cc: core::mem::replace(&mut self.cc, with.cc),
            mtu: core::mem::replace(&mut self.mtu, with.mtu),
            ecn,
        }
    }
}

/// The controller of a fresh path.
fn controller(config: &TransportConfig, now: Instant, mtu: u16, seed: u64) -> Controller {
    Controller::new(config.congestion(), now, mtu).with_long_start(config.long_path_start).with_seed(seed)
}

/// The address before the last change and what was known of it, kept until the new one is validated.
#[derive(Debug)]
pub(crate) struct Fallback {
    pub(crate) tuple: Tuple,
    pub(crate) learnt: Option<Learnt>,
    /// When it was left.
    pub(crate) since: Instant,
}

/// What a path knows of the way to one address.
#[derive(Debug)]
pub(crate) struct Learnt {
    rtt: Rtt,
    cc: Controller,
    mtu: Mtu,
    ecn: EcnPath,
}
