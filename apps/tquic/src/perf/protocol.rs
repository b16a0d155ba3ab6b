//! `tq-perf`: every bidirectional stream starts with nine octets from the client that say what is wanted.

use anyhow::{Result, bail};

/// Application protocol.
pub(super) const ALPN: &str = "tq-perf";
/// Length of an encoded order.
pub(super) const ORDER: usize = 9;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Say how much CPU time the server's process has used: 8 octets of nanoseconds.
    Cpu,
    /// Send so many octets, or until stopped.
    Download(u64),
    /// Take everything up to the end, then say in 8 octets how much it was.
    Upload,
    /// Take everything up to the end, then send so many octets.
    Request(u64),
}

impl Order {
    pub(super) fn encode(self) -> [u8; ORDER] {
        let (tag, number) = match self {
            Self::Cpu => (b'C', 0),
            Self::Download(size) => (b'D', size),
            Self::Upload => (b'U', 0),
            Self::Request(size) => (b'R', size),
        };
        let mut order = [tag; ORDER];
        order[1..].copy_from_slice(&number.to_be_bytes());
        order
    }

    /// # Errors
    /// There is no such order.
    pub(super) fn decode(order: [u8; ORDER]) -> Result<Self> {
        let [tag, number @ ..] = order;
        let number = u64::from_be_bytes(number);
        Ok(match tag {
            b'C' => Self::Cpu,
            b'D' => Self::Download(number),
            b'U' => Self::Upload,
            b'R' => Self::Request(number),
            other => bail!("a stream begins with {other:#04x}, which is no order"),
        })
    }
}

#[cfg(test)]
mod tests;
