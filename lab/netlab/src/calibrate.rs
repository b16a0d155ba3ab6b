//! Whether links do what their file says, asked by programs that are not ours: `ping`, `iperf3`, and probes.
//!
//! Decides what is measured, how often and what is good enough: rate within 2 % (median of 5), round trip within 1 ms
//! (median, idle), loss with p ≥ 0.01. Says beside it how late packets are under load.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use tq_linkmodel::{Direction, Instant, Packet};
use tq_scenario::{Link, Scenario, Vary};
use tq_udp::Clock;

use crate::health::{Health, Limits, Reading};
use crate::lab::{self, Lab};
use crate::names::{self, Host};
use crate::probe::{self, Arrival, Plan};
use crate::process;
use crate::{control, emulator};

mod chance;
#[cfg(test)]
mod tests;

pub use chance::p_value;

/// What is good enough.
pub const RATE: f64 = 0.02;
/// See [`RATE`]; ms.
pub const DELAY: f64 = 1.0;
/// See [`RATE`].
pub const LOSS: f64 = 0.01;

/// A calibration.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// Version of this form.
    pub schema: u32,
    /// Whether all links are good enough.
    pub good: bool,
    /// The links.
    pub links: Vec<Calibrated>,
    /// What the machine did meanwhile; with troubles the numbers say little about the emulator.
    pub health: Health,
}

/// A link. A rate error is `None` if there is no rate to compare with, or the machine could not send fast enough.
#[derive(Clone, Debug, Serialize)]
pub struct Calibrated {
    /// Its name.
    pub name: String,
    /// IP rate against the wanted one, of the worse direction: median of 5.
    pub rate_error: Option<f64>,
    /// Median idle round trip of `ping` minus what was wanted, ms.
    pub delay_error_ms: f64,
    /// How likely a loss at least as far from the wanted one is, of the worse direction.
    pub loss_p_value: f64,
    /// Median one-way delay of probes minus what was wanted, ms: up, down.
    pub one_way_error_ms: [f64; 2],
    /// Rate errors: up, down.
    pub rate_errors: [Option<f64>; 2],
    /// Part of probes that were lost: up, down.
    pub lost: [f64; 2],
    /// Under `iperf3`, downwards.
    pub loaded: Loaded,
    /// Whether it is good enough.
    pub good: bool,
}

/// Kernel TCP through a link.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Loaded {
    /// Payload per second, bits.
    pub tcp_bps: f64,
    /// Against the link's rate less headers (1448 of 1500 bytes).
    pub of_rate: Option<f64>,
    /// How late the emulator sent packets, ms: median, p99, most.
    pub late_ms: [f64; 3],
    /// Packets a second through the emulator, both directions.
    pub packets_per_s: f64,
}

/// Refuses if a program is missing.
pub fn tools() -> Result<()> {
    let needed = [("ping", "iputils-ping"), ("iperf3", "iperf3")];
    let missing: Vec<_> = needed.iter().filter(|(program, _)| !lab::finds(program)).collect();
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    ensure!(
        missing.is_empty(),
        "{} missing: apt-get install --yes --no-install-recommends {}",
        programs.join(" and "),
        packages.join(" ")
    );
    Ok(())
}

/// Asks every link of a lab that is up.
pub fn calibrate(lab: &Lab) -> Result<Calibration> {
    tools()?;
    let zero = lab.start(lab.seed, false)?;
    let before = Reading::take(&lab.name, &control::books(&lab.folder)?)?;
    let mut still = lab.scenario.clone();
    still.events.clear();
    let mut links = Vec::new();
    let mut worst = control::books(&lab.folder)?;
    for i in 0..still.links.len() {
        links.push(link(lab, &still, i)?);
        // Each link begins anew; what the emulator did wrong is kept.
        let books = control::books(&lab.folder)?;
        for (sum, new) in worst.links.iter_mut().zip(books.links) {
            for (sum, new) in [(&mut sum.up, new.up), (&mut sum.down, new.down)] {
                sum.faults.not_fetched += new.faults.not_fetched;
                sum.faults.not_sent += new.faults.not_sent;
                sum.faults.no_room += new.faults.no_room;
                sum.faults.cut += new.faults.cut;
                sum.lateness.merge(&new.lateness);
            }
        }
    }
    let seconds = (Clock::now() - zero).as_secs_f64();
    let after = Reading::take(&lab.name, &control::books(&lab.folder)?)?;
    let health = after.since(&before, &worst, seconds, Limits::USUAL);
    Ok(Calibration { schema: 1, good: links.iter().all(|link| link.good), links, health })
}

