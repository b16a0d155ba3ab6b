//! What an endpoint grants its peers and its applications. Numbers only; nothing here decides.

use tq_wire::{Dir, TransportParameters, VARINT_MAX};

/// Limits of the streams of one connection. All sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Bidirectional streams the peer may have open at a time, at most 2^60.
    pub max_bidi: u64,
    /// Unidirectional streams the peer may have open at a time, at most 2^60.
    pub max_uni: u64,
    /// Window each stream begins with.
    pub stream_window: u64,
    /// Window that streams are given as they begin, while others leave enough: ours with their first bytes, the peer's with the
    /// first answer, once its handshake is complete. Above `stream_window`, which may be small then, it is a guarantee: if all
    /// streams that may be open at a time have no more than a quarter of `max_unread` by `stream_window`, then however many of
    /// them nobody reads, credit of the connection is left for the rest.
    pub first_window: u64,
    /// Window the connection begins with.
    pub connection_window: u64,
    /// Window a stream may grow to while its reader keeps up.
    pub max_stream_window: u64,
    /// Window the connection may grow to; bounds what a peer can make us hold out of order.
    pub max_connection_window: u64,
    /// Bytes in order that wait to be read and do not count against the connection's window, so that streams nobody reads
    /// do not hold up the others. No more than the connection's window may grow to; 0: every unread byte counts.
    /// What a peer can make us hold is this and `max_connection_window`.
    pub max_unread: u64,
    /// Bytes written but not yet acknowledged that are held over all streams at most. Less is taken while less is in
    /// flight: twice that and 1 MiB, so that the buffer follows the path.
    pub send_buffer: u64,
    /// Whether streams of the same priority take turns; else the one that became ready first goes on until it has
    /// nothing left.
    pub fair: bool,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            max_bidi: 256,
            max_uni: 256,
            stream_window: 1 << 20,
            first_window: 0,
            connection_window: 2 << 20,
            max_stream_window: 48 << 20,
            max_connection_window: 64 << 20,
            max_unread: 64 << 20,
            send_buffer: 64 << 20,
            fair: true,
        }
    }
}

impl StreamConfig {
    /// Streams of a direction that the peer may have open at a time.
    pub(super) fn most_streams(&self, dir: Dir) -> u64 {
        let most = if dir == Dir::Bi { self.max_bidi } else { self.max_uni };
        most.min(super::count::MOST)
    }

    /// Unread bytes that may be outside the connection's window.
    pub(super) fn most_unread(&self) -> u64 {
        self.max_unread.min(self.most_window())
    }

    /// Bytes by which windows of streams may grow together: half of the connection's `window`, as large as it is now, is left
    /// for those that are read if all that grew are not. No more than `lendable` bytes can be outside of it.
    pub(super) fn most_grown(&self, window: u64, lendable: u64) -> u64 {
        let begun = if self.is_small() { self.most_unread() / 4 } else { 0 };
        self.most_unread().min(lendable).saturating_sub(begun).saturating_add(window / 2)
    }

    /// Of `grown` bytes of growth, what only windows that are still small may take.
    pub(super) fn for_small(&self, grown: u64) -> u64 {
        if self.is_small() { grown / 4 } else { 0 }
    }

    /// Whether streams begin with little and are given the rest at once.
    fn is_small(&self) -> bool {
        self.first_window > self.stream_window
    }

    fn most_window(&self) -> u64 {
        self.max_connection_window.max(self.connection_window)
    }

    /// Says so in our transport parameters.
    pub(crate) fn declare(&self, params: &mut TransportParameters) {
        let window = self.stream_window.min(VARINT_MAX);
        params.initial_max_data = self.connection_window.min(VARINT_MAX);
        params.initial_max_stream_data_bidi_local = window;
        params.initial_max_stream_data_bidi_remote = window;
        params.initial_max_stream_data_uni = window;
        params.initial_max_streams_bidi = self.most_streams(Dir::Bi);
        params.initial_max_streams_uni = self.most_streams(Dir::Uni);
    }
}
