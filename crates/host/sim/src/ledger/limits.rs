//! Assertions in virtual time: what a run must keep to, and where it did not. They read meters and books; nothing
//! happens here.

use std::fmt;
use std::time::Duration;

use tq_time::Instant;

use super::{Ledger, Meter, Violation};

/// What a run must keep to. `None` and `false` ask for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The first byte came by then.
    pub first_byte_by: Option<Instant>,
    /// All flows of the meter ended by then, and at least one began.
    pub finished_by: Option<Instant>,
    /// No pause between first byte and end was longer.
    pub longest_gap: Option<Duration>,
    /// At least so many bytes came.
    pub at_least: Option<u64>,
    /// No flow was open at the end.
    pub nothing_open: bool,
}

/// A limit that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// What it is about, in the words of whoever asked.
    pub name: String,
    /// When it was sure.
    pub at: Instant,
    /// Which limit.
    pub what: Kind,
}

/// Which limit was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No byte by the limit; when the first came, if one did.
    FirstByte(Option<Instant>),
    /// Not finished by the limit; when it was, if so.
    Unfinished(Option<Instant>),
    /// A pause of this length.
    Gap(Duration),
    /// Only so many bytes.
    Bytes(u64),
    /// This flow was open at the end.
    Open(u64),
    /// The books do not balance.
    Wrong(Violation),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |at: Instant| at.as_nanos() as f64 / 1e9;
        write!(f, "{} at {:.6} s: ", self.name, seconds(self.at))?;
        match &self.what {
            Kind::FirstByte(None) => f.write_str("no byte had come"),
            Kind::FirstByte(Some(at)) => {
                write!(f, "no byte had come; the first did at {:.6} s", seconds(*at))
            }
            Kind::Unfinished(None) => f.write_str("was not finished"),
            Kind::Unfinished(Some(at)) => write!(f, "was not finished; it was at {:.6} s", seconds(*at)),
            Kind::Gap(gap) => write!(f, "nothing came for {gap:?}"),
            Kind::Bytes(bytes) => write!(f, "only {bytes} bytes had come"),
            Kind::Open(flow) => write!(f, "flow {flow} was open"),
            Kind::Wrong(violation) => write!(f, "{violation}"),
        }
    }
}

impl Limits {
    /// Holds a meter against the limits at the end of a run, `now`. A limit that lies after `now` is not broken yet.
    pub fn check(&self, name: &str, meter: &Meter, now: Instant) -> Vec<Breach> {
        let breach = |at, what| Breach { name: name.to_string(), at, what };
        let late = |limit: Option<Instant>, happened: Option<Instant>| {
            limit.filter(|limit| happened.map_or(*limit <= now, |at| at > *limit))
        };
        let mut found = Vec::new();
        if let Some(limit) = late(self.first_byte_by, meter.first) {
            found.push(breach(limit, Kind::FirstByte(meter.first)));
        }
        let finished = meter.ended.filter(|_| meter.active == 0);
        if let Some(limit) = late(self.finished_by, finished) {
            found.push(breach(limit, Kind::Unfinished(finished)));
        }
        if let (Some(limit), Some((since, gap))) = (self.longest_gap, meter.longest_gap(now))
            && gap > limit
        {
            found.push(breach(since + gap, Kind::Gap(gap)));
        }
        if self.at_least.is_some_and(|least| meter.bytes < least) {
            found.push(breach(now, Kind::Bytes(meter.bytes)));
        }
        found
    }

    /// Holds the books against the limits at the end of a run: violations always, open flows if asked for.
    pub fn audit(&self, ledger: &Ledger, now: Instant) -> Vec<Breach> {
        let wrong = |violation: Violation| Breach {
            name: "ledger".into(),
            at: violation.at,
            what: Kind::Wrong(violation),
        };
        let mut found: Vec<Breach> = ledger.violations().into_iter().map(wrong).collect();
        if self.nothing_open {
            let open = |flow: super::OpenFlow| Breach {
                name: "ledger".into(),
                at: now,
                what: Kind::Open(flow.flow),
            };
            found.extend(ledger.open_flows().into_iter().map(open));
        }
        found
    }
}
