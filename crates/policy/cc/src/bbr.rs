//! BBRv3 (draft-ietf-ccwg-bbr-06): a window and a pace from a model of the path instead of from its losses.
//!
//! The model is what the path delivers at most, how long it takes without a queue, and how much in flight it took
//! without losing too much. A state machine sends a little more now and then to see whether there is more, and less
//! to let queues drain. Everything happens per acknowledgement, in the order of [`Bbr::on_ack`]; nothing is set by a
//! timer. What departs from the draft: loss of a path that has no queue is told from that of a full one
//! ([`noise`]); ProbeRTT is put off while samples confirm what the last one found ([`probe_rtt`]), and long paths drain
//! before they probe again; a probe that lost too much leaves less behind ([`loss`]) and may fill a larger window, so
//! that flows become even sooner; long paths may start with the help of packet trains, as they do with CUBIC; and a
//! mark (CE) counts as a loss beyond the threshold.

use tq_time::{Duration, Instant};

use crate::controller::{Ack, initial_window, minimum_window};
use crate::rtt::{Rtt, nanos};
use crate::start::Start;

mod control;
mod cycle;
mod loss;
mod model;
mod neighbours;
mod noise;
mod probe_rtt;
mod startup;
#[cfg(test)]
mod tests;

use cycle::Cycle;
use loss::Losses;
use model::{Model, scaled};
use neighbours::Neighbours;
use noise::Noise;
use probe_rtt::{MinRtt, ProbeRtt};
use startup::Pipe;

/// No bound, nothing measured.
const UNBOUNDED: u64 = u64::MAX;
/// Largest volume that is computed with: 1 TiB, as for other windows.
const LARGEST: u64 = 1 << 40;
/// Pacing gains in hundredths (draft §5.6.1).
const STARTUP_GAIN: u64 = 277;
const DRAIN_GAIN: u64 = 50;
const DOWN_GAIN: u64 = 90;
const UP_GAIN: u64 = 125;
const EVEN_GAIN: u64 = 100;
/// Window gains in hundredths.
const CWND_GAIN: u64 = 200;
/// The draft has 225. The window is what divides a link whose queue is deep, and a small flow must be able to grow.
const UP_CWND_GAIN: u64 = 250;
const PROBE_RTT_CWND_GAIN: u64 = 50;

/// Where the flow is in the draft's state machine (§5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
}

impl State {
    /// One of the four of ProbeBW.
    fn is_probe_bw(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// Trying for more, where losses say how much is too much.
    fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }

    /// Pacing gain in hundredths.
    fn pacing_gain(self) -> u64 {
        match self {
            Self::Startup => STARTUP_GAIN,
            Self::Drain => DRAIN_GAIN,
            Self::Down => DOWN_GAIN,
            Self::Up => UP_GAIN,
            Self::Cruise | Self::Refill | Self::ProbeRtt => EVEN_GAIN,
        }
    }

    /// Window gain in hundredths.
    fn cwnd_gain(self) -> u64 {
        match self {
            Self::Up => UP_CWND_GAIN,
            Self::ProbeRtt => PROBE_RTT_CWND_GAIN,
            _ => CWND_GAIN,
        }
    }
}

/// Packet-timed round trips (draft §5.5.1).
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    count: u64,
    /// This acknowledgement began one.
    began: bool,
    /// It ends with a packet that left after so much was delivered.
    ends: u64,
    /// The window was full at some point of this one, of the one before.
    full: bool,
    was_full: bool,
}

/// One acknowledgement: the draft's RS and what it reads of C.
#[derive(Clone, Copy, Debug)]
struct Sample {
    now: Instant,
    /// Bytes newly acknowledged.
    acked: u64,
    /// Bytes in flight after them.
    in_flight: u64,
    /// Bytes per second, zero if there was no sample.
    rate: u64,
    /// Bytes delivered while the newest packet was in flight.
    volume: u64,
    /// Bytes delivered before it left, and by now.
    before: u64,
    delivered: u64,
    /// Bytes in flight when it left, with it.
    sent_in_flight: u64,
    /// Bytes lost while it was in flight.
    lost: u64,
    app_limited: bool,
    /// Newest round-trip time, ns; `None` before the first. And the least the connection knows of this way there and back.
    rtt: Option<u64>,
    least: u64,
}

