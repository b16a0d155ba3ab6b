//! Receiving: a few 64 KiB buffers, each filled with one train of datagrams by one system call.
//!
//! Decides how much may be taken per call: [`RecvBatch::TRAINS`] trains, few enough that the buffers stay in
//! the L2 cache until they are decrypted in place. Never looks into a datagram.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tq_time::Instant;
use tq_wire::Ecn;

use crate::addr::Name;
use crate::control::{Control, RECV_LEN, Received};

/// No train is longer: the UDP length field has 16 bits and the kernel joins no more.
pub(crate) const BUFFER_LEN: usize = 1 << 16;

/// Datagrams of one size (the last may be shorter) that came from one peer on one tuple.
#[derive(Debug)]
pub struct Train<'a> {
    /// Who sent it. IPv4 peers have IPv4 addresses on dual-stack sockets too.
    pub remote: SocketAddr,
    /// The address of this host it was sent to.
    pub local_ip: Option<IpAddr>,
    /// The codepoint all its datagrams arrived with (the kernel joins no others).
    pub ecn: Ecn,
    /// Bytes from one datagram to the next, at least 1.
    pub stride: usize,
    /// The datagrams, back to back; empty for a datagram of no bytes.
    pub data: &'a mut [u8],
    /// When the batch was taken from the kernel.
    pub received_at: Instant,
}

impl Train<'_> {
    /// The datagrams one by one.
    pub fn datagrams(&mut self) -> impl ExactSizeIterator<Item = &mut [u8]> {
        self.data.chunks_mut(self.stride)
    }
}

/// Buffers for [`crate::Socket::recv`], 256 KiB, kept and reused by whoever reads the socket.
pub struct RecvBatch {
    /// One page longer than the buffers need, because they start on a page.
    bytes: Vec<u8>,
    start: usize,
    metas: [Meta; Self::TRAINS],
    count: usize,
    received_at: Instant,
}

/// What came with one buffer.
#[derive(Clone, Copy, Debug)]
struct Meta {
    remote: SocketAddr,
    len: usize,
    received: Received,
}

/// Where the kernel writes beside the data.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) name: Name,
    pub(crate) name_len: usize,
    pub(crate) control: Control<RECV_LEN>,
    pub(crate) control_len: usize,
    pub(crate) len: usize,
}

impl Slot {
    pub(crate) const EMPTY: Self =
        Self { name: Name::EMPTY, name_len: 0, control: Control([0; RECV_LEN]), control_len: 0, len: 0 };
}

impl RecvBatch {
    /// Trains taken per call at most.
    pub const TRAINS: usize = 4;
    const PAGE: usize = 4096;

    /// Empty buffers.
    pub fn new() -> Self {
        let bytes = vec![0; Self::TRAINS * BUFFER_LEN + Self::PAGE];
        let start = bytes.as_ptr().align_offset(Self::PAGE).min(Self::PAGE);
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let received = Received { local_ip: None, ecn: Ecn::NotEct, segment: None };
        let meta = Meta { remote: nobody, len: 0, received };
        Self { bytes, start, metas: [meta; Self::TRAINS], count: 0, received_at: Instant::ZERO }
    }

    /// The trains of the last call, in the order of arrival.
    pub fn trains(&mut self) -> Trains<'_> {
        let buffers = self.bytes[self.start..].chunks_exact_mut(BUFFER_LEN);
        Trains { each: buffers.zip(&self.metas[..self.count]), received_at: self.received_at }
    }

    /// Trains the last call brought.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the last call brought nothing.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The buffers, forgetting what was in them.
    pub(crate) fn buffers(&mut self) -> std::slice::ChunksExactMut<'_, u8> {
        self.count = 0;
        self.bytes[self.start..][..Self::TRAINS * BUFFER_LEN].chunks_exact_mut(BUFFER_LEN)
    }

    /// Takes note of what the kernel wrote.
    pub(crate) fn fill(&mut self, slots: &[Slot], now: Instant) {
        self.received_at = now;
        self.count = slots.len();
        for (meta, slot) in self.metas.iter_mut().zip(slots) {
            // Only addresses of the socket's family are written; this cannot miss.
            let Some(remote) = slot.name.decode(slot.name_len) else {
                meta.len = 0;
                continue;
            };
            let control = slot.control.0.get(..slot.control_len).unwrap_or_default();
            *meta = Meta { remote, len: slot.len.min(BUFFER_LEN), received: Received::parse(control) };
        }
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch").field("trains", &&self.metas[..self.count]).finish_non_exhaustive()
    }
}

/// Iterator over the trains of a batch.
#[derive(Debug)]
pub struct Trains<'a> {
    each: std::iter::Zip<std::slice::ChunksExactMut<'a, u8>, std::slice::Iter<'a, Meta>>,
    received_at: Instant,
}

impl<'a> Iterator for Trains<'a> {
    type Item = Train<'a>;

    fn next(&mut self) -> Option<Train<'a>> {
        let (buffer, meta) = self.each.next()?;
        let Received { local_ip, ecn, segment } = meta.received;
        let stride = segment.unwrap_or(meta.len).max(1);
        let data = &mut buffer[..meta.len];
        Some(Train { remote: meta.remote, local_ip, ecn, stride, data, received_at: self.received_at })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.each.size_hint()
    }
}

impl ExactSizeIterator for Trains<'_> {}
