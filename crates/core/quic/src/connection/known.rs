//! What earlier connections measured of this one's links, and what this one measures for later ones.
//!
//! A link is known by the socket and address we use (a host says so, on either end) or by the peer's address (a token of
//! ours said so, on a server). When the first round trip of a path is measured and its address proven, the window may
//! jump on the strength of that ([`tq_cc::Resume`]); never before, and never past the limit of an unproven address. What
//! is measured goes to the host on request, and from a server to its client, sealed in a token. Nothing is kept here
//! longer than the connection.

use core::net::IpAddr;
use core::time::Duration;

use tq_buf::mem::Vec;
use tq_cc::{Ack, Controller, Meter, Profile, Resume, Resumption};
use tq_time::Instant;
use tq_wire::PathId;

use super::{Connection, SpaceId};
use crate::endpoint::half_open::Prefix;
use crate::endpoint::token::{Link, MAX_LINKS};
use crate::path::{Path, Tuple};

/// Links a host may tell of.
const MOST_TOLD: usize = 16;
/// A path that sent less is not measured: there is nothing to learn from a few requests.
const WORTH: u64 = 64 << 10;
/// A link that holds less than this is filled by first windows.
const LEAST_VOLUME: u64 = 30_000;
/// A client gets another token this long after the last one at the earliest, and later where it had them for long: there is
/// little new in them. In any case it gets one before what the last one says is old.
const TELL_AGAIN: Duration = Duration::from_millis(250);
const RARER: u32 = 8;
const TELL_ANYWAY: Duration = Duration::from_secs(1800);

/// How a link is told from others.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// By our end.
    Near(u32, Option<IpAddr>),
    /// By the peer's.
    Far(IpAddr),
}

impl Place {
    /// How well it fits: the address itself, or its neighbourhood.
    fn fits(&self, tuple: &Tuple) -> Option<u8> {
        match *self {
            Self::Near(socket, ip) => {
                let same = ip.zip(tuple.local_ip).is_none_or(|(one, other)| one == other);
                (socket == tuple.socket && same).then_some(2)
            }
            Self::Far(ip) if ip == tuple.remote.ip() => Some(1),
            Self::Far(ip) => (Prefix::of(ip) == Prefix::of(tuple.remote.ip())).then_some(0),
        }
    }
}

/// What is remembered of a link.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    place: Place,
    profile: Profile,
    /// How old it was when the connection heard of it.
    age: Duration,
    told_at: Instant,
}

impl Remembered {
    fn age(&self, now: Instant) -> Duration {
        self.age + now.saturating_since(self.told_at)
    }
}

/// One path.
#[derive(Debug)]
struct Learnt {
    id: PathId,
    meter: Meter,
    /// The first round trip was compared with what is remembered.
    compared: bool,
    resume: Option<Resume>,
    /// The rate that was relied on, bytes per second; zero if none was.
    rate: u64,
}

/// What is known of a connection's links beside what their paths do now.
#[derive(Debug, Default)]
pub(crate) struct Known {
    remembered: Vec<Remembered>,
    paths: Vec<Learnt>,
    /// What the last token said.
    told: Vec<Link>,
    /// When the first token went out, and when the last one.
    told_at: Option<(Instant, Instant)>,
}

impl Known {
    fn path(&mut self, id: PathId) -> Option<&mut Learnt> {
        self.paths.iter_mut().find(|learnt| learnt.id == id)
    }

    fn path_or_new(&mut self, id: PathId) -> &mut Learnt {
        let at = self.paths.iter().position(|learnt| learnt.id == id).unwrap_or_else(|| {
            self.paths.push(Learnt { id, meter: Meter::default(), compared: false, resume: None, rate: 0 });
            self.paths.len() - 1
        });
        &mut self.paths[at]
    }

    /// The profile that fits best, of several the least: they share what leads there.
    fn profile(&self, now: Instant, tuple: &Tuple) -> Option<Profile> {
        let fits = |known: &Remembered| Some((known.place.fits(tuple)?, known.profile.aged(known.age(now))?));
        let all = self.remembered.iter().filter_map(fits);
        all.min_by_key(|(fit, profile)| (u8::MAX - fit, profile.rate)).map(|(_, profile)| profile)
    }

