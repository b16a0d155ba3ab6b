//! A UDP socket with everything switched on that a QUIC host needs.
//!
//! Decides the options: non-blocking, `UDP_GRO`, packet info and traffic class with every datagram, no
//! fragmentation (path MTU discovery is the transport's), large buffers. Holds no queues and no peers: it is
//! never connected, so one socket serves all connections of a link.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::AtomicBool;

use socket2::{Domain, Protocol, Type};

use crate::addr::{Family, normal};
use crate::recv::{RecvBatch, Slot};
use crate::{Clock, Unwanted, device, filter, sys};

/// How to open a [`Socket`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Network interface all traffic is tied to (`SO_BINDTODEVICE`).
    pub device: Option<String>,
    /// Receive buffer asked for in bytes, 8 MiB unless told. Above `net.core.rmem_max` it takes CAP_NET_ADMIN.
    pub recv_buffer: usize,
    /// Send buffer asked for in bytes, 2 MiB unless told. Above `net.core.wmem_max` it takes CAP_NET_ADMIN.
    pub send_buffer: usize,
    /// Lets several sockets share the port; the kernel spreads tuples over them.
    pub reuse_port: bool,
    /// Keeps IPv4 off an IPv6 socket.
    pub only_v6: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { device: None, recv_buffer: 8 << 20, send_buffer: 2 << 20, reuse_port: false, only_v6: false }
    }
}

/// A non-blocking UDP socket. All methods take `&self`; threads may share it.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    pub(crate) family: Family,
    pub(crate) no_gso: AtomicBool,
}

impl Socket {
    /// Opens a socket on `addr`; port 0 lets the kernel choose, `[::]` takes IPv4 too unless told otherwise.
    ///
    /// # Errors
    /// Those of `socket(2)`, `bind(2)` and of options without which nothing works, a [`crate::DeviceError`] inside if it
    /// is the device; a kernel that lacks GRO or denies the buffer size is accepted.
    pub fn bind(addr: SocketAddr, options: &Options) -> io::Result<Self> {
        let family = if addr.is_ipv4() { Family::V4 } else { Family::V6 };
        let inner = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        inner.set_nonblocking(true)?;
        if family == Family::V6 {
            inner.set_only_v6(options.only_v6)?;
        }
        if options.reuse_port {
            inner.set_reuse_port(true)?;
        }
        if let Some(device) = &options.device {
            device::tie(&inner, device)?;
        }
        let socket = Self { inner, family, no_gso: AtomicBool::new(false) };
        socket.set_buffers(options)?;
        socket.set_metadata(options.only_v6)?;
        socket.inner.bind(&addr.into())?;
        Ok(socket)
    }

    /// Takes what has arrived, up to [`RecvBatch::TRAINS`] trains, and returns how many. Datagrams of no bytes
    /// count, so a result below the limit means that the socket is empty for now.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has arrived; the batch is then empty.
    pub fn recv(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let mut slots = [Slot::EMPTY; RecvBatch::TRAINS];
        let count = sys::recv(self, batch.buffers(), &mut slots)?;
        batch.fill(&slots[..count], Clock::now());
        Ok(count)
    }

    /// The address it is bound to, with the port the kernel chose.
    ///
    /// # Errors
    /// None are known for a bound socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.inner.local_addr()?.as_socket();
        addr.map(normal).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// The device it is tied to.
    ///
    /// # Errors
    /// None are known.
    pub fn device(&self) -> io::Result<Option<String>> {
        Ok(self.inner.device()?.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }

    /// Whether the kernel knows a way from this socket (its device, its address, or `local_ip`) to `remote`. Asked of the
    /// routing table; nothing is sent, so a link that swallows packets counts as a way.
    pub fn has_route(&self, remote: SocketAddr, local_ip: Option<IpAddr>) -> bool {
        let remote = normal(remote);
        let ask = || {
            let probe = socket2::Socket::new(Domain::for_address(remote), Type::DGRAM, Some(Protocol::UDP))?;
            if let Some(device) = self.inner.device()? {
                probe.bind_device(Some(&device))?;
            }
            let own = local_ip.unwrap_or(self.local_addr()?.ip()).to_canonical();
            if !own.is_unspecified() && own.is_ipv4() == remote.is_ipv4() {
                probe.bind(&SocketAddr::new(own, 0).into())?;
            }
            probe.connect(&remote.into())
        };
        ask().is_ok()
    }

    /// Bytes the kernel really holds for receiving and sending. Linux counts its own overhead in, so that
    /// about half of it is payload.
    ///
    /// # Errors
    /// None are known.
    pub fn buffers(&self) -> io::Result<(usize, usize)> {
        Ok((self.inner.recv_buffer_size()?, self.inner.send_buffer_size()?))
    }

    /// Datagrams the kernel threw away since the socket was opened, because the receive buffer was full or
    /// the checksum wrong. Wraps at 2^32.
    ///
    /// # Errors
    /// Kernels before 4.12 do not tell.
    pub fn dropped(&self) -> io::Result<u32> {
        sys::dropped(self)
    }

    /// How full the receive buffer is, 0 to 1.
    ///
    /// # Errors
    /// Kernels before 4.12 do not tell.
    pub fn fullness(&self) -> io::Result<f32> {
        sys::fullness(self)
    }

    /// Has the kernel drop these, up to [`crate::MAX_UNWANTED`], instead of those it was told before, as soon as they arrive, but for
    /// one in [`crate::SAMPLE`]; [`Socket::dropped`] counts them too. An empty list ends that.
    ///
    /// # Errors
    /// A kernel that has no filters or no memory for one, then nothing is dropped that was not before.
    pub fn refuse(&self, unwanted: &[Unwanted]) -> io::Result<()> {
        match unwanted {
            [] => sys::detach_filter(self),
            some => sys::attach_filter(self, &mut filter::program(some)),
        }
    }

    fn set_buffers(&self, options: &Options) -> io::Result<()> {
        if sys::set(self, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, clamp(options.recv_buffer)).is_err() {
            self.inner.set_recv_buffer_size(options.recv_buffer)?;
        }
        if sys::set(self, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, clamp(options.send_buffer)).is_err() {
            self.inner.set_send_buffer_size(options.send_buffer)?;
        }
        Ok(())
    }

    /// What the kernel shall tell with each datagram, and that it never fragments one. An IPv6 socket that
    /// takes IPv4 needs both families' options.
    // MUST 9000-14-2, 9000-14-3, 9000-14.2.1-1, 9000-14.2.1-3
    fn set_metadata(&self, only_v6: bool) -> io::Result<()> {
        if self.family == Family::V6 {
            sys::set(self, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            sys::set(self, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
            sys::set(self, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
        }
        if self.family == Family::V4 || !only_v6 {
            sys::set(self, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            sys::set(self, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
            sys::set(self, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
        }
        // Linux 5.0 and later; before that every train has one datagram.
        let _ = sys::set(self, libc::SOL_UDP, libc::UDP_GRO, 1);
        Ok(())
    }
}

fn clamp(size: usize) -> i32 {
    // The kernel doubles the value and must not overflow.
    i32::try_from(size).unwrap_or(i32::MAX).min(i32::MAX / 2)
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}
