//! The seam between a simulated network and the programs on its hosts: what a program is told, and what it may ask
//! for. A program sees addresses, datagrams and a clock, never the network; so the same program runs over any
//! network, and the network carries any protocol. Nothing here moves time or knows a route.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use tq_time::Instant;
use tq_wire::Ecn;

/// A program on a host. Calls come at one moment each; [`settle`](Process::settle) comes once after all other calls of
/// that moment, which is where a program sends what the moment caused (a host that reads its socket empty before it
/// answers).
pub trait Process {
    /// The host boots. Bind sockets here.
    fn start(&mut self, cx: &mut Context<'_>);

    /// A UDP datagram for one of our sockets. The bytes may be changed (decrypted in place).
    fn on_datagram(&mut self, cx: &mut Context<'_>, meta: &Meta, bytes: &mut [u8]);

    /// The timer set by [`Context::set_timer`] has come due.
    fn on_timer(&mut self, cx: &mut Context<'_>);

    /// The network says something about what we sent, or about our own interfaces.
    fn on_notice(&mut self, cx: &mut Context<'_>, notice: &Notice);

    /// All calls of this moment are done.
    fn settle(&mut self, cx: &mut Context<'_>);
}

/// Where a datagram came from and how it was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Our socket's number, as given to [`Context::bind`].
    pub socket: u32,
    /// Address the datagram was sent to.
    pub local: SocketAddr,
    /// Address it came from, after every NAT on the way.
    pub remote: SocketAddr,
    /// ECN field on arrival.
    pub ecn: Ecn,
}

/// What a network tells a host besides datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// ICMP: a datagram of ours to `remote` did not fit; `mtu` is the largest IP packet that would have.
    TooBig {
        /// Socket that sent it.
        socket: u32,
        /// Where it was going.
        remote: SocketAddr,
        /// Bytes of IP packet.
        mtu: u16,
    },
    /// ICMP: nothing listens at `remote`, or no route leads there.
    Unreachable {
        /// Socket that sent it.
        socket: u32,
        /// Where it was going.
        remote: SocketAddr,
    },
    /// An interface of this host lost or found its carrier. A silent outage tells nothing.
    Carrier {
        /// Address of the interface.
        local: IpAddr,
        /// Whether it has a carrier now.
        up: bool,
    },
}

/// A datagram (or a train of them) a program wants sent.
#[derive(Clone, Debug)]
pub struct Departure {
    /// Not before this moment; honoured exactly.
    pub at: Instant,
    /// Socket number, as bound. Its address decides the interface the packet leaves by.
    pub socket: u32,
    /// Source address if the socket is bound to a wildcard, else `None`.
    pub local: Option<IpAddr>,
    /// Where to.
    pub remote: SocketAddr,
    /// ECN field.
    pub ecn: Ecn,
    /// Bytes per datagram; the last may be shorter. At least 1.
    pub segment: usize,
    /// Where the bytes lie in [`Asked::bytes`].
    pub range: core::ops::Range<usize>,
}

/// What a program asked for during one call. Kept by the caller and cleared after each; reused, so that a datagram
/// costs no allocation.
#[derive(Debug, Default)]
pub struct Asked {
    /// Sockets to open: number and address. Address 0.0.0.0 or :: listens on all addresses of the host.
    pub binds: Vec<(u32, SocketAddr)>,
    /// Datagrams to send.
    pub departures: Vec<Departure>,
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// New timer: `Some(None)` clears it.
    pub timer: Option<Option<Instant>>,
}

impl Asked {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.binds.clear();
        self.departures.clear();
        self.bytes.clear();
        self.timer = None;
    }
}

/// Programs to be called although nothing has come for them.
pub(crate) type Calls = Rc<RefCell<Vec<u32>>>;

/// Wakes a program from outside: whoever has it has changed something in the program and wants it to look. The program is
/// settled at the present moment, or at the next if that is being settled already.
#[derive(Clone, Debug, Default)]
pub struct Waker(Option<(Calls, u32)>);

impl Waker {
    /// Of a program of a network.
    pub(crate) const fn new(calls: Calls, program: u32) -> Self {
        Self(Some((calls, program)))
    }

    /// Wakes it. Twice is once. Nothing happens outside a network that can.
    pub fn wake(&self) {
        if let Some((calls, program)) = &self.0 {
            let mut calls = calls.borrow_mut();
            if !calls.contains(program) {
                calls.push(*program);
            }
        }
    }
}

/// A program's hands for the length of one call.
#[derive(Debug)]
pub struct Context<'a> {
    now: Instant,
    asked: &'a mut Asked,
    calls: Option<(&'a Calls, u32)>,
}

impl<'a> Context<'a> {
    /// For whoever calls a [`Process`].
    pub fn new(now: Instant, asked: &'a mut Asked) -> Self {
        Self { now, asked, calls: None }
    }

    /// As [`Context::new`], with a way to be woken.
    pub(crate) fn awake(now: Instant, asked: &'a mut Asked, calls: &'a Calls, program: u32) -> Self {
        Self { now, asked, calls: Some((calls, program)) }
    }

    /// What wakes this program from outside.
    pub fn waker(&self) -> Waker {
        self.calls.map(|(calls, program)| Waker::new(Rc::clone(calls), program)).unwrap_or_default()
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Opens socket number `socket`; binding a number again moves it to the new address.
    pub fn bind(&mut self, socket: u32, address: SocketAddr) {
        self.asked.binds.push((socket, address));
    }

    /// Sends a train of datagrams of `segment` bytes each (the last may be shorter), all at `at` (or now, if later).
    /// The bytes are copied.
    pub fn send(
        &mut self,
        at: Instant,
        socket: u32,
        local: Option<IpAddr>,
        remote: SocketAddr,
        ecn: Ecn,
        segment: usize,
        bytes: &[u8],
    ) {
        let start = self.asked.bytes.len();
        self.asked.bytes.extend_from_slice(bytes);
        let range = start..self.asked.bytes.len();
        let at = at.max(self.now);
        let segment = segment.max(1);
        self.asked.departures.push(Departure { at, socket, local, remote, ecn, segment, range });
    }

    /// One timer per program: wakes [`Process::on_timer`] at `at`, or never. A moment that has passed means now, after
    /// everything else of this moment.
    pub fn set_timer(&mut self, at: Option<Instant>) {
        self.asked.timer = Some(at);
    }
}
