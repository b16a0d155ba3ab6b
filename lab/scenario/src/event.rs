//! What changes while a scenario runs, as the file says it.
//!
//! Decides what can happen; [`crate::changes`] decides when, in full.

use std::net::IpAddr;

use tq_linkmodel::{Direction, Mtu, State};
use tq_time::Duration;

/// A range of times, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub low: Duration,
    /// The longest, not below the shortest.
    pub high: Duration,
}

/// One entry of the time line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happens.
    pub what: What,
    /// To which links, by index. Empty for actions of a host.
    pub links: Vec<usize>,
    /// In one direction only, or both.
    pub direction: Option<Direction>,
    /// When, the first time; of random events the moment from which they may come.
    pub at: Duration,
    /// After how long it is undone, if it is. Drawn for each time from the range.
    pub lasts: Option<Span>,
    /// Whether it comes again.
    pub pattern: Pattern,
}

/// Whether an event comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// It does not.
    Once,
    /// Evenly.
    Every {
        /// From one to the next, not zero.
        period: Duration,
        /// How often at most.
        count: u64,
        /// None at this moment or later.
        until: Duration,
    },
    /// By chance (Poisson); while it lasts it does not come again.
    Poisson {
        /// From the end of one to the next, on average.
        mean: Duration,
        /// How often at most.
        count: u64,
        /// None at this moment or later.
        until: Duration,
    },
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The user's end.
    Client,
    /// The network's end.
    Server,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The link works, is down, or is silently out of order.
    State(State),
    /// Another rate, in bytes per second; 0 is a pause in which packets wait.
    Rate(u64),
    /// Another one-way delay.
    Delay(Duration),
    /// This much more one-way delay.
    DelayMore(Duration),
    /// Another random loss, in parts per million.
    Loss(u32),
    /// Another MTU.
    Mtu(Mtu),
    /// The host, or its translator, does something.
    Act(Action),
}

/// What is done to or by a host or its translator; no business of the link model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The link's translator forgets everything: flows appear from other ports.
    Rebind,
    /// The link gets another outside address; the runner picks one if `None`.
    Address(Option<IpAddr>),
    /// Sending on the link is answered by ICMP "destination unreachable", until it is `false` again.
    Unreachable(bool),
    /// These packets of the link and direction are lost, counted from 1 at this moment, both ends included.
    DropPackets {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The client gives the link's path up.
    Abandon,
    /// The client opens a path over the link.
    Open,
    /// The client asks for the path to be used only if no other is there.
    Standby,
    /// The client asks for the path to be used as any other.
    Available,
    /// A side begins a key update.
    KeyUpdate(Side),
    /// A side does nothing for this long, as if its process did not run.
    Stall(Side, Duration),
    /// A side's application stops reading the traffic with this index, or goes on.
    Reader {
        /// Index in [`crate::Scenario::traffic`].
        traffic: usize,
        /// Whether it reads.
        reads: bool,
    },
}