/// What another controller knew of the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Delivery rate, bytes per second.
    pub(crate) rate: u64,
    /// Least round-trip time, ns.
    pub(crate) min_rtt: u64,
    /// Window, bytes.
    pub(crate) window: u64,
    /// Bytes acknowledged, and lost without a queue.
    pub(crate) counts: (u64, u64),
}

/// BBRv3 on one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bbr {
    mtu: u64,
    state: State,
    cwnd: u64,
    /// Window before a recovery or ProbeRTT made it smaller.
    prior_cwnd: u64,
    /// Bytes per second; zero until there is a round-trip time.
    pacing_rate: u64,
    random: u64,
    round: Round,
    model: Model,
    min_rtt: MinRtt,
    probe_rtt: ProbeRtt,
    pipe: Pipe,
    cycle: Cycle,
    losses: Losses,
    noise: Noise,
    start: Start,
    /// The window of a long path was scaled.
    scaled: bool,
    /// Nothing was in flight when the last packets left.
    idle_restart: bool,
    delivered: u64,
    neighbours: Neighbours,
}

impl Bbr {
    /// The controller of a fresh path with packets of `mtu` bytes.
    pub(crate) fn new(now: Instant, mtu: u16) -> Self {
        Self {
            mtu: u64::from(mtu.max(1)),
            state: State::Startup,
            cwnd: initial_window(mtu),
            prior_cwnd: 0,
            pacing_rate: 0,
            random: now.as_nanos(),
            round: Round::default(),
            model: Model::new(now),
            min_rtt: MinRtt::new(now),
            probe_rtt: ProbeRtt::default(),
            pipe: Pipe::default(),
            cycle: Cycle::new(now),
            losses: Losses::default(),
            noise: Noise::default(),
            start: Start::new(false),
            scaled: false,
            idle_restart: false,
            delivered: 0,
            neighbours: Neighbours::default(),
        }
    }

    /// The same, going on from what another controller knew. That may be less than there is, since losses held it down:
    /// Startup begins with it.
    pub(crate) fn with_known(mut self, now: Instant, known: &Known) -> Self {
        self.cwnd = known.window.max(minimum_window(u16::try_from(self.mtu).unwrap_or(u16::MAX)));
        self.min_rtt.know(now, known.min_rtt);
        self.model.know(known.rate);
        self.noise.know(known.counts.0, known.counts.1, self.mtu);
        self.start = Start::new(self.start.is_on());
        self.scaled = true;
        self.pacing_rate = scaled(scaled(known.rate, STARTUP_GAIN), 99);
        self
    }

    /// The same, drawing what is random from `seed`.
    pub(crate) fn with_seed(self, seed: u64) -> Self {
        Self { random: seed, ..self }
    }

    /// The same, with the faster start of long paths on or off.
    pub(crate) fn with_long_start(self, on: bool) -> Self {
        Self { start: Start::new(on), ..self }
    }

