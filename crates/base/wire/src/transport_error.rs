//! Transport error codes on the wire (RFC 9000 §20.1 and extensions).

use core::fmt;

/// A transport error code, as CONNECTION_CLOSE (0x1c) and PATH_ABANDON carry it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u64);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The code's name in its RFC, if it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// No error: an orderly end.
    NO_ERROR = 0x00;
    /// The sender of the code has a bug.
    INTERNAL_ERROR = 0x01;
    /// The server does not accept the connection.
    CONNECTION_REFUSED = 0x02;
    /// More data than was allowed.
    FLOW_CONTROL_ERROR = 0x03;
    /// More streams than were allowed.
    STREAM_LIMIT_ERROR = 0x04;
    /// A frame for a stream in a state that does not permit it.
    STREAM_STATE_ERROR = 0x05;
    /// A final size that contradicts what was received.
    FINAL_SIZE_ERROR = 0x06;
    /// A frame that cannot be parsed.
    FRAME_ENCODING_ERROR = 0x07;
    /// Transport parameters that cannot be parsed or are not allowed.
    TRANSPORT_PARAMETER_ERROR = 0x08;
    /// More connection ids than were allowed.
    CONNECTION_ID_LIMIT_ERROR = 0x09;
    /// A violation no other code names.
    PROTOCOL_VIOLATION = 0x0a;
    /// A Retry token that does not hold.
    INVALID_TOKEN = 0x0b;
    /// The application closed during the handshake.
    APPLICATION_ERROR = 0x0c;
    /// More CRYPTO data than can be buffered.
    CRYPTO_BUFFER_EXCEEDED = 0x0d;
    /// A key update out of turn.
    KEY_UPDATE_ERROR = 0x0e;
    /// A key was used to its limit.
    AEAD_LIMIT_REACHED = 0x0f;
    /// No path left that works.
    NO_VIABLE_PATH = 0x10;
    /// Version negotiation was tampered with (RFC 9368).
    VERSION_NEGOTIATION_ERROR = 0x11;
    /// The application gave up a path (multipath).
    APPLICATION_ABANDON_PATH = 0x3e;
    /// No resources for a path (multipath).
    PATH_RESOURCE_LIMIT_REACHED = 0x3e75;
    /// A path is not worth keeping (multipath).
    PATH_UNSTABLE_OR_POOR = 0x3e76;
    /// No connection id for a path (multipath).
    NO_CID_AVAILABLE_FOR_PATH = 0x3e77;
}

impl Code {
    /// The code for a TLS alert (RFC 9001 §4.8).
    pub const fn crypto(alert: u8) -> Self {
        Self(0x100 + alert as u64)
    }

    /// The TLS alert behind a CRYPTO_ERROR code.
    pub const fn alert(self) -> Option<u8> {
        if self.0 >= 0x100 && self.0 < 0x200 { Some((self.0 - 0x100) as u8) } else { None }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.alert()) {
            (Some(name), _) => f.write_str(name),
            (None, Some(alert)) => write!(f, "CRYPTO_ERROR(alert {alert})"),
            (None, None) => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
