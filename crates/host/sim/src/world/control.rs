//! Changing a network while it runs, at once or at a planned moment.

use std::net::IpAddr;

use tq_linkmodel::{Change, Direction, Rate};
use tq_time::Instant;

use super::World;
use super::event::Event;
use crate::process::Notice;
use crate::topology::{LinkId, NatId, NodeId};

impl World {
    /// Does something at `when`, or as soon as the world next runs if that has passed. What was planned first is
    /// done first.
    pub fn at(&mut self, when: Instant, action: impl FnOnce(&mut Self) + 'static) {
        let action = Some(Box::new(action) as super::Action);
        let index = self.free_actions.pop().unwrap_or(self.actions.len() as u32);
        match self.actions.get_mut(index as usize) {
            Some(free) => *free = action,
            None => self.actions.push(action),
        }
        self.queue.push(when.max(self.now), Event::Action(index));
    }

    /// From `when` on (or from now on, if later) both directions of a link are changed.
    ///
    /// With a `when` in the future the change is announced: packets that leave after it feel it already when they
    /// are offered. For a surprise call this within [`World::at`]: packets already promised keep their moment, only
    /// an outage takes them (see [`tq_linkmodel::Link::set_direction`]).
    pub fn set(&mut self, link: LinkId, when: Instant, change: Change) {
        self.set_direction(link, Direction::Up, when, change.clone());
        self.set_direction(link, Direction::Down, when, change);
    }

    /// As [`World::set`] for one direction. Each end sees the carrier of the direction it sends in.
    pub fn set_direction(&mut self, link: LinkId, direction: Direction, when: Instant, change: Change) {
        let when = when.max(self.now);
        let tell = matches!(change, Change::State(_));
        self.lines[link.0 as usize].link.set_direction(when, direction, change);
        if tell {
            self.queue.push(when, Event::Carrier(link.0));
        }
    }

    /// From `when` on (or from now on, if later) a shared queue has another rate. Nothing happens if there is none
    /// with this id.
    pub fn set_bottleneck(&mut self, id: u32, when: Instant, rate: Rate) {
        let when = when.max(self.now);
        if let Some(queue) = self.shared.queue_mut(id) {
            queue.set_rate(when, rate);
        }
    }

    /// A translator forgets all mappings now: every flow through it appears from another port.
    pub fn rebind(&mut self, nat: NatId) {
        self.nats[nat.0 as usize].rebind();
    }

    /// As [`World::rebind`], with a new outside address.
    pub fn rebind_to(&mut self, nat: NatId, outside: impl Into<IpAddr>) {
        self.ways.forget();
        self.nats[nat.0 as usize].rebind_to(outside.into());
    }

    /// A node's end of a link gets `address` in place of those of the same family it has. Programs there hear that
    /// the old ones lost their carrier and that the new one found it. Sockets bound to an old address are deaf from
    /// then on. Nothing happens if the node is not at that link.
    pub fn move_address(&mut self, link: LinkId, node: NodeId, address: impl Into<IpAddr>) {
        self.ways.forget();
        let address = address.into();
        let host = &mut self.nodes[node.0 as usize];
        let Some(port) = host.port_on(link) else { return };
        let port = &mut host.ports[port as usize];
        let family = |known: &IpAddr| known.is_ipv4() == address.is_ipv4();
        let (old, mut rest) = port.addresses.iter().copied().partition::<Vec<_>, _>(family);
        rest.insert(0, address);
        port.addresses = rest;
        let up = port.carrier;
        for local in old {
            self.notify(node.0, &Notice::Carrier { local, up: false });
        }
        if up {
            self.notify(node.0, &Notice::Carrier { local: address, up });
        }
    }

    /// Does what was planned.
    pub(super) fn act(&mut self, index: u32) {
        if let Some(action) = self.actions[index as usize].take() {
            self.free_actions.push(index);
            action(self);
        }
    }

    /// Tells the ends of a link whether they have a carrier, if that has changed.
    pub(super) fn check_carrier(&mut self, link: u32) {
        let line = &self.lines[link as usize];
        let ends = line.ends;
        for ((node, port), direction) in ends.into_iter().zip(Direction::BOTH) {
            let state = self.lines[link as usize].link.state(self.now, direction);
            let up = state != tq_linkmodel::State::Down;
            let port = &mut self.nodes[node as usize].ports[port as usize];
            if port.carrier != up {
                port.carrier = up;
                for local in port.addresses.clone() {
                    self.notify(node, &Notice::Carrier { local, up });
                }
            }
        }
    }
}
