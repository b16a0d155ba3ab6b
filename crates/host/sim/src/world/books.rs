//! What became of every packet.
//!
//! Each packet is born, perhaps copied by a link, and then delivered or dropped for one reason, or still on its way.
//! The books are kept while the world runs; [`World::check`] holds them against the packets that exist and against
//! the links' own books.

use std::fmt;

use tq_linkmodel::{Direction, Drop};

use super::World;
use crate::packet::Place;
use crate::topology::{LinkId, index};

/// Why a packet is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A link dropped it.
    Link(Drop),
    /// No route leads on from here.
    NoRoute,
    /// It was to be sent from an address that the host does not have, or to one of a family that the socket has not.
    NoAddress,
    /// It reached its host, and nothing listens there.
    NoSocket,
    /// It reached a host that does not have its destination.
    NotMine,
    /// It had passed as many routers as it may.
    Ttl,
    /// A translator had no port left for it, or knew nobody behind its port.
    Nat,
    /// It was damaged, and a checksum told.
    Damaged,
    /// The program that wanted it sent later is gone.
    Crashed,
}

const LINKS: usize = Drop::ALL.len();

impl Reason {
    /// How many there are.
    const COUNT: usize = LINKS + 8;

    /// All reasons of the network itself; links have [`Drop::ALL`].
    pub const OWN: [Self; 8] = [
        Self::NoRoute,
        Self::NoAddress,
        Self::NoSocket,
        Self::NotMine,
        Self::Ttl,
        Self::Nat,
        Self::Damaged,
        Self::Crashed,
    ];

    /// A short name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link(drop) => drop.name(),
            Self::NoRoute => "no-route",
            Self::NoAddress => "no-address",
            Self::NoSocket => "no-socket",
            Self::NotMine => "not-mine",
            Self::Ttl => "ttl",
            Self::Nat => "nat",
            Self::Damaged => "damaged",
            Self::Crashed => "crashed",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Link(drop) => drop as usize,
            Self::NoRoute => LINKS,
            Self::NoAddress => LINKS + 1,
            Self::NoSocket => LINKS + 2,
            Self::NotMine => LINKS + 3,
            Self::Ttl => LINKS + 4,
            Self::Nat => LINKS + 5,
            Self::Damaged => LINKS + 6,
            Self::Crashed => LINKS + 7,
        }
    }
}

/// Packets of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeTotals {
    /// Datagrams its programs sent.
    pub sent: u64,
    /// Their payload bytes.
    pub sent_bytes: u64,
    /// Datagrams its programs received.
    pub received: u64,
    /// Their payload bytes.
    pub received_bytes: u64,
    /// Packets it passed on.
    pub forwarded: u64,
    /// ICMP messages it made.
    pub icmp: u64,
    /// ICMP messages its programs were told of.
    pub notices: u64,
    /// Packets it dropped, or handed to a link that did.
    pub dropped: u64,
}

/// Running totals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ledger {
    pub(super) born: u64,
    pub(super) copied: u64,
    pub(super) delivered: u64,
    dropped: [u64; Reason::COUNT],
}

impl Ledger {
    pub(super) const fn drop(&mut self, reason: Reason) {
        self.dropped[reason.index()] += 1;
    }
}

/// The packets of a world, datagrams and ICMP messages alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Books {
    /// Made by programs (datagrams) and nodes (ICMP).
    pub born: u64,
    /// Second copies that a link made.
    pub copied: u64,
    /// Handed to programs.
    pub delivered: u64,
    /// On a link, or waiting on a node for their moment: counted one by one.
    pub in_flight: u64,
    dropped: [u64; Reason::COUNT],
}

impl Books {
    /// Packets gone for `reason`.
    pub const fn dropped(&self, reason: Reason) -> u64 {
        self.dropped[reason.index()]
    }

    /// Packets gone for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Whether every packet is accounted for.
    pub fn balance(&self) -> bool {
        self.born + self.copied == self.delivered + self.dropped_total() + self.in_flight
    }
}

/// Books that do not balance: a mistake in the simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imbalance {
    /// More or fewer packets came to an end than were born.
    World(Box<Books>),
    /// More or fewer packets came out of a link than it delivered.
    Link {
        /// Which link.
        link: LinkId,
        /// Which way.
        direction: Direction,
        /// Packets and copies it says it delivers.
        promised: u64,
        /// Packets and copies that came out or are on it.
        found: u64,
    },
    /// More or fewer packets exist than have something planned for them.
    Planned {
        /// Packets.
        packets: u64,
        /// Events about packets.
        events: u64,
    },
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World(books) => write!(f, "packets do not add up: {books:?}"),
            Self::Link { link, direction, promised, found } => {
                write!(f, "link {} {direction:?} promised {promised} packets, {found} were found", link.0)
            }
            Self::Planned { packets, events } => write!(f, "{packets} packets have {events} events"),
        }
    }
}

impl std::error::Error for Imbalance {}

impl World {
    /// What became of all packets so far. Walks over those in flight.
    pub fn books(&self) -> Books {
        let Ledger { born, copied, delivered, dropped } = self.ledger;
        Books { born, copied, delivered, in_flight: self.pool.used().count() as u64, dropped }
    }

    /// Whether every packet handed in was delivered, dropped for a reason, or is still in flight, as seen by the
    /// world, by each link, and by the plan.
    ///
    /// # Errors
    /// Says what does not add up.
    pub fn check(&self) -> Result<(), Imbalance> {
        let books = self.books();
        if !books.balance() {
            return Err(Imbalance::World(Box::new(books)));
        }
        let events = self.queue.packets();
        if events != books.in_flight {
            return Err(Imbalance::Planned { packets: books.in_flight, events });
        }
        let mut on_links = vec![[0u64; 2]; self.lines.len()];
        for slot in self.pool.used() {
            if let Place::Link { link, direction, delivery, second } = slot.place {
                let copy = !second && delivery.duplicate.is_some();
                on_links[link as usize][index(direction)] += 1 + u64::from(copy);
            }
        }
        for (id, (line, on_link)) in self.lines.iter().zip(on_links).enumerate() {
            for direction in Direction::BOTH {
                let counters = line.link.counters(direction);
                let promised = counters.delivered + counters.duplicated;
                let found = line.arrived[index(direction)] + on_link[index(direction)];
                if promised != found || !counters.balance() {
                    return Err(Imbalance::Link { link: LinkId(id as u32), direction, promised, found });
                }
            }
        }
        Ok(())
    }
}
