//! A handshake raced over several links: the same first datagrams leave on each, a little apart, until one answers. What
//! follows goes there alone, so it is no migration: nothing has been agreed before. A dead or slow first link costs nothing
//! but the spacing.
//!
//! For servers of ours: they take the first copy, drop the others as duplicates, and answer where each came from, so that
//! a link that carries only one way wins nothing. It never reads what it copies.

use core::fmt;
use core::time::Duration;

use smallvec::SmallVec;
use tq_buf::mem::{Vec, VecDeque};
use tq_time::Instant;
use tq_wire::{Ecn, Frame};

use super::{Connection, Local, RecvMeta, Transmit};
use crate::config::MIN_MTU;
use crate::path::{Path, Tuple};
use crate::payload::Payload;

/// How much later than the link before it the next one begins.
const SPACING: Duration = Duration::from_millis(1);
/// Links besides the first.
const MOST_LINKS: usize = 7;
/// Datagrams kept to be copied; more of a flight are not.
const MOST_DATAGRAMS: usize = 16;

/// A link besides the first.
#[derive(Debug)]
struct Runner {
    tuple: Tuple,
    /// How much later it is than the first.
    behind: Duration,
    /// Number of the datagram it sends next.
    next: usize,
}

/// A race that nobody has won.
#[derive(Debug, Default)]
pub(crate) struct Race {
    runners: SmallVec<[Runner; 3]>,
    /// What left on the first link, when, and not yet on all others.
    flight: VecDeque<(Instant, Vec<u8>)>,
    /// Number of the first of these.
    first: usize,
}

impl Race {
    fn next(&self) -> Option<(Instant, usize)> {
        let due = |(at, runner): (usize, &Runner)| {
            let (sent, _) = self.flight.get(runner.next - self.first)?;
            Some((*sent + runner.behind, at))
        };
        self.runners.iter().enumerate().filter_map(due).min()
    }

    fn keep(&mut self, now: Instant, datagram: &[u8]) {
        if self.flight.len() < MOST_DATAGRAMS {
            self.flight.push_back((now, datagram.to_vec()));
        }
    }

    /// Forgets what has left everywhere.
    fn trim(&mut self) {
        let all = self.runners.iter().map(|runner| runner.next).min().unwrap_or(usize::MAX);
        while self.first < all && self.flight.pop_front().is_some() {
            self.first += 1;
        }
    }
}

/// A challenge at a way that is no path yet. A server puts it into its answer to a copy of the client's Initial; the client
/// answers it when it opens a path there. So much is known of the path then as the first one's handshake tells of that: the
/// address is proven, and how long a round trip takes.
#[derive(Debug)]
pub(crate) struct Asked {
    tuple: Tuple,
    data: [u8; 8],
    at: Instant,
}

/// What a race over several links left with one end of a handshake.
#[derive(Debug, Default)]
pub(crate) struct Raced {
    /// On a server: where copies of the client's newest Initial came from.
    copies: Vec<Copy>,
    /// And whether the client is to be asked where the last of these came from.
    pub(crate) asks: bool,
    /// Challenges at ways that are no paths yet.
    pub(crate) asked: Vec<Asked>,
}

/// On a server: where a copy of a client's Initial came from.
#[derive(Debug)]
pub(crate) struct Copy {
    tuple: Tuple,
    /// Of the datagram: three times as many may go there.
    bytes: u64,
    answer: Answer,
}

/// Of the client's newest Initial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// No copy came there.
    None,
    Due,
    Given,
}

/// A link does not take part; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaceError {
    /// Only clients race (the caller's mistake).
    Server,
    /// Something was sent or heard already: add links as soon as the connection is made.
    Late,
    /// It takes part already, or eight links do.
    Full,
}

impl fmt::Display for RaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "only clients race",
            Self::Late => "the handshake has begun",
            Self::Full => "the link takes part already, or as many as may",
        })
    }
}

impl core::error::Error for RaceError {}

