//! Daemons that end, are killed, and start again.
//!
//! Decides that a router is back when its session is, counted from the server's start; and that "exact" means every rule,
//! route and filter of the router as it was, line by line.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use tq_control::model;
use tq_linkmodel::Instant;
use tq_netlab::control::Wanted;
use tq_netlab::names::Host;
use tq_udp::Clock;

use super::{Bench, Found};
use crate::chart::Chart;
use crate::demo::download;
use crate::lab::BondLab;
use crate::ping::Pinger;
use crate::place::Place;
use crate::stop;
use crate::transfer::Download;

/// From the server's start until a router has its session again.
const BACK: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(20);
/// After a router's start, at which it is killed: while it sets up, and later.
const MOMENTS: [u64; 6] = [10, 40, 80, 150, 300, 1000];
/// How long all links are silent.
const QUIET: Duration = Duration::from_secs(60);
/// How long the server is away.
const AWAY: [u64; 3] = [0, 1000, 3000];

impl Bench {
    /// A small file comes through the bond.
    fn carries(&mut self) -> Result<()> {
        let file = self.files.payload("small", 200_000, 3)?;
        download(self.lab()?, &file, &[], &mut Chart::silent()).map(drop)
    }

    /// Differences between the router's state and what it should be.
    fn exact(&mut self, found: &mut Found, working: bool, when: &str) -> Result<()> {
        let should = if working { self.working.clone() } else { self.clean.clone() };
        let is = self.lab()?.router_state()?;
        let [is, should]: [BTreeSet<String>; 2] = [is, should].map(|lines| lines.into_iter().collect());
        for (what, line) in is
            .difference(&should)
            .map(|line| ("too much", line))
            .chain(should.difference(&is).map(|line| ("missing", line)))
        {
            found.broken.push(format!("{when}, {what}: {}", line.trim()));
        }
        Ok(())
    }
}

/// The devices a server knows, without what changes by itself.
fn devices(lab: &BondLab) -> Result<Vec<(String, String, String)>> {
    let tenants: model::Tenants = lab.files.control("server")?.get("tenants")?;
    Ok(tenants.devices.into_iter().map(|device| (device.tenant, device.device, device.standing)).collect())
}

/// Waits until a session later than `before` is there; how long after `since` it was.
fn back(lab: &BondLab, before: u64, since: Instant) -> Result<Duration> {
    let again = || lab.router().sessions().filter(|(sessions, up)| *up && *sessions > before);
    stop::poll(PATIENCE, again)?
        .with_context(|| format!("the router has no session {PATIENCE:?} after the server's start"))?;
    Ok(Clock::now() - since)
}

/// Ends the server by a signal, starts it again; how long until the router is back, and until it has all its paths.
fn again(bench: &mut Bench, signal: &str, away: Duration) -> Result<(Duration, Duration)> {
    let lab = bench.lab()?;
    let (before, _) = lab.router().sessions().context("the router does not answer")?;
    lab.end_server(signal);
    stop::pause(away)?;
    let since = Clock::now();
    lab.start_server()?;
    let session = back(lab, before, since)?;
    lab.await_bond()?;
    let paths = Clock::now() - since;
    bench.carries()?;
    Ok((session, paths))
}

pub(super) fn server_restart(bench: &mut Bench) -> Result<Found> {
    let mut found = Found::default();
    let known = devices(bench.lab()?)?;
    let (session, paths) = again(bench, "TERM", Duration::ZERO)?;
    found.most("back_s", session.as_secs_f64(), BACK.as_secs_f64());
    found.figure("all_paths_s", paths.as_secs_f64());
    let now = devices(bench.lab()?)?;
    found.must(now == known, || format!("devices were {known:?}, are {now:?}"));
    Ok(found)
}

