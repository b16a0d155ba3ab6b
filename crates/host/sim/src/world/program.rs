//! Programs and their sockets.
//!
//! Calls a program, then does what it asked for: sockets first, then departures in their order, then the timer.
//! Decides which socket a datagram is for: the one bound to its address, else the one on the wildcard of its family,
//! else the one on `::`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tq_time::Instant;

use super::event::Event;
use super::{Fault, Reason, World};
use crate::packet::{Header, Kind, Place, TTL};
use crate::process::{Asked, Context, Departure, Notice, Process};

/// An open socket of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    pub(crate) address: SocketAddr,
    pub(crate) process: u32,
    /// The program's number for it.
    pub(crate) number: u32,
}

/// A program on a node.
pub(super) struct Program {
    pub(super) node: u32,
    /// `None` when it is gone.
    pub(super) process: Option<Box<dyn Process>>,
    started: bool,
    /// Its sockets: number and address.
    sockets: Vec<(u32, SocketAddr)>,
    /// When it wants to be woken.
    wanted: Option<Instant>,
    /// The earliest timer event planned for it. Setting the timer to a later moment plans nothing new: the event
    /// looks again when it comes.
    armed: Option<Instant>,
    touched: bool,
    /// The last instant it was called at, and how often.
    calls: (Instant, u64),
}

impl Program {
    pub(super) fn new(node: u32, process: Box<dyn Process>) -> Self {
        Self {
            node,
            process: Some(process),
            started: false,
            sockets: Vec::new(),
            wanted: None,
            armed: None,
            touched: false,
            calls: (Instant::ZERO, 0),
        }
    }

    /// It is gone: nothing it wanted happens any more.
    pub(super) fn forget(&mut self) {
        self.wanted = None;
        self.sockets.clear();
    }

    /// How often it was called at an instant, the last one at which it was.
    pub(super) fn calls_at(&self, at: Instant) -> u64 {
        if self.calls.0 == at { self.calls.1 } else { 0 }
    }
}

impl World {
    pub(super) fn program_name(&self, id: u32) -> String {
        let node = self.programs[id as usize].node;
        format!("program {id} on {}", self.nodes[node as usize].name)
    }

    pub(super) fn start(&mut self, id: u32) {
        self.programs[id as usize].started = true;
        self.call(id, |process, cx| process.start(cx));
    }

    /// A timer event has come: the program's timer is due, or was moved, or was cleared.
    pub(super) fn expire(&mut self, id: u32) {
        let program = &mut self.programs[id as usize];
        if program.armed != Some(self.now) {
            return;
        }
        program.armed = None;
        match program.wanted {
            Some(wanted) if wanted > self.now => self.arm(id, wanted),
            Some(_) => {
                program.wanted = None;
                self.call(id, |process, cx| process.on_timer(cx));
            }
            None => {}
        }
    }

    pub(super) fn settle(&mut self, id: u32) {
        self.programs[id as usize].touched = false;
        self.call_quietly(id, |process, cx| process.settle(cx));
    }

    /// Tells all programs of a node.
    pub(super) fn notify(&mut self, node: u32, notice: &Notice) {
        for id in 0..self.programs.len() as u32 {
            let program = &self.programs[id as usize];
            if program.node == node && program.started {
                self.call(id, |process, cx| process.on_notice(cx, notice));
            }
        }
    }

