//! A decision as it was made: scheduler, memory, views, demand and pick, in one line of text.
//!
//! A record taken from a running connection is a unit test: [`Decision::replay`] decides again from the same facts.
//! Only fields that differ from their defaults are written. Recording costs a copy of the views, so the caller
//! decides when to record; nothing is recorded here.
//!
//! ```text
//! aggregate now=5000000 memory=1:50;path id=1 validated=1 srtt=20000000 cwnd=14720;demand backlog=9000;pick send 1
//! ```

use core::fmt;
use core::str::FromStr;

use tq_time::Instant;

use crate::demand::{Demand, Pick};
use crate::memory::Memory;
use crate::scheduler::{Kind, Scheduler};
use crate::view::{MAX_PATHS, PathView};

mod text;

#[cfg(test)]
mod tests;

/// One decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Scheduler.
    pub kind: Kind,
    /// What it remembered before it decided.
    pub memory: Memory,
    /// When.
    pub now: Instant,
    /// What waited.
    pub demand: Demand,
    /// What was decided.
    pub pick: Pick,
    views: [PathView; MAX_PATHS],
    len: u8,
}

/// A line that is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Part of the line that is wrong: `scheduler`, `path`, `demand` or `pick`.
    pub part: &'static str,
    /// Its number in the line, from zero.
    pub index: usize,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {} of the record is no valid {}", self.index, self.part)
    }
}

impl core::error::Error for BadRecord {}

impl Decision {
    /// Lets `scheduler` decide and records it.
    pub fn take(scheduler: &mut Scheduler, now: Instant, views: &[PathView], demand: &Demand) -> Self {
        let memory = *scheduler.memory();
        let pick = scheduler.pick(now, views, demand);
        Self { pick, ..Self::given(scheduler.kind(), memory, now, views, *demand) }
    }

    fn given(kind: Kind, memory: Memory, now: Instant, views: &[PathView], demand: Demand) -> Self {
        let len = views.len().min(MAX_PATHS);
        let mut copy = [PathView::default(); MAX_PATHS];
        copy[..len].copy_from_slice(&views[..len]);
        // At most 16, by the line above.
        let len = u8::try_from(len).unwrap_or(0);
        Self { kind, memory, now, demand, pick: Pick::Nothing, views: copy, len }
    }

    /// Views of the paths.
    pub fn views(&self) -> &[PathView] {
        &self.views[..usize::from(self.len)]
    }

    /// Decides again from the recorded facts. The record holds if the answer is [`Decision::pick`].
    pub fn replay(&self) -> Pick {
        Scheduler::with_memory(self.kind, self.memory).pick(self.now, self.views(), &self.demand)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} now={}", self.kind, self.now.as_nanos())?;
        text::write_memory(f, &self.memory)?;
        for view in self.views() {
            f.write_str(";path")?;
            text::write_view(f, view)?;
        }
        f.write_str(";demand")?;
        text::write_demand(f, &self.demand)?;
        write!(f, ";pick {}", self.pick)
    }
}

impl FromStr for Decision {
    type Err = BadRecord;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut kind = None;
        let mut this = Self::given(Kind::default(), Memory::default(), Instant::ZERO, &[], Demand::default());
        for (index, part) in line.trim().split(';').enumerate() {
            let (head, rest) = part.split_once(' ').unwrap_or((part, ""));
            let (name, good) = match head {
                "path" => ("path", this.read_path(rest)),
                "demand" => ("demand", text::read_demand(rest).map(|demand| this.demand = demand)),
                "pick" => ("pick", text::read_pick(rest).map(|pick| this.pick = pick)),
                _ => (
                    "scheduler",
                    head.parse().ok().filter(|_| index == 0).and_then(|known| {
                        kind = Some(known);
                        text::read_head(rest).map(|(now, memory)| (this.now, this.memory) = (now, memory))
                    }),
                ),
            };
            good.ok_or(BadRecord { part: name, index })?;
        }
        this.kind = kind.ok_or(BadRecord { part: "scheduler", index: 0 })?;
        Ok(this)
    }
}

impl Decision {
    fn read_path(&mut self, text: &str) -> Option<()> {
        let slot = self.views.get_mut(usize::from(self.len))?;
        *slot = text::read_view(text)?;
        self.len += 1;
        Some(())
    }
}
