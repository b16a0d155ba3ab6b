//! Sending: one buffer of equal datagrams, one system call, and what its failure means.
//!
//! Decides how a train is cut to the kernel's limits, and falls back to datagram by datagram where a device
//! cannot segment. Never retries, queues or waits: the caller owns the queue.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

use tq_wire::Ecn;

use crate::addr::{Family, Name};
use crate::control::Writer;
use crate::{Socket, sys};

/// Bytes one train may have over IPv4 and IPv6 alike (65535 less the IPv4 and UDP headers).
pub const MAX_TRAIN: usize = 65_507;

/// One train of datagrams to one peer.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// Where to.
    pub remote: SocketAddr,
    /// The source address; `None` lets the kernel choose. Must be of the family of `remote`.
    pub local_ip: Option<IpAddr>,
    /// Codepoint of every datagram.
    pub ecn: Ecn,
    /// Size of each datagram but the last, which may be shorter; `None` or 0: `contents` is one datagram.
    pub segment: Option<u16>,
    /// The datagrams back to back. More than [`MAX_TRAIN`] bytes or [`Socket::max_segments`] datagrams take
    /// more than one call.
    pub contents: &'a [u8],
}

/// Why datagrams did not leave, by what the caller should do.
#[derive(Debug)]
pub enum SendError {
    /// The socket's buffer is full: wait until it is writable, then hand in `contents[sent..]`.
    WouldBlock {
        /// Bytes that did leave, a multiple of the segment size.
        sent: usize,
    },
    /// A datagram is larger than the path's MTU as the kernel knows it: a lost MTU probe, or the estimate is
    /// too high. Nothing of this train will ever fit.
    TooBig,
    /// No route, link down, or an IPv6 peer on an IPv4 socket: the path is dead for now.
    Unreachable(io::Error),
    /// `local_ip`, or the address the socket is bound to, is not, or no longer, one of this host: drop the path, or send
    /// without it.
    BadSource(io::Error),
    /// A firewall said no: treat as lost.
    Denied(io::Error),
    /// The device queue or the memory is exhausted: treat as lost.
    NoBuffers(io::Error),
    /// Anything else; the socket is likely unusable.
    Other(io::Error),
}

impl SendError {
    /// What `error` asks of the sender of `transmit`, `sent` bytes of which have left.
    fn classify(error: io::Error, sent: usize, transmit: &Transmit<'_>, socket: &Socket) -> Self {
        let foreign = |ip: IpAddr| !sys::is_local(ip);
        match error.raw_os_error().unwrap_or(0) {
            libc::EAGAIN => Self::WouldBlock { sent },
            libc::EMSGSIZE => Self::TooBig,
            // Which of these a foreign source gives depends on family and kernel.
            libc::EINVAL | libc::EADDRNOTAVAIL | libc::ENETUNREACH | libc::EHOSTUNREACH
                if transmit.local_ip.or_else(|| socket.bound_ip()).is_some_and(foreign) =>
            {
                Self::BadSource(error)
            }
            // IPv6 finds no source address to go with where IPv4 finds no route.
            libc::EADDRNOTAVAIL
            | libc::ENETUNREACH
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::EHOSTDOWN
            | libc::ENODEV
            | libc::ENXIO
            | libc::EAFNOSUPPORT => Self::Unreachable(error),
            libc::EPERM | libc::EACCES => Self::Denied(error),
            libc::ENOBUFS | libc::ENOMEM => Self::NoBuffers(error),
            _ => Self::Other(error),
        }
    }
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WouldBlock { .. } => f.write_str("the socket's send buffer is full"),
            Self::TooBig => f.write_str("datagram exceeds the path MTU"),
            Self::Unreachable(e) => write!(f, "peer unreachable: {e}"),
            Self::BadSource(e) => write!(f, "source address not usable: {e}"),
            Self::Denied(e) => write!(f, "sending denied: {e}"),
            Self::NoBuffers(e) => write!(f, "no buffers: {e}"),
            Self::Other(e) => write!(f, "sending failed: {e}"),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::WouldBlock { .. } | Self::TooBig => None,
            Self::Unreachable(e)
            | Self::BadSource(e)
            | Self::Denied(e)
            | Self::NoBuffers(e)
            | Self::Other(e) => Some(e),
        }
    }
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::WouldBlock { .. } => io::ErrorKind::WouldBlock.into(),
            SendError::TooBig => Self::from_raw_os_error(libc::EMSGSIZE),
            SendError::Unreachable(e)
            | SendError::BadSource(e)
            | SendError::Denied(e)
            | SendError::NoBuffers(e)
            | SendError::Other(e) => e,
        }
    }
}

