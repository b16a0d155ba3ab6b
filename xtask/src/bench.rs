//! `cargo xtask bench`: how fast, beside other stacks in the same run.
//!
//! Downloads on one stream of one connection over loopback, full handshakes, small requests; 1452-byte datagrams,
//! AES-128-GCM, X25519, each end on its own core, rounds in alternating order. Machines are shared and noisy, so
//! what counts is the median of the ratios of a round, and a run on a machine that was busy says so. It decides
//! nothing: a figure without its neighbour's is worth little, so it prints both.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use self::noise::{Noise, Verdict};
use self::stacks::{Many, Programs, Rate, Sample, Stack};
use crate::run::say;

mod noise;
mod stacks;

#[cfg(test)]
mod tests;

/// What is counted, and how many at a time.
const MANY: [(Many, [u32; 2]); 2] = [(Many::Handshakes, [1, 20]), (Many::Requests, [1, 100])];

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    rounds: usize,
    seconds: u64,
    json: bool,
    bulk_only: bool,
    /// Leaves downloads out.
    many_only: bool,
    peers: Vec<Stack>,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let peers = Stack::PEERS.to_vec();
        let mut options =
            Self { rounds: 7, seconds: 4, json: false, bulk_only: false, many_only: false, peers };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let number = |next: Option<&&str>| {
                let number = next.and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                number.with_context(|| format!("{word} N: a number from 1 on"))
            };
            match word {
                "--json" => options.json = true,
                "--bulk" => options.bulk_only = true,
                "--many" => options.many_only = true,
                "--rounds" => options.rounds = number(words.next())? as usize,
                "--seconds" => options.seconds = number(words.next())?,
                "--peer" => options.peers = vec![Stack::named(words.next().copied().unwrap_or_default())?],
                _ => bail!(
                    "`{word}`: bench takes --json, --bulk, --many, --rounds N, --seconds N, --peer NAME"
                ),
            }
        }
        Ok(options)
    }
}

/// A benchmark's result.
#[derive(Debug, Serialize)]
struct Report {
    rounds: usize,
    seconds: u64,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    bulk: Option<Bulk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshakes: Option<Counted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Counted>,
}