impl Connection {
    /// Has one more link take part in the handshake: copies of the first datagrams leave there as well, 1 ms after the link
    /// added before it. The first link on which the server answers becomes path 0; [`Connection::paths`] says which.
    /// To be called before the first [`Connection::transmit`], in the order of expected round trips, and only towards
    /// servers that take it well.
    ///
    /// # Errors
    /// See [`RaceError`].
    pub fn race_over(&mut self, local: Local) -> Result<(), RaceError> {
        if self.side.is_server() {
            return Err(RaceError::Server);
        }
        let path = &self.paths[0];
        if self.hs.heard || self.is_closed() || path.bytes_sent > 0 {
            return Err(RaceError::Late);
        }
        let tuple = Tuple { remote: path.tuple.remote, local_ip: local.ip, socket: local.socket };
        let own = path.tuple.same_local(&tuple);
        let race = self.race.get_or_insert_default();
        if own || race.runners.len() == MOST_LINKS || race.runners.iter().any(|known| known.tuple == tuple) {
            return Err(RaceError::Full);
        }
        let behind = SPACING * (race.runners.len() as u32 + 1);
        race.runners.push(Runner { tuple, behind, next: 0 });
        Ok(())
    }

    /// When the next copy leaves.
    pub(crate) fn race_deadline(&self) -> Option<Instant> {
        self.race.as_ref()?.next().map(|(at, _)| at)
    }

    /// The next copy, if it is due.
    pub(crate) fn transmit_race(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let race = self.race.as_mut()?;
        let (_, at) = race.next().filter(|(due, _)| *due <= now)?;
        let runner = &mut race.runners[at];
        let (_, datagram) = race.flight.get(runner.next - race.first)?;
        let len = datagram.len();
        buf.get_mut(..len)?.copy_from_slice(datagram);
        runner.next += 1;
        let Tuple { remote, local_ip, socket } = runner.tuple;
        race.trim();
        Some(Transmit { remote, local_ip, socket, ecn: Ecn::NotEct, len, segment: None, depart_at: now })
    }

    /// A datagram left on the first link: others follow.
    pub(crate) fn note_race(&mut self, now: Instant, transmit: &Transmit, buf: &[u8]) {
        if let (Some(race), None) = (&mut self.race, transmit.segment) {
            race.keep(now, &buf[..transmit.len]);
        }
    }

    /// On a server: a copy of a client's Initial came another way than what it answers now. It is answered there as well,
    /// within the bytes that came there, once for each way and new Initial; which way is path 0 the client's next flight
    /// tells.
    pub(crate) fn on_copy(&mut self, meta: &RecvMeta) {
        let path = &self.paths[0];
        if self.side.is_client() || path.validation.is_validated() || path.tuple.is_of(meta) {
            return;
        }
        let (tuple, bytes) = (Tuple::of(meta), self.heard);
        let copies = &mut self.hs.raced.get_or_insert_default().copies;
        let room = copies.len() < MOST_LINKS;
        match copies.iter_mut().find(|copy| copy.tuple == tuple) {
            Some(copy) if copy.answer == Answer::None => (copy.bytes, copy.answer) = (bytes, Answer::Due),
            Some(_) => {}
            None if room => copies.push(Copy { tuple, bytes, answer: Answer::Due }),
            None => {}
        }
    }

    /// On a server: an Initial that is no copy. Only the client can have written it, so it is heard where this came from,
    /// if that is one of the ways known, whoever sent copies of the one before from elsewhere.
    pub(crate) fn on_new_initial(&mut self, now: Instant, meta: &RecvMeta) {
        let path = &mut self.paths[0];
        if self.side.is_client() || path.validation.is_validated() {
            return;
        }
        let Some(raced) = &mut self.hs.raced else { return };
        raced.copies.iter_mut().for_each(|copy| copy.answer = Answer::None);
        let known = raced.copies.iter().any(|copy| copy.tuple.is_of(meta));
        if known && !path.tuple.is_of(meta) {
            path.validation.unset(self.heard);
            self.turn_to(now, Tuple::of(meta));
        }
    }

    /// On a server: the client is at `tuple`. What was said elsewhere last may arrive behind what is said here from now on.
    fn turn_to(&mut self, now: Instant, tuple: Tuple) {
        let path = &mut self.paths[0];
        path.tuple = tuple;
        let early = [&mut self.initial, &mut self.handshake].into_iter().flatten();
        early.chain([&mut path.space]).for_each(|space| space.sent.set_raced(now));
        self.log_path(now, 0);
    }

