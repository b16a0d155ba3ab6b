//! When a path's health changes, and what is to be done about it.
//!
//! One per path, for the sending direction. Facts come in (sent, acknowledged, probe answered, link gone), states,
//! deadlines and orders come out. It sends nothing, keeps no packets and touches no congestion control: an outage
//! is not congestion. After each fact ask [`Monitor::deadline`]; when it passes, call [`Monitor::on_deadline`].

use tq_time::{Duration, Instant};

use crate::health::{Cause, Change, Health, Refused};
use crate::silence::{Load, Silence, Witness};

mod probing;
#[cfg(test)]
mod tests;

pub use probing::Probe;
use probing::Probing;

/// Progress elsewhere counts as a witness if it is this much younger, at least.
const APART: Duration = Duration::from_millis(10);
/// A witness that has something outstanding and was not heard for this long is silent itself.
const FADES: Duration = Duration::from_millis(50);
/// Silence after which all that a path holds goes again, at least.
const ALL_AFTER: Duration = Duration::from_millis(100);
/// Silence that takes a path out, at least: radio links pause for 200 ms and go on, satellites are handed over in 300. What
/// the path held went elsewhere long before.
const OUT_AFTER: Duration = Duration::from_millis(500);
/// Longer pauses than this are not waited for with what a path holds, whatever it is known for.
const WAITED: Duration = Duration::from_millis(200);
/// Silence of all paths from this on is nobody's.
const COMMON: Duration = Duration::from_millis(15);
/// A path that answered a question is taken to be there for this long; it is asked four times in it.
const ANSWER_HOLDS: Duration = Duration::from_secs(1);
/// Good rounds in a row that end probation.
const ROUNDS: u8 = 4;
/// Time out after which a path is better abandoned than kept.
const DEAD_KEEP: Duration = Duration::from_secs(120);

/// What the data outstanding on the path needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// Lowest offsets first on other paths, ahead of new data, within the budget. No congestion reaction.
    Suspect,
    /// All of it on other paths, ahead of new data, at no cost to the budget. No congestion reaction.
    All,
    /// The same, and none of it is under way any more.
    Out,
    /// The path lives: re-sends of it that have not left yet are cancelled.
    Cancel,
}

/// What to do now. Empty is the usual case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// The state changed: an event, and news for bonding machine and scheduler, in this order.
    pub change: Option<Change>,
    /// What the data outstanding on the path needs.
    pub resend: Option<Resend>,
    /// Send this on the path, whatever window and pacer say.
    pub probe: Option<Probe>,
    /// Tell the peer, twice, on surviving paths: it cannot see our link.
    pub tell_peer: bool,
    /// The path has been out for 120 s: the client may abandon it. Given once.
    pub abandon: bool,
}

/// Health of one path in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Monitor {
    state: Health,
    since: Instant,
    silence: Silence,
    probing: Probing,
    heard_at: Instant,
    link_up: bool,
    good_rounds: u8,
    false_suspects: u32,
    abandoned: bool,
    /// All that the suspect path holds was asked for.
    asked_all: bool,
    /// When the silence began that took the path out.
    silent_since: Option<Instant>,
}

impl Monitor {
    /// A good path from which nothing has been heard.
    pub fn new(now: Instant) -> Self {
        Self {
            state: Health::Good,
            since: now,
            silence: Silence::new(now),
            probing: Probing::default(),
            heard_at: now,
            link_up: true,
            good_rounds: 0,
            false_suspects: 0,
            abandoned: false,
            asked_all: false,
            silent_since: None,
        }
    }

