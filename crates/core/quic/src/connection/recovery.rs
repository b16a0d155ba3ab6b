//! Acknowledgement, loss and probe timeouts, put together: spaces know packets, paths know time and windows, and
//! tokens go back to whoever wrote them (RFC 9002).

use core::time::Duration;

use tq_cc::{Ack as CcAck, Lost as CcLost};
use tq_event::LossTrigger;
use tq_time::Instant;
use tq_wire::frame::{Ack, kind};
use tq_wire::{Code, PathId};

use super::ways::Counts;
use super::{Connection, SpaceId};
use crate::error::TransportError;
use crate::handshake::Level;
use crate::space::{BadAck, QUIET};
use crate::token::Token;

/// For so long after one that told something new came on the path itself, its acknowledgements are expected there.
const OWN_WORD_HOLDS: Duration = Duration::from_millis(200);

/// What a path's loss detection timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossTimer {
    /// A packet is old enough to be lost.
    Time(SpaceId),
    /// Nothing was heard: probe.
    Probe(SpaceId),
}

impl Connection {
    /// An ACK for a space; `ix` is the path whose packets it is about, `on` the one it came on.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        id: SpaceId,
        (ix, on): (usize, usize),
        ack: &Ack<'_>,
    ) -> Result<(), TransportError> {
        self.counters.acks_received += 1;
        let mut acked = core::mem::take(&mut self.acked);
        acked.clear();
        if self.multipath.on {
            self.paths[ix].waited = self.paths[ix].space.sent.oldest_waiting();
        }
        let result = match self.space_mut(id) {
            Some(space) => space.sent.on_ack(now, ack, &mut acked),
            None => Ok(()),
        };
        let outcome = result.map_err(|bad| {
            let why = match bad {
                BadAck::Unsent => "ACK of a packet that was not sent",
                BadAck::Skipped => "ACK of a packet number that was skipped",
            };
            let frame = if ack.path.is_some() { kind::PATH_ACK } else { kind::ACK };
            TransportError::new(Code::PROTOCOL_VIOLATION, frame, why)
        });
        if outcome.is_ok() && acked.packets > 0 {
            self.on_newly_acked(now, id, (ix, on), ack, &mut acked);
        }
        if outcome.is_ok() && acked.spurious > 0 {
            self.on_spurious(now, ix, acked.spurious);
            self.on_path_late(now, ix);
        }
        self.acked = acked;
        outcome
    }

    // MUST 9000-13.4.2.1-1
    fn on_newly_acked(
        &mut self,
        now: Instant,
        id: SpaceId,
        (ix, on): (usize, usize),
        ack: &Ack<'_>,
        acked: &mut crate::space::Acked,
    ) {
        let stale = ix != on && self.is_stale(now, ix, ack);
        if ix == on {
            self.paths[ix].own_word_at = Some(now);
        }
        if !stale {
            self.sample_rtt(now, id, (ix, on), ack, acked);
        }
        let in_flight = self.in_flight(ix);
        let confirmed = self.hs.confirmed;
        let peer_validated = self.side.is_server() || self.hs.peer_validated || id == SpaceId::Handshake;
        self.hs.peer_validated |= id == SpaceId::Handshake;
        let path = &mut self.paths[ix];
        if peer_validated || confirmed {
            path.pto_count = 0;
        }
        if let Some((state, at)) = acked.rates.take() {
            path.rates.on_acked(now, acked.bytes, at, &state);
        }
        self.judge_marks(now, id, ix, ack, acked);
        self.mind_neighbours(ix);
        self.tell_controller(now, id, ix, acked, in_flight);
        self.on_mtu_acked(now, ix, acked);
        acked.tokens.drain(..).for_each(|token| self.on_token_acked(&token));
        if self.multipath.on && matches!(id, SpaceId::App(_)) {
            self.on_path_progress(now, (ix, on), acked, stale);
        }
        self.detect_lost(now, id, ix);
        self.update_ack_frequency();
        self.log_metrics(now, ix);
    }

    /// Congestion control hears of an acknowledgement, and who measures the path.
    fn tell_controller(
        &mut self,
        now: Instant,
        id: SpaceId,
        ix: usize,
        acked: &crate::space::Acked,
        in_flight: u64,
    ) {
        let Some((largest_pn, largest_sent_at)) = acked.largest else { return };
        let known = self.is_worth_knowing(ix).then(|| self.known.get_or_insert_default());
        let path = &mut self.paths[ix];
        let delivered = path.rates.sample();
        if let Some(sample) = delivered.filter(|_| self.multipath.on) {
            path.gauge.on_rate(now, &sample, path.rtt.latest(), path.rtt.min());
        }
        let ack = CcAck {
            bytes: acked.bytes,
            largest_sent_at,
            largest_pn,
            rtt: &path.rtt,
            in_flight,
            app_limited: path.app_limited,
            delivered,
            flight: path.rates.flight(),
            two_way: path.bytes_received > path.bytes_sent / 2,
        };
        let held = known.as_ref().is_some_and(|known| known.holds(path.id));
        path.cc.on_ack(now, &CcAck { app_limited: ack.app_limited || held, ..ack });
        if let Some(known) = known {
            let moved = known.on_ack(now, path.id, &ack, &mut path.cc);
            self.on_known_acked(now, id, ix, moved);
        }
        if let Some(ways) = &mut self.multipath.ways {
            let path = &mut self.paths[ix];
            if let Some(before) = ways.pauses.on_acked(path.id, largest_sent_at) {
                // RFC 9002 §5.2: what is there now may be farther away.
                path.rtt.restart_min();
                path.cc.regain(before.window, before.rtt, path.rtt.smoothed());
            }
        }
        if matches!(id, SpaceId::App(_)) {
            self.on_phase_acked(ix, largest_pn);
        }
    }

    /// Marks of the network, as far as the acknowledgement reports them.
    fn judge_marks(
        &mut self,
        now: Instant,
        id: SpaceId,
        ix: usize,
        ack: &Ack<'_>,
        acked: &crate::space::Acked,
    ) {
        let in_flight = self.in_flight(ix);
        let path = &mut self.paths[ix];
        let ecn = path.ecn.state();
        if acked.new_largest && path.ecn.on_ack(id.index(), acked.ect0, ack.ecn) {
            self.counters.ecn_ce += 1;
            let at = acked.largest.map_or(now, |(_, at)| at);
            let began = path.cc.on_congestion(now, at, 0, in_flight, false, true);
            self.counters.congestion_events += u64::from(began);
            if let Some(known) = &mut self.known {
                known.on_congestion(now, path.id, &mut path.cc);
            }
        }
        self.log_ecn(now, ix, ecn);
    }

    /// Packets declared lost were delivered. Only when that is true of every one since the last reduction was there no
    /// congestion (RFC 9438 §4.9): in a queue that overflows, some packets are merely late as well.
    fn on_spurious(&mut self, now: Instant, ix: usize, packets: u64) {
        self.counters.packets_spuriously_lost += packets;
        let path = &mut self.paths[ix];
        path.lost_in_event = path.lost_in_event.saturating_sub(packets);
        if path.lost_in_event == 0 {
            path.cc.on_spurious(now);
        }
    }

    fn reported_delay(&self, ack: &Ack<'_>) -> Duration {
        let exponent = self.peer.ack_delay_exponent;
        Duration::from_micros(ack.delay.saturating_mul(1 << exponent).min(u64::from(u32::MAX)))
    }

    /// Whether an acknowledgement of path `ix` that came on another one says what was so a while ago: the peer repeats there
    /// what it may have said in vain on the path itself. It tells what has arrived, and nothing of the path as it is now.
    fn is_stale(&self, now: Instant, ix: usize, ack: &Ack<'_>) -> bool {
        let usual = self.paths[ix].own_word_at.is_some_and(|at| now.saturating_since(at) < OWN_WORD_HOLDS);
        usual && self.reported_delay(ack) >= QUIET
    }

    /// RFC 9002 §5: only when the largest acknowledged is new and something ack-eliciting is newly acknowledged.
    ///
    /// An ACK that came on another path measures there and back by two ways (multipath §3.2.3). All are kept apart by
    /// where they came; congestion control sees those by one way only ([`super::ways`]).
    // MUST 9002-5.1-1, 9002-5.3-1
    fn sample_rtt(
        &mut self,
        now: Instant,
        id: SpaceId,
        (ix, on): (usize, usize),
        ack: &Ack<'_>,
        acked: &crate::space::Acked,
    ) {
        let Some((_, sent_at)) = acked.largest.filter(|_| acked.new_largest && acked.any_eliciting) else {
            return;
        };
        let reported = self.reported_delay(ack);
        let delay = match id {
            SpaceId::Initial => Duration::ZERO,
            _ if self.hs.confirmed => reported.min(self.peer_ack_delay()),
            _ => reported,
        };
        let sample = now.saturating_since(sent_at);
        let (data, way, several) = (self.paths[ix].id, self.paths[on].id, self.paths.len() > 1);
        let path = &mut self.paths[ix];
        if !path.rtt.has_sample() {
            path.space.sent.on_first_rtt(now);
        }
        let ways = self.multipath.ways.as_deref_mut().filter(|_| matches!(id, SpaceId::App(_)));
        let Some(ways) = ways else {
            path.rtt.update(sample, delay);
            return self.tell_streams(now);
        };
        if core::mem::take(&mut path.moved) {
            ways.reset(data);
        }
        let counts = ways.on_sample(now, data, way, sample, delay);
        let srtt = path.rtt.smoothed();
        match (counts, ways.control(data)) {
            (Counts::Anew, Some(cell)) => {
                path.cc.on_way_back(&path.rtt, &cell.rtt);
                path.rtt = cell.rtt;
                path.gauge.on_column();
            }
            (Counts::Yes, _) => {
                path.rtt.update(sample, delay);
                path.gauge.on_rtt(sample, srtt);
                ways.groups.on_sample(data.0, sent_at, sample);
            }
            _ => {}
        }
        path.rtt_slow = ways.slowest(now, data).filter(|_| several).map(|cell| cell.rtt);
        self.tell_streams(now);
    }

    /// Windows cover the slowest path that carries anything, whichever of them was measured last: what a faster one
    /// brings waits for it.
    fn tell_streams(&mut self, now: Instant) {
        let several = self.paths.len() > 1;
        let measured = self.paths.iter().filter(|path| path.rtt.has_sample());
        if let Some(slowest) = measured.map(|path| path.rtt.smoothed()).max() {
            self.streams.on_rtt(now, slowest, several);
        }
    }

    fn on_mtu_acked(&mut self, now: Instant, ix: usize, acked: &crate::space::Acked) {
        let path = &mut self.paths[ix];
        let old = path.mtu.current();
        if let Some(size) = acked.probe_acked {
            if path.mtu.on_probe_acked(size, now) {
                self.on_mtu_changed(now, ix, old);
            }
        } else if acked.bytes > acked.packets * u64::from(crate::config::MIN_MTU) {
            path.mtu.on_large_acked();
        }
    }

    /// The datagram size of a path is another: the window counts in it, and messages must fit.
    pub(crate) fn on_mtu_changed(&mut self, now: Instant, ix: usize, old: u16) {
        let path = &mut self.paths[ix];
        path.cc.on_mtu(path.mtu.current());
        self.drop_larger_datagrams();
        self.log_mtu(now, ix, old);
    }

    /// Declares packets lost that are due (RFC 9002 §6.1).
    pub(crate) fn detect_lost(&mut self, now: Instant, id: SpaceId, ix: usize) {
        let mut lost = core::mem::take(&mut self.lost);
        lost.clear();
        let delay = self.paths[ix].loss_delay();
        if let Some(space) = self.space_mut(id) {
            space.sent.detect_lost(now, delay, &mut lost);
        }
        if lost.packets > 0 || lost.strayed || lost.probe_lost.is_some() {
            self.on_lost(now, id, ix, &mut lost);
        }
        self.lost = lost;
    }

    // MUST 9000-13.3-4
    fn on_lost(&mut self, now: Instant, id: SpaceId, ix: usize, lost: &mut crate::space::Lost) {
        let in_flight = self.in_flight(ix);
        let ack_delay = self.peer_ack_delay();
        self.counters.packets_lost += lost.packets;
        self.counters.bytes_lost += lost.bytes;
        for pn in &lost.numbers {
            self.log_lost(now, id, ix, *pn, LossTrigger::Reordering);
        }
        let path = &mut self.paths[ix];
        path.packets_lost += lost.packets;
        path.gauge.on_lost(lost.packets);
        if let Some(size) = lost.probe_lost {
            path.mtu.on_probe_lost(size, now);
        }
        if let Some((_, sent_at)) = lost.newest {
            let ways = self.multipath.ways.as_mut();
            let sent_at = ways.map_or(sent_at, |ways| ways.pauses.on_lost(path.id, sent_at));
            let bound = path.rtt.persistent_span(ack_delay);
            let persistent = path.rtt.has_sample()
                && lost.span.is_some_and(|(first, last)| last.saturating_since(first) > bound);
            let ranges = lost.ranges();
            let flight = path.rates.on_lost(lost.bytes, &lost.rate);
            path.cc.on_lost(now, &CcLost { bytes: lost.bytes, ranges, flight, rtt: &path.rtt });
            let began = path.cc.on_congestion(now, sent_at, lost.bytes, in_flight, persistent, false);
            self.counters.congestion_events += u64::from(began);
            if let Some(known) = &mut self.known {
                known.on_congestion(now, path.id, &mut path.cc);
            }
            path.lost_in_event = if began { lost.packets } else { path.lost_in_event + lost.packets };
            if persistent {
                // RFC 9002 §5.2: the path may have changed under us
                path.rtt.restart_min();
            }
            let old = path.mtu.current();
            let large = lost.bytes > lost.packets * u64::from(crate::config::MIN_MTU);
            if large && path.mtu.on_large_lost(now) {
                self.on_mtu_changed(now, ix, old);
            }
        }
        lost.tokens.drain(..).for_each(|token| self.on_token_lost(&token));
    }

    /// A frame arrived.
    pub(crate) fn on_token_acked(&mut self, token: &Token) {
        match *token {
            Token::Stream { .. } => self.streams.on_acked(token),
            Token::Crypto { level, offset, len } => self.crypto.on_acked(level, offset, len),
            Token::Ack { path, largest } => self.on_ack_acked(path, largest),
            Token::RetireConnectionId(path, seq) => {
                if let Some(ids) = self.cids.iter_mut().find(|ids| ids.path == path) {
                    ids.peer.on_acked(seq);
                }
            }
            Token::NewToken => self.hs.new_token = None,
            Token::NewConnectionId(path, seq) => {
                if let Some(ids) = self.slot_mut(path) {
                    ids.local.on_acked(seq);
                }
                self.tell_may_open();
            }
            Token::PathAbandon(path) => self.on_abandon_acked(path),
            Token::HandshakeDone
            | Token::AckFrequency(_)
            | Token::PathStatus(..)
            | Token::MaxPathId(_)
            | Token::PathsBlocked(_)
            | Token::PathCidsBlocked(_)
            | Token::PathChallenge(_) => {}
            _ => self.streams.on_acked(token),
        }
    }

    fn on_ack_acked(&mut self, path: Option<PathId>, largest: u64) {
        // ACKs of Initial and Handshake are few; only applications' ranges are worth forgetting.
        if let Some(ix) = path.and_then(|path| self.path_index(path)) {
            self.paths[ix].space.owed.on_ack_acked(largest);
        }
    }

    /// A frame was lost, or its content is to go again on a probe.
    // MUST 9000-13.3-2
    pub(crate) fn on_token_lost(&mut self, token: &Token) {
        match *token {
            Token::Stream { .. } => self.streams.on_lost(token),
            Token::Crypto { level, offset, len } => {
                let gone = match level {
                    Level::Initial => self.keys.initial.is_none(),
                    Level::Handshake => self.keys.handshake.is_none(),
                    Level::OneRtt => false,
                };
                if !gone {
                    self.crypto.on_lost(level, offset, len);
                }
            }
            Token::Ack { .. } | Token::PathChallenge(_) => {}
            Token::NewConnectionId(path, _)
            | Token::RetireConnectionId(path, _)
            | Token::PathStatus(path, _)
            | Token::PathAbandon(path)
            | Token::MaxPathId(path)
            | Token::PathsBlocked(path)
            | Token::PathCidsBlocked(path) => self.on_path_token_lost(token, path),
            Token::NewToken => self.hs.new_token_pending = self.hs.new_token.is_some(),
            Token::HandshakeDone => self.hs.done_pending = true,
            Token::AckFrequency(seq) => self.ack_frequency.on_lost(seq),
            _ => self.streams.on_lost(token),
        }
    }

    /// A frame about path ids was lost.
    fn on_path_token_lost(&mut self, token: &Token, path: PathId) {
        match *token {
            Token::PathAbandon(_) => self.on_abandon_lost(path),
            Token::MaxPathId(_) => self.on_max_path_id_lost(path),
            // who is still blocked says so again
            Token::PathsBlocked(_) | Token::PathCidsBlocked(_) => {}
            _ => {
                let Some(ids) = self.slot_mut(path).filter(|ids| ids.leaving.is_none()) else { return };
                match *token {
                    Token::NewConnectionId(_, seq) => ids.local.on_lost(seq),
                    Token::RetireConnectionId(_, seq) => ids.peer.on_lost(seq),
                    Token::PathStatus(_, seq) => ids.status.on_lost(seq),
                    _ => {}
                }
            }
        }
    }

    /// Spaces whose packets run on path `ix`.
    pub(crate) fn spaces_on(&self, ix: usize) -> impl Iterator<Item = SpaceId> + use<> {
        let first = self.paths[ix].id == PathId::ZERO;
        let early = [SpaceId::Initial, SpaceId::Handshake].into_iter().filter(move |_| first);
        early.chain([SpaceId::App(ix)])
    }

    /// When and why path `ix` must look for losses (RFC 9002 §6.2.1, A.8).
    // MUST 9000-8.1-4, 9002-6.2.1-2, 9002-6.2.1-3, 9002-6.2.1-5, 9002-6.2.2.1-1, 9002-6.2.2.1-2
    pub(crate) fn loss_timer(&self, ix: usize) -> Option<(Instant, LossTimer)> {
        let path = &self.paths[ix];
        let in_spaces = || self.spaces_on(ix).filter_map(|id| Some((id, self.space(id)?)));
        let time = in_spaces()
            .filter_map(|(id, space)| Some((space.sent.loss_time()?, LossTimer::Time(id))))
            .min_by_key(|(at, _)| *at);
        if time.is_some() {
            return time;
        }
        // One that is out is probed in another rhythm, and nothing on it waits for a timeout.
        if path.is_blocked() || self.is_out(ix) {
            return None;
        }
        let probe = in_spaces()
            .filter(|(id, space)| {
                space.sent.eliciting_in_flight() > 0 && (self.hs.confirmed || !matches!(id, SpaceId::App(_)))
            })
            .filter_map(|(id, space)| {
                let delay =
                    if matches!(id, SpaceId::App(_)) { self.peer_ack_delay() } else { Duration::ZERO };
                Some((space.sent.last_eliciting_at()? + path.pto(delay), LossTimer::Probe(id)))
            })
            .min_by_key(|(at, _)| *at);
        let guard = self.side.is_client() && !self.hs.peer_validated && ix == 0;
        if probe.is_none() && guard {
            // A server that may not send more waits for us (RFC 9002 §6.2.2.1).
            let id = if self.keys.handshake.is_some() { SpaceId::Handshake } else { SpaceId::Initial };
            return Some((self.last_activity + path.pto(Duration::ZERO), LossTimer::Probe(id)));
        }
        probe.or_else(|| self.stranded(ix))
    }

    /// Handshake bytes were lost and wait for room in a window that 1-RTT packets fill. Those have no timer before the
    /// handshake is confirmed, and the peer cannot acknowledge them without these bytes: after a PTO they go regardless.
    fn stranded(&self, ix: usize) -> Option<(Instant, LossTimer)> {
        if ix != 0 || self.hs.confirmed {
            return None;
        }
        let levels = [(SpaceId::Initial, Level::Initial), (SpaceId::Handshake, Level::Handshake)];
        let waits = |(id, level): &(SpaceId, Level)| self.space(*id).is_some() && self.crypto.wants(*level);
        let (id, _) = levels.into_iter().find(waits)?;
        let spaces = self.spaces_on(ix).filter_map(|id| self.space(id)?.sent.last_eliciting_at());
        Some((spaces.max()? + self.paths[ix].pto(Duration::ZERO), LossTimer::Probe(id)))
    }

    /// The loss timer of path `ix` is due.
    pub(crate) fn on_loss_timer(&mut self, now: Instant, ix: usize, what: LossTimer) {
        match what {
            LossTimer::Time(id) => self.detect_lost(now, id, ix),
            LossTimer::Probe(id) => self.probe(now, ix, id),
        }
    }

    /// A probe timeout: one or two packets go out whatever the window says, with content that may be lost if there
    /// is any (RFC 9002 §6.2.4). Nothing is declared lost.
    // MUST 9000-8.1-4, 9000-8.1-5, 9002-6.2-1, 9002-6.2.1-4, 9002-6.2.2.1-3, 9002-6.2.2.1-4, 9002-6.2.4-1
    fn probe(&mut self, now: Instant, ix: usize, id: SpaceId) {
        self.counters.ptos += 1;
        let path = &mut self.paths[ix];
        path.pto_count += 1;
        path.probes[id.index()] = 2;
        if self.hs.complete && !self.hs.confirmed {
            // The server may have no handshake keys left, nor know our address any more: only 1-RTT tells it (RFC 9002
            // §6.2.4).
            path.probes[SpaceId::App(ix).index()] = path.probes[SpaceId::App(ix).index()].max(1);
        }
        if path.pto_count >= 2 {
            let ecn = path.ecn.state();
            path.ecn.on_silence();
            self.log_ecn(now, ix, ecn);
        }
        self.last_activity = now;
        let mut tokens = core::mem::take(&mut self.lost.tokens);
        for id in self.spaces_on(ix) {
            if let Some(space) = self.space_mut(id) {
                space.sent.probe(&mut tokens);
            }
        }
        tokens.drain(..).for_each(|token| self.on_token_lost(&token));
        self.lost.tokens = tokens;
        if self.paths[ix].id == PathId::ZERO {
            self.probe_handshake_too();
        }
        self.log_metrics(now, ix);
    }

    /// Handshake bytes that wait go with a probe of any space: a peer that lacks them cannot even read the others, and
    /// what those have in flight may fill the window for good (RFC 9002 §6.2.4).
    fn probe_handshake_too(&mut self) {
        for (id, level) in [(SpaceId::Initial, Level::Initial), (SpaceId::Handshake, Level::Handshake)] {
            if self.space(id).is_some() && self.crypto.wants(level) {
                let probes = &mut self.paths[0].probes[id.index()];
                *probes = (*probes).max(1);
            }
        }
    }

    /// A packet of the current key phase may have been acknowledged.
    fn on_phase_acked(&mut self, ix: usize, largest: u64) {
        let from = self.paths[ix].sealed_from;
        if let Some(keys) = self.keys.one_rtt.as_mut().filter(|keys| largest >= from && keys.sealed > 0) {
            keys.acked = true;
        }
    }
}
