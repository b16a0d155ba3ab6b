//! Which control frames are to be written: one bit each, so that asking costs nothing.

use tq_wire::Dir;

/// A set of frames owed, of a stream or of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Owes(u8);

impl Owes {
    /// RESET_STREAM.
    pub(super) const RESET: Self = Self(1);
    /// STOP_SENDING.
    pub(super) const STOP: Self = Self(1 << 1);
    /// MAX_STREAM_DATA of a stream; MAX_DATA of the connection.
    pub(super) const MAX_DATA: Self = Self(1 << 2);
    /// STREAM_DATA_BLOCKED of a stream; DATA_BLOCKED of the connection.
    pub(super) const BLOCKED: Self = Self(1 << 3);

    /// MAX_STREAMS.
    pub(super) const fn max_streams(dir: Dir) -> Self {
        Self(1 << (4 + dir as u8))
    }

    /// STREAMS_BLOCKED.
    pub(super) const fn streams_blocked(dir: Dir) -> Self {
        Self(1 << (6 + dir as u8))
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn has(self, frame: Self) -> bool {
        self.0 & frame.0 != 0
    }

    pub(super) const fn add(&mut self, frame: Self) {
        self.0 |= frame.0;
    }

    pub(super) const fn clear(&mut self, frame: Self) {
        self.0 &= !frame.0;
    }
}