impl Socket {
    /// Datagrams one system call can carry: the kernel's limit (64, or 128 since Linux 6.9), or 1 once
    /// segmentation proved unusable.
    pub fn max_segments(&self) -> usize {
        if self.no_gso.load(Ordering::Relaxed) { 1 } else { sys::max_segments() }
    }

    /// Sends a train.
    ///
    /// # Errors
    /// See [`SendError`]. Unless it is [`SendError::WouldBlock`], an unknown part of a train of more than one
    /// system call may have left.
    pub fn send(&self, transmit: &Transmit<'_>) -> Result<(), SendError> {
        let contents = transmit.contents;
        let head = self.head(transmit)?;
        let segment = transmit.segment.map_or(0, usize::from);
        let mut sent = 0;
        if segment == 0 || segment >= contents.len() {
            return self.call(&head, contents, 0).map_err(|e| SendError::classify(e, sent, transmit, self));
        }
        while sent < contents.len() {
            let rest = &contents[sent..];
            let train = segment * self.max_segments().min(MAX_TRAIN / segment).max(1);
            let train = &rest[..train.min(rest.len())];
            match self.call(&head, train, segment) {
                Ok(()) => sent += train.len(),
                Err(e) if train.len() > segment && e.raw_os_error().is_some_and(gso_to_blame) => {
                    // The same datagram without segmentation tells who is to blame.
                    let alone = self.call(&head, &train[..segment], 0);
                    alone.map_err(|e| SendError::classify(e, sent, transmit, self))?;
                    sent += segment;
                    self.no_gso.store(true, Ordering::Relaxed);
                }
                Err(e) => return Err(SendError::classify(e, sent, transmit, self)),
            }
        }
        Ok(())
    }

    /// The one address everything is sent from, if it was bound to one.
    fn bound_ip(&self) -> Option<IpAddr> {
        self.local_addr().ok().map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified())
    }

    /// Addresses and codepoint in the kernel's layout, or why they do not go together.
    fn head(&self, transmit: &Transmit<'_>) -> Result<Head, SendError> {
        let errno = io::Error::from_raw_os_error;
        let Some((name, name_len)) = Name::encode(transmit.remote, self.family) else {
            return Err(SendError::Unreachable(errno(libc::EAFNOSUPPORT)));
        };
        let v4 = self.family == Family::V4 || transmit.remote.ip().to_canonical().is_ipv4();
        let mut control = Writer::new();
        // Sockets start with a traffic class of zero, so Not-ECT needs no message.
        if transmit.ecn != Ecn::NotEct {
            control.ecn(transmit.ecn, v4);
        }
        if let Some(ip) = transmit.local_ip {
            let ip = ip.to_canonical();
            if ip.is_ipv4() != v4 {
                return Err(SendError::BadSource(errno(libc::EADDRNOTAVAIL)));
            }
            control.source(ip);
        }
        Ok(Head { name, name_len, control })
    }

    /// One system call: `bytes` as datagrams of `segment` bytes, or as one datagram.
    fn call(&self, head: &Head, bytes: &[u8], segment: usize) -> io::Result<()> {
        let name = &head.name.0[..head.name_len];
        if segment == 0 || segment >= bytes.len() {
            return sys::send(self, name, head.control.bytes(), bytes);
        }
        let mut control = head.control;
        control.segment(segment as u16);
        sys::send(self, name, control.bytes(), bytes)
    }
}

/// What all datagrams of a train have in common.
struct Head {
    name: Name,
    name_len: usize,
    control: Writer,
}

/// EIO: the device cannot checksum; EINVAL: an old kernel, a limit, or an unrelated argument.
fn gso_to_blame(errno: i32) -> bool {
    matches!(errno, libc::EIO | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOPROTOOPT)
}

#[cfg(test)]
mod tests;
