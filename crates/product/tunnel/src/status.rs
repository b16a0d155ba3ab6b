//! What becomes of an attempt to connect, in the words of each protocol it passes through.

use std::io;

/// The answer to an open, one octet on the wire. As a stream's error code it is 0x100 and this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Connected.
    Ok = 0,
    /// The target refused.
    Refused = 1,
    /// The target's host cannot be reached.
    HostUnreachable = 2,
    /// The target's network cannot be reached.
    NetUnreachable = 3,
    /// No answer in time.
    Timeout = 4,
    /// The server does not allow this target.
    Denied = 5,
    /// The name does not resolve.
    NameFailed = 6,
    /// The header cannot be understood.
    BadRequest = 7,
    /// Too many are being opened.
    Busy = 8,
    /// A connection broke after it was made.
    Broken = 9,
    /// There is no session with the server.
    NoSession = 10,
}

impl Status {
    /// All of them, by number.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Refused,
        Self::HostUnreachable,
        Self::NetUnreachable,
        Self::Timeout,
        Self::Denied,
        Self::NameFailed,
        Self::BadRequest,
        Self::Busy,
        Self::Broken,
        Self::NoSession,
    ];

    /// The status of an octet; one that later versions may have counts as broken.
    pub fn of(octet: u8) -> Self {
        Self::ALL.get(usize::from(octet)).copied().unwrap_or(Self::Broken)
    }

    /// As the error code of a stream that is reset or stopped.
    pub fn code(self) -> u64 {
        0x100 + self as u64
    }

    /// A name for people and counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::HostUnreachable => "host_unreachable",
            Self::NetUnreachable => "net_unreachable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::NameFailed => "name_failed",
            Self::BadRequest => "bad_request",
            Self::Busy => "busy",
            Self::Broken => "broken",
            Self::NoSession => "no_session",
        }
    }

    /// What a failed `connect(2)` means.
    pub fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => Self::NetUnreachable,
            io::ErrorKind::HostUnreachable => Self::HostUnreachable,
            // A firewall of the server's own.
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::HostUnreachable,
        }
    }

    /// RFC 1928 §6.
    pub fn socks(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Denied => 2,
            Self::NetUnreachable => 3,
            Self::HostUnreachable | Self::NameFailed => 4,
            Self::Refused => 5,
            Self::Timeout => 6,
            Self::BadRequest | Self::Busy | Self::Broken | Self::NoSession => 1,
        }
    }

    /// RFC 9110 §15.
    pub fn http(self) -> (u16, &'static str) {
        match self {
            Self::Ok => (200, "Connection established"),
            Self::Denied => (403, "Forbidden"),
            Self::BadRequest => (400, "Bad Request"),
            Self::Timeout => (504, "Gateway Timeout"),
            Self::Busy | Self::NoSession => (503, "Service Unavailable"),
            _ => (502, "Bad Gateway"),
        }
    }
}