    /// A packet leaves (draft §5.4.1).
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u16, in_flight_before: u64) {
        let in_flight = in_flight_before.saturating_add(bytes.into());
        self.round.full |= in_flight.saturating_add(self.mtu) > self.cwnd;
        if in_flight_before == 0 && self.delivered > 0 {
            self.idle_restart = true;
            self.model.aggregation.restart(now);
            if self.state.is_probe_bw() {
                self.set_pacing_rate(EVEN_GAIN);
            } else if self.state == State::ProbeRtt {
                self.end_probe_rtt(now);
            }
        }
    }

    /// One acknowledgement (draft §5.2.3).
    pub(crate) fn on_ack(&mut self, now: Instant, ack: &Ack<'_>) {
        self.leave_recovery(ack.largest_sent_at);
        let Some(sample) = self.sample(now, ack) else { return };
        if sample.delivered < self.delivered {
            // Counting began anew: the path went back to an address it had left.
            self.round.ends = 0;
            self.losses.recount();
            self.probe_rtt.recount();
        }
        self.delivered = sample.delivered;
        self.begin_round(&sample);
        self.losses.on_ack(&sample);
        self.model.on_latest(&sample);
        self.model.on_rate(&sample);
        if self.losses.round_began {
            self.adapt_short_term();
        }
        let (bw, cap) = (self.model.bw(), self.cwnd);
        self.model.aggregation.on_ack(&sample, bw, cap, self.round.count, self.pipe.reached);
        self.learn_noise(&sample);
        self.check_full_pipe(&sample);
        self.check_startup(&sample);
        self.check_drain(&sample);
        self.update_cycle(&sample);
        self.update_min_rtt(&sample);
        self.check_probe_rtt(&sample);
        if self.losses.round_began {
            self.model.next_latest(&sample);
            self.losses.next_round();
        }
        self.hurry(now, ack);
        self.set_pacing_rate(self.state.pacing_gain());
        self.set_cwnd(sample.acked);
    }

    /// Puts together what this acknowledgement says; `None` if it is about nothing that was in flight.
    fn sample(&self, now: Instant, ack: &Ack<'_>) -> Option<Sample> {
        let flight = ack.flight?;
        let (rate, volume) = ack.delivered.map_or((0, 0), |sample| (sample.rate, sample.delivered));
        Some(Sample {
            now,
            acked: ack.bytes.min(LARGEST),
            in_flight: ack.in_flight,
            rate: rate.min(LARGEST),
            volume: volume.min(LARGEST),
            before: flight.delivered_before,
            delivered: flight.delivered,
            sent_in_flight: flight.in_flight.min(LARGEST) + self.mtu,
            lost: flight.lost,
            app_limited: flight.app_limited || self.probe_rtt.limits(flight.delivered_before),
            rtt: ack.rtt.has_sample().then(|| nanos(ack.rtt.latest())),
            least: nanos(ack.rtt.min()),
        })
    }

    /// Counts round trips (draft §5.5.1).
    fn begin_round(&mut self, sample: &Sample) {
        self.round.began = sample.before >= self.round.ends;
        if self.round.began {
            self.start_round();
            self.round.count += 1;
            self.round.was_full = core::mem::take(&mut self.round.full);
            self.cycle.rounds += 1;
        }
    }

    fn start_round(&mut self) {
        self.round.ends = self.delivered;
    }

    /// The window was what limited the sender at some point of the last round trip.
    fn is_cwnd_limited(&self) -> bool {
        self.round.full || self.round.was_full
    }

    /// Packets now have up to `mtu` bytes. A window that has not moved yet is the initial one of the new size.
    pub(crate) fn on_mtu(&mut self, mtu: u16) {
        let old = u16::try_from(self.mtu).unwrap_or(u16::MAX);
        let untouched = self.delivered == 0 && self.cwnd == initial_window(old);
        self.mtu = u64::from(mtu.max(1));
        self.cwnd = if untouched { initial_window(mtu) } else { self.cwnd.max(minimum_window(mtu)) };
    }

    /// Bytes that may be in flight.
    pub(crate) fn window(&self) -> u64 {
        self.cwnd
    }

    /// Whether it is in Startup.
    pub(crate) fn in_startup(&self) -> bool {
        self.state == State::Startup
    }

    /// Whether something was lost and no packet sent after that was acknowledged yet.
    pub(crate) fn in_recovery(&self) -> bool {
        self.losses.recovering.is_some()
    }

    /// Size of a packet.
    pub(crate) fn mtu(&self) -> u64 {
        self.mtu
    }

    /// Bytes the path carries in its least round trip.
    pub(crate) fn volume(&self) -> u64 {
        self.bdp(EVEN_GAIN)
    }

    /// Whether the path loses packets without a queue, as far as that was seen.
    pub(crate) fn is_lossy(&self) -> bool {
        self.noise.rate(self.mtu) > 0
    }

    /// Whether long paths are started faster.
    pub(crate) fn long_start(&self) -> bool {
        self.start.is_on()
    }

    /// Whether packets are to leave in trains, for the path to be measured.
    pub(crate) fn wants_trains(&self) -> bool {
        self.in_startup() && self.start.wants_trains()
    }

    /// What trains of packets said the path carries, in Startup.
    pub(crate) fn train_rate(&self) -> Option<u64> {
        self.start.train_rate().filter(|_| self.in_startup())
    }

    /// The next of a sequence that is the same for the same seed (SplitMix64).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Bytes per second at which packets may leave. Before there is a round-trip time, as if it were 1 ms; never so
    /// slow that a packet takes more than a second.
    pub(crate) fn pacing_rate(&self, rtt: &Rtt) -> u64 {
        let rate = match self.pacing_rate {
            0 => {
                let srtt = if rtt.has_sample() { rtt.smoothed() } else { Duration::from_millis(1) };
                model::per_second(self.cwnd, nanos(srtt)).saturating_mul(STARTUP_GAIN) / 100
            }
            rate => rate,
        };
        rate.clamp(self.mtu, LARGEST)
    }
}
