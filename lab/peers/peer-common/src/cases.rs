//! The test cases, as what they ask of a stack.

/// What is special about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Only the network is special, or nothing.
    Plain,
    /// A connection per file, one after the other.
    ConnectionPerFile,
    /// The first file on a connection of its own, the others on one that resumes its session.
    Resumption,
    /// The same, with early data.
    ZeroRtt,
    Retry,
    ChaCha20,
    KeyUpdate,
    Ecn,
    VersionNegotiation,
    Version2,
    Datagram,
    /// The server prefers another address.
    Preferred,
    /// The client moves to another port.
    Migration,
}

impl Case {
    /// The case of this name, whoever can play it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "handshake" | "transfer" | "multiplexing" | "longrtt" | "blackhole" | "ipv6" | "goodput"
            | "crosstraffic" | "amplificationlimit" | "transferloss" | "transfercorruption"
            | "rebind-port" | "rebind-addr" => Self::Plain,
            "handshakeloss" | "handshakecorruption" => Self::ConnectionPerFile,
            "resumption" => Self::Resumption,
            "zerortt" => Self::ZeroRtt,
            "retry" => Self::Retry,
            "chacha20" => Self::ChaCha20,
            "keyupdate" => Self::KeyUpdate,
            "ecn" => Self::Ecn,
            "versionnegotiation" => Self::VersionNegotiation,
            "v2" => Self::Version2,
            "datagram" => Self::Datagram,
            "connectionmigration" => Self::Preferred,
            "migration" => Self::Migration,
            _ => return None,
        })
    }

    /// What is fetched over each connection, of everything there is to fetch.
    pub fn rounds<T>(self, all: &[T]) -> Vec<&[T]> {
        let rounds = match self {
            Self::ConnectionPerFile => all.chunks(1).collect(),
            Self::Resumption | Self::ZeroRtt => vec![&all[..1], &all[1..]],
            _ => vec![all],
        };
        rounds.into_iter().filter(|some| !some.is_empty()).collect()
    }
}
