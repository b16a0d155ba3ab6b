//! Life and death of paths beside what both ends have agreed of them (decision 10): each path's [`Monitor`] is told what
//! happens and says what to do; here it is done. What silent paths hold goes again on others, ahead of new data and within
//! a budget; what a path that is out holds goes at once.
//!
//! An outage changes health and nothing else: path id, connection ids and round trips are kept for two minutes.

use core::net::IpAddr;
use core::time::Duration;

use tq_sched::{Change, Health, Load, Orders, Probe, Resend, witness};
use tq_time::Instant;
use tq_wire::{Code, PathId};

use super::pauses::Before;
use super::ways::BUSY;
use super::{Connection, PathEvent, SpaceId};
use crate::path::{Path, Resending};
use crate::space::{Acked, SentPacket};
use crate::token::Token;

/// Packets of a silent path that go again even if the budget is empty.
const FREE_RESENDS: u8 = 4;
/// Bytes put up to be sent again at a time: what is not put up need not be taken back when the path speaks.
const RESEND_CHUNK: u64 = 64 << 10;
/// While data is under way an idle path is asked for a sign of life this often, so that it is known to be there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// After a longer outage than this the window begins anew.
const LONG_OUTAGE: Duration = Duration::from_secs(10);
/// So long may a path that answers challenges go without an acknowledgement before others are blamed for it.
const UNHEARD: Duration = Duration::from_secs(1);
/// The host is taken to have been away if it is later than this.
const LATE: Duration = Duration::from_millis(10);

/// Whether a packet carries stream data.
fn has_data(packet: &SentPacket) -> bool {
    packet.tokens.iter().any(|token| matches!(token, Token::Stream { .. }))
}

impl Connection {
    /// Whether health of path `ix` is judged: it may carry data, and it is not the only one.
    fn is_judged(&self, ix: usize) -> bool {
        self.paths.len() > 1 && self.paths[ix].state.is_usable()
    }

    /// Whether probe timeouts of path `ix` are left to its monitor: it is out and others serve.
    pub(crate) fn is_out(&self, ix: usize) -> bool {
        self.is_judged(ix) && self.paths[ix].health() == Health::Out
    }

    /// What path `ix` has outstanding and how soon an answer is due. Does not depend on the time it is asked at, so that a
    /// deadline worked out with it holds when it has come.
    fn load(&self, ix: usize) -> Load {
        let path = &self.paths[ix];
        // Ways back that were in use when the path was heard of last.
        let at = path.monitor.silence().last_progress().unwrap_or(self.last_activity);
        let ways = self.multipath.ways.as_ref();
        let mut rtt = ways.and_then(|ways| ways.fastest(at, path.id)).map_or(path.rtt, |cell| cell.rtt);
        let sparse = path.space.sent.eliciting_in_flight() < BUSY;
        if sparse {
            // It comes with whatever the peer has to send, on the path itself as well.
            let own = ways.and_then(|ways| ways.own(path.id));
            rtt = own.filter(|own| own.smoothed() > rtt.smoothed()).copied().unwrap_or(rtt);
        }
        let others = self.paths.iter().enumerate().filter(|(at, other)| {
            *at != ix && other.state.is_usable() && other.is_healthy() && other.rtt.has_sample()
        });
        // probes of one that is out are no traffic
        let flowing =
            |path: &Path| path.health() != Health::Out && path.space.sent.oldest_waiting().is_some();
        let demand = self.streams.wants_data() || self.datagrams.wants();
        let keep = demand || self.paths.iter().any(flowing);
        Load {
            oldest_sent: path.space.sent.oldest_waiting(),
            srtt: rtt.smoothed(),
            // Of a single answer as much as a probe timeout allows: samples are far between then.
            rttvar: if sparse { 2 * rtt.var() } else { rtt.var() },
            ack_delay: self.peer_ack_delay(),
            other_rtt: others.map(|(_, other)| other.rtt.smoothed()).min(),
            demand,
            keep_alive: if keep { KEEP_ALIVE } else { Duration::ZERO },
        }
    }