    /// On a server: all that could be said where a client's Initial came from was said. Turns to where a copy of it came
    /// from and says it again; `false` if there is none.
    pub(crate) fn turn_to_copy(&mut self, now: Instant) -> bool {
        let Some(raced) = &mut self.hs.raced else { return false };
        let Some(copy) = raced.copies.iter_mut().find(|copy| copy.answer == Answer::Due) else {
            return false;
        };
        copy.answer = Answer::Given;
        let (here, bytes) = (copy.tuple, copy.bytes);
        let path = &mut self.paths[0];
        let old = path.tuple;
        path.validation.unset(bytes);
        let known = raced.asked.iter().any(|asked| asked.tuple == here);
        raced.asks = self.multipath.is_agreed() && !known;
        if raced.copies.iter().all(|copy| copy.tuple != old) {
            raced.copies.push(Copy { tuple: old, bytes: 0, answer: Answer::Given });
        }
        let mut tokens = core::mem::take(&mut self.lost.tokens);
        let early = [&mut self.initial, &mut self.handshake].into_iter().flatten();
        for space in early.chain([&mut self.paths[0].space]) {
            let mut from = 0;
            while let Some((pn, ..)) = space.sent.next_waiting(from, |_| true) {
                space.sent.copy_tokens(pn, &mut tokens);
                from = pn + 1;
            }
        }
        tokens.drain(..).for_each(|token| self.on_token_lost(&token));
        self.lost.tokens = tokens;
        self.turn_to(now, here);
        true
    }

    /// On a server: the client has keys that were sent to where this came from, so that is where it is.
    pub(crate) fn settle_client(&mut self, now: Instant, meta: &RecvMeta) {
        let path = &mut self.paths[0];
        if !path.tuple.is_of(meta) {
            self.turn_to(now, Tuple::of(meta));
        }
        self.paths[0].validation.set_validated();
        if let Some(raced) = &mut self.hs.raced {
            (raced.copies, raced.asks) = (Vec::new(), false);
        }
    }

    /// On a server: asks whether the client is where a copy of its Initial came from.
    pub(crate) fn ask_way(&mut self, now: Instant, payload: &mut Payload<'_>) {
        let mut data = [0; 8];
        self.shared.entropy.fill(&mut data);
        if payload.frame(&Frame::PathChallenge(data), None) {
            let raced = self.hs.raced.get_or_insert_default();
            raced.asks = false;
            raced.asked.push(Asked { tuple: self.paths[0].tuple, data, at: now });
        }
    }

    /// On a client: a challenge on a way that is not path 0. It is answered on the path there, or on the one that opens there.
    pub(crate) fn on_way_asked(&mut self, now: Instant, meta: &RecvMeta, data: [u8; 8]) {
        let tuple = Tuple::of(meta);
        // the race was for one address of the server's
        let raced = self.paths[0].tuple.remote == tuple.remote && !self.paths[0].tuple.same_local(&tuple);
        if self.side.is_server() || !self.multipath.on || !raced || self.hs.asked().len() == MOST_LINKS {
            return;
        }
        self.hs.raced.get_or_insert_default().asked.push(Asked { tuple, data, at: now });
        if let Some(ix) = self.paths.iter().position(|path| path.tuple.same_local(&tuple)) {
            self.answer_way(ix);
        }
    }

    /// On a client: answers what was asked where path `ix` leads.
    pub(crate) fn answer_way(&mut self, ix: usize) {
        let path = &mut self.paths[ix];
        if let Some(asked) = self.hs.take_asked(|asked| asked.tuple.same_local(&path.tuple)) {
            path.validation.on_challenge(asked.data);
            // it filled a datagram, which pays for the answer
            path.bytes_received += u64::from(MIN_MTU);
        }
    }

    /// On a server: an answer came from the address that was asked. A path that leads there needs no more proof of it; its
    /// own challenge goes on and tells of the rest.
    pub(crate) fn on_way_answered(&mut self, now: Instant, meta: &RecvMeta, data: [u8; 8]) {
        if self.side.is_client() {
            return;
        }
        let is = |asked: &Asked| asked.data == data && asked.tuple.remote == meta.remote;
        let Some(asked) = self.hs.take_asked(is) else { return };
        let unproven = |path: &Path| path.tuple.is_of(meta) && !path.validation.is_validated();
        let Some(ix) = self.paths.iter().position(unproven) else { return };
        self.paths[ix].validation.vouch();
        self.paths[ix].on_answered(now, asked.at);
        if self.paths[ix].state.is_live() && !self.paths[ix].state.is_usable() {
            self.on_path_validated(now, ix);
        }
    }

    /// The server answered: where that came in is path 0.
    pub(crate) fn settle_race(&mut self, meta: &RecvMeta) {
        let Some(race) = self.race.take() else { return };
        if let Some(winner) = race.runners.iter().find(|runner| runner.tuple.is_of(meta)) {
            self.paths[0].tuple = winner.tuple;
        }
    }
}