fn link(lab: &Lab, scenario: &Scenario, i: usize) -> Result<Calibrated> {
    let link = &scenario.links[i];
    let zero = lab.start(lab.seed, false)?;
    std::thread::sleep(zero - Clock::now());
    let expected = expected_ms(lab, i, zero, (PING, 40, Duration::from_millis(25)), &Direction::BOTH);
    let delay_error_ms = median(&ping(lab, i, link)?) - expected;
    let (mut rate_errors, mut one_way, mut p_values, mut lost) = ([None; 2], [0.0; 2], [1.0; 2], [0.0; 2]);
    for (way, direction) in Direction::BOTH.into_iter().enumerate() {
        let sparse = sparse(lab, i, link, direction, zero)?;
        one_way[way] = sparse.one_way_error_ms;
        p_values[way] = sparse.p_value;
        lost[way] = sparse.lost;
        rate_errors[way] = rate(lab, scenario, i, direction, zero)?;
    }
    let loaded = load(lab, link, i)?;
    let worse = |a: f64, b: f64| if a.abs() >= b.abs() { a } else { b };
    let rate_error = rate_errors.into_iter().flatten().reduce(worse);
    let loss_p_value = f64::min(p_values[0], p_values[1]);
    // A link without a rate has none to compare with.
    let asked = Direction::BOTH.map(|direction| link.way(direction).rate.is_some());
    let unmeasured = asked.iter().zip(&rate_errors).any(|(asked, error)| *asked && error.is_none());
    let good = !unmeasured
        && rate_error.is_none_or(|error| error.abs() <= RATE)
        && delay_error_ms.abs() <= DELAY
        && loss_p_value >= LOSS;
    Ok(Calibrated {
        name: link.name.clone(),
        rate_error,
        delay_error_ms,
        loss_p_value,
        one_way_error_ms: one_way,
        rate_errors,
        lost,
        loaded,
        good,
    })
}

/// The middle one; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Bytes of IP of a ping.
const PING: usize = 84;

/// What the link model says of small packets from now on, one after the other through `ways`: the median, ms.
fn expected_ms(
    lab: &Lab,
    i: usize,
    zero: Instant,
    (size, count, interval): (usize, u32, Duration),
    ways: &[Direction],
) -> f64 {
    let config = lab.scenario.link_config(i, lab.seed);
    let mut link = tq_linkmodel::Link::new(&config, lab.scenario.link_seed(i, lab.seed));
    let mut shared = emulator::bottlenecks(&lab.scenario);
    let start = Instant::ZERO + (Clock::now() - zero);
    let packet = Packet { len: size as u32, ..Packet::default() };
    let mut times = Vec::new();
    for number in 0..count {
        let sent = start + interval * number;
        let arrived = ways
            .iter()
            .try_fold(sent, |at, way| Some(link.offer_via(&mut shared, at, *way, packet).delivery()?.at));
        times.extend(arrived.map(|at| (at - sent).as_secs_f64() * 1e3));
    }
    median(&times)
}