    /// When the health of path `ix` is to be looked at.
    pub(crate) fn health_deadline(&self, ix: usize) -> Option<Instant> {
        if !self.is_judged(ix) {
            return None;
        }
        self.paths[ix].monitor.deadline(&self.load(ix))
    }

    /// Time passed, or another path was heard.
    pub(crate) fn tend_health(&mut self, now: Instant, ix: usize) {
        if !self.is_judged(ix) {
            return;
        }
        if self.paths[ix].monitor.deadline(&self.load(ix)).is_some_and(|at| at <= now) {
            self.judge(now, ix);
        }
    }

    fn judge(&mut self, now: Instant, ix: usize) {
        let load = self.load(ix);
        let others = self.paths.iter().enumerate().filter(|(at, path)| *at != ix && path.state.is_usable());
        let seen = witness(now, (&self.paths[ix].monitor, &load), others.map(|(_, path)| &path.monitor));
        let orders = self.paths[ix].monitor.on_deadline(now, &load, seen);
        self.obey(now, ix, orders);
        if self.paths[ix].monitor.unacknowledged(now) > UNHEARD.max(3 * load.srtt) {
            self.leave_dead_ways_back(now);
        }
    }

    /// A path that answers is not acknowledged: the peer acknowledges on one that is out, as some do until that is closed.
    fn leave_dead_ways_back(&mut self, now: Instant) {
        let out = |path: &&Path| path.state.is_usable() && path.health() == Health::Out;
        while let Some(id) = self.paths.iter().find(out).map(|path| path.id) {
            self.abandon(now, id, Code::PATH_UNSTABLE_OR_POOR.0, true);
        }
    }

    /// A challenge was answered on path `ix`.
    pub(super) fn on_path_answered(&mut self, now: Instant, ix: usize) {
        if self.is_judged(ix) {
            let orders = self.paths[ix].monitor.on_answer(now);
            self.obey(now, ix, orders);
        }
    }

    /// Before anything else of a call: if the host comes later than it was asked to, silence in that time was its own.
    ///
    /// What fell due in the past by something that was just heard is nobody's lateness, so nothing is compared but what
    /// was due before this call with this call and the one before it.
    pub(crate) fn note_lateness(&mut self, now: Instant) {
        let Some(ways) = &mut self.multipath.ways else { return };
        let Some(before) = ways.on_call(now).filter(|before| *before + LATE < now) else { return };
        let late = self.deadline().map_or(Duration::ZERO, |due| now.saturating_since(due.max(before)));
        if late > LATE && self.paths.len() > 1 {
            self.paths.iter_mut().for_each(|path| path.monitor.on_stall(late));
        }
    }

    /// Packets of path `ix` were acknowledged by a frame that came on path `on`; one that is `stale` has no word on how the
    /// path is now.
    pub(super) fn on_path_progress(
        &mut self,
        now: Instant,
        (ix, on): (usize, usize),
        acked: &Acked,
        stale: bool,
    ) {
        let srtt = self.load(ix).srtt;
        let on = self.paths[on].id;
        let path = &mut self.paths[ix];
        let idle = path.space.sent.oldest_waiting().is_none();
        let mut silent_since = path.monitor.silence().since();
        if let Some(oldest) = path.waited.take().filter(|_| !stale) {
            let due = path.monitor.expect(oldest, srtt);
            silent_since = silent_since.map(|since| since.max(due));
        }
        let Some((largest, sent_at)) = acked.largest.filter(|_| acked.any_eliciting) else { return };
        let orders = if path.health() == Health::Out {
            // Whatever was sent since is a probe. Its fate, and that of all before, says nothing of the window.
            let mut tokens = core::mem::take(&mut self.lost.tokens);
            path.space.sent.take_out(largest, &mut tokens);
            let reply = sent_at >= path.monitor.since();
            tokens.drain(..).for_each(|token| self.on_token_lost(&token));
            self.lost.tokens = tokens;
            let monitor = &mut self.paths[ix].monitor;
            if reply { monitor.on_probe_reply(now) } else { monitor.on_progress(now, idle) }
        } else if stale && !idle {
            Orders::default()
        } else {
            path.resend = path.resend.filter(|why| *why == Resending::Demoted);
            let told_on = core::mem::replace(&mut path.told_on, on);
            let orders = path.monitor.on_progress(now, idle);
            if let Some(since) = silent_since {
                self.forgive_others(now, ix, since, told_on);
            }
            orders
        };
        self.obey(now, ix, orders);
        self.paths[ix].bytes_acked += acked.bytes;
        let next = self.paths[ix].space.numbers.peek();
        let round = self.paths[ix].gauge.on_acked(acked.packets, largest, next);
        self.tell_scheduler(now, ix, on, round.is_some());
        if let Some(good) = round {
            let orders = self.paths[ix].monitor.on_round(now, good);
            self.obey(now, ix, orders);
        }
        let suspect = self.paths.iter().filter(|path| path.health() == Health::Suspect);
        let held = suspect.map(|path| path.space.sent.bytes_in_flight()).sum();
        if let Some(ways) = &mut self.multipath.ways {
            ways.budget.on_acked(acked.bytes, held);
        }
        self.ask_others(now, ix);
    }

