//! What a connection must be woken for. All deadlines are listed in [`Connection::deadline`]; nobody else keeps one.

use core::time::Duration;

use tq_time::Instant;

use super::Connection;
use super::aside::Aside;
use crate::error::ConnectionError;
use crate::path::Path;

/// Longest three PTO are taken for; no network that can be used has a PTO of 20 s.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Deadlines with a slot of their own; per-path ones are asked of the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Nothing heard for the idle timeout.
    Idle = 0,
    /// The handshake takes too long.
    Handshake = 1,
    /// Closing or draining is over.
    Close = 2,
    /// Keys of the phase before may go.
    OldKeys = 3,
    /// A PING keeps the connection alive.
    KeepAlive = 4,
    /// A server's 0-RTT keys may go.
    EarlyKeys = 5,
    /// A client that was being sent to hears nothing any more.
    Silence = 6,
}

impl Timer {
    pub(crate) const COUNT: usize = 7;
    const ALL: [Self; Self::COUNT] = [
        Self::Idle,
        Self::Handshake,
        Self::Close,
        Self::OldKeys,
        Self::KeepAlive,
        Self::EarlyKeys,
        Self::Silence,
    ];
}

impl Connection {
    /// When to call [`Connection::on_deadline`]; `None`: never, as things stand.
    pub fn deadline(&self) -> Option<Instant> {
        let table = self.timers.next();
        if self.end.is_over() {
            return table;
        }
        let early = [&self.initial, &self.handshake].into_iter().flatten();
        let early =
            early.filter_map(|space| space.owed.deadline()).min().filter(|_| !self.paths[0].is_blocked());
        let paths = (0..self.paths.len()).filter_map(|ix| self.path_deadline(ix)).min();
        let asides = self.asides.iter().map(Aside::deadline).min();
        let (leaving, pick, race) = (self.leaving_deadline(), self.pick_again, self.race_deadline());
        [table, early, paths, asides, leaving, pick, race].into_iter().flatten().min()
    }

    fn path_deadline(&self, ix: usize) -> Option<Instant> {
        let path = &self.paths[ix];
        let loss = self.loss_timer(ix).map(|(at, _)| at);
        // an ACK that may not be sent is no reason to wake up, nor is one that waits for its socket
        let speaks = |on: usize| !self.is_full(self.paths[on].tuple.socket);
        let ack = path.space.owed.deadline().filter(|_| self.ack_carrier(ix).is_some_and(speaks));
        let (own, health) = (self.own_ack_at(ix).filter(|_| speaks(ix)), self.health_deadline(ix));
        [loss, ack, own, health, path.validation.deadline(), path.paced_until].into_iter().flatten().min()
    }

    /// Time has passed: does what is due. Then drain events and transmits as after every call.
    pub fn on_deadline(&mut self, now: Instant) {
        self.note_lateness(now);
        while let Some(index) = self.timers.pop_expired(now) {
            if let Some(timer) = Timer::ALL.get(index) {
                self.on_timer(now, *timer);
            }
        }
        if self.end.is_over() {
            return;
        }
        self.tend_asides(now);
        for ix in 0..self.paths.len() {
            if let Some((at, what)) = self.loss_timer(ix)
                && at <= now
            {
                self.on_loss_timer(now, ix, what);
            }
            if self.end.is_over() {
                return;
            }
            self.tend_health(now, ix);
            let path = &mut self.paths[ix];
            if path.paced_until.is_some_and(|at| at <= now) {
                path.paced_until = None;
            }
            if path.validation.deadline().is_some_and(|at| at <= now) && path.validation.on_deadline(now) {
                self.on_validation_failed(now, ix);
            }
        }
        if self.pick_again.is_some_and(|at| at <= now) {
            self.pick_again = None;
        }
        if self.leaving_deadline().is_some_and(|at| at <= now) {
            self.expire_paths(now);
        }
    }

    fn on_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Idle => self.end_now(now, ConnectionError::IdleTimeout),
            Timer::Handshake if !self.hs.complete => self.end_now(now, ConnectionError::HandshakeTimeout),
            Timer::Handshake => {}
            Timer::Close => self.drained(now),
            Timer::OldKeys => self.drop_old_keys(now),
            Timer::EarlyKeys => self.drop_early_keys(now),
            Timer::Silence if self.streams.awaits() => {
                self.paths.iter_mut().filter(|path| path.state.is_usable()).for_each(|path| path.ping = true);
            }
            Timer::Silence => {}
            Timer::KeepAlive => {
                // on every path, so that NATs keep it
                self.paths.iter_mut().filter(|path| path.state.is_usable()).for_each(|path| path.ping = true);
                self.arm_keep_alive(now);
            }
        }
    }

    /// Three PTO, which a closing connection lingers and silence must last at least (RFC 9000 §10). No more than a minute:
    /// a peer that acknowledges late makes a PTO as long as it likes, and with it the life of dead state.
    pub(crate) fn three_pto(&self) -> Duration {
        (3 * self.longest_pto()).min(LONGEST_WAIT)
    }

    /// Longest base PTO of the paths: a dead path's backoff must not count (decision 8).
    pub(crate) fn longest_pto(&self) -> Duration {
        let delay = self.peer_ack_delay();
        let live = self.paths.iter().filter(|path| path.state.is_live());
        // Its own way there and back counts, also where acknowledgements return by a shorter one.
        let own = |path: &Path| Some(self.multipath.ways.as_ref()?.own(path.id)?.pto_base(delay));
        let pto = |path: &Path| own(path).unwrap_or_default().max(path.pto_base(delay));
        live.map(pto).max().unwrap_or(Duration::from_secs(1))
    }

    /// Starts the idle timeout anew: at least three PTO (RFC 9000 §10.1). The handshake has a timeout of its own.
    // MUST 9000-10.1-1
    pub(crate) fn arm_idle(&mut self, now: Instant) {
        if let Some(idle) = self.idle.filter(|_| self.hs.complete) {
            self.timers.set(Timer::Idle as usize, now + idle.max(self.three_pto()));
        } else {
            self.timers.clear(Timer::Idle as usize);
        }
        self.arm_keep_alive(now);
    }

    /// A client that only receives owes nothing when packets stop coming. If a NAT has forgotten it, the server sends to a
    /// closed door until the client says something, so it asks once after three PTO; the PING's own PTO does the rest.
    pub(crate) fn arm_silence(&mut self, now: Instant) {
        if self.side.is_client() && self.hs.confirmed {
            self.timers.set(Timer::Silence as usize, now + self.three_pto());
        }
    }

    fn arm_keep_alive(&mut self, now: Instant) {
        if let Some(interval) = self.config.keep_alive.filter(|_| self.hs.complete) {
            self.timers.set(Timer::KeepAlive as usize, now + interval);
        }
    }
}
