//! Plain numbers a connection or endpoint adds up, whether or not somebody listens to events.
//! They decide nothing and never decrease.

use crate::DropReason;

#[cfg(test)]
mod tests;

/// Declares the counters once, so that adding two sets up cannot forget one.
macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// Totals since the start, for statistics.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u64,)*
            /// Packets thrown away, by [`DropReason::index`].
            pub dropped: [u64; DropReason::COUNT],
        }

        impl Counters {
            /// Adds another set, for instance a closed connection's to its endpoint's.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
                for (mine, theirs) in self.dropped.iter_mut().zip(other.dropped) {
                    *mine += theirs;
                }
            }

            /// Every counter with its name, drop reasons as `dropped_REASON`'s second half.
            pub fn each(&self, mut visit: impl FnMut(&'static str, Option<DropReason>, u64)) {
                $(visit(stringify!($field), None, self.$field);)*
                for reason in DropReason::ALL {
                    visit("dropped", Some(*reason), self.dropped[reason.index()]);
                }
            }
        }
    };
}

counters! {
    /// UDP datagrams handed to the host.
    datagrams_sent,
    /// UDP datagrams taken from the host.
    datagrams_received,
    /// Bytes of UDP payload sent.
    bytes_sent,
    /// Bytes of UDP payload received.
    bytes_received,
    /// QUIC packets sent.
    packets_sent,
    /// QUIC packets opened.
    packets_received,
    /// Packets declared lost.
    packets_lost,
    /// Bytes in packets declared lost.
    bytes_lost,
    /// Packets declared lost and acknowledged later.
    packets_spuriously_lost,
    /// Packets that waited for keys.
    packets_buffered,
    /// Probe timeouts.
    ptos,
    /// Times a congestion window was reduced.
    congestion_events,
    /// Congestion experienced marks the peer reported.
    ecn_ce,
    /// Key updates, both directions' initiators.
    key_updates,
    /// ACK and PATH_ACK frames sent.
    acks_sent,
    /// ACK and PATH_ACK frames received.
    acks_received,
    /// Bytes of stream data sent for the first time.
    stream_bytes_sent,
    /// Bytes of stream data sent again.
    stream_bytes_resent,
    /// Bytes of stream data received for the first time.
    stream_bytes_received,
    /// DATAGRAM frames sent.
    messages_sent,
    /// DATAGRAM frames received.
    messages_received,
    /// DATAGRAM frames thrown away because a queue was full.
    messages_dropped,
}

impl Counters {
    /// Counts a drop.
    #[inline]
    pub fn drop_packet(&mut self, reason: DropReason) {
        self.dropped[reason.index()] += 1;
    }

    /// How often `reason` was the reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason.index()]
    }

    /// Drops for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}