    /// Path `ix` goes on after a silence since `since`: others that were silent with it are not to blame for that time. The one
    /// that brought its acknowledgements before is: its death may have been the silence of both.
    fn forgive_others(&mut self, now: Instant, ix: usize, since: Instant, told_on: PathId) {
        for (at, path) in self.paths.iter_mut().enumerate() {
            if at != ix && path.id != told_on {
                path.monitor.on_common(now, since);
            }
        }
    }

    /// Others that are silent may have waited for the word of path `ix`.
    fn ask_others(&mut self, now: Instant, ix: usize) {
        for at in 0..self.paths.len() {
            let since = self.paths[at].monitor.silence().since();
            let silent = since.is_some_and(|since| since + LATE < now);
            let judged = matches!(self.paths[at].health(), Health::Good | Health::Suspect);
            if at != ix && silent && judged && self.is_judged(at) {
                self.judge(now, at);
            }
        }
    }

    /// Something of path `ix` that was given up arrived after all.
    pub(super) fn on_path_late(&mut self, now: Instant, ix: usize) {
        let path = &mut self.paths[ix];
        if path.health() == Health::Out {
            let orders = path.monitor.on_progress(now, false);
            self.obey(now, ix, orders);
        }
    }

    /// A packet came on path `ix`.
    pub(crate) fn on_path_heard(&mut self, now: Instant, ix: usize) {
        self.paths[ix].heard_at = Some(now);
        if self.is_judged(ix) {
            let orders = self.paths[ix].monitor.on_received(now);
            self.obey(now, ix, orders);
        }
    }

    /// The host says that a link is gone: an interface, its carrier, address or route. What was under way on its paths goes
    /// again on others at once, and the peer is told there, because it cannot see our link. The paths stay for two minutes.
    /// `socket` is the host's socket, `local_ip` one address of it; `None` for all.
    pub fn on_link_down(&mut self, now: Instant, socket: u32, local_ip: Option<IpAddr>) {
        self.on_link(now, socket, local_ip, false);
    }

    /// The host says that a link works again, or that something about it changed: its paths are probed at once.
    pub fn on_link_up(&mut self, now: Instant, socket: u32, local_ip: Option<IpAddr>) {
        self.on_link(now, socket, local_ip, true);
    }

    fn on_link(&mut self, now: Instant, socket: u32, local_ip: Option<IpAddr>, up: bool) {
        for ix in 0..self.paths.len() {
            let tuple = &self.paths[ix].tuple;
            let meant = tuple.socket == socket
                && (local_ip.is_none() || tuple.local_ip.is_none() || tuple.local_ip == local_ip);
            if meant && self.is_judged(ix) {
                let orders = self.paths[ix].monitor.on_link(now, up);
                self.obey(now, ix, orders);
                if up {
                    self.tell_link(ix, false);
                }
            }
        }
    }

    /// Tells the peer by PATH_STATUS whether our link of path `ix` is gone.
    fn tell_link(&mut self, ix: usize, down: bool) {
        let id = self.paths[ix].id;
        if let Some(ids) = self.slot_mut(id) {
            ids.status.set_down(down);
        }
    }