/// Medians over rounds.
#[derive(Debug, Serialize)]
struct Bulk {
    ours: Sample,
    peers: Vec<Peer<Sample>>,
    /// Of ours to the peer with the highest goodput; more is better.
    ratio_goodput_best_peer: f64,
    /// CPU time of both ends together, of ours to the peer that needs least; less is better.
    ratio_cpu_best_peer: f64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Peer<T> {
    stack: &'static str,
    #[serde(flatten)]
    result: T,
}

/// Medians over rounds, by how many there were at a time.
#[derive(Debug, Serialize)]
struct Counted {
    ours: Rates,
    peers: Vec<Peer<Rates>>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Rates {
    by_outstanding: Vec<Outstanding>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Outstanding {
    outstanding: u32,
    #[serde(flatten)]
    rate: Rate,
    /// Of ours to the best peer; only with ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_best_peer: Option<f64>,
}

/// Samples of all rounds, by stack.
type Samples = Vec<(Stack, Vec<Sample>)>;

/// The command.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    let programs = Programs::build(&options.peers)?;
    let stacks: Vec<Stack> = [Stack::Ours].into_iter().chain(options.peers.iter().copied()).collect();
    let mut noise = Noise::default();
    let mut samples: Samples = stacks.iter().map(|stack| (*stack, Vec::new())).collect();
    for round in (0..options.rounds).filter(|_| !options.many_only) {
        let mut told = format!("round {} of {}:", round + 1, options.rounds);
        for at in order(stacks.len(), round) {
            noise.look();
            let (stack, list) = &mut samples[at];
            let sample = programs.bulk(*stack, options.seconds)?;
            list.push(sample);
            let _ = write!(told, " {} {};", stack.name(), line(&sample));
        }
        say(&told);
    }
    let (mut handshakes, mut requests) = (None, None);
    if !options.bulk_only {
        for (many, at_a_time) in MANY {
            let counted = Some(count(&programs, &stacks, many, at_a_time, &options, &mut noise)?);
            match many {
                Many::Handshakes => handshakes = counted,
                Many::Requests => requests = counted,
            }
        }
    }
    let (bulk, ratios) = bulk(&samples);
    let bulk = (!options.many_only).then_some(bulk);
    let verdict = noise.verdict(&ratios);
    let Options { rounds, seconds, .. } = options;
    let report = Report { rounds, seconds, verdict, bulk, handshakes, requests };
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", table(&report));
    }
    Ok(())
}

/// Who goes when: each round begins with the next, and every other one goes backwards.
fn order(stacks: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..stacks).map(|at| (at + round / 2) % stacks).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Counts handshakes or requests of all stacks, as many rounds as there are of downloads but shorter ones.
fn count(
    programs: &Programs,
    stacks: &[Stack],
    many: Many,
    at_a_time: [u32; 2],
    options: &Options,
    noise: &mut Noise,
) -> Result<Counted> {
    let seconds = options.seconds.div_ceil(2);
    let mut results: Vec<Vec<Vec<Rate>>> = vec![vec![Vec::new(); at_a_time.len()]; stacks.len()];
    for round in 0..options.rounds {
        for at in order(stacks.len(), round) {
            for (index, outstanding) in at_a_time.into_iter().enumerate() {
                noise.look();
                results[at][index].push(programs.many(stacks[at], many, outstanding, seconds)?);
            }
        }
    }
    let medians: Vec<Vec<Rate>> =
        results.iter().map(|stack| stack.iter().map(|rounds| median_rate(rounds)).collect()).collect();
    say(&format!("{many:?} counted"));
    Ok(counted(stacks, &medians, &at_a_time))
}

/// The first of the stacks is ours.
fn counted(stacks: &[Stack], medians: &[Vec<Rate>], at_a_time: &[u32]) -> Counted {
    let best = |index: usize| medians.iter().skip(1).map(|rates| rates[index].per_s).fold(0.0, f64::max);
    let rates = |rates: &[Rate], is_ours: bool| {
        let of = |(index, (rate, outstanding)): (usize, (&Rate, &u32))| {
            let ratio_best_peer = (is_ours && best(index) > 0.0).then(|| rate.per_s / best(index));
            Outstanding { outstanding: *outstanding, rate: *rate, ratio_best_peer }
        };
        Rates { by_outstanding: rates.iter().zip(at_a_time).enumerate().map(of).collect() }
    };
    let all = stacks.iter().zip(medians);
    let peers = all.skip(1).map(|(stack, own)| Peer { stack: stack.name(), result: rates(own, false) });
    Counted {
        ours: medians.first().map_or(Rates { by_outstanding: Vec::new() }, |own| rates(own, true)),
        peers: peers.collect(),
    }
}

/// The medians, and each round's ratio of ours to the best peer. The first of the samples is ours.
fn bulk(samples: &[(Stack, Vec<Sample>)]) -> (Bulk, Vec<f64>) {
    let ours = samples.first().map_or(&[][..], |(_, ours)| ours);
    let peers: Vec<(&'static str, Sample, &[Sample])> =
        samples.iter().skip(1).map(|(stack, own)| (stack.name(), medians(own), &own[..])).collect();
    let cpu = |sample: &Sample| sample.sender + sample.receiver;
    let fastest = peers.iter().max_by(|a, b| a.1.gbit_s.total_cmp(&b.1.gbit_s));
    let thriftiest = peers.iter().min_by(|a, b| cpu(&a.1).total_cmp(&cpu(&b.1)));
    let ratios = |peer: Option<&(&str, Sample, &[Sample])>, of: &dyn Fn(&Sample) -> f64| -> Vec<f64> {
        let theirs = peer.map_or(&[][..], |peer| peer.2);
        ours.iter().zip(theirs).map(|(ours, theirs)| of(ours) / of(theirs)).collect()
    };
    let goodput = ratios(fastest, &|sample| sample.gbit_s);
    let bulk = Bulk {
        ours: medians(ours),
        ratio_goodput_best_peer: median(goodput.clone()),
        ratio_cpu_best_peer: median(ratios(thriftiest, &cpu)),
        peers: peers.iter().map(|(stack, result, _)| Peer { stack, result: *result }).collect(),
    };
    (bulk, goodput)
}

fn medians(samples: &[Sample]) -> Sample {
    let of = |field: fn(&Sample) -> f64| median(samples.iter().map(field).collect());
    Sample { gbit_s: of(|s| s.gbit_s), sender: of(|s| s.sender), receiver: of(|s| s.receiver) }
}

fn median_rate(rates: &[Rate]) -> Rate {
    let of = |field: fn(&Rate) -> f64| median(rates.iter().map(field).collect());
    Rate {
        per_s: of(|rate| rate.per_s),
        client_cpu_ms: of(|rate| rate.client_cpu_ms),
        server_cpu_ms: of(|rate| rate.server_cpu_ms),
        p50_us: of(|rate| rate.p50_us),
        p99_us: of(|rate| rate.p99_us),
    }
}

/// The middle of the numbers, the upper one of two; 0 without any.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

fn line(sample: &Sample) -> String {
    format!("{:.1} Gbit/s {:.2}/{:.2} s/GB", sample.gbit_s, sample.sender, sample.receiver)
}

fn bulk_table(bulk: &Bulk, out: &mut String) {
    out.push_str("| stack | Gbit/s | sender, CPU s/GB | receiver, CPU s/GB |\n|---|---|---|---|\n");
    let peers = bulk.peers.iter().map(|peer| (peer.stack, &peer.result));
    for (name, sample) in [("tquic", &bulk.ours)].into_iter().chain(peers) {
        let Sample { gbit_s, sender, receiver } = sample;
        let _ = writeln!(out, "| {name} | {gbit_s:.2} | {sender:.3} | {receiver:.3} |");
    }
    let _ = writeln!(
        out,
        "\nbeside the best peer: goodput x {:.2}, CPU time of both ends x {:.2}",
        bulk.ratio_goodput_best_peer, bulk.ratio_cpu_best_peer
    );
}

fn table(report: &Report) -> String {
    let Report { rounds, seconds, verdict, bulk, .. } = report;
    let mut out = format!("median of {rounds} rounds of {seconds} s\n\n");
    bulk.iter().for_each(|bulk| bulk_table(bulk, &mut out));
    for (title, counted) in [("handshakes", &report.handshakes), ("32-byte requests", &report.requests)] {
        let Some(counted) = counted else { continue };
        let _ = writeln!(
            out,
            "\n| {title} | per second | CPU us: client | server | us: median | 99 % | beside the best peer |\n\
             |---|---|---|---|---|---|---|"
        );
        let peers = counted.peers.iter().map(|peer| (peer.stack, &peer.result));
        for (name, rates) in [("tquic", &counted.ours)].into_iter().chain(peers) {
            for Outstanding { outstanding, rate, ratio_best_peer } in &rates.by_outstanding {
                let ratio = ratio_best_peer.map_or_else(String::new, |ratio| format!("x {ratio:.2}"));
                let Rate { per_s, client_cpu_ms, server_cpu_ms, p50_us, p99_us } = rate;
                let (client, server) = (client_cpu_ms * 1e3, server_cpu_ms * 1e3);
                let _ = writeln!(
                    out,
                    "| {name}, {outstanding} at a time | {per_s:.0} | {client:.2} | {server:.2} | {p50_us:.0} \
                     | {p99_us:.0} | {ratio} |"
                );
            }
        }
    }
    let words =
        if verdict.valid { "valid".to_owned() } else { format!("invalid: {}", verdict.why.join("; ")) };
    let _ = writeln!(out, "\nverdict: {words}");
    out
}
