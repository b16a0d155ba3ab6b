//! Sockets on loopback and waiting for them.
#![allow(dead_code, reason = "not every test file uses everything")]

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use tq_udp::{Ecn, Options, RecvBatch, Socket, Train, Transmit};

pub(crate) fn bind(addr: &str) -> Socket {
    Socket::bind(addr.parse().unwrap(), &Options::default()).unwrap()
}

/// The address of `socket` with the wildcard replaced by `ip`.
pub(crate) fn at(ip: &str, socket: &Socket) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), socket.local_addr().unwrap().port())
}

pub(crate) fn datagram<'a>(remote: SocketAddr, contents: &'a [u8]) -> Transmit<'a> {
    Transmit { remote, local_ip: None, ecn: Ecn::NotEct, segment: None, contents }
}

/// Waits for `events` at most `millis`.
pub(crate) fn poll(socket: &impl AsFd, events: i16, millis: i32) -> bool {
    let mut fd = libc::pollfd { fd: socket.as_fd().as_raw_fd(), events, revents: 0 };
    // SAFETY: one valid `pollfd` whose descriptor is open.
    unsafe { libc::poll(&mut fd, 1, millis) == 1 }
}

/// A train with its bytes copied out.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) remote: SocketAddr,
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) ecn: Ecn,
    pub(crate) stride: usize,
    pub(crate) data: Vec<u8>,
}

impl From<Train<'_>> for Seen {
    fn from(train: Train<'_>) -> Self {
        let Train { remote, local_ip, ecn, stride, data, .. } = train;
        Self { remote, local_ip, ecn, stride, data: data.to_vec() }
    }
}

/// All trains that arrive until the socket is quiet: at least one, or a panic after five seconds.
pub(crate) fn receive(socket: &Socket) -> Vec<Seen> {
    let mut batch = RecvBatch::new();
    let mut seen = Vec::new();
    assert!(poll(socket, libc::POLLIN, 5000), "nothing arrived");
    while socket.recv(&mut batch).is_ok() {
        seen.extend(batch.trains().map(Seen::from));
    }
    seen
}

/// The only train that arrives.
pub(crate) fn receive_one(socket: &Socket) -> Seen {
    let mut seen = receive(socket);
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.pop().unwrap()
}
