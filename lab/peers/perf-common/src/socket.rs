//! UDP sockets with large buffers.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

/// Buffers, asked for with privilege where there is one.
const RECV_BUFFER: i32 = 8 << 20;
const SEND_BUFFER: i32 = 2 << 20;

/// Any address and port from which `server` is reached.
pub fn any(server: SocketAddr) -> SocketAddr {
    let ip = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(ip, 0)
}

/// A socket at `addr`.
///
/// # Errors
/// The address cannot be bound.
pub fn bound(addr: SocketAddr) -> Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
    set_buffer(&socket, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, RECV_BUFFER);
    set_buffer(&socket, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, SEND_BUFFER);
    socket.bind(&addr.into()).context("binding")?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Tries past the system's limit, then within it. A smaller buffer shows in the figures, not as an error.
fn set_buffer(socket: &Socket, force: i32, plain: i32, size: i32) {
    for option in [force, plain] {
        let (fd, value, len) = (socket.as_raw_fd(), (&raw const size).cast(), size_of::<i32>());
        // SAFETY: the descriptor is open, the value is an `i32` and `len` its size.
        if unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, len as libc::socklen_t) } == 0 {
            return;
        }
    }
}
