//! Watching packets without touching them.
//!
//! A tap is told of every packet at the points it was put on. Decides only who is told; with no taps nothing is
//! computed for them.

use std::fmt;

use tq_linkmodel::Direction;
use tq_time::Instant;

use crate::packet::Header;
use crate::topology::{LinkId, NodeId};
use crate::world::Reason;

/// Someone who watches.
pub trait Tap {
    /// A packet was seen.
    fn on_packet(&mut self, seen: &Seen<'_>);
}

impl<F: FnMut(&Seen<'_>)> Tap for F {
    fn on_packet(&mut self, seen: &Seen<'_>) {
        self(seen);
    }
}

/// A packet at a point.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When.
    pub at: Instant,
    /// Where on its way.
    pub point: Point,
    /// The node that sends, receives or drops it; for a packet dropped by a link the one that sent it there.
    pub node: NodeId,
    /// The link it is handed to or came from. `None` within a node.
    pub link: Option<LinkId>,
    /// Its direction on that link.
    pub direction: Option<Direction>,
    /// What is written on it.
    pub header: &'a Header,
    /// UDP payload; empty for ICMP.
    pub bytes: &'a [u8],
}

/// A point on a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A node hands it to a link, after any translation; once for each link, before the link decides.
    Sent,
    /// It comes out of a link, before any translation; once for each link and copy.
    Arrived,
    /// It is handed to a program, as datagram or notice.
    Delivered,
    /// It is gone.
    Dropped(Reason),
}

/// Where a tap is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Everywhere.
    World,
    /// On everything a node sends, receives and drops, as `tcpdump -i any` there would.
    Node(NodeId),
    /// On one link, both directions.
    Link(LinkId),
    /// On a node's end of one link, as `tcpdump` on that interface would.
    End(LinkId, NodeId),
}

impl Where {
    fn takes(self, seen: &Seen<'_>) -> bool {
        match self {
            Self::World => true,
            Self::Node(node) => seen.node == node,
            Self::Link(link) => seen.link == Some(link),
            Self::End(link, node) => seen.link == Some(link) && seen.node == node,
        }
    }
}

/// All taps of a world.
#[derive(Default)]
pub(crate) struct Taps(Vec<(Where, Box<dyn Tap>)>);

impl Taps {
    pub(crate) fn add(&mut self, place: Where, tap: Box<dyn Tap>) {
        self.0.push((place, tap));
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn tell(&mut self, seen: &Seen<'_>) {
        for (place, tap) in &mut self.0 {
            if place.takes(seen) {
                tap.on_packet(seen);
            }
        }
    }
}

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Taps({})", self.0.len())
    }
}