    /// Whether the window of a path is not to grow.
    pub(crate) fn holds(&self, id: PathId) -> bool {
        let of = self.paths.iter().find(|learnt| learnt.id == id);
        of.and_then(|learnt| learnt.resume).is_some_and(|resume| resume.holds())
    }

    /// Packets leave on a path; with them `in_flight` bytes are.
    pub(crate) fn on_sent(&mut self, now: Instant, id: PathId, in_flight: u64) {
        if let Some(resume) = self.path(id).and_then(|learnt| learnt.resume.as_mut()) {
            resume.on_sent(now, in_flight);
        }
    }

    /// The controller of a path was told of an acknowledgement. Says whether what the path is measured to carry moved.
    pub(crate) fn on_ack(&mut self, now: Instant, id: PathId, ack: &Ack<'_>, cc: &mut Controller) -> bool {
        let learnt = self.path_or_new(id);
        if let Some(resume) = &mut learnt.resume {
            resume.on_ack(now, ack, cc);
        }
        learnt.meter.on_ack(now, ack.bytes, ack.rtt.smoothed(), ack.app_limited)
    }

    /// The controller of a path was told of losses or marks.
    pub(crate) fn on_congestion(&mut self, now: Instant, id: PathId, cc: &mut Controller) {
        if let Some(resume) = self.path(id).and_then(|learnt| learnt.resume.as_mut()) {
            resume.on_congestion(now, cc);
        }
    }

    /// A path is over or leads elsewhere: what was measured is not of what it is now, and what is remembered is for fresh
    /// ones.
    pub(crate) fn forget(&mut self, id: PathId) {
        self.paths.retain(|learnt| learnt.id != id);
    }
}

impl Connection {
    /// An earlier connection measured a link `age` ago ([`Connection::learnt`]): the one behind the host's socket `socket`
    /// with our address `local_ip`, whose paths send to this peer. A path that begins there makes use of it, with care: a
    /// wrong one costs a window of 1 MiB once at most. Of more than 16 the oldest is forgotten; one for the same socket and address
    /// replaces the one before.
    pub fn remember(
        &mut self,
        now: Instant,
        (socket, local_ip): (u32, Option<IpAddr>),
        profile: Profile,
        age: Duration,
    ) {
        let known = self.known.get_or_insert_default();
        known
            .remembered
            .retain(|known| !matches!(known.place, Place::Near(of, ip) if (of, ip) == (socket, local_ip)));
        if known.remembered.len() >= MOST_TOLD {
            known.remembered.remove(0);
        }
        known.remembered.push(Remembered {
            place: Place::Near(socket, local_ip),
            profile,
            age,
            told_at: now,
        });
    }

    /// What a token of ours says of the client's links.
    pub(crate) fn remember_links(&mut self, now: Instant, links: &[Link]) {
        if links.is_empty() || !self.config.remember {
            return;
        }
        let remembered = links.iter().filter(|link| link.measured <= now).map(|link| Remembered {
            place: Place::Far(link.ip),
            profile: link.profile,
            age: now.saturating_since(link.measured),
            told_at: now,
        });
        self.known.get_or_insert_default().remembered.extend(remembered);
    }

    /// What a path was measured to carry, if it carried enough to tell: for a host to keep, and to
    /// [`Connection::remember`] in another connection to the same peer over the same link.
    pub fn learnt(&self, id: PathId) -> Option<Profile> {
        let ix = self.path_index(id)?;
        let learnt = self.known.as_ref()?.paths.iter().find(|learnt| learnt.id == id)?;
        let path = &self.paths[ix];
        let profile = Profile { min_rtt: self.own_min_rtt(ix), rate: learnt.meter.rate() };
        (path.rtt.has_sample() && profile.volume() >= LEAST_VOLUME).then_some(profile)
    }

    /// The rate an earlier connection measured of a path's link, if the path has shown nothing else; or zero.
    pub(crate) fn remembered_rate(&self, id: PathId) -> u64 {
        let Some(known) = &self.known else { return 0 };
        let learnt = known.paths.iter().find(|learnt| learnt.id == id);
        let of = learnt.and_then(|learnt| Some((learnt.resume?.state(), learnt.rate)));
        of.map_or(0, |(state, rate)| if state == Resumption::Refuted { 0 } else { rate })
    }

    /// A path is over or leads elsewhere.
    pub(crate) fn forget_known(&mut self, id: PathId) {
        if let Some(known) = &mut self.known {
            known.forget(id);
        }
    }

