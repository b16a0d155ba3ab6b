//! Whether a run says anything about its links: what the machine did to it beside them.
//!
//! Decides what makes a run invalid: packets lost by the emulator or at a receiver's socket, a machine without time to
//! spare, and clocks out of step. None of that is a link's or a transport's fault; a run with such trouble is neither
//! passed nor failed.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use serde::Serialize;

use crate::emulator::books::{Books, Lateness};
use crate::names::{Host, LabName};
use crate::topology;

#[cfg(test)]
mod tests;

/// What a run may have of trouble.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Share of the time of all processors that may be used, and of one by a thread of the emulator.
    pub cpu: f64,
    /// A packet is late that leaves the emulator this much after its time, µs, rounded up to a power of two.
    pub late_us: u64,
    /// Share of packets that may be late.
    pub late_share: f64,
    /// No packet may be later than this, ns.
    pub latest: u64,
}

impl Limits {
    /// 90 % of the processors; 1 % of packets later than 2 ms; none later than 50 ms.
    pub const USUAL: Self = Self { cpu: 0.9, late_us: 2000, late_share: 0.01, latest: 50_000_000 };
}

/// Counts of the machine and of a lab's hosts at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    busy: u64,
    idle: u64,
    /// Time taken by the hypervisor, in the same ticks; part of `busy`.
    stolen: u64,
    /// Thread CPU of the emulator, ns.
    emulator: Vec<u64>,
    /// Time its threads waited for a processor, ns.
    queued: Vec<u64>,
    /// By host and name.
    counts: BTreeMap<String, u64>,
}

/// What came of a run's time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Health {
    /// Part of all processors' time that was used.
    pub cpu: f64,
    /// Part of one processor that each thread of the emulator used.
    pub emulator_cpu: Vec<f64>,
    /// How long each of them was ready and had no processor, ms, in all.
    pub emulator_queued_ms: Vec<f64>,
    /// Part of all processors' time that the hypervisor took.
    pub stolen: f64,
    /// Median, 99th percentile and maximum of packets' lateness, ms.
    pub late_ms: [f64; 3],
    /// Load average over a minute, at the end.
    pub load: f64,
    /// Why the run is invalid; empty if it is not.
    pub troubles: Vec<String>,
}

/// Counters that say "lost at a socket or interface", by file below `/proc/net` and name.
const LOSSES: [(&str, &str, &str); 8] = [
    ("snmp", "Udp", "RcvbufErrors"),
    ("snmp", "Udp", "SndbufErrors"),
    ("snmp", "Udp", "MemErrors"),
    ("snmp", "Ip", "OutDiscards"),
    ("netstat", "TcpExt", "TCPRcvQDrop"),
    ("netstat", "TcpExt", "TCPBacklogDrop"),
    ("netstat", "TcpExt", "TCPOFODrop"),
    ("netstat", "TcpExt", "ListenDrops"),
];

impl Reading {
    /// Reads everything.
    pub fn take(lab: &LabName, books: &Books) -> Result<Self> {
        let [busy, idle, stolen] = processors(&fs::read_to_string("/proc/stat")?);
        let mut counts = BTreeMap::new();
        for host in Host::OPEN {
            let read = || {
                let file =
                    |name| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
                [file("snmp"), file("netstat"), file("snmp6")]
            };
            let [snmp, netstat, snmp6] = topology::inside(lab, host, read)?;
            for (file, group, name) in LOSSES {
                let text = if file == "snmp" { &snmp } else { &netstat };
                let count = table(text, group, name).unwrap_or(0);
                counts.insert(format!("{group}{name} of {}", host.name()), count);
            }
            let count =
                snmp6.lines().find_map(|line| line.strip_prefix("Udp6RcvbufErrors")?.trim().parse().ok());
            counts.insert(format!("Udp6RcvbufErrors of {}", host.name()), count.unwrap_or(0));
        }
        counts.insert("softnet drops of the machine".into(), softnet());
        Ok(Self { busy, idle, stolen, emulator: books.cpu.clone(), queued: books.queued.clone(), counts })
    }

