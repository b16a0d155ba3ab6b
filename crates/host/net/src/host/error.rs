//! Why the machine could not be set up, and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The machine could not be set up, or not be put back.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The caller's plan makes no sense.
    #[error("{0}")]
    Plan(String),
    /// Another process has this instance's marks, tables and rules.
    #[error("instance {index} is in use in this network ({path}): stop it, or give this one another index")]
    InUse {
        /// The instance.
        index: String,
        /// Its journal.
        path: PathBuf,
    },
    /// Not allowed.
    #[error("not allowed to {0}: run as root, or with CAP_NET_ADMIN and CAP_NET_RAW")]
    Privilege(String),
    /// There is no `nft` program.
    #[error("the program nft is missing ({0}): install nftables (apt-get install nftables)")]
    NoNft(String),
    /// `nft` did not take our rules.
    #[error("nft refuses our table: {0} (the kernel needs nf_tables with tproxy, socket and fib)")]
    Nft(String),
    /// There is no TUN.
    #[error("no TUN interface {device}: {why}")]
    NoTun {
        /// Its name.
        device: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// Somebody else uses our marks or tables.
    #[error(
        "{0} is not ours but uses a mark or table of ours: remove it, or give this instance another index"
    )]
    Conflict(String),
    /// What could not be taken back.
    #[error("could not be put back and is kept for the next attempt: {}", list(.0))]
    Left(Vec<Left>),
    /// The system refuses.
    #[error("cannot {what}: {source}")]
    System {
        /// What was attempted.
        what: String,
        /// The system's word.
        source: io::Error,
    },
}

/// Something that could not be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The journal's entry.
    pub what: String,
    /// The system's word.
    pub why: String,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.why)
    }
}

fn list(left: &[Left]) -> String {
    left.iter().map(Left::to_string).collect::<Vec<_>>().join(", ")
}

impl SetupError {
    /// Whether the process lacks privileges (exit code 77).
    pub fn is_privilege(&self) -> bool {
        matches!(self, Self::Privilege(_))
    }

    /// The system's refusal of something.
    pub(crate) fn system(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Privilege(what),
            _ => Self::System { what, source },
        }
    }
}
