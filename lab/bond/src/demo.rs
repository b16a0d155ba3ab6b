//! `demo`: the bond in front of one's eyes. Each link alone, all together, one cut silently meanwhile, and a report.
//!
//! Decides what is shown and what the figures of the report mean. Says what it does before it does it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tq_linkmodel::Instant;
use tq_netlab::control::Wanted;
use tq_netlab::health::{Limits, Reading};
use tq_netlab::names::LabName;
use tq_udp::Clock;

use crate::chart::Chart;
use crate::files::{Folder, Payload};
use crate::lab::{self, BondLab, Tools};
use crate::loopback::Loopback;
use crate::ping::Pinger;
use crate::place::{LinkFacts, Place, usual_links};
use crate::stop;
use crate::story::{self, Act, Log, Way};
use crate::transfer::{Download, Flow};

/// How long each link is tried alone, and what of it counts as its beginning.
const ALONE: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(3));
/// How long pings are sent while nothing else is.
const IDLE: Duration = Duration::from_secs(3);
/// The link that is cut.
const VICTIM: usize = 0;
/// The lab it raises.
pub const LAB: &str = "demo";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// About how long the download through the bond takes.
    pub seconds: u64,
    /// Where the report goes as JSON.
    pub report: Option<PathBuf>,
    /// Leave everything running until Ctrl-C.
    pub keep: bool,
    /// Where files are made that are sent.
    pub files: PathBuf,
    /// On loopback, even as root.
    pub loopback: bool,
    /// Programs for the internet host.
    pub tools: Tools,
    /// Other rates than the usual ones, Mbit/s.
    pub rates: Option<[f64; 3]>,
}

/// What is reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The links.
    pub links: Vec<LinkReport>,
    /// Goodput of the download through the bond, the outage included.
    pub bond_mbps: f64,
    /// Mean over that download of what the links that worked carry alone, together.
    pub sum_alone_mbps: f64,
    /// The former through the latter.
    pub efficiency: f64,
    /// The cut.
    pub failover: Failover,
    /// 64 bytes over a TCP connection through the bond and back.
    pub ping_ms: PingReport,
    /// Whether the program got the file that was served.
    pub sha256_ok: bool,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkReport {
    /// Its name.
    pub name: String,
    /// Of IP.
    pub rate_mbps: f64,
    /// Round trip without a queue.
    pub rtt_ms: f64,
    /// Goodput of a download over it alone, its first seconds left out.
    pub alone_mbps: f64,
}

/// What a cut did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Failover {
    /// The longest time without a byte at the program while the link was cut.
    pub gap_ms: f64,
    /// Bytes of the file that did not come, or came too much.
    pub lost_bytes: u64,
    /// From healing until the link carried half of what it carries alone.
    pub healed_ms: Option<f64>,
}

/// See [`Report::ping_ms`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PingReport {
    /// Median, while nothing else is sent.
    pub idle_p50: f64,
    /// Median during the download, the outage included.
    pub loaded_p50: f64,
    /// One in a hundred takes longer.
    pub loaded_p99: f64,
}

/// Shows it.
pub fn run(options: &Options) -> Result<()> {
    stop::listen()?;
    let links = usual_links(options.rates);
    let files = Folder::make(&options.files)?;
    let why_not = lab::may().err();
    if why_not.is_none() && !options.loopback {
        return with_lab(options, links, &files);
    }
    let why = why_not.map_or("asked for".to_owned(), |error| error.to_string());
    say(&format!("on loopback, without namespaces ({why})"));
    for line in LOOPBACK {
        println!("    {line}");
    }
    say("raising the bond: two daemons, a token, three emulated links between them");
    let place = Loopback::up(links, files.path())?;
    let alone = alone(&place, &files, "the bond over it alone, by SOCKS5")?;
    bonded(&place, options, &files, &alone)?;
    keep(options, &place.hints())
}

const LOOPBACK: [&str; 4] = [
    "both ends are this machine: the same two daemons, a real token, the same QUIC over three paths;",
    "links are a relay between them that asks the same link model, woken by the millisecond;",
    "programs use SOCKS5 and nothing is taken in from a LAN, no carrier goes, no route or rule is made;",
    "what a link carries alone is what the bond carries over it alone, as nothing else goes by the links.",
];

