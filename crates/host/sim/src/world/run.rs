//! Moving from moment to moment.
//!
//! A moment is an instant at which something is planned: first all its events in their order, also those they cause
//! at the same instant, then [`settle`](crate::Process::settle) of every program that was called. If settling causes
//! something at the same instant, that is the next moment. A guard ends what would go on for ever without time
//! passing.

use std::fmt;
use std::net::SocketAddr;

use tq_time::Instant;

use super::World;
use super::event::Event;

/// A program made the run impossible to continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Time stands still while events go on.
    Livelock {
        /// The instant.
        at: Instant,
        /// Events so far at that instant.
        events: u64,
        /// The program called most often meanwhile.
        program: Option<String>,
    },
    /// A program opened a socket on an address and port that another has on that node.
    AddressInUse {
        /// When.
        at: Instant,
        /// Who tried.
        program: String,
        /// What it wanted.
        address: SocketAddr,
        /// Who has it.
        holder: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Livelock { at, events, program } => {
                let who = program.as_deref().unwrap_or("no program");
                let at = at.as_nanos();
                write!(f, "livelock: {events} events at {at} ns and no end; called most often: {who}")
            }
            Self::AddressInUse { at, program, address, holder } => {
                write!(f, "at {} ns {program} opens {address}, which {holder} has", at.as_nanos())
            }
        }
    }
}

impl std::error::Error for Fault {}

/// Counts events while time stands still.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) limit: u64,
    events: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Self { limit: 10_000_000, events: 0 }
    }
}

impl World {
    /// Runs the next moment. `false` if nothing is planned.
    ///
    /// # Errors
    /// A program's [`Fault`].
    pub fn step(&mut self) -> Result<bool, Fault> {
        match self.next_moment() {
            Some(at) => self.moment(at).map(|()| true),
            None => Ok(false),
        }
    }

    /// Runs all moments up to and including `until`, which is the time afterwards.
    ///
    /// # Errors
    /// A program's [`Fault`].
    pub fn run_until(&mut self, until: Instant) -> Result<(), Fault> {
        self.run_while(until, |_| true).map(|_| ())
    }

    /// Runs as long as `goes_on` says so, which is asked before each moment, and not beyond `limit`. Returns whether
    /// it was `goes_on` that ended the run; if not, the time is `limit` afterwards.
    ///
    /// # Errors
    /// A program's [`Fault`].
    pub fn run_while(
        &mut self,
        limit: Instant,
        mut goes_on: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Fault> {
        while goes_on(self) {
            match self.next_moment() {
                Some(at) if at <= limit => self.moment(at)?,
                _ => {
                    self.turn_to(self.now.max(limit));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn next_moment(&self) -> Option<Instant> {
        let waits = !self.touched.is_empty() || !self.calls.borrow().is_empty();
        if waits { Some(self.now) } else { self.queue.next() }
    }

    fn turn_to(&mut self, at: Instant) {
        if at > self.now {
            self.now = at;
            self.guard.events = 0;
        }
    }

    fn moment(&mut self, at: Instant) -> Result<(), Fault> {
        self.turn_to(at);
        while let Some(event) = self.queue.pop(at) {
            self.happen(event);
            self.count()?;
        }
        self.wake_called();
        let mut index = 0;
        while let Some(&program) = self.touched.get(index) {
            self.settle(program);
            index += 1;
        }
        self.touched.clear();
        self.count()
    }

    #[inline]
    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(packet) => self.arrive(packet),
            Event::Depart(packet) => self.depart(packet),
            Event::Timer(program) => self.expire(program),
            Event::Local(packet) => self.hand_over(packet),
            Event::Start(program) => self.start(program),
            Event::Carrier(link) => self.check_carrier(link),
            Event::Action(action) => self.act(action),
        }
    }

    /// Counts an event, and looks whether something went wrong.
    #[inline]
    fn count(&mut self) -> Result<(), Fault> {
        self.guard.events += 1;
        if self.guard.events > self.guard.limit || self.fault.is_some() {
            return Err(self.fault.take().unwrap_or_else(|| self.livelock()));
        }
        Ok(())
    }

    #[cold]
    fn livelock(&self) -> Fault {
        let called = |index: &u32| self.programs[*index as usize].calls_at(self.now);
        let most = (0..self.programs.len() as u32).rev().max_by_key(called).filter(|index| called(index) > 0);
        let program = most.map(|index| self.program_name(index));
        Fault::Livelock { at: self.now, events: self.guard.events, program }
    }
}
