//! A packet's way: off a node, over a link, through a translator, to the next node or to a program.
//!
//! Decides by which interface a packet leaves and whether a node takes it in, passes it on or drops it. Hosts with
//! one foot behind a translator are not reached from within by the outside address (no hairpinning).

use tq_linkmodel::{Delivery, Direction, Drop, Outcome, Packet, State};

use super::event::Event;
use super::{Reason, World};
use crate::packet::{self, Header, Kind, Place, Quote};
use crate::process::Meta;
use crate::route::Way;
use crate::tap::{Point, Seen};
use crate::topology::{LinkId, NodeId, index};

/// No program: the packet is the node's own.
pub(super) const NOBODY: u32 = u32::MAX;
/// Longest IP packet.
const LONGEST: usize = 65_535;

/// A link, and one way through it.
pub(super) type Lane = Option<(u32, Direction)>;

impl World {
    /// A packet leaves the node it was made on.
    #[inline]
    pub(super) fn depart(&mut self, packet: u32) {
        let slot = &self.pool.slots[packet as usize];
        let (Header { source, destination, .. }, Place::Node { node, process }) = (slot.header, slot.place)
        else {
            return;
        };
        if process != NOBODY && self.programs[process as usize].process.is_none() {
            return self.discard(packet, node, None, Reason::Crashed);
        }
        let way = self.way(node, destination.ip());
        let host = &self.nodes[node as usize];
        let wild = source.ip().is_unspecified();
        if wild {
            let ip = match way {
                Way::Local => Some(destination.ip()),
                Way::Port(port) => host.ports[port as usize].address_like(destination.ip()),
                Way::None => None,
            };
            let Some(ip) = ip else { return self.no_route(packet, node, None) };
            let slot = &mut self.pool.slots[packet as usize];
            slot.header.source.set_ip(ip);
            slot.flow = packet::flow(&slot.header);
        }
        match way {
            Way::Local => self.queue.push(self.now, Event::Local(packet)),
            Way::Port(port) if host.forwards || wild => self.offer(packet, node, port),
            Way::None if host.forwards => self.no_route(packet, node, None),
            Way::Port(_) | Way::None => match host.port_of(source.ip()) {
                Some(port) => self.offer(packet, node, port),
                None => self.discard(packet, node, None, Reason::NoAddress),
            },
        }
    }

    /// Hands a packet to the link at a port.
    fn offer(&mut self, packet: u32, node: u32, port: u32) {
        let slot = &self.pool.slots[packet as usize];
        let (before, len) = (slot.header, slot.header.ip_len(slot.bytes.len()));
        let port = &self.nodes[node as usize].ports[port as usize];
        let (link, direction, nat) = (port.link, port.direction, port.nat);
        if let Some(nat) = nat
            && !self.translate_out(packet, nat)
        {
            return self.discard(packet, node, None, Reason::Nat);
        }
        self.show(packet, node, Some((link, direction)), Point::Sent);
        let outcome = if len > LONGEST {
            Outcome::TooBig { mtu: LONGEST as u32, icmp: true }
        } else {
            let slot = &self.pool.slots[packet as usize];
            let offered = Packet { len: len as u32, ecn: slot.header.ecn, flow: slot.flow };
            self.lines[link as usize].link.offer_via(&mut self.shared, self.now, direction, offered)
        };
        match outcome {
            Outcome::Delivered(delivery) => {
                self.pool.slots[packet as usize].place =
                    Place::Link { link, direction, delivery, second: false };
                self.queue.push(delivery.at, Event::Arrive(packet));
            }
            Outcome::Dropped(reason) => {
                self.discard(packet, node, Some((link, direction)), Reason::Link(reason));
            }
            Outcome::TooBig { mtu, icmp } => {
                if icmp {
                    // The sender knows its packet as it was before it was translated.
                    self.too_big(packet, &before, node, mtu);
                }
                self.discard(packet, node, Some((link, direction)), Reason::Link(Drop::TooBig));
            }
        }
    }

    /// A packet comes out of a link.
    #[inline]
    pub(super) fn arrive(&mut self, packet: u32) {
        let slot = &mut self.pool.slots[packet as usize];
        let Place::Link { link, direction, delivery, second } = slot.place else { return };
        let offered = Packet {
            len: slot.header.ip_len(slot.bytes.len()) as u32,
            ecn: slot.header.ecn,
            flow: slot.flow,
        };
        let line = &mut self.lines[link as usize];
        let (near, (node, port)) = (line.ends[index(direction)].0, line.ends[index(direction.opposite())]);
        if !second && !line.link.arrives(direction, offered, &delivery) {
            let silent = line.link.state(delivery.left, direction) == State::Silent;
            let reason = Reason::Link(if silent { Drop::Silent } else { Drop::Carrier });
            return self.discard(packet, near, Some((link, direction)), reason);
        }
        line.arrived[index(direction)] += 1;
        if let (false, Some(at)) = (second, delivery.duplicate) {
            let copy = self.pool.copy(packet, Place::Link { link, direction, delivery, second: true });
            self.ledger.copied += 1;
            self.queue.push(at, Event::Arrive(copy));
        }
        let slot = &mut self.pool.slots[packet as usize];
        slot.place = Place::Node { node, process: NOBODY };
        slot.header.ecn = delivery.ecn;
        let damaged = self.damage(packet, &delivery);
        self.show(packet, node, Some((link, direction)), Point::Arrived);
        if damaged {
            return self.discard(packet, node, Some((link, direction)), Reason::Damaged);
        }
        self.take_in(packet, node, port);
    }

