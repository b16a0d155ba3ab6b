//! Why a packet or datagram was thrown away, one reason per place in the receive path.
//! A reason is also an index: [`crate::Counters`] keeps one number per reason.

use crate::kinds::named;

named! {
    /// Why something that arrived was not processed.
    enum DropReason {
        /// The datagram had no byte.
        Empty = "empty",
        /// It ends inside a header or is too short to be protected.
        TooShort = "too_short",
        /// A header that cannot be parsed.
        BadHeader = "bad_header",
        /// The fixed bit is 0 and greasing was not negotiated (RFC 9287).
        FixedBit = "fixed_bit",
        /// A version nobody here speaks.
        UnknownVersion = "unknown_version",
        /// An Initial in a datagram below 1200 bytes (RFC 9000 §14.1).
        InitialTooSmall = "initial_too_small",
        /// No connection has this destination connection id.
        UnknownConnection = "unknown_connection",
        /// A coalesced packet for another connection id (RFC 9000 §12.2).
        OtherConnection = "other_connection",
        /// The path id is unknown or abandoned.
        UnknownPath = "unknown_path",
        /// The tuple is not one this connection accepts packets from.
        UnexpectedAddress = "unexpected_address",
        /// The keys are not there yet and waiting packets have used up their room.
        KeysMissing = "keys_missing",
        /// The keys of this space were discarded.
        KeysDiscarded = "keys_discarded",
        /// The AEAD did not open.
        DecryptionFailed = "decryption_failed",
        /// This packet number was seen.
        Duplicate = "duplicate",
        /// Older than the window in which duplicates can be told.
        TooOld = "too_old",
        /// A Retry, or its integrity tag, that is not acceptable.
        BadRetry = "bad_retry",
        /// A Version Negotiation that is not acceptable.
        BadVersionNegotiation = "bad_version_negotiation",
        /// A token that does not verify.
        BadToken = "bad_token",
        /// A new connection beyond a limit.
        Refused = "refused",
        /// A queue fed by the peer is full.
        QueueFull = "queue_full",
        /// The connection is closing or draining and this packet earns no answer.
        Closing = "closing",
    }
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`DropReason::ALL`] and in counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The coarser word of quic-events-13 §5.7 (`packet_dropped`, `trigger`).
    pub const fn trigger(self) -> &'static str {
        match self {
            Self::UnknownConnection | Self::OtherConnection | Self::UnknownPath => "connection_unknown",
            Self::KeysMissing | Self::KeysDiscarded => "key_unavailable",
            Self::DecryptionFailed => "decryption_failure",
            Self::Duplicate | Self::TooOld => "duplicate",
            Self::UnknownVersion => "unsupported",
            Self::Refused | Self::BadToken | Self::UnexpectedAddress | Self::Closing => "rejected",
            Self::QueueFull => "general",
            _ => "invalid",
        }
    }
}
