//! The schedulers behind one face, dispatched by enum.
//!
//! Views and a demand go in, a [`Pick`] comes out. The caller reports what it sent, so a decision that led to
//! nothing (only acknowledgements were due) changes nothing. A scheduler never sees packets or connections.

use core::fmt;
use core::str::FromStr;

use tq_time::Instant;

use crate::demand::{Demand, Pick};
use crate::field::Field;
use crate::memory::Memory;
use crate::reinject;
use crate::view::PathView;

mod aggregate;
mod blest;
mod ecf;
mod minrtt;
mod roundrobin;
mod weighted;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

/// The schedulers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Backlog rule: the sum of the paths, and never slower than the best of them.
    #[default]
    Aggregate,
    /// Smallest RTT with room, paths within a tolerance band being equal.
    MinRtt,
    /// Each path in turn.
    RoundRobin,
    /// Deficit round robin, quantum 1500 bytes times the path's weight.
    Weighted,
    /// Blocking estimation (BLEST, IFIP Networking 2016).
    Blest,
    /// Earliest completion first (ECF, CoNEXT 2017).
    Ecf,
}

impl Kind {
    /// Every scheduler.
    pub const ALL: [Self; 6] =
        [Self::Aggregate, Self::MinRtt, Self::RoundRobin, Self::Weighted, Self::Blest, Self::Ecf];

    /// Whether it sends again what a slow path still holds when nothing else waits. Round robin does not: it takes
    /// turns and weighs nothing.
    pub const fn reinjects(self) -> bool {
        !matches!(self, Self::RoundRobin)
    }

    /// Whether what it is told of its decisions changes the next ones ([`Scheduler::on_feedback`]).
    pub const fn learns(self) -> bool {
        matches!(self, Self::Aggregate | Self::Blest)
    }

    /// The name [`FromStr`] takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::MinRtt => "minrtt",
            Self::RoundRobin => "roundrobin",
            Self::Weighted => "weighted",
            Self::Blest => "blest",
            Self::Ecf => "ecf",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no scheduler's; its text lists the known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownScheduler;

impl fmt::Display for UnknownScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown scheduler, expected one of")?;
        Kind::ALL
            .iter()
            .enumerate()
            .try_for_each(|(index, kind)| write!(f, "{}{kind}", if index == 0 { " " } else { ", " }))
    }
}

impl core::error::Error for UnknownScheduler {}

impl FromStr for Kind {
    type Err = UnknownScheduler;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownScheduler)
    }
}

/// What became of earlier decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Delivery in order waited for bytes outstanding on this path: at the end of a finite backlog, longer than
    /// max(2 ms, a tenth of the difference of one-way delays) ([`crate::Tail`]), or with the peer's limits used up while
    /// another path had room.
    Blocked(u32),
    /// A round trip of this path, which is not the fastest, went by.
    Round(u32),
    /// The path is gone for good.
    Closed(u32),
}

/// A scheduler of one connection, with what it remembers (less than 300 bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduler {
    kind: Kind,
    memory: Memory,
}

impl Scheduler {
    /// A scheduler that remembers nothing.
    pub fn new(kind: Kind) -> Self {
        Self { kind, memory: Memory::default() }
    }

    /// A scheduler as it was when a decision was recorded.
    pub fn with_memory(kind: Kind, memory: Memory) -> Self {
        Self { kind, memory }
    }

    /// Which one this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it remembers.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Where the data of `demand` goes. `views` in any order, each id once, at most [`crate::MAX_PATHS`]. Without
    /// backlog the answer is a re-injection or nothing.
    pub fn pick(&mut self, now: Instant, views: &[PathView], demand: &Demand) -> Pick {
        let field = Field::new(now, views, demand);
        let memory = &mut self.memory;
        if demand.backlog == 0 {
            let again = if self.kind.reinjects() { reinject::pick(&field) } else { None };
            return again.unwrap_or(Pick::Nothing);
        }
        match self.kind {
            Kind::Aggregate => aggregate::pick(memory, &field),
            Kind::MinRtt => minrtt::pick(&field),
            Kind::RoundRobin => roundrobin::pick(memory, &field),
            Kind::Weighted => weighted::pick(memory, &field),
            Kind::Blest => blest::pick(memory, &field),
            Kind::Ecf => ecf::pick(memory, &field),
        }
    }

    /// `bytes` of data left on `id` in consequence of a pick.
    pub fn on_sent(&mut self, id: u32, bytes: u64) {
        match self.kind {
            Kind::RoundRobin => roundrobin::on_sent(&mut self.memory, id),
            Kind::Weighted => weighted::on_sent(&mut self.memory, id, bytes),
            Kind::Aggregate | Kind::MinRtt | Kind::Blest | Kind::Ecf => {}
        }
    }

    /// What became of earlier decisions.
    pub fn on_feedback(&mut self, feedback: Feedback) {
        match (self.kind, feedback) {
            (_, Feedback::Closed(id)) => self.memory.forget(id),
            (Kind::Aggregate, _) => aggregate::on_feedback(&mut self.memory, feedback),
            (Kind::Blest, _) => blest::on_feedback(&mut self.memory, feedback),
            _ => {}
        }
    }

    /// Backlog (bytes) a stream must exceed to be served by path `id` now: zero for the fastest path and for
    /// schedulers that do not weigh it. Which stream a [`Pick::Send`] serves is the caller's choice among those
    /// above it.
    pub fn threshold(&self, now: Instant, views: &[PathView], demand: &Demand, id: u32) -> u64 {
        match self.kind {
            Kind::Aggregate => aggregate::threshold(&self.memory, &Field::new(now, views, demand), id),
            _ => 0,
        }
    }

    /// Bytes a relay keeps ready so that every path that could be used is: the largest threshold plus what all
    /// paths deliver in 10 ms.
    pub fn low_water(&self, now: Instant, views: &[PathView], demand: &Demand) -> u64 {
        let field = Field::new(now, views, demand);
        let rates = field.serving().fold(0u64, |sum, view| sum.saturating_add(view.rate()));
        let most = match self.kind {
            Kind::Aggregate => field
                .serving()
                .map(|view| aggregate::threshold(&self.memory, &field, view.id))
                .max()
                .unwrap_or(0),
            _ => 0,
        };
        most.saturating_add(rates / 100)
    }
}
