//! What the network did, seen from outside: when each end last got a datagram whole and for the first time, and what was
//! lost when. It looks at bytes, never into them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use tq_time::{Duration, Instant};

use crate::packet::Kind;
use crate::tap::{Point, Seen, Tap};
use crate::topology::NodeId;

/// Moments at which something was lost that are kept.
const KEPT: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Traffic {
    ends: [NodeId; 2],
    hasher: RandomState,
    /// Datagrams under way that have not come out yet, by sender.
    under_way: [HashMap<u64, u32>; 2],
    /// Datagrams sent, by sender.
    pub(super) sent: [u64; 2],
    /// When each end got datagrams that were whole and new.
    heard: [Vec<Instant>; 2],
    losses: Vec<Instant>,
}

impl Traffic {
    pub(super) fn new(client: NodeId, server: NodeId) -> Self {
        Self {
            ends: [client, server],
            hasher: RandomState::new(),
            under_way: Default::default(),
            sent: [0; 2],
            heard: Default::default(),
            losses: Vec::new(),
        }
    }

    /// How many datagrams were lost, or came out damaged, within `window` before `at`.
    pub(super) fn lost_within(&self, at: Instant, window: Duration) -> usize {
        let from = at - window;
        let start = self.losses.partition_point(|loss| *loss < from);
        self.losses[start..].iter().take_while(|loss| **loss <= at).count()
    }

    /// When an end last got a datagram that was whole and new, up to `at`.
    pub(super) fn heard(&self, end: usize, at: Instant) -> Option<Instant> {
        let heard = &self.heard[end];
        heard.partition_point(|moment| *moment <= at).checked_sub(1).map(|ix| heard[ix])
    }

    fn lose(&mut self, at: Instant) {
        if self.losses.len() < KEPT {
            self.losses.push(at);
        }
    }
}

/// A tap that keeps what the board shows.
pub(super) struct Watch(pub(super) std::rc::Rc<std::cell::RefCell<Traffic>>);

impl Tap for Watch {
    fn on_packet(&mut self, seen: &Seen<'_>) {
        if seen.header.kind != Kind::Udp {
            return;
        }
        let mut traffic = self.0.borrow_mut();
        let traffic = &mut *traffic;
        let end = traffic.ends.iter().position(|node| *node == seen.node);
        match (seen.point, end) {
            (Point::Sent, Some(end)) => {
                let name = traffic.hasher.hash_one(seen.bytes);
                *traffic.under_way[end].entry(name).or_default() += 1;
                traffic.sent[end] += 1;
            }
            (Point::Delivered, Some(end)) if seen.header.source.ip() != seen.header.destination.ip() => {
                let name = traffic.hasher.hash_one(seen.bytes);
                match traffic.under_way[1 - end].get_mut(&name).filter(|count| **count > 0) {
                    Some(count) => {
                        *count -= 1;
                        if traffic.heard[end].last() != Some(&seen.at) {
                            traffic.heard[end].push(seen.at);
                        }
                    }
                    None => traffic.lose(seen.at),
                }
            }
            (Point::Dropped(_), _) => traffic.lose(seen.at),
            _ => {}
        }
    }
}