    /// The peer would rather not have data on a path (`backup`), or would again. It may have lost its link: what is
    /// outstanding is asked for elsewhere.
    pub(super) fn on_demoted(&mut self, ix: usize, backup: bool) {
        if !backup {
            let path = &mut self.paths[ix];
            path.resend = path.resend.filter(|why| *why != Resending::Demoted);
        } else if self.is_judged(ix) && self.paths[ix].space.sent.oldest_waiting().is_some() {
            self.start_resending(ix, Resending::Demoted);
        }
    }

    /// Path `ix` leads to another address: what is under way to the one before may meet a closed door. Others take it until
    /// something of the path is acknowledged.
    pub(super) fn on_left_behind(&mut self, ix: usize) {
        if self.is_judged(ix) && self.paths[ix].space.sent.oldest_waiting().is_some() {
            self.start_resending(ix, Resending::Silent);
        }
    }

    fn start_resending(&mut self, ix: usize, why: Resending) {
        let path = &mut self.paths[ix];
        (path.resend, path.free_resends) = (Some(why), FREE_RESENDS);
    }

    fn obey(&mut self, now: Instant, ix: usize, orders: Orders) {
        if orders == Orders::default() {
            return;
        }
        if let Some(change) = orders.change {
            self.on_health(now, ix, change);
        }
        // The peer's word outlasts what was under way when it was said.
        let demoted = self.paths[ix].resend == Some(Resending::Demoted);
        match orders.resend {
            Some(Resend::Suspect | Resend::Cancel) if demoted => {}
            Some(Resend::Suspect) => self.start_resending(ix, Resending::Silent),
            Some(Resend::All) => self.start_resending(ix, Resending::Overdue),
            Some(Resend::Out) => self.hand_over(now, ix),
            Some(Resend::Cancel) => self.paths[ix].resend = None,
            None => {}
        }
        if let Some(probe) = orders.probe {
            if probe == Probe::Challenge {
                self.paths[ix].validation.ask();
            }
            // A PING in either case: a server follows a changed address by it, which it would not by a challenge alone.
            let probes = &mut self.paths[ix].probes[SpaceId::App(ix).index()];
            *probes = (*probes).max(1);
        }
        if orders.tell_peer {
            self.tell_link(ix, true);
        }
        if orders.abandon && self.side.is_client() && self.has_other_usable(ix) {
            let id = self.paths[ix].id;
            self.abandon(now, id, Code::PATH_UNSTABLE_OR_POOR.0, true);
        }
    }

    pub(super) fn on_health(&mut self, now: Instant, ix: usize, change: Change) {
        let path = &mut self.paths[ix];
        let next = path.space.numbers.peek();
        match (change.from, change.to) {
            (_, Health::Suspect) => path.space.sent.ask_from(next),
            (Health::Suspect, _) => path.space.sent.ask_until(next),
            _ => {}
        }
        if let Some(ways) = &mut self.multipath.ways {
            match (change.from, change.to) {
                (_, Health::Suspect) => {
                    let before = Before { window: path.cc.window(), rtt: path.rtt.smoothed() };
                    ways.pauses.on_silent(path.id, before);
                }
                (Health::Suspect, Health::Good) => {
                    ways.pauses.on_heard_again(now, path.id, change.lasted);
                }
                _ => {}
            }
        }
        if change.from == Health::Out {
            path.pto_count = 0;
            path.back_at = now;
            if change.lasted >= LONG_OUTAGE {
                path.cc.reset(now);
                path.lost_in_event = 0;
            }
        }
        let event = PathEvent::Health { path: path.id, health: change.to, cause: change.cause };
        self.tell_path(event);
        self.log_path_state(now, ix);
        self.on_guarded_health(now, ix, change);
        self.log_metrics(now, ix);
    }

