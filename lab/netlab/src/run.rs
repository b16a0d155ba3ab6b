//! One run of a scenario: links up, transfers, figures, a verdict, links down.
//!
//! Decides which parts of a scenario the lab can play with a given transport (the rest is refused by name, before
//! anything is made) and whether a run passed, failed, or says nothing.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use tq::quic::sched::Kind as Scheduler;
use tq_linkmodel::{Direction, Duration, Instant};
use tq_packet::Namespace;
use tq_scenario::{Action, Cc, Flow, Kind, Metric, Scenario, Window};
use tq_udp::Clock;

use crate::bars::{Facts, Figures, Judged, Measured};
use crate::control;
use crate::emulator::books::LinkBooks;
use crate::health::{Health, Limits, Reading};
use crate::lab::{self, Lab};
use crate::names::{Host, LabName};
use crate::peer::{Peer, Transfer, quic, tcp};
use crate::topology;

#[cfg(test)]
mod tests;

/// What of a scenario the lab cannot play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotPlay {
    name: String,
    peer: Peer,
    what: Vec<String>,
}

impl std::fmt::Display for CannotPlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: the lab cannot play this with {}: {}",
            self.name,
            self.peer.name(),
            self.what.join("; ")
        )
    }
}

impl std::error::Error for CannotPlay {}

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The transport.
    pub peer: Peer,
    /// Congestion control, instead of the scenario's.
    pub cc: Option<String>,
    /// Our QUIC's scheduler, instead of the scenario's.
    pub scheduler: Option<Scheduler>,
    /// Another seed than the scenario's.
    pub seed: Option<u64>,
    /// The one link to use. A single-path transport uses the first unless told.
    pub link: Option<String>,
    /// Instead of the scenario's traffic and bars: one download for so long.
    pub download: Option<Duration>,
    /// A warm window is at most so long.
    pub window: Option<Duration>,
    /// Without the file's bars: to put transports side by side.
    pub without_bars: bool,
    /// Also what is beyond the lab's budget.
    pub any_rate: bool,
}

/// What a run says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All bars that can be measured hold.
    Pass,
    /// A bar does not hold, or a transfer broke.
    Fail,
    /// Nothing: the machine or the emulator did what links did not.
    Invalid,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The scenario's name.
    pub name: String,
    /// The transport.
    pub peer: &'static str,
    /// Its congestion control.
    pub cc: String,
    /// The links it could use.
    pub links: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// What it says.
    pub verdict: Verdict,
    /// Why, if it did not pass.
    pub reasons: Vec<String>,
    /// The figures.
    pub figures: Figures,
    /// Goodput of each link alone, bits per second, where a bar asks for it.
    pub alone_bps: Vec<f64>,
    /// The bars.
    pub bars: Vec<Judged>,
    /// What the machine did.
    pub health: Health,
    /// What the links did.
    pub books: Vec<LinkBooks>,
}

/// The name of a congestion control in the transport's own words, `cubic` where the scenario leaves it open.
pub fn cc_name(options: &Options, scenario: &Scenario) -> String {
    let own = match scenario.hosts.server.cc {
        Cc::Auto => Cc::Cubic.name(),
        cc => cc.name(),
    };
    options.cc.clone().unwrap_or_else(|| own.to_owned())
}

/// More than this in one direction of all links together is no measurement on two processors, bits per second.
pub const MOST_RATE: u64 = 400_000_000;
/// And more links than this.
pub const MOST_LINKS: usize = 4;

/// Why a scenario is beyond what two processors can do in time, if it is. A link without a rate counts nothing: what
/// shares its bottleneck is bounded by that.
pub fn beyond(scenario: &Scenario) -> Option<String> {
    let sum = |direction| -> u64 {
        let links = scenario.links.iter().filter_map(|link| link.way(direction).rate);
        links.fold(0_u64, |sum, rate| sum.saturating_add(rate.saturating_mul(8)))
    };
    let most = sum(Direction::Up).max(sum(Direction::Down));
    let links = scenario.links.len();
    (most > MOST_RATE || links > MOST_LINKS).then(|| {
        format!(
            "{links} links with {} Mbit/s are beyond the lab's budget ({MOST_LINKS} links, {} Mbit/s)",
            most / 1_000_000,
            MOST_RATE / 1_000_000
        )
    })
}