/// The loss that the link model has for probes from now on, averaged over seeds of chance.
fn expected_loss_ppm(lab: &Lab, i: usize, zero: Instant, plan: Plan, direction: Direction) -> u32 {
    const SEEDS: u64 = 32;
    let config = lab.scenario.link_config(i, lab.seed);
    let start = Instant::ZERO + (Clock::now() - zero);
    let packet = Packet { len: plan.size as u32, ..Packet::default() };
    let mut lost = 0_u64;
    for seed in 0..SEEDS {
        let mut link = tq_linkmodel::Link::new(&config, seed);
        let mut shared = emulator::bottlenecks(&lab.scenario);
        for number in 0..plan.count as u32 {
            let sent = start + plan.interval * number;
            lost += u64::from(link.offer_via(&mut shared, sent, direction, packet).delivery().is_none());
        }
    }
    u32::try_from(lost * 1_000_000 / (SEEDS * plan.count).max(1)).unwrap_or(u32::MAX)
}

/// Round trips of `ping`, ms.
fn ping(lab: &Lab, i: usize, link: &Link) -> Result<Vec<f64>> {
    let patience = (link.rtt().as_secs() + 2).to_string();
    let [from, to] = [names::user(i), names::network(i)].map(|ip| ip.to_string());
    let words = ["ping", "-n", "-c", "40", "-i", "0.025", "-W", &patience, "-I", &from, &to];
    let output = inside(lab, Host::Router, &words).output().context("cannot start ping")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let times: Vec<f64> =
        text.lines().filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok()).collect();
    ensure!(!times.is_empty(), "no ping came back over {}: {}", link.name, text.trim());
    Ok(times)
}

fn inside(lab: &Lab, host: Host, words: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &lab.name.namespace(host)]).args(words).stdin(Stdio::null());
    command
}

/// What few probes say.
struct Sparse {
    one_way_error_ms: f64,
    p_value: f64,
    lost: f64,
}

/// Probes far below the rate: none waits for another.
fn sparse(lab: &Lab, i: usize, link: &Link, direction: Direction, zero: Instant) -> Result<Sparse> {
    const SIZE: usize = 128;
    let way = link.way(direction);
    let share = way.rate.map_or(2000.0, |rate| rate as f64 * 0.3 / SIZE as f64).clamp(20.0, 1500.0);
    let count = (share * 2.5) as u64;
    let patience = link.rtt() + Duration::from_millis(300);
    let plan = Plan { size: SIZE, count, interval: Duration::from_secs_f64(1.0 / share), patience };
    let expected = expected_ms(lab, i, zero, (SIZE, count as u32, plan.interval), &[direction]);
    let wanted = match way.vary {
        // Its loss comes with the handovers.
        Vary::Leo(_) => expected_loss_ppm(lab, i, zero, plan, direction),
        _ => way.loss_ppm,
    };
    let got = probe::run(&lab.name, i, direction, plan)?.arrivals;
    ensure!(!got.is_empty(), "no probe came over {} {direction:?}", link.name);
    let delays: Vec<f64> =
        got.iter().map(|arrival| (arrival.got - arrival.sent).as_secs_f64() * 1e3).collect();
    let mut numbers: Vec<u64> = got.iter().map(|arrival| arrival.number).collect();
    numbers.sort_unstable();
    // A second copy is no second packet.
    numbers.dedup();
    let lost = count - numbers.len() as u64;
    let burst =
        way.burst.map(|burst| (burst.to_bad_ppm, burst.to_good_ppm, burst.loss_bad_ppm, burst.loss_good_ppm));
    Ok(Sparse {
        one_way_error_ms: median(&delays) - expected,
        p_value: p_value(count, lost, wanted, burst),
        lost: lost as f64 / count as f64,
    })
}