    /// Everything outstanding on a path that is out goes elsewhere, ahead of new data. For its window that is one loss,
    /// taken back if all of it arrives after all.
    fn hand_over(&mut self, now: Instant, ix: usize) {
        let path = &mut self.paths[ix];
        let mut tokens = core::mem::take(&mut self.lost.tokens);
        let below = path.space.numbers.peek();
        let taken = path.space.sent.take_out(below, &mut tokens);
        (path.rescued, path.resend) = (below, None);
        path.mtu.abandon_probe();
        if let Some(newest) = taken.newest {
            let began = path.cc.on_congestion(now, newest, taken.bytes, 0, false, false);
            path.lost_in_event = if began { taken.packets } else { path.lost_in_event + taken.packets };
        }
        tokens.drain(..).for_each(|token| self.on_token_lost(&token));
        self.lost.tokens = tokens;
    }

    /// Puts up what silent paths hold to be sent again by others, a little at a time, as far as the budget goes.
    pub(crate) fn draw_resends(&mut self) {
        for ix in 0..self.paths.len() {
            if self.paths[ix].resend.is_none() || !self.has_other_usable(ix) {
                continue;
            }
            // What is known to have arrived by another way leaves nothing to send: the next in line may.
            while self.streams.lost_bytes() == 0 {
                let path = &self.paths[ix];
                let Some((pn, ..)) = path.space.sent.next_waiting(path.rescued, |packet| !packet.copied)
                else {
                    self.paths[ix].resend = None;
                    break;
                };
                self.paths[ix].rescued = pn;
                if self.resend_from(ix, pn, RESEND_CHUNK) == 0 {
                    break;
                }
            }
        }
    }

    /// Copies up to `most` bytes of packets on path `ix` numbered `from` and up that did not go elsewhere yet; says how many.
    fn resend_from(&mut self, ix: usize, mut from: u64, most: u64) -> u64 {
        let Some(ways) = &mut self.multipath.ways else { return 0 };
        let mut tokens = core::mem::take(&mut self.lost.tokens);
        let path = &mut self.paths[ix];
        let mut copied = 0;
        while copied < most
            && let Some((pn, _, size)) = path.space.sent.next_waiting(from, |packet| !packet.copied)
        {
            if path.resend == Some(Resending::Overdue) {
                // It costs no budget: others may need that.
            } else if ways.budget.available() >= size {
                ways.budget.on_resent(size);
            } else if path.resend.is_some() && path.free_resends > 0 {
                path.free_resends -= 1;
            } else {
                break;
            }
            path.space.sent.copy_tokens(pn, &mut tokens);
            from = pn + 1;
            copied += size;
        }
        path.bytes_resent += copied;
        tokens.drain(..).for_each(|token| self.on_token_lost(&token));
        self.lost.tokens = tokens;
        copied
    }

    /// Copies up to `most` bytes that left on path `ix` after `since`.
    pub(crate) fn reinject(&mut self, ix: usize, since: Instant, most: u64) {
        let matters = |packet: &SentPacket| !packet.copied && packet.at > since;
        if let Some((pn, ..)) = self.paths[ix].space.sent.next_waiting(0, matters) {
            self.resend_from(ix, pn, most);
        }
    }

    /// Puts up to `most` bytes of path `ix` in packets numbered `from` and up to be sent again, within the budget; says how
    /// many.
    pub(super) fn copy_from(&mut self, ix: usize, from: u64, most: u64) -> u64 {
        let before = self.paths[ix].bytes_resent;
        let copied = self.resend_from(ix, from, most);
        // It is not this path that made them necessary.
        self.paths[ix].bytes_resent = before;
        copied
    }

    /// Copies what left on path `ix` in packets numbered `from` and up, to go on another as well.
    pub(crate) fn copy_since(&mut self, ix: usize, mut from: u64) {
        let mut tokens = core::mem::take(&mut self.lost.tokens);
        let sent = &mut self.paths[ix].space.sent;
        while let Some((pn, _, _)) = sent.next_waiting(from, |_| true) {
            sent.copy_tokens(pn, &mut tokens);
            from = pn + 1;
        }
        tokens.drain(..).for_each(|token| self.on_token_lost(&token));
        self.lost.tokens = tokens;
    }

    /// The newest packet with stream data on path `ix` that did not go elsewhere yet: sending time and bytes.
    pub(crate) fn newest_data(&self, ix: usize) -> Option<(Instant, u64)> {
        self.paths[ix].space.sent.newest_waiting(|packet| !packet.copied && has_data(packet))
    }
}
