//! What a bond promises, bar by bar, in a lab of namespaces: pass, fail, or invalid where the machine had its hand in it.
//!
//! Decides how verdicts are reached. A transfer that breaks, a wrong byte or a route left behind fails on any machine; a figure
//! counts only if links and bond alone have made it.

mod fair;
mod lives;
mod report;
mod ssh;
mod transfers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tq_linkmodel::Instant;
use tq_netlab::control::Wanted;
use tq_netlab::health::{Limits, Reading};
use tq_netlab::names::LabName;
use tq_udp::Clock;

use crate::chart::Chart;
use crate::demo::alone;
use crate::files::{Folder, Payload};
use crate::lab::{BondLab, Tools};
use crate::place::{Place, usual_links};
use crate::stop;
use crate::story::Way;

/// The lab it raises.
pub const LAB: &str = "bars";
/// Of a long transfer, MB.
const SIZE: u64 = 500;
const QUICK_SIZE: u64 = 8;
const QUICK_RATES: [f64; 3] = [20.0, 8.0, 4.0];

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only bars whose name contains one of these; all if there is none.
    pub only: Vec<String>,
    /// Small, slow, and loose bars; the machine may be busy.
    pub quick: bool,
    /// Of a long transfer, MB.
    pub size: Option<u64>,
    /// Show what each link carries meanwhile.
    pub show: bool,
    /// Where verdicts and figures go as JSON, and a page beside it.
    pub report: Option<PathBuf>,
    /// Where files are made that are sent.
    pub files: PathBuf,
    /// Programs for the internet host.
    pub tools: Tools,
    /// Other rates than the usual ones, Mbit/s.
    pub rates: Option<[f64; 3]>,
}

/// What a bar found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Found {
    /// By name.
    pub figures: BTreeMap<&'static str, f64>,
    /// What broke: no machine excuses it.
    pub broken: Vec<String>,
    /// Bars of figures that do not hold.
    pub missed: Vec<String>,
    /// What is to be known beside.
    pub notes: Vec<String>,
    /// Why it could not be tried.
    pub skipped: Option<String>,
}

impl Found {
    /// Takes note of a figure.
    fn figure(&mut self, name: &'static str, value: f64) {
        self.figures.insert(name, (value * 1e3).round() / 1e3);
    }

    /// A figure that must be at least `bar`.
    fn least(&mut self, name: &'static str, value: f64, bar: f64) {
        self.figure(name, value);
        if value < bar {
            self.missed.push(format!("{name} is {value:.3}, bar {bar} or more"));
        }
    }

    /// A figure that must be at most `bar`.
    fn most(&mut self, name: &'static str, value: f64, bar: f64) {
        self.figure(name, value);
        if value > bar {
            self.missed.push(format!("{name} is {value:.3}, bar {bar} or less"));
        }
    }

    /// Something that must be so.
    fn must(&mut self, so: bool, otherwise: impl FnOnce() -> String) {
        if !so {
            self.broken.push(otherwise());
        }
    }
}

/// A bar.
struct Bar {
    name: &'static str,
    what: &'static str,
    /// Part of the quick ones.
    quick: bool,
    /// Its figures are times, which a busy machine only makes longer: one that holds holds. A ratio says nothing then.
    times: bool,
    judge: fn(&mut Bench) -> Result<Found>,
}