    /// Calls a program and remembers that it wants to settle.
    #[inline]
    pub(super) fn call(&mut self, id: u32, what: impl FnOnce(&mut dyn Process, &mut Context<'_>)) {
        self.touch(id);
        self.call_quietly(id, what);
    }

    #[inline]
    fn touch(&mut self, id: u32) {
        let program = &mut self.programs[id as usize];
        if program.process.is_some() && !program.touched {
            program.touched = true;
            self.touched.push(id);
        }
    }

    /// Remembers that those woken from outside want to settle.
    pub(super) fn wake_called(&mut self) {
        if !self.calls.borrow().is_empty() {
            let woken = std::mem::take(&mut *self.calls.borrow_mut());
            woken.into_iter().for_each(|id| self.touch(id));
        }
    }

    #[inline]
    fn call_quietly(&mut self, id: u32, what: impl FnOnce(&mut dyn Process, &mut Context<'_>)) {
        let program = &mut self.programs[id as usize];
        let Some(process) = &mut program.process else { return };
        program.calls = (self.now, if program.calls.0 == self.now { program.calls.1 + 1 } else { 1 });
        let mut asked = std::mem::take(&mut self.asked);
        what(process.as_mut(), &mut Context::awake(self.now, &mut asked, &self.calls, id));
        self.serve(id, &asked);
        asked.clear();
        self.asked = asked;
    }

    fn serve(&mut self, id: u32, asked: &Asked) {
        for (number, address) in &asked.binds {
            self.bind(id, *number, *address);
        }
        for departure in &asked.departures {
            self.send(id, departure, &asked.bytes);
        }
        if let Some(wanted) = asked.timer {
            let program = &mut self.programs[id as usize];
            program.wanted = wanted;
            if let Some(wanted) = wanted.map(|wanted| wanted.max(self.now))
                && program.armed.is_none_or(|armed| wanted < armed)
            {
                self.arm(id, wanted);
            }
        }
    }

    fn arm(&mut self, id: u32, at: Instant) {
        self.programs[id as usize].armed = Some(at);
        self.queue.push(at, Event::Timer(id));
    }

    fn bind(&mut self, id: u32, number: u32, mut address: SocketAddr) {
        let node = &mut self.nodes[self.programs[id as usize].node as usize];
        let own = &mut self.programs[id as usize].sockets;
        own.retain(|(known, _)| *known != number);
        node.sockets.retain(|socket| (socket.process, socket.number) != (id, number));
        let find = |sockets: &[Socket], address| sockets.binary_search_by_key(&address, |s| s.address);
        if address.port() == 0 {
            let (first, taken) = (node.ephemeral, |address| find(&node.sockets, address).is_ok());
            let free = (first..=u16::MAX).chain(1024..first);
            let free = free.map(|port| SocketAddr::new(address.ip(), port)).find(|address| !taken(*address));
            address = free.unwrap_or(address);
            node.ephemeral = address.port().checked_add(1).unwrap_or(49152);
        }
        match find(&node.sockets, address) {
            Err(index) => {
                own.push((number, address));
                node.sockets.insert(index, Socket { address, process: id, number });
            }
            Ok(index) => {
                let holder = node.sockets[index].process;
                let (program, holder) = (self.program_name(id), self.program_name(holder));
                self.fault = Some(Fault::AddressInUse { at: self.now, program, address, holder });
            }
        }
    }

    /// Makes packets of a departure.
    fn send(&mut self, id: u32, departure: &Departure, bytes: &[u8]) {
        let node = self.programs[id as usize].node;
        let Departure { at, remote, ecn, segment, .. } = *departure;
        let bytes = bytes.get(departure.range.clone()).unwrap_or_default();
        let (source, refused) = self.source(id, departure);
        let header = Header { source, destination: remote, ecn, ttl: TTL, kind: Kind::Udp };
        // An empty train is one empty datagram.
        let count = bytes.len().div_ceil(segment.max(1)).max(1);
        for index in 0..count {
            let start = (index * segment.max(1)).min(bytes.len());
            let bytes = &bytes[start..start.saturating_add(segment.max(1)).min(bytes.len())];
            let packet = self.pool.put(header, bytes, Place::Node { node, process: id });
            self.ledger.born += 1;
            let totals = &mut self.nodes[node as usize].totals;
            totals.sent += 1;
            totals.sent_bytes += bytes.len() as u64;
            match refused {
                Some(reason) => self.discard(packet, node, None, reason),
                None if at > self.now => self.queue.push(at, Event::Depart(packet)),
                None => self.depart(packet),
            }
        }
    }

    /// The source of a departure, a wildcard if that is for the route to say; and why it cannot be sent, if so.
    fn source(&self, id: u32, departure: &Departure) -> (SocketAddr, Option<Reason>) {
        let remote = departure.remote.ip();
        let any = unspecified(remote);
        let mut sockets = self.programs[id as usize].sockets.iter();
        let Some(&(_, bound)) = sockets.find(|(number, _)| *number == departure.socket) else {
            return (SocketAddr::new(any, 0), Some(Reason::NoSocket));
        };
        let ip = match (bound.ip(), departure.local) {
            // One on :: has IPv4 too.
            (IpAddr::V6(ip), None) if ip.is_unspecified() => any,
            (ip, Some(local)) if ip.is_unspecified() => local,
            (ip, _) => ip,
        };
        match ip.is_ipv4() == remote.is_ipv4() {
            true => (SocketAddr::new(ip, bound.port()), None),
            false => (SocketAddr::new(any, bound.port()), Some(Reason::NoAddress)),
        }
    }

    /// The socket that a datagram to `address` is for.
    #[inline]
    pub(super) fn socket(&self, node: u32, address: SocketAddr) -> Option<Socket> {
        let sockets = &self.nodes[node as usize].sockets;
        let find = |ip: IpAddr| {
            let wanted = SocketAddr::new(ip, address.port());
            sockets.binary_search_by_key(&wanted, |socket| socket.address).ok().map(|index| sockets[index])
        };
        find(address.ip())
            .or_else(|| find(unspecified(address.ip())))
            .or_else(|| find(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
    }
}

/// The wildcard of the family of `ip`.
fn unspecified(ip: IpAddr) -> IpAddr {
    if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