fn with_lab(options: &Options, links: Vec<LinkFacts>, files: &Folder) -> Result<()> {
    let name: LabName = LAB.parse().map_err(anyhow::Error::msg)?;
    say(
        "raising the lab: LAN host - router = three links = server - internet host, in namespaces of their own",
    );
    for link in &links {
        println!(
            "    {:<6} {} Mbit/s, {} ms, a queue of {} ms",
            link.name, link.rate_mbps, link.rtt_ms, link.queue_ms
        );
    }
    let mut place = BondLab::up(&name, links, files.path(), &options.tools)?;
    println!("    files are served by {}", place.web_server());
    let alone = alone(&place, files, "plain TCP, no bond")?;
    say("starting tquicd on server and router, with a token by `tquic tenant add`");
    place.start_bond()?;
    // The books of the links begin anew, so that what is told of the machine is of the bond's part.
    place.lab.start(1, false)?;
    let (from, before) = (Clock::now(), Reading::take(&place.lab.name, &place.books()?)?);
    bonded(&place, options, files, &alone)?;
    let (books, seconds) = (place.books()?, (Clock::now() - from).as_secs_f64());
    let health = Reading::take(&place.lab.name, &books)?.since(&before, &books, seconds, Limits::USUAL);
    if !health.troubles.is_empty() {
        println!("    the machine had its hand in these figures: {}", health.troubles.join(", "));
    }
    keep(options, &place.hints())
}

/// What each link carries alone, Mbit/s.
pub fn alone(place: &dyn Place, files: &Folder, how: &str) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for (i, link) in place.links().iter().enumerate() {
        let size = (link.rate_mbps * 1e6 / 8.0 * ALONE.0.as_secs_f64()) as u64;
        let file = files.payload(&format!("alone-{}", link.name), size, i as u64)?;
        place.only(Some(i))?;
        say(&format!("curl over {} alone ({how}): {} MB", link.name, file.size / 1_000_000));
        let mut chart = Chart::silent();
        let (flow, _) = download(place, &file, &[], &mut chart)?;
        let end = flow.marks.last().unwrap_or(flow.ended);
        // A slow one is a figure as well, but its beginning is all there is of a very short one.
        let from = (flow.begun + ALONE.1).min(end - Duration::from_millis(500));
        let rate = flow.marks.mbps(from, end);
        println!("    {rate:.1} Mbit/s, SHA-256 equal");
        all.push(rate);
    }
    place.only(None)?;
    Ok(all)
}

/// Downloads a whole file, which must be the right one.
pub fn download(place: &dyn Place, file: &Payload, acts: &[Act], chart: &mut Chart) -> Result<(Flow, Log)> {
    let mut curl = place.curl();
    curl.arg(place.url(&file.name));
    let download = Download::start(curl)?;
    let log = story::play(place, acts, Way::Down, chart, || (download.bytes(), download.is_over()))?;
    let flow = download.finish()?;
    if let Some(error) = &flow.error {
        anyhow::bail!("curl failed after {} of {} bytes: {error}", flow.bytes, file.size);
    }
    ensure!(flow.sha256 == file.sha256, "another file came: SHA-256 {}, served {}", flow.sha256, file.sha256);
    Ok((flow, log))
}

fn bonded(place: &dyn Place, options: &Options, files: &Folder, alone: &[f64]) -> Result<()> {
    let seconds = options.seconds.max(6) as f64;
    let (cut, heal) = (seconds / 3.0, seconds * 0.55);
    let whole: f64 = alone.iter().sum();
    let mbit = (whole * seconds - alone[VICTIM] * (heal - cut)) * 0.95;
    let file = files.payload("bond", (mbit * 1e6 / 8.0) as u64, 77)?;
    say(&format!("pings through the bond (64 bytes over TCP and back), nothing else: {} s", IDLE.as_secs()));
    let pinger = Pinger::start(place.dial()?)?;
    let idle_from = Clock::now();
    stop::pause(IDLE)?;
    let idle = pinger.times(idle_from, Clock::now()).context("no ping came back within three seconds")?;
    println!("    median {:.1} ms", idle.p50);
    say(&format!(
        "curl through the bond: {} MB; {} is cut silently meanwhile, and healed",
        file.size / 1_000_000,
        place.links()[VICTIM].name
    ));
    let act = |after: f64, change| Act { after: Duration::from_secs_f64(after), link: VICTIM, change };
    let acts = [act(cut, Wanted::CutSilently), act(heal, Wanted::Heal)];
    let mut chart = Chart::new(place.links(), Way::Down);
    let (flow, log) = download(place, &file, &acts, &mut chart)?;
    let end = flow.marks.last().unwrap_or(flow.ended);
    let loaded = pinger.times(flow.begun, end).context("no ping came back during the download")?;
    pinger.finish().context("the connection of the pings broke")?;
    let report = judge(place, alone, &file, &flow, &log, [idle.p50, loaded.p50, loaded.p99], end);
    tell(&report, place.links()[VICTIM].name);
    if let Some(path) = &options.report {
        std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("    as JSON in {}", path.display());
    }
    Ok(())
}