const BARS: [Bar; 12] = [
    Bar {
        name: "download",
        what: "curl through TPROXY, a silent cut and a lost carrier meanwhile",
        quick: true,
        times: false,
        judge: transfers::download,
    },
    Bar {
        name: "upload",
        what: "curl -T, the same cuts",
        quick: true,
        times: false,
        judge: transfers::upload,
    },
    Bar {
        name: "ipv6",
        what: "the download by IPv6 on the LAN",
        quick: true,
        times: false,
        judge: transfers::ipv6,
    },
    Bar {
        name: "socks5",
        what: "the download by SOCKS5",
        quick: true,
        times: false,
        judge: transfers::socks5,
    },
    Bar {
        name: "parallel",
        what: "200 connections at a time, the same cuts",
        quick: false,
        times: false,
        judge: transfers::parallel,
    },
    Bar {
        name: "ssh",
        what: "an ssh session through all of it",
        quick: false,
        times: true,
        judge: transfers::ssh,
    },
    Bar {
        name: "slow-reader",
        what: "a LAN client that stops reading beside one that goes on",
        quick: false,
        times: false,
        judge: fair::slow_reader,
    },
    Bar {
        name: "outage",
        what: "all links silent at a time",
        quick: false,
        times: true,
        judge: lives::outage,
    },
    Bar {
        name: "server-restart",
        what: "the server ends and starts again",
        quick: true,
        times: true,
        judge: lives::server_restart,
    },
    Bar {
        name: "router-restart",
        what: "the router ends and starts again",
        quick: false,
        times: true,
        judge: lives::router_restart,
    },
    Bar {
        name: "server-kill",
        what: "kill -9 of the server, three times",
        quick: false,
        times: true,
        judge: lives::server_kill,
    },
    Bar {
        name: "router-kill",
        what: "kill -9 of the router, at any moment",
        quick: true,
        times: true,
        judge: lives::router_kill,
    },
];

/// Counts that rise when a packet is sent over a link without carrier: the link's doing, not the machine's.
const OF_CARRIER: [&str; 2] = ["UdpSndbufErrors of router", "IpOutDiscards of router"];

/// What bars are tried on.
struct Bench {
    options: Options,
    files: Folder,
    lab: Option<BondLab>,
    /// What each link carries alone, Mbit/s.
    alone: Vec<f64>,
    /// The long transfer.
    file: Payload,
    /// The router's rules, routes and filters without and with its daemon.
    clean: Vec<String>,
    working: Vec<String>,
    /// A session since the lab was raised.
    ssh: Option<ssh::Session>,
    /// What was done to links since then.
    acts: Vec<(Instant, usize, Wanted)>,
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let files = Folder::make(&options.files)?;
        let size = options.size.unwrap_or(if options.quick { QUICK_SIZE } else { SIZE });
        let file = files.payload("long", size * 1_000_000, 1)?;
        let (clean, working) = (Vec::new(), Vec::new());
        Ok(Self {
            options: options.clone(),
            files,
            lab: None,
            alone: Vec::new(),
            file,
            clean,
            working,
            ssh: None,
            acts: Vec::new(),
        })
    }

    /// The lab, raised if it is not up.
    fn lab(&mut self) -> Result<&mut BondLab> {
        if self.lab.is_none() {
            let name: LabName = LAB.parse().map_err(anyhow::Error::msg)?;
            let rates = self.options.rates.or(self.options.quick.then_some(QUICK_RATES));
            let mut lab = BondLab::up(&name, usual_links(rates), self.files.path(), &self.options.tools)?;
            if self.alone.is_empty() {
                self.alone = match self.options.quick {
                    // What headers leave.
                    true => lab.links().iter().map(|link| link.rate_mbps * 0.95).collect(),
                    false => alone(&lab, &self.files, "plain TCP, no bond")?,
                };
            }
            self.clean = lab.router_state()?;
            lab.start_bond()?;
            self.working = lab.router_state()?;
            self.ssh = self.options.tools.sshd.as_deref().and_then(|sshd| {
                let started = ssh::Session::start(&lab, sshd);
                started.map_err(|error| eprintln!("    no ssh session: {error:#}")).ok()
            });
            self.lab = Some(lab);
        }
        self.lab.as_mut().context("no lab")
    }

    fn chart(&self, way: Way) -> Chart {
        match &self.lab {
            Some(lab) if self.options.show => Chart::new(lab.links(), way),
            _ => Chart::silent(),
        }
    }

    /// About how long the long transfer takes over all links.
    fn length(&self, bytes: u64) -> f64 {
        bytes as f64 * 8e-6 / self.alone.iter().sum::<f64>()
    }
}

