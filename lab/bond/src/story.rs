//! What happens while something is transferred: links are cut and healed at their moments, and what each carries is noted.
//!
//! Decides what the links could have carried meanwhile, and when a healed one carries again.

use std::time::Duration;

use anyhow::{Result, bail};
use tq_linkmodel::Instant;
use tq_netlab::control::Wanted;
use tq_udp::Clock;

use crate::chart::Chart;
use crate::place::{Carried, Place};
use crate::stop;
use crate::transfer::mbps;

/// How often the links are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Without a byte for this long a transfer is given up.
pub const STALL: Duration = Duration::from_secs(30);

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Act {
    /// After the story's begin.
    pub after: Duration,
    /// To this link.
    pub link: usize,
    /// This.
    pub change: Wanted,
}

/// Which way the transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    Up,
    /// To the router.
    Down,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// From here on.
    pub begun: Instant,
    /// Each change of a link.
    pub acts: Vec<(Instant, usize, Wanted)>,
    /// Until when the links were looked at, and what each carried since the look before, Mbit/s of IP.
    pub rates: Vec<(Instant, Vec<f64>)>,
}

/// Plays until `over`, which tells the bytes so far and whether that is all.
pub fn play(
    place: &dyn Place,
    acts: &[Act],
    way: Way,
    chart: &mut Chart,
    mut over: impl FnMut() -> (u64, bool),
) -> Result<Log> {
    let begun = Clock::now();
    let mut log = Log { begun, ..Log::default() };
    let mut waiting = acts.iter().peekable();
    let (mut looked, mut carried) = (begun, place.carried()?);
    let (mut most, mut moved) = (0, begun);
    let mut down = vec![false; place.links().len()];
    loop {
        while let Some(act) = waiting.next_if(|act| Clock::now() >= begun + act.after) {
            place.change(act.link, act.change)?;
            log.acts.push((Clock::now(), act.link, act.change));
            down[act.link] = act.change != Wanted::Heal;
            chart.note(&format!("{} {}", place.links()[act.link].name, words(act.change)));
        }
        let (bytes, is_over) = over();
        let (now, fresh) = (Clock::now(), place.carried()?);
        log.rates.push((now, rates(&carried, &fresh, way, now - looked)));
        chart.show(now - begun, &fresh, &down, bytes);
        (looked, carried) = (now, fresh);
        if bytes > most {
            (most, moved) = (bytes, now);
        }
        if is_over {
            return Ok(log);
        }
        if now > moved + STALL {
            bail!("nothing has come for {STALL:?}: the bond stands still");
        }
        stop::until(now + LOOK)?;
    }
}

fn rates(before: &[Carried], now: &[Carried], way: Way, time: Duration) -> Vec<f64> {
    let of = |carried: &Carried| if way == Way::Up { carried.up } else { carried.down };
    let pairs = before.iter().zip(now);
    pairs.map(|(before, now)| mbps(of(now).saturating_sub(of(before)), time)).collect()
}

/// A change in words for people.
pub fn words(change: Wanted) -> &'static str {
    match change {
        Wanted::Cut => "loses its carrier",
        Wanted::CutSilently => "is cut silently",
        Wanted::Heal => "is healed",
        _ => "is changed",
    }
}

impl Log {
    /// For how long a link worked between two moments.
    pub fn worked(&self, link: usize, from: Instant, to: Instant) -> Duration {
        let (mut sum, mut up, mut since) = (Duration::ZERO, true, from);
        for &(at, _, change) in self.acts.iter().filter(|(_, of, _)| *of == link) {
            let at = at.clamp(from, to);
            if up {
                sum += at - since;
            }
            (up, since) = (change == Wanted::Heal, at);
        }
        sum + if up { to - since } else { Duration::ZERO }
    }

    /// Mbit/s that links which carry `alone` each could have carried between two moments.
    pub fn could(&self, alone: &[f64], from: Instant, to: Instant) -> f64 {
        let of = |(link, alone): (usize, &f64)| alone * self.worked(link, from, to).as_secs_f64();
        alone.iter().enumerate().map(of).sum::<f64>() / (to - from).as_secs_f64().max(1e-9)
    }

    /// The moment of a change, if it happened.
    pub fn when(&self, link: usize, wanted: Wanted) -> Option<Instant> {
        self.acts.iter().find(|(_, of, change)| (*of, *change) == (link, wanted)).map(|(at, ..)| *at)
    }

    /// How long after it was healed a link carried half of what it carries alone.
    pub fn healed(&self, link: usize, alone: f64) -> Option<Duration> {
        let healed = self.when(link, Wanted::Heal)?;
        let again = self.rates.iter().find(|(at, rates)| *at > healed && rates[link] >= alone / 2.0)?;
        Some(again.0 - healed)
    }
}

#[cfg(test)]
mod tests;