    /// What happened since `before`; `seconds` passed. `books` are those of the whole run.
    pub fn since(&self, before: &Self, books: &Books, seconds: f64, limits: Limits) -> Health {
        let mut troubles = Vec::new();
        let (busy, idle) = (self.busy.saturating_sub(before.busy), self.idle.saturating_sub(before.idle));
        let ticks = ((busy + idle) as f64).max(1.0);
        let (cpu, stolen) = (busy as f64 / ticks, self.stolen.saturating_sub(before.stolen) as f64 / ticks);
        if cpu > limits.cpu {
            troubles.push(format!("processors {:.0} % used", cpu * 100.0));
        }
        let grown = |now: &[u64], then: &[u64], unit: f64| -> Vec<f64> {
            now.iter().zip(then).map(|(now, then)| now.saturating_sub(*then) as f64 / unit).collect()
        };
        let emulator_cpu = grown(&self.emulator, &before.emulator, 1e9 * seconds.max(1e-9));
        if let Some(most) = emulator_cpu.iter().copied().reduce(f64::max).filter(|most| *most > limits.cpu) {
            troubles.push(format!("a thread of the emulator used {:.0} % of a processor", most * 100.0));
        }
        for (name, now) in &self.counts {
            let more = now.saturating_sub(before.counts.get(name).copied().unwrap_or(0));
            if more > 0 {
                troubles.push(format!("{more} {name}"));
            }
        }
        for link in &books.links {
            for (way, lane) in [("up", &link.up), ("down", &link.down)] {
                if lane.faults.sum() > 0 {
                    troubles
                        .push(format!("the emulator lost packets of {} {way}: {:?}", link.name, lane.faults));
                }
            }
        }
        let late = books.lateness();
        let taken = |why| format!("{why}; the hypervisor took {:.1} % of the time", stolen * 100.0);
        troubles.extend(too_late(&late, books, limits).map(taken));
        if books.clock_steps > 0 {
            troubles.push("the wall clock stepped".into());
        }
        Health {
            cpu,
            emulator_cpu,
            emulator_queued_ms: grown(&self.queued, &before.queued, 1e6),
            stolen,
            late_ms: [late.quantile_ms(0.5), late.quantile_ms(0.99), late.most as f64 / 1e6],
            load: load(),
            troubles,
        }
    }
}

/// What is to be said of packets that were sent too late, and of what the thread did that sent the latest of them.
fn too_late(late: &Lateness, books: &Books, limits: Limits) -> Option<String> {
    let beyond = late.beyond(limits.late_us);
    let what = if beyond as f64 > late.count() as f64 * limits.late_share {
        format!("{beyond} of {} packets over {} us late", late.count(), limits.late_us)
    } else if late.most > limits.latest {
        format!("a packet {:.1} ms late", late.most as f64 / 1e6)
    } else {
        return None;
    };
    Some(books.worst().map_or(what.clone(), |stall| format!("{what}: {stall}")))
}

/// Busy and idle ticks of all processors in `/proc/stat`, and those the hypervisor took, which are not idle.
fn processors(stat: &str) -> [u64; 3] {
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is part of user time.
    let idle = ticks.iter().skip(3).take(2).sum();
    [ticks.iter().take(8).sum::<u64>() - idle, idle, ticks.get(7).copied().unwrap_or(0)]
}

/// A value of `/proc/net/snmp` or `netstat`: for each group a line of names and a line of values.
fn table(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(':'));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|word| word == name)?;
    values.split_whitespace().nth(place)?.parse().ok()
}

/// Packets dropped between interface and protocol, on all processors. Counts other namespaces' too.
fn softnet() -> u64 {
    let text = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    let dropped = text.lines().filter_map(|line| line.split_whitespace().nth(1));
    dropped.filter_map(|hex| u64::from_str_radix(hex, 16).ok()).sum()
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}