fn judge(
    place: &dyn Place,
    alone: &[f64],
    file: &Payload,
    flow: &Flow,
    log: &Log,
    [idle_p50, loaded_p50, loaded_p99]: [f64; 3],
    end: Instant,
) -> Report {
    let links = place.links().iter().zip(alone).map(|(link, alone)| LinkReport {
        name: link.name.to_owned(),
        rate_mbps: link.rate_mbps,
        rtt_ms: link.rtt_ms as f64,
        alone_mbps: tenths(*alone),
    });
    let (bond, sum) = (flow.marks.mbps(flow.begun, end), log.could(alone, flow.begun, end));
    let cut = log.when(VICTIM, Wanted::CutSilently).unwrap_or(end);
    let heal = log.when(VICTIM, Wanted::Heal).unwrap_or(end).min(end);
    let ms = |time: Duration| tenths(time.as_secs_f64() * 1e3);
    Report {
        links: links.collect(),
        bond_mbps: tenths(bond),
        sum_alone_mbps: tenths(sum),
        efficiency: (bond / sum * 1e3).round() / 1e3,
        failover: Failover {
            gap_ms: ms(flow.marks.gap(cut.min(heal), heal)),
            lost_bytes: file.size.abs_diff(flow.bytes),
            healed_ms: log.healed(VICTIM, alone[VICTIM]).map(ms),
        },
        ping_ms: PingReport {
            idle_p50: tenths(idle_p50),
            loaded_p50: tenths(loaded_p50),
            loaded_p99: tenths(loaded_p99),
        },
        sha256_ok: flow.sha256 == file.sha256,
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn tell(report: &Report, victim: &str) {
    say("report");
    for link in &report.links {
        println!(
            "    {:<6} {:>5} Mbit/s, {:>3} ms: alone {:>6.1} Mbit/s",
            link.name, link.rate_mbps, link.rtt_ms, link.alone_mbps
        );
    }
    println!(
        "    bond   {:.1} Mbit/s, {:.3} of the {:.1} that the links which worked carry alone, together",
        report.bond_mbps, report.efficiency, report.sum_alone_mbps
    );
    let Failover { gap_ms, lost_bytes, healed_ms } = report.failover;
    let healed = healed_ms.map_or("it did not carry half of its rate again".into(), |ms| {
        format!("it carried half of its rate again {ms:.0} ms after it was healed")
    });
    println!(
        "    {victim} cut silently: at most {gap_ms:.0} ms without a byte, {lost_bytes} bytes lost; {healed}"
    );
    println!(
        "    pings: {:.1} ms idle, {:.1} ms loaded (99 of 100 below {:.1} ms)",
        report.ping_ms.idle_p50, report.ping_ms.loaded_p50, report.ping_ms.loaded_p99
    );
    println!("    SHA-256 {}", if report.sha256_ok { "equal" } else { "DIFFERENT" });
}

fn keep(options: &Options, hints: &[String]) -> Result<()> {
    if !options.keep {
        return Ok(());
    }
    say("left running; in another terminal, for example:");
    for hint in hints {
        println!("    {hint}");
    }
    say("Ctrl-C removes everything");
    while stop::pause(Duration::from_secs(1)).is_ok() {}
    Ok(())
}

/// Tells what is about to happen.
fn say(what: &str) {
    println!("==> {what}");
}