/// The error of the rate, median of 5: 15 % more is sent than goes through, and what arrives is timed. A machine that
/// cannot send that fast measures itself: such a try does not count, and `None` is said if too few are left.
fn rate(
    lab: &Lab,
    scenario: &Scenario,
    i: usize,
    direction: Direction,
    zero: Instant,
) -> Result<Option<f64>> {
    const SIZE: usize = 1500;
    let link = &scenario.links[i];
    let way = link.way(direction);
    let size = way.mtu.map_or(SIZE, |mtu| SIZE.min(mtu.bytes as usize));
    let Some(rate) = way.rate else { return Ok(None) };
    // A second, but at least 50 packets.
    let interval = size as f64 / (rate as f64 * 1.15);
    let count = (1.0 / interval).max(50.0) as u64;
    let patience = link.rtt() + Duration::from_millis(300).max(Duration::from_secs_f64(interval * 3.0));
    let plan = Plan { size, count, interval: Duration::from_secs_f64(interval), patience };
    let mut errors = Vec::new();
    for _ in 0..10 {
        let probe::Seen { arrivals: got, took } = probe::run(&lab.name, i, direction, plan)?;
        if took.as_secs_f64() * rate as f64 > (count as usize * size) as f64 / 1.05 {
            continue;
        }
        let Some((first, last, bytes)) = span(&got, size) else { bail!("no probe came over {}", link.name) };
        let seconds = (last - first).as_secs_f64();
        let wanted = match way.vary {
            Vary::Steady => rate as f64 * seconds,
            // What arrives now left the queue a while ago.
            _ => {
                let [from, to] = [first, last].map(|at| (at - zero).saturating_sub(way.delay));
                scenario.usable(i, direction, lab.seed, from, to).unwrap_or(0) as f64
            }
        };
        let bursts = way.burst.map_or(0, |burst| burst.long_run_ppm());
        let survive = (1.0 - f64::from(way.loss_ppm) / 1e6) * (1.0 - f64::from(bursts) / 1e6);
        errors.push(bytes / (wanted * survive).max(1.0) - 1.0);
        if errors.len() == 5 {
            break;
        }
    }
    Ok((errors.len() >= 3).then(|| median(&errors)))
}

/// From when to when, and the bytes of IP after the first. The first tenth is left out.
fn span(got: &[Arrival], size: usize) -> Option<(Instant, Instant, f64)> {
    let rest = got.get(got.len() / 10..)?;
    let (first, last) = (rest.first()?, rest.last()?);
    (last.got > first.got).then(|| (first.got, last.got, ((rest.len() - 1) * size) as f64))
}

/// `iperf3` downwards for three seconds, or longer on long links.
fn load(lab: &Lab, link: &Link, i: usize) -> Result<Loaded> {
    lab.start(lab.seed, false)?;
    let [user, network] = [names::user(i), names::network(i)].map(|ip| ip.to_string());
    let mut command = inside(lab, Host::Server, &["iperf3", "-s", "-1", "-B", &network]);
    let mut server =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start iperf3")?;
    std::thread::sleep(Duration::from_millis(300));
    let time = 3 + (link.rtt().as_secs_f64() * 20.0) as u64;
    let words = [
        "iperf3",
        "-c",
        &network,
        "-B",
        &user,
        "-R",
        "-J",
        "-t",
        &time.to_string(),
        "-O",
        "1",
        "-C",
        "cubic",
    ];
    let output = inside(lab, Host::Router, &words).output();
    let books = control::books(&lab.folder)?;
    process::signal(server.id(), "TERM");
    server.wait()?;
    let json: serde_json::Value = serde_json::from_slice(&output?.stdout).context("iperf3 says nothing")?;
    let tcp_bps = json["end"]["sum_received"]["bits_per_second"]
        .as_f64()
        .with_context(|| format!("iperf3 over {}: {}", link.name, json["error"]))?;
    let late = books.lateness();
    let packets: u64 = books.lanes().map(|lane| lane.offered).sum();
    Ok(Loaded {
        tcp_bps,
        of_rate: link.down.rate.map(|rate| tcp_bps / (rate as f64 * 8.0 * 1448.0 / 1500.0)),
        late_ms: [late.quantile_ms(0.5), late.quantile_ms(0.99), late.most as f64 / 1e6],
        packets_per_s: packets as f64 / (time + 1) as f64,
    })
}