/// One bar's result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Which bar.
    pub name: &'static str,
    /// In words.
    pub what: &'static str,
    /// `pass`, `fail`, `invalid` or `skipped`.
    pub verdict: &'static str,
    /// What was found.
    #[serde(flatten)]
    pub found: Found,
    /// What the machine did that links and bond did not.
    pub troubles: Vec<String>,
    /// Part of all processors' time that was used.
    pub cpu: f64,
    /// How long it took.
    pub seconds: f64,
}

/// Tries all that are asked for; what the process says at its end.
pub fn run(options: &Options) -> Result<u8> {
    stop::listen()?;
    crate::lab::may()?;
    let mut bench = Bench::new(options)?;
    let asked = |bar: &&Bar| {
        let named = options.only.iter().any(|only| bar.name.contains(only.as_str()));
        named || options.only.is_empty() && (bar.quick || !options.quick)
    };
    let mut all = Vec::new();
    for bar in BARS.iter().filter(asked) {
        println!("==> {}: {}", bar.name, bar.what);
        let judged = judge(&mut bench, bar);
        report::tell(&judged);
        all.push(judged);
        stop::check()?;
    }
    let web = bench.lab.as_ref().map_or("", BondLab::web_server);
    if let Some(path) = &options.report {
        report::write(path, &report::Whole::new(&bench, web, &all))?;
    }
    let count = |verdict| all.iter().filter(|judged| judged.verdict == verdict).count();
    let [passed, failed, invalid, skipped] = ["pass", "fail", "invalid", "skipped"].map(count);
    println!("{passed} passed, {failed} failed, {invalid} invalid, {skipped} skipped");
    Ok(match (failed, invalid + skipped) {
        (1.., _) => 1,
        (0, 1..) => 3,
        (0, 0) => 0,
    })
}

fn judge(bench: &mut Bench, bar: &Bar) -> Judged {
    let begun = Clock::now();
    let found = watched(bench, bar);
    let seconds = (Clock::now() - begun).as_secs_f64();
    let (found, troubles, cpu) = found.unwrap_or_else(|error| {
        // What is left of this lab says nothing about the next bar.
        (bench.ssh, bench.lab) = (None, None);
        (Found { broken: vec![format!("{error:#}")], ..Found::default() }, Vec::new(), 0.0)
    });
    let verdict = match &found {
        Found { skipped: Some(_), .. } => "skipped",
        Found { broken, .. } if !broken.is_empty() => "fail",
        Found { missed, .. } if bar.times && missed.is_empty() => "pass",
        _ if !troubles.is_empty() && !bench.options.quick => "invalid",
        Found { missed, .. } if !missed.is_empty() => "fail",
        _ => "pass",
    };
    Judged { name: bar.name, what: bar.what, verdict, found, troubles, cpu, seconds }
}

/// Tries a bar and watches the machine meanwhile.
fn watched(bench: &mut Bench, bar: &Bar) -> Result<(Found, Vec<String>, f64)> {
    let seed = 1;
    let lab = bench.lab()?;
    // All links work, and their books are empty.
    lab.lab.start(seed, false)?;
    stop::pause(Duration::from_millis(300))?;
    lab.await_bond()?;
    let (from, before) = (Clock::now(), Reading::take(&lab.lab.name, &lab.books()?)?);
    let found = (bar.judge)(bench)?;
    let lab = bench.lab()?;
    let books = lab.books()?;
    let seconds = (Clock::now() - from).as_secs_f64();
    let mut health = Reading::take(&lab.lab.name, &books)?.since(&before, &books, seconds, Limits::USUAL);
    health.troubles.retain(|trouble| !OF_CARRIER.iter().any(|count| trouble.ends_with(count)));
    Ok((found, health.troubles, health.cpu))
}