pub(super) fn server_kill(bench: &mut Bench) -> Result<Found> {
    let mut found = Found::default();
    let known = devices(bench.lab()?)?;
    let state = |lab: &BondLab| {
        Ok::<_, anyhow::Error>(lab.says(Host::Server, "ip rule")? + &lab.says(Host::Server, "ip route")?)
    };
    let routes = state(bench.lab()?)?;
    let mut longest = Duration::ZERO;
    for away in AWAY {
        // In the middle of something.
        let name = bench.file.name.clone();
        let lab = bench.lab()?;
        let mut curl = lab.curl();
        curl.arg(lab.url_at(false, &name));
        let busy = Download::start(curl)?;
        stop::pause(Duration::from_millis(700))?;
        let (session, _) = again(bench, "KILL", Duration::from_millis(away))?;
        drop(busy);
        longest = longest.max(session);
    }
    found.most("back_s", longest.as_secs_f64(), BACK.as_secs_f64());
    let (now, lab) = (devices(bench.lab()?)?, bench.lab()?);
    found.must(now == known, || format!("devices were {known:?}, are {now:?}"));
    let left = state(lab)?;
    found.must(left == routes, || format!("the server's rules and routes were {routes:?}, are {left:?}"));
    Ok(found)
}

/// All links are silent for a while; a connection that waits goes on in the same session.
pub(super) fn outage(bench: &mut Bench) -> Result<Found> {
    let (mut found, away) = (Found::default(), if bench.options.quick { QUIET / 20 } else { QUIET });
    let lab = bench.lab()?;
    let before = lab.router().sessions();
    let pinger = Pinger::start(lab.dial()?)?;
    stop::pause(Duration::from_secs(1))?;
    let links = lab.links().len();
    (0..links).try_for_each(|link| lab.change(link, Wanted::CutSilently))?;
    // What was under way when the links went is answered no more.
    stop::pause(Duration::from_millis(500))?;
    let (cut, answered) = (Clock::now(), pinger.answers());
    stop::until(cut + away)?;
    found.must(pinger.answers() == answered, || "answers came over links that were cut".into());
    (0..links).try_for_each(|link| lab.change(link, Wanted::Heal))?;
    let healed = Clock::now();
    let again = stop::poll(PATIENCE, || (pinger.answers() > answered).then(Clock::now))?;
    match again {
        Some(at) => found.most("back_s", (at - healed).as_secs_f64(), BACK.as_secs_f64()),
        None => found.broken.push(format!("no answer {PATIENCE:?} after the links were healed")),
    }
    found.figure("outage_s", (healed - cut).as_secs_f64());
    lab.await_bond()?;
    found.figure("all_paths_s", (Clock::now() - healed).as_secs_f64());
    if let Err(error) = pinger.finish() {
        found.broken.push(format!("the connection broke: {error:#}"));
    }
    let (now, lab) = (bench.lab()?.router().sessions(), bench.lab()?);
    found.must(now == before, || format!("sessions were {before:?}, are {now:?}"));
    found.must(lab.router().links_up() == links, || "not all links are up again".into());
    Ok(found)
}

pub(super) fn router_restart(bench: &mut Bench) -> Result<Found> {
    let mut found = Found::default();
    let known = devices(bench.lab()?)?;
    bench.lab()?.end_router("TERM");
    bench.exact(&mut found, false, "after its end")?;
    let since = Clock::now();
    let lab = bench.lab()?;
    lab.start_router()?;
    lab.await_bond()?;
    found.figure("all_paths_s", (Clock::now() - since).as_secs_f64());
    bench.exact(&mut found, true, "after its next start")?;
    bench.carries()?;
    let now = devices(bench.lab()?)?;
    found.must(now == known, || format!("devices were {known:?}, are {now:?}"));
    Ok(found)
}

pub(super) fn router_kill(bench: &mut Bench) -> Result<Found> {
    let mut found = Found::default();
    let known = devices(bench.lab()?)?;
    let moments = if bench.options.quick { &MOMENTS[3..4] } else { &MOMENTS[..] };
    for after in moments {
        let lab = bench.lab()?;
        lab.end_router("KILL");
        lab.start_router()?;
        stop::pause(Duration::from_millis(*after))?;
        lab.end_router("KILL");
        lab.start_router()?;
        lab.await_bond()?;
        let when = format!("killed {after} ms after its start, started again");
        bench.exact(&mut found, true, &when)?;
        bench.carries()?;
        bench.lab()?.end_router("TERM");
        bench.exact(&mut found, false, &format!("{when} and ended"))?;
        let lab = bench.lab()?;
        lab.start_router()?;
        lab.await_bond()?;
    }
    found.figure("kills", moments.len() as f64 * 2.0);
    let now = devices(bench.lab()?)?;
    found.must(now == known, || format!("devices were {known:?}, are {now:?}"));
    Ok(found)
}