    /// Flips bits as the link wants them; whether a checksum tells.
    fn damage(&mut self, packet: u32, delivery: &Delivery) -> bool {
        let Some(at) = delivery.corrupt else { return false };
        let slot = &mut self.pool.slots[packet as usize];
        let headers = slot.header.ip_len(0);
        let octet = (at.offset as usize).checked_sub(headers).and_then(|index| slot.bytes.get_mut(index));
        match octet {
            Some(octet) => {
                *octet ^= at.mask;
                self.udp_checksum
            }
            None => true,
        }
    }

    /// A node got a packet by a port.
    fn take_in(&mut self, packet: u32, node: u32, port: u32) {
        let port_on = &self.nodes[node as usize].ports[port as usize];
        let lane = Some((port_on.link, port_on.direction.opposite()));
        if let Some(nat) = port_on.nat
            && !self.translate_in(packet, node, nat)
        {
            return self.discard(packet, node, lane, Reason::Nat);
        }
        let destination = self.pool.slots[packet as usize].header.destination;
        let way = self.way(node, destination.ip());
        if way == Way::Local {
            return self.hand_over(packet);
        }
        if !self.nodes[node as usize].forwards {
            return self.discard(packet, node, lane, Reason::NotMine);
        }
        let ttl = &mut self.pool.slots[packet as usize].header.ttl;
        *ttl = ttl.saturating_sub(1);
        if *ttl == 0 {
            return self.discard(packet, node, lane, Reason::Ttl);
        }
        match way {
            Way::Port(out) => {
                self.nodes[node as usize].totals.forwarded += 1;
                self.offer(packet, node, out);
            }
            Way::Local | Way::None => self.no_route(packet, node, Some(port)),
        }
    }

    /// Translates what leaves. `false` if there is no port for it. The node's own packets from the outside address
    /// and those of the other family pass.
    fn translate_out(&mut self, packet: u32, nat: u32) -> bool {
        let nat = &mut self.nats[nat as usize];
        let (outside, slot) = (nat.outside(), &mut self.pool.slots[packet as usize]);
        let header = &mut slot.header;
        if header.source.is_ipv4() != outside.is_ipv4() {
            return true;
        }
        match header.kind.about_mut() {
            None if header.source.ip() == outside => {}
            None => {
                let Some(mapped) = nat.outbound(self.now, header.source, header.destination) else {
                    return false;
                };
                header.source = mapped;
            }
            Some(about) if about.destination.ip() == outside => {}
            Some(about) => {
                let Some(mapped) = nat.outbound(self.now, about.destination, about.source) else {
                    return false;
                };
                about.destination = mapped;
                header.source.set_ip(outside);
            }
        }
        slot.flow = packet::flow(&slot.header);
        true
    }

    /// Translates what comes in. `false` if it is for nobody known; what is for a program on the node itself passes.
    fn translate_in(&mut self, packet: u32, node: u32, nat: u32) -> bool {
        let nat = &mut self.nats[nat as usize];
        let (outside, slot) = (nat.outside(), &mut self.pool.slots[packet as usize]);
        let header = &mut slot.header;
        if header.destination.is_ipv4() != outside.is_ipv4() {
            return true;
        }
        if header.destination.ip() != outside {
            return self.nodes[node as usize].port_of(slot.header.destination.ip()).is_some();
        }
        let own = match header.kind.about_mut() {
            None => {
                if let Some(inside) = nat.inbound(self.now, header.destination.port(), header.source) {
                    header.destination = inside;
                    slot.flow = packet::flow(&slot.header);
                    return true;
                }
                header.destination
            }
            Some(Quote { source, destination, .. }) => {
                if let Some(inside) = nat.inbound(self.now, source.port(), *destination) {
                    *source = inside;
                    header.destination.set_ip(inside.ip());
                    slot.flow = packet::flow(&slot.header);
                    return true;
                }
                *source
            }
        };
        self.socket(node, own).is_some()
    }

    /// Gives a packet to the program it is for.
    #[inline]
    pub(super) fn hand_over(&mut self, packet: u32) {
        let slot = &mut self.pool.slots[packet as usize];
        let Place::Node { node, .. } = slot.place else { return };
        let Header { source, destination, ecn, kind, .. } = slot.header;
        if kind != Kind::Udp {
            return self.hand_over_icmp(packet, node, kind);
        }
        let Some(socket) = self.socket(node, destination) else {
            return self.no_socket(packet, node);
        };
        self.show(packet, node, None, Point::Delivered);
        let mut bytes = std::mem::take(&mut self.pool.slots[packet as usize].bytes);
        let totals = &mut self.nodes[node as usize].totals;
        totals.received += 1;
        totals.received_bytes += bytes.len() as u64;
        self.ledger.delivered += 1;
        let meta = Meta { socket: socket.number, local: destination, remote: source, ecn };
        self.call(socket.process, |process, cx| process.on_datagram(cx, &meta, &mut bytes));
        self.pool.slots[packet as usize].bytes = bytes;
        self.pool.free(packet);
    }

    /// A packet comes to its end.
    pub(super) fn discard(&mut self, packet: u32, node: u32, lane: Lane, reason: Reason) {
        self.show(packet, node, lane, Point::Dropped(reason));
        self.ledger.drop(reason);
        self.nodes[node as usize].totals.dropped += 1;
        self.pool.free(packet);
    }

    /// Tells the taps.
    #[inline]
    pub(super) fn show(&mut self, packet: u32, node: u32, lane: Lane, point: Point) {
        if self.taps.is_empty() {
            return;
        }
        let slot = &self.pool.slots[packet as usize];
        self.taps.tell(&Seen {
            at: self.now,
            point,
            node: NodeId(node),
            link: lane.map(|(link, _)| LinkId(link)),
            direction: lane.map(|(_, direction)| direction),
            header: &slot.header,
            bytes: &slot.bytes,
        });
    }
}