    /// How far a path came that began with what is remembered of its link; `None` if none did.
    pub(crate) fn resumption(&self, id: PathId) -> Option<Resumption> {
        let of = self.known.as_ref()?.paths.iter().find(|learnt| learnt.id == id)?;
        of.resume.as_ref().map(Resume::state)
    }

    /// Whether a path is to be looked at.
    pub(crate) fn is_worth_knowing(&self, ix: usize) -> bool {
        self.known.is_some() || self.config.remember && self.hs.complete && self.paths[ix].bytes_sent >= WORTH
    }

    /// The first round trip of path `ix` may be known: compares it with what is remembered.
    pub(crate) fn recall(&mut self, now: Instant, ix: usize) {
        let Some(known) = &mut self.known else { return };
        let path = &mut self.paths[ix];
        let ready = path.rtt.has_sample() && path.validation.is_validated();
        if !ready || known.remembered.is_empty() || known.path_or_new(path.id).compared {
            return;
        }
        let profile = known.profile(now, &path.tuple).filter(|_| self.config.remember);
        let lossy = path.packets_lost > 0;
        let Path { rtt, cc, id, .. } = path;
        let learnt = known.path_or_new(*id);
        learnt.compared = true;
        if let Some(profile) = profile.filter(|_| !lossy) {
            learnt.resume = Resume::begin(now, &profile, rtt.latest(), cc);
            learnt.rate = profile.rate;
        }
    }

    /// On a server: what the client is to bring along next time. What was measured, and what is remembered of links that
    /// were not used enough to tell.
    pub(crate) fn links_to_tell(&mut self, now: Instant) -> Vec<Link> {
        let mut links = Vec::new();
        for path in &self.paths {
            if let Some(profile) = self.learnt(path.id) {
                links.push(Link { ip: path.tuple.remote.ip(), profile, measured: now });
            }
        }
        let Some(known) = &mut self.known else { return links };
        let refuted = |ip: IpAddr| {
            let at = self.paths.iter().filter(|path| path.tuple.remote.ip() == ip);
            let mut states =
                at.filter_map(|path| known.paths.iter().find(|learnt| learnt.id == path.id)?.resume);
            states.any(|resume| resume.state() == Resumption::Refuted)
        };
        for old in &known.remembered {
            let Place::Far(ip) = old.place else { continue };
            let age = old.age(now);
            let new = links.iter().all(|link| link.ip != ip);
            let measured = Instant::from_nanos(now.as_nanos().saturating_sub(super::nanos(age)));
            if new && !refuted(ip) && old.profile.aged(age).is_some() {
                links.push(Link { ip, profile: old.profile, measured });
            }
        }
        links.truncate(MAX_LINKS);
        let first = known.told_at.map_or(now, |(first, _)| first);
        (known.told, known.told_at) = (links.clone(), Some((first, now)));
        links
    }

    /// On a server: what a path is measured to carry moved. The client gets another token if the last one says something
    /// quite different.
    pub(crate) fn tell_links(&mut self, now: Instant) {
        let quiet =
            self.side.is_client() || !self.hs.confirmed || self.hs.new_token_pending || self.is_closed();
        let Some(known) = self.known.as_ref().filter(|_| !quiet && self.config.remember) else { return };
        let (first, last) = known.told_at.unwrap_or_default();
        let since = now.saturating_since(last);
        if known.told_at.is_some() && since < TELL_AGAIN.max(last.saturating_since(first) / RARER) {
            return;
        }
        let differs = |path: &Path| {
            let Some(profile) = self.learnt(path.id) else { return false };
            let told = known.told.iter().find(|link| link.ip == path.tuple.remote.ip());
            told.is_none_or(|told| told.profile.rate.abs_diff(profile.rate) > told.profile.rate / 4)
        };
        if since >= TELL_ANYWAY && !known.paths.is_empty() || self.paths.iter().any(differs) {
            (self.hs.new_token, self.hs.new_token_pending) = (None, true);
        }
    }

    /// A space was told of an acknowledgement for path `ix`, and its controller.
    pub(crate) fn on_known_acked(&mut self, now: Instant, id: SpaceId, ix: usize, moved: bool) {
        self.recall(now, ix);
        if moved && matches!(id, SpaceId::App(_)) {
            self.tell_links(now);
        }
    }
}