    /// The present state.
    pub fn state(&self) -> Health {
        self.state
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The gap detector.
    pub fn silence(&self) -> &Silence {
        &self.silence
    }

    /// Times a suspicion was refuted.
    pub fn false_suspects(&self) -> u32 {
        self.false_suspects
    }

    /// Time since the last progress while something is outstanding, else zero: [`crate::PathView::ack_silence`].
    pub fn ack_silence(&self, now: Instant) -> Duration {
        self.silence.since().map_or(Duration::ZERO, |since| now.saturating_since(since))
    }

    /// Takes an arrow if it is drawn.
    ///
    /// # Errors
    /// [`Refused`] if it is not: nothing changed.
    pub fn shift(&mut self, now: Instant, to: Health, cause: Cause) -> Result<Change, Refused> {
        let from = self.state;
        if !from.may_become(to, cause) {
            return Err(Refused { from, to, cause });
        }
        let lasted = now.saturating_since(self.since);
        (self.state, self.since, self.good_rounds) = (to, now, 0);
        (self.abandoned, self.asked_all) = (false, false);
        Ok(Change { from, to, cause, at: now, lasted })
    }

    /// An ack-eliciting packet left on the path; `recovering` while no effect of a smaller window was seen.
    pub fn on_sent(&mut self, now: Instant, recovering: bool) {
        self.silence.on_sent(now, recovering);
    }

    /// The oldest packet outstanding left at `oldest`, and its answer takes `srtt`; tells when it is due. To be told just
    /// before progress.
    pub fn expect(&mut self, oldest: Instant, srtt: Duration) -> Instant {
        self.silence.expect(oldest, srtt)
    }

    /// Something outstanding on the path was newly acknowledged; `idle` if nothing is outstanding any more.
    pub fn on_progress(&mut self, now: Instant, idle: bool) -> Orders {
        self.heard_at = self.heard_at.max(now);
        self.silence.on_progress(now, idle);
        if self.state == Health::Out {
            // Late news from a path that is out: no proof that it lives now, but a reason to ask.
            return self.on_received(now);
        }
        let Ok(change) = self.shift(now, Health::Good, Cause::Progress) else { return Orders::default() };
        self.false_suspects = self.false_suspects.saturating_add(1);
        Orders { change: Some(change), resend: Some(Resend::Cancel), ..Orders::default() }
    }

    /// Nothing is outstanding any more for another reason: all of it was declared lost or handed to other paths.
    pub fn on_idle(&mut self) {
        self.silence.on_idle();
    }

    /// A packet arrived on the path. One that is out is probed in a burst, once a second at most: it may be back.
    pub fn on_received(&mut self, now: Instant) -> Orders {
        self.heard_at = self.heard_at.max(now);
        if self.state == Health::Out && self.link_up { self.probe_burst(now) } else { Orders::default() }
    }

    /// A probe sent while the path was out was answered: its acknowledgement or PATH_RESPONSE.
    pub fn on_probe_reply(&mut self, now: Instant) -> Orders {
        self.heard_at = self.heard_at.max(now);
        if self.state != Health::Out || !self.link_up {
            return Orders::default();
        }
        if !self.probing.on_reply(now) {
            return Orders { probe: Some(self.probing.next(now)), ..Orders::default() };
        }
        self.silence.on_idle();
        if let Some(since) = self.silent_since.take() {
            self.silence.on_back(now, since);
        }
        let change = self.shift(now, Health::Probation, Cause::Replies).ok();
        Orders { change, ..Orders::default() }
    }

    /// The path answered a challenge: it works both ways. Where a peer acknowledges everything on one path and that dies,
    /// this is all that tells the others from it.
    pub fn on_answer(&mut self, now: Instant) -> Orders {
        if self.state == Health::Out {
            return self.on_probe_reply(now);
        }
        self.heard_at = self.heard_at.max(now);
        self.silence.on_answer(now);
        let Ok(change) = self.shift(now, Health::Good, Cause::Progress) else { return Orders::default() };
        Orders { change: Some(change), resend: Some(Resend::Cancel), ..Orders::default() }
    }

    /// For how long nothing was acknowledged on a path that answers questions; zero if it does not, or owes nothing.
    pub fn unacknowledged(&self, now: Instant) -> Duration {
        if self.answers(now) { self.ack_silence(now) } else { Duration::ZERO }
    }

    fn answers(&self, now: Instant) -> bool {
        self.silence.answered().is_some_and(|at| now.saturating_since(at) <= ANSWER_HOLDS)
    }

    /// The host says that the link is gone or back, or that its address or route changed (`up`).
    pub fn on_link(&mut self, now: Instant, up: bool) -> Orders {
        self.link_up = up;
        if !up {
            let orders = self.out(now, Cause::LinkDown);
            return Orders { tell_peer: orders.change.is_some(), probe: None, ..orders };
        }
        if self.state == Health::Out { self.probe_burst(now) } else { Orders::default() }
    }

    /// The peer says that its side of the path is gone.
    pub fn on_peer_down(&mut self, now: Instant) -> Orders {
        self.out(now, Cause::PeerDown)
    }

    /// A round trip of the path is over; `good` if its loss was ordinary.
    pub fn on_round(&mut self, now: Instant, good: bool) -> Orders {
        self.good_rounds = if good { self.good_rounds.saturating_add(1) } else { 0 };
        if self.state != Health::Probation || self.good_rounds < ROUNDS {
            return Orders::default();
        }
        Orders { change: self.shift(now, Health::Good, Cause::Rounds).ok(), ..Orders::default() }
    }

    /// The guard takes the path out of bulk service.
    ///
    /// # Errors
    /// [`Refused`] unless the path is good or in probation.
    pub fn hold(&mut self, now: Instant) -> Result<Change, Refused> {
        self.shift(now, Health::Held, Cause::Guard)
    }

    /// The held path delivered under load.
    ///
    /// # Errors
    /// [`Refused`] unless the path is held.
    pub fn readmit(&mut self, now: Instant) -> Result<Change, Refused> {
        self.shift(now, Health::Probation, Cause::Evidence)
    }

    /// The event loop was away for this long: silences of more than 10 ms are not the path's.
    pub fn on_stall(&mut self, away: Duration) {
        if away > APART {
            self.silence.on_stall(away);
        }
    }

    /// Another path made progress after it had been silent since `since`: what this one was silent in that time as well says
    /// nothing of it.
    pub fn on_common(&mut self, now: Instant, since: Instant) {
        let Some(own) = self.silence.since() else { return };
        let both = now.saturating_since(own.max(since));
        if both > COMMON {
            self.silence.forgive(both);
        }
    }

    /// When to call [`Monitor::on_deadline`]; `None` if only facts can change anything.
    pub fn deadline(&self, load: &Load) -> Option<Instant> {
        let keep_alive = self.keep_alive_at(load);
        match self.state {
            Health::Good => min(self.alarm(self.silence.suspect_at(load)), keep_alive),
            // Pings go every 10 ms or quarter RTT; silence is judged with each.
            Health::Suspect => Some(self.probing.due()),
            Health::Out => {
                let probe = self.link_up.then(|| self.probing.due_out(load.demand));
                min(probe, (!self.abandoned).then_some(self.since + DEAD_KEEP))
            }
            Health::Probation | Health::Held => min(self.alarm(self.out_at(load)), keep_alive),
        }
    }

    /// Time passed, or another path made progress while this one is silent. `witness` is what the other paths say ([`witness`]), after the socket was drained.
    pub fn on_deadline(&mut self, now: Instant, load: &Load, witness: Witness) -> Orders {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let alive = self.answers(now);
        let blamed = matches!(witness, Witness::Heard | Witness::Idle) && !alive;
        match self.state {
            Health::Good if passed(self.silence.suspect_at(load)) => {
                if alive || !blamed && witness != Witness::Faded {
                    return self.dark(now, load, witness);
                }
                let change = self.shift(now, Health::Suspect, Cause::Silence).ok();
                self.probing.restart(now);
                let probe = Some(self.probing.next_after(now, quick(load)));
                Orders { change, resend: Some(Resend::Suspect), probe, ..Orders::default() }
            }
            Health::Suspect | Health::Probation | Health::Held if !blamed && passed(self.all_at(load)) => {
                self.dark(now, load, witness)
            }
            Health::Suspect | Health::Probation | Health::Held if passed(self.out_at(load)) => {
                self.out(now, Cause::Silence)
            }
            Health::Suspect => {
                let all = !self.asked_all && passed(self.all_at(load));
                self.asked_all |= all;
                let due = self.probing.due() <= now;
                let probe = due.then(|| self.probing.next_after(now, quick(load)));
                Orders { resend: all.then_some(Resend::All), probe, ..Orders::default() }
            }
            Health::Out => self.still_out(now, load),
            _ if passed(self.keep_alive_at(load)) => {
                self.heard_at = now;
                Orders { probe: Some(Probe::Ping), ..Orders::default() }
            }
            _ => Orders::default(),
        }
    }

    /// When all that the path holds goes again: `max(3·srtt, 100 ms)` after the last progress, and longer than it paused
    /// of late and went on.
    fn all_at(&self, load: &Load) -> Option<Instant> {
        let suspect = self.silence.suspect_at(load)?;
        let since = self.silence.since()?;
        let known = self.silence.known_pause().min(WAITED) * 5 / 4;
        Some((since + load.srtt.saturating_mul(3).max(ALL_AFTER).max(known)).max(suspect))
    }

    /// When silence takes the path out: not before `max(3·srtt, 500 ms)` or half as much again as it paused of late. In
    /// probation and if held, as soon as what it holds would go again.
    fn out_at(&self, load: &Load) -> Option<Instant> {
        let all = self.all_at(load)?;
        let known = self.silence.known_pause() * 3 / 2;
        match self.state {
            Health::Suspect => Some(all.max(self.silence.since()? + OUT_AFTER.max(known))),
            _ => Some(all),
        }
    }

    /// A silence alarm that rang without blaming the path rings again with the next probe.
    fn alarm(&self, at: Option<Instant>) -> Option<Instant> {
        let since = self.silence.since();
        at.map(|at| if self.probing.asked_since(since) { at.max(self.probing.due()) } else { at })
    }

    fn keep_alive_at(&self, load: &Load) -> Option<Instant> {
        let wanted = !load.keep_alive.is_zero() && !self.silence.is_busy();
        wanted.then(|| self.heard_at + load.keep_alive)
    }

    fn out(&mut self, now: Instant, cause: Cause) -> Orders {
        let Ok(change) = self.shift(now, Health::Out, cause) else { return Orders::default() };
        self.silent_since = self.silence.since().filter(|_| cause == Cause::Silence);
        self.silence.on_idle();
        self.probing.restart(now);
        let probe = self.link_up.then(|| self.probing.next(now));
        Orders { change: Some(change), resend: Some(Resend::Out), probe, ..Orders::default() }
    }

    fn still_out(&mut self, now: Instant, load: &Load) -> Orders {
        let abandon = !self.abandoned && self.since + DEAD_KEEP <= now;
        self.abandoned |= abandon;
        let due = self.link_up && self.probing.due_out(load.demand) <= now;
        Orders { abandon, probe: due.then(|| self.probing.next(now)), ..Orders::default() }
    }

    /// Everything is silent: the path is not blamed, but asked at the pace of one that is out, so that the first
    /// link to come back is found at once. A lone path is left to its PTO.
    fn dark(&mut self, now: Instant, load: &Load, witness: Witness) -> Orders {
        if !self.probing.asked_since(self.silence.since()) {
            self.probing.restart(now);
            self.probing.postpone(now, quick(load));
        } else if self.probing.due() <= now {
            let long = self.all_at(load).is_some_and(|at| at <= now);
            if long && (self.answers(now) || matches!(witness, Witness::Silent | Witness::Faded)) {
                self.probing.next(now);
                return Orders { probe: Some(Probe::Challenge), ..Orders::default() };
            }
            self.probing.postpone(now, quick(load));
        }
        Orders::default()
    }

    fn probe_burst(&mut self, now: Instant) -> Orders {
        let probe = self.probing.burst(now).then(|| self.probing.next(now));
        Orders { probe, ..Orders::default() }
    }
}

/// Interval of the pings that go with a suspicion.
fn quick(load: &Load) -> Duration {
    (load.srtt / 4).max(APART)
}

fn min(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What the other paths of the connection say about `own` with its load. They have to have been heard in the second half of
/// the silence that is tolerated: if all fall silent at once, longer ones are heard a little longer.
pub fn witness<'a>(
    now: Instant,
    (own, load): (&Monitor, &Load),
    others: impl Iterator<Item = &'a Monitor>,
) -> Witness {
    let since = own.silence.since().unwrap_or(own.since);
    let apart = APART.max(own.silence.tolerance(since, load) / 2);
    let (mut any, mut idle, mut loaded, mut faded) = (false, false, false, false);
    for other in others {
        any = true;
        if other.state == Health::Out {
            continue;
        }
        if other.answers(now) && other.silence.answered() > Some(since + apart) {
            return Witness::Heard;
        }
        if let Some(at) = other.silence.last_progress().filter(|at| *at > since + apart) {
            if !other.silence.is_busy() || now.saturating_since(at) <= FADES {
                return Witness::Heard;
            }
            faded = true;
        }
        loaded |= other.silence.is_busy();
        idle |= !other.silence.is_busy();
    }
    match (any, loaded, idle) {
        (false, ..) => Witness::Alone,
        (true, false, true) => Witness::Idle,
        _ if faded => Witness::Faded,
        _ => Witness::Silent,
    }
}
