//! Long transfers while one link is cut silently, another loses its carrier, and both heal.
//!
//! Decides what "nothing stops" means: never a second without a byte. Goodput is of the whole transfer, from the program's start
//! to the last byte, against what the links that worked carry alone.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tq_linkmodel::Instant;
use tq_netlab::control::Wanted;
use tq_netlab::names;
use tq_udp::Clock;

use super::{Bench, Found};
use crate::files::Digest;
use crate::lab::SOCKS;
use crate::ping::Pinger;
use crate::place::Place;
use crate::process::Running;
use crate::story::{self, Act, Log, Way};
use crate::transfer::{Download, Flow, mbps};

/// Goodput over what the links carry alone.
const BAR: f64 = 0.92;
/// What a busy machine with a debug build must still do.
const LOOSE: f64 = 0.4;
/// Without a byte.
const LONGEST: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 200;
/// So many slow answers of the session are explained.
const SLOWEST: usize = 6;

/// The second link is cut silently from 0.2 to 0.4 of the time, the first has no carrier from 0.55 to 0.75.
fn cuts(seconds: f64) -> [Act; 4] {
    let act = |part: f64, link, change| Act { after: Duration::from_secs_f64(seconds * part), link, change };
    [
        act(0.2, 1, Wanted::CutSilently),
        act(0.4, 1, Wanted::Heal),
        act(0.55, 0, Wanted::Cut),
        act(0.75, 0, Wanted::Heal),
    ]
}

impl Bench {
    /// Judges a transfer of `bytes`.
    fn figures(&mut self, found: &mut Found, log: &Log, bytes: u64, from: Instant, to: Instant) {
        self.acts.extend(&log.acts);
        let (rate, could) = (mbps(bytes, to - from), log.could(&self.alone, from, to));
        found.figure("goodput_mbps", rate);
        found.figure("sum_alone_mbps", could);
        found.least("efficiency", rate / could, if self.options.quick { LOOSE } else { BAR });
        let last = log.acts.last().map_or(to, |(at, ..)| *at);
        found.must(log.acts.len() == 4 && last < to, || "it was over before both links were healed".into());
        for (name, link) in [("healed_silent_ms", 1), ("healed_carrier_ms", 0)] {
            match log.healed(link, self.alone[link]) {
                Some(time) => found.figure(name, time.as_secs_f64() * 1e3),
                None => found.notes.push(format!("{name}: it never carried half of its rate again")),
            }
        }
    }

    fn gaps(&self, found: &mut Found, flow: &Flow, to: Instant) {
        // Before the first byte nothing can stop.
        let from = flow.marks.first().unwrap_or(flow.begun);
        let bar = LONGEST * if self.options.quick { 5 } else { 1 };
        found.most("longest_gap_ms", flow.marks.gap(from, to).as_secs_f64() * 1e3, bar.as_secs_f64() * 1e3);
    }

    /// A download of the long file by this `curl` while links are cut.
    fn fetch(&mut self, curl: impl Fn(&crate::lab::BondLab) -> Command) -> Result<Found> {
        let (file, acts, mut found) =
            (self.file.clone(), cuts(self.length(self.file.size)), Found::default());
        self.lab()?;
        let mut chart = self.chart(Way::Down);
        let lab = self.lab()?;
        let pinger = Pinger::start(lab.dial()?)?;
        let download = Download::start(curl(lab))?;
        let over = || (download.bytes(), download.is_over());
        let log = story::play(lab, &acts, Way::Down, &mut chart, over)?;
        let flow = download.finish()?;
        let end = flow.marks.last().unwrap_or(flow.ended);
        if let Some(error) = &flow.error {
            found.broken.push(format!("curl: {error}"));
        }
        found.must(flow.sha256 == file.sha256, || {
            format!("SHA-256 differs; {} of {} bytes came", flow.bytes, file.size)
        });
        if let Some(times) = pinger.times(flow.begun, end) {
            found.figure("ping_p50_ms", times.p50);
            found.figure("ping_p99_ms", times.p99);
        }
        if let Err(error) = pinger.finish() {
            found.broken.push(format!("another connection broke meanwhile: {error:#}"));
        }
        self.figures(&mut found, &log, flow.bytes, flow.begun, end);
        self.gaps(&mut found, &flow, end);
        Ok(found)
    }
}

/// By TPROXY.
pub(super) fn download(bench: &mut Bench) -> Result<Found> {
    transparently(bench, false)
}

/// By TPROXY and IPv6.
pub(super) fn ipv6(bench: &mut Bench) -> Result<Found> {
    transparently(bench, true)
}

fn transparently(bench: &mut Bench, v6: bool) -> Result<Found> {
    let name = bench.file.name.clone();
    bench.fetch(|lab| {
        let mut curl = lab.curl();
        curl.arg(lab.url_at(v6, &name));
        curl
    })
}

/// By the router's proxy.
pub(super) fn socks5(bench: &mut Bench) -> Result<Found> {
    let name = bench.file.name.clone();
    bench.fetch(|lab| {
        let mut curl = lab.curl_via(Some(&format!("socks5h://{}:{SOCKS}", names::LAN[1])));
        curl.arg(lab.url_at(false, &name));
        curl
    })
}

