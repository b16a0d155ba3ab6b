//! What the network tells the sender of a datagram that did not make it.
//!
//! ICMP messages are packets: they take links, translators and their time, and can be lost. None is made about
//! another one. Decides who is told and what.

use std::net::SocketAddr;

use tq_wire::Ecn;

use super::forward::NOBODY;
use super::{Reason, World};
use crate::packet::{Header, Kind, Place, Quote, TTL};
use crate::process::Notice;
use crate::route::Way;
use crate::tap::Point;

impl World {
    /// A packet did not fit on a link of `node`; the sender knows it as `before`.
    #[cold]
    pub(super) fn too_big(&mut self, packet: u32, before: &Header, node: u32, mtu: u32) {
        if before.kind == Kind::Udp {
            let about = self.quote(packet, before);
            self.message(node, None, Kind::TooBig { mtu, about });
        }
    }

    /// No route leads on from `node` for a packet that came by port `from` or was made here. Ends it.
    #[cold]
    pub(super) fn no_route(&mut self, packet: u32, node: u32, from: Option<u32>) {
        let header = self.pool.slots[packet as usize].header;
        if header.kind == Kind::Udp {
            let about = self.quote(packet, &header);
            self.message(node, from, Kind::Unreachable { port: false, about });
        }
        self.discard(packet, node, None, Reason::NoRoute);
    }

    /// A packet has reached its host and there is no socket. Ends it.
    #[cold]
    pub(super) fn no_socket(&mut self, packet: u32, node: u32) {
        let header = self.pool.slots[packet as usize].header;
        if header.kind == Kind::Udp {
            let about = self.quote(packet, &header);
            self.message(node, None, Kind::Unreachable { port: true, about });
        }
        self.discard(packet, node, None, Reason::NoSocket);
    }

    fn quote(&self, packet: u32, header: &Header) -> Quote {
        let payload = self.pool.slots[packet as usize].bytes.len().min(usize::from(u16::MAX)) as u16;
        Quote { source: header.source, destination: header.destination, payload }
    }

    /// Sends a message from `node` to who sent what it is about. It comes from the address that was meant, if the
    /// node has it, else from the port the packet came by, else from any.
    fn message(&mut self, node: u32, from: Option<u32>, mut kind: Kind) {
        let Some(about) = kind.about_mut().copied() else { return };
        let (back, meant) = (about.source.ip(), about.destination.ip());
        let meant_here = self.way(node, meant) == Way::Local;
        let ports = &self.nodes[node as usize].ports;
        let near = from.and_then(|port| ports[port as usize].address_like(back));
        let own = if meant_here { Some(meant) } else { near };
        let any = || ports.iter().find_map(|port| port.address_like(back));
        // A node without addresses can still tell its own programs.
        let own = own.or_else(any).unwrap_or(back);
        let header = Header {
            source: SocketAddr::new(own, 0),
            destination: SocketAddr::new(back, 0),
            ecn: Ecn::NotEct,
            ttl: TTL,
            kind,
        };
        let message = self.pool.put(header, &[], Place::Node { node, process: NOBODY });
        self.ledger.born += 1;
        self.nodes[node as usize].totals.icmp += 1;
        self.depart(message);
    }

    /// A message has reached the host it is for.
    pub(super) fn hand_over_icmp(&mut self, packet: u32, node: u32, mut kind: Kind) {
        let about = kind.about_mut().copied();
        let socket = about.and_then(|about| self.socket(node, about.source));
        let (Some(socket), Some(about)) = (socket, about) else {
            return self.discard(packet, node, None, Reason::NoSocket);
        };
        let (number, remote) = (socket.number, about.destination);
        let notice = match kind {
            Kind::TooBig { mtu, .. } => {
                let mtu = mtu.min(u32::from(u16::MAX)) as u16;
                Notice::TooBig { socket: number, remote, mtu }
            }
            Kind::Udp | Kind::Unreachable { .. } => Notice::Unreachable { socket: number, remote },
        };
        self.show(packet, node, None, Point::Delivered);
        self.ledger.delivered += 1;
        self.nodes[node as usize].totals.notices += 1;
        self.pool.free(packet);
        self.call(socket.process, |process, cx| process.on_notice(cx, &notice));
    }
}