/// What of a scenario cannot be played. Empty: all can.
pub fn cannot(scenario: &Scenario) -> Vec<String> {
    let mut found = Vec::new();
    for traffic in &scenario.traffic {
        match &traffic.kind {
            Kind::Bulk { sequential: true, streams: 2.., .. } => {
                found.push(format!("traffic {:?}: streams one after the other", traffic.name));
            }
            Kind::Bulk { .. } | Kind::Competing { .. } => {}
            kind => found.push(format!("traffic {:?}: {}", traffic.name, kind.name())),
        }
    }
    if !scenario.traffic.iter().any(|traffic| matches!(traffic.kind, Kind::Bulk { .. })) && found.is_empty() {
        found.push("no bulk traffic".into());
    }
    for event in &scenario.events {
        let tq_scenario::What::Act(action) = &event.what else { continue };
        let name = match action {
            Action::Unreachable(_) | Action::DropPackets { .. } => continue,
            Action::Rebind => "rebind",
            Action::Address(_) => "address",
            Action::Abandon => "abandon",
            Action::Open => "open",
            Action::Standby => "standby",
            Action::Available => "available",
            Action::KeyUpdate(_) => "key-update",
            Action::Stall(..) => "stall",
            Action::Reader { .. } => "pause-reader",
        };
        found.push(format!("event {name}"));
    }
    let behind_nat = scenario.links.iter().filter(|link| link.nat.is_some());
    found.extend(behind_nat.map(|link| format!("link {:?}: nat", link.name)));
    found.sort();
    found.dedup();
    found
}

/// A scenario as the options change it.
fn adapted(file: &Path, options: &Options) -> Result<Scenario> {
    let mut scenario = tq_scenario::load(file)?;
    if let Some(time) = options.download {
        scenario.make_download(time);
    }
    if options.without_bars {
        scenario.bars.clear();
    }
    if let (Some(most), Window::Warm { from, length }) = (options.window, &mut scenario.measure.window) {
        *length = most.min(*length);
        scenario.time = scenario.time.min(*from + *length);
    }
    Ok(scenario)
}

/// Whether two links alone must be known for a bar.
fn wants_alone(scenario: &Scenario, options: &Options) -> bool {
    let asks = |metric| matches!(metric, Metric::Use | Metric::Gain | Metric::Benefit);
    let several = options.link.is_none() && options.peer.alone().is_some() && scenario.links.len() > 1;
    several && scenario.bars.iter().any(|bar| asks(bar.metric))
}

/// Brings the links up, runs, and takes them down, whatever happened.
pub fn run(name: &LabName, file: &Path, options: &Options) -> Result<Report> {
    lab::may()?;
    let scenario = adapted(file, options)?;
    let mut cannot = cannot(&scenario);
    cannot.extend(beyond(&scenario).filter(|_| !options.any_rate));
    if !cannot.is_empty() {
        return Err(CannotPlay { name: scenario.name, peer: options.peer, what: cannot }.into());
    }
    let mut alone = Vec::new();
    let mut troubles = Vec::new();
    let lab = Lab::up(name, file, options.seed)?;
    let result = (|| {
        if options.peer == Peer::Mptcp {
            topology::allow_mptcp(name, scenario.links.len())?;
        }
        if wants_alone(&scenario, options) {
            let peer = options.peer.alone().unwrap_or(options.peer);
            for link in &scenario.links {
                let one = Options { link: Some(link.name.clone()), peer, ..options.clone() };
                let report = once(&lab, &scenario, &one, &[])?;
                troubles
                    .extend(report.health.troubles.iter().map(|why| format!("{} alone: {why}", link.name)));
                alone.push(report.figures.goodput_bps);
            }
        }
        once(&lab, &scenario, options, &alone)
    })();
    let down = lab::down(name);
    let mut report = result?;
    down?;
    if !troubles.is_empty() {
        report.verdict = Verdict::Invalid;
        report.reasons.extend(troubles);
    }
    Ok(report)
}

/// Servers for everything a run needs.
struct Servers {
    router: Namespace,
    tcp: Vec<(String, bool, tcp::Server)>,
    quic: Option<quic::Server>,
}

enum Running {
    Tcp(tcp::Running),
    Quic(quic::Running),
}

/// One measurement in a lab that is up.
fn once(lab: &Lab, scenario: &Scenario, options: &Options, alone: &[f64]) -> Result<Report> {
    let seed = lab.seed;
    let chosen = match &options.link {
        Some(name) => vec![scenario.link_named(name).with_context(|| format!("there is no link {name:?}"))?],
        None if options.peer.alone().is_some() => (0..scenario.links.len()).collect(),
        None => vec![0],
    };
    let cc = cc_name(options, scenario);
    let mut servers = Servers::start(lab, scenario, options, &cc, &chosen)?;
    let zero = lab.start(seed, true)?;
    let before = Reading::take(&lab.name, &control::books(&lab.folder)?)?;
    let planned = transfers(scenario, &cc, chosen[0], zero);
    let mut running = Vec::new();
    for (traffic, competing, transfer) in planned {
        let run = servers.run(lab, scenario, options, competing, &chosen, &transfer)?;
        running.push((traffic, competing, transfer, run));
    }
    let mut measured = Vec::new();
    for (traffic, competing, transfer, run) in running {
        let done = match run {
            Running::Tcp(run) => run.wait(),
            Running::Quic(run) => run.wait(),
        };
        measured.push(Measured { traffic, competing, upload: transfer.upload, start: transfer.start, done });
    }
    let books = control::books(&lab.folder)?;
    let seconds = (Clock::now() - zero).as_secs_f64();
    let health = Reading::take(&lab.name, &books)?.since(&before, &books, seconds, Limits::USUAL);
    let facts = Facts { scenario, seed, zero, measured: &measured, links: &chosen, books: &books, alone };
    let (bars, figures) = (facts.judge(), facts.figures());
    let (verdict, reasons) = verdict(&health, &measured, &bars);
    Ok(Report {
        schema: 1,
        name: scenario.name.clone(),
        peer: options.peer.name(),
        cc,
        links: chosen.iter().map(|i| scenario.links[*i].name.clone()).collect(),
        seed,
        verdict,
        reasons,
        figures,
        alone_bps: alone.to_vec(),
        bars,
        health,
        books: books.links,
    })
}