/// To our own file server, which tells what came when.
pub(super) fn upload(bench: &mut Bench) -> Result<Found> {
    let (file, acts, mut found) = (bench.file.clone(), cuts(bench.length(bench.file.size)), Found::default());
    let path = bench.files.path().join(&file.name);
    bench.lab()?;
    let mut chart = bench.chart(Way::Up);
    let lab = bench.lab()?;
    let before = lab.uploads.all().len();
    let mut curl = lab.curl();
    curl.arg("--upload-file").arg(path).arg(lab.put_at(false, "taken"));
    let download = Download::start(curl)?;
    let uploads = lab.uploads.clone();
    let over = || (uploads.last_bytes(), download.is_over());
    let log = story::play(lab, &acts, Way::Up, &mut chart, over)?;
    let told = download.finish()?;
    if let Some(error) = &told.error {
        found.broken.push(format!("curl: {error}"));
    }
    let flow = uploads.all().into_iter().nth(before).context("no upload has come to the file server")?;
    found.must(flow.error.is_none() && flow.sha256 == file.sha256, || {
        format!("SHA-256 differs; {} of {} bytes came", flow.bytes, file.size)
    });
    let end = flow.marks.last().unwrap_or(flow.ended);
    bench.figures(&mut found, &log, flow.bytes, told.begun, end);
    bench.gaps(&mut found, &flow, end);
    Ok(found)
}

/// Many at a time, each a part of the long transfer's bytes.
pub(super) fn parallel(bench: &mut Bench) -> Result<Found> {
    let part = bench.files.payload("part", bench.file.size / CONNECTIONS as u64, 2)?;
    let whole = part.size * CONNECTIONS as u64;
    let (acts, mut found) = (cuts(bench.length(whole)), Found::default());
    let got = bench.files.path().join("got");
    std::fs::create_dir_all(&got)?;
    bench.lab()?;
    let mut chart = bench.chart(Way::Down);
    let lab = bench.lab()?;
    let mut curl = lab.inside(names::Host::Lan);
    curl.args([
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--noproxy",
        "*",
        "--parallel",
        "--parallel-immediate",
    ]);
    curl.args(["--parallel-max", &CONNECTIONS.to_string(), "--output"]).arg(got.join("#1"));
    curl.arg(format!("{}?[1-{CONNECTIONS}]", lab.url_at(false, &part.name)));
    let log_file = lab.files.path("parallel.log");
    let begun = Clock::now();
    let mut running = Running::start(curl, &log_file)?;
    let (mut status, mut open) = (None, 0);
    let over = || {
        status = running.ended();
        let told: Option<tq_control::model::Status> = lab.router().get("status").ok();
        let traffic = told.map(|status| status.traffic).unwrap_or_default();
        open = open.max(traffic.open);
        (traffic.bytes_down, status.is_some())
    };
    let log = story::play(lab, &acts, Way::Down, &mut chart, over)?;
    let end = Clock::now();
    if !status.is_some_and(|status| status.success()) {
        let said = std::fs::read_to_string(&log_file).unwrap_or_default();
        found.broken.push(format!("curl: {}", said.lines().last().unwrap_or("no word")));
    }
    let mut right = 0;
    for i in 1..=CONNECTIONS {
        let mut sum = Digest::default();
        sum.add(&std::fs::read(got.join(i.to_string())).unwrap_or_default());
        right += usize::from(sum.hex() == part.sha256);
    }
    std::fs::remove_dir_all(&got)?;
    found.must(right == CONNECTIONS, || format!("{right} of {CONNECTIONS} files are right"));
    found.figure("connections_at_once", open as f64);
    bench.figures(&mut found, &log, whole, begun, end);
    Ok(found)
}

/// A slow answer, and which change of a link was next to its question.
fn explained((asked, ms): (Instant, f64), acts: &[(Instant, usize, Wanted)], names: &[&str]) -> String {
    let apart = |at: Instant| (asked - at).max(at - asked);
    let Some((at, link, change)) = acts.iter().min_by_key(|(at, ..)| apart(*at)) else {
        return format!("an answer after {ms:.0} ms, no link was changed");
    };
    let side = if asked >= *at { "after" } else { "before" };
    let (seconds, what) = (apart(*at).as_secs_f64(), story::words(*change));
    format!("an answer after {ms:.0} ms, asked {seconds:.2} s {side} {} {what}", names[*link])
}

/// The session that has been there since the lab was raised; if no bar before has, this one cuts links under it.
pub(super) fn ssh(bench: &mut Bench) -> Result<Found> {
    let mut found = Found::default();
    let session = bench.ssh.as_ref().map(super::ssh::Session::begun);
    let Some(begun) = session else {
        let why =
            "no sshd or ssh here: each download has a TCP connection beside it that is asked and answers";
        found.skipped = Some(why.into());
        return Ok(found);
    };
    if Clock::now() - begun < Duration::from_secs(10) {
        let beside = download(bench)?;
        found.broken.extend(beside.broken);
    }
    if let Some(session) = bench.ssh.take() {
        let times = session.times();
        let names: Vec<_> = bench.lab()?.links().iter().map(|link| link.name).collect();
        found
            .notes
            .extend(session.slowest(SLOWEST).into_iter().map(|slow| explained(slow, &bench.acts, &names)));
        found.must(times.is_some(), || "not a line came back".into());
        if let Some(times) = times {
            found.figure("answer_p50_ms", times.p50);
            found.figure("answer_p99_ms", times.p99);
            found.figure("answer_most_ms", times.most);
        }
        found.figure("lived_s", (Clock::now() - begun).as_secs_f64());
        if let Err(error) = session.finish() {
            found.broken.push(format!("the session broke: {error:#}"));
        }
    }
    Ok(found)
}
