//! Frames and the buffers that the kernel fills.
//!
//! Decides how much room a frame has and that a frame moves by its box, not by its bytes. Never allocates once the
//! buffers are there.

use std::fmt;

use tq_time::Instant;

/// An Ethernet frame in a buffer of its own.
#[derive(Clone)]
pub struct Frame {
    bytes: Box<[u8; Frame::ROOM]>,
    len: usize,
    at: Instant,
}

impl Frame {
    /// Bytes that a frame may have, its header included: Ethernet's longest and to spare.
    pub const ROOM: usize = 2048;

    /// A frame of no bytes.
    pub fn new() -> Self {
        Self { bytes: Box::new([0; Self::ROOM]), len: 0, at: Instant::ZERO }
    }

    /// The bytes, from the destination's address on.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The bytes, to change them.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// When the kernel took it from the wire, on [`tq_udp::Clock`].
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// Takes over the bytes of another frame, cut at [`Frame::ROOM`].
    pub fn write(&mut self, bytes: &[u8]) {
        self.len = bytes.len().min(Self::ROOM);
        self.bytes[..self.len].copy_from_slice(&bytes[..self.len]);
    }

    pub(crate) fn room(&mut self) -> &mut [u8; Self::ROOM] {
        &mut self.bytes
    }

    pub(crate) const fn fill(&mut self, len: usize, at: Instant) {
        self.len = len;
        self.at = at;
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("len", &self.len).field("at", &self.at).finish_non_exhaustive()
    }
}

/// Buffers for [`crate::Receiver::recv`].
#[derive(Debug)]
pub struct Batch {
    frames: Vec<Frame>,
    count: usize,
}

impl Batch {
    /// Frames taken per call at most.
    pub const FRAMES: usize = 64;

    /// Empty buffers.
    pub fn new() -> Self {
        Self { frames: (0..Self::FRAMES).map(|_| Frame::new()).collect(), count: 0 }
    }

    /// The frames of the last call, in the order of arrival. Whoever keeps one puts another in its place
    /// (`std::mem::replace`).
    pub fn frames(&mut self) -> &mut [Frame] {
        &mut self.frames[..self.count]
    }

    /// All buffers, forgetting what was in them.
    pub(crate) fn buffers(&mut self) -> &mut [Frame] {
        self.count = 0;
        &mut self.frames
    }

    pub(crate) const fn filled(&mut self, count: usize) {
        self.count = count;
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}