/// What a run says, and why if it is not "pass".
pub fn verdict(health: &Health, measured: &[Measured], bars: &[Judged]) -> (Verdict, Vec<String>) {
    if !health.troubles.is_empty() {
        return (Verdict::Invalid, health.troubles.clone());
    }
    let broken = measured.iter().filter_map(|measured| measured.done.error.clone());
    let missed = bars.iter().filter(|bar| bar.holds == Some(false));
    let missed = missed.map(|bar| format!("{}: {}", bar.bar, bar.measured.clone().unwrap_or_default()));
    let reasons: Vec<_> = broken.chain(missed).collect();
    (if reasons.is_empty() { Verdict::Pass } else { Verdict::Fail }, reasons)
}

/// The scenario's transfers: place in its traffic, whether competing, and what.
fn transfers(scenario: &Scenario, cc: &str, first: usize, zero: Instant) -> Vec<(usize, bool, Transfer)> {
    let mut list = Vec::new();
    for (i, traffic) in scenario.traffic.iter().enumerate() {
        let (competing, link, own_cc, bytes, streams) = match &traffic.kind {
            Kind::Bulk { bytes, streams, .. } => (false, first, cc, *bytes, *streams),
            Kind::Competing { link, cc, bytes, connections } => {
                let name = if *cc == Cc::Auto { Cc::Cubic } else { *cc }.name();
                (true, *link, name, *bytes, *connections)
            }
            _ => continue,
        };
        let uploads: &[bool] = match traffic.direction {
            Flow::Down => &[false],
            Flow::Up => &[true],
            Flow::Both => &[false, true],
        };
        for &upload in uploads {
            let stop = zero + traffic.stop.unwrap_or(scenario.time).min(scenario.time);
            let (start, cc) = (zero + traffic.start, own_cc.to_owned());
            list.push((i, competing, Transfer { link, upload, bytes, streams, cc, start, stop }));
        }
    }
    list
}

impl Servers {
    const PORT: u16 = 5001;

    fn start(lab: &Lab, scenario: &Scenario, options: &Options, cc: &str, links: &[usize]) -> Result<Self> {
        let server = topology::namespace(&lab.name, Host::Server)?;
        let router = topology::namespace(&lab.name, Host::Router)?;
        let mut found = Self { router, tcp: Vec::new(), quic: None };
        let first = links[0];
        if options.peer.is_quic() {
            let (tune, _) = quic::tuning(&scenario.hosts.server, cc, options.scheduler, links.len())?;
            found.quic = Some(quic::Server::start(&server, tune)?);
        } else {
            found.listen(&server, cc, options.peer == Peer::Mptcp)?;
        }
        for (_, competing, transfer) in transfers(scenario, cc, first, Instant::ZERO) {
            if competing {
                found.listen(&server, &transfer.cc, false)?;
            }
        }
        Ok(found)
    }

    /// A server for each congestion control: what it sends has its own.
    fn listen(&mut self, namespace: &Namespace, cc: &str, mptcp: bool) -> Result<()> {
        if !self.tcp.iter().any(|(own, multi, _)| (&**own, *multi) == (cc, mptcp)) {
            // On all addresses: links are told apart by where a client connects to.
            let at = (std::net::Ipv4Addr::UNSPECIFIED, Self::PORT + self.tcp.len() as u16).into();
            self.tcp.push((cc.to_owned(), mptcp, tcp::Server::start(namespace, at, mptcp, cc)?));
        }
        Ok(())
    }

    fn run(
        &mut self,
        lab: &Lab,
        scenario: &Scenario,
        options: &Options,
        competing: bool,
        links: &[usize],
        transfer: &Transfer,
    ) -> Result<Running> {
        if let (Some(server), false) = (&self.quic, competing) {
            let (tune, without) =
                quic::tuning(&scenario.hosts.client, &transfer.cc, options.scheduler, links.len())?;
            if !without.is_empty() {
                eprintln!("{}: without {}", lab.scenario.name, without.join(", "));
            }
            let links = links.iter().map(|link| (*link, scenario.links[*link].standby)).collect();
            return Ok(Running::Quic(server.transfer(&self.router, links, transfer, tune)?));
        }
        let mptcp = options.peer == Peer::Mptcp && !competing;
        let found = self.tcp.iter().find(|(cc, multi, _)| (&**cc, *multi) == (&*transfer.cc, mptcp));
        let (.., server) = found.context("no server")?;
        Ok(Running::Tcp(server.transfer(&self.router, mptcp, transfer)?))
    }
}
