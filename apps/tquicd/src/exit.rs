//! Why the daemon cannot go on, and which exit code that is.

use std::fmt;
use std::io;

use crate::config::ConfigError;

/// The end of the daemon.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fatal {
    /// The configuration, or a file it names, is wrong: exit code 78.
    Config(String),
    /// A privilege is missing: exit code 77.
    Privilege(String),
    /// Something else: exit code 1.
    Failed(String),
}

impl Fatal {
    /// For the system.
    pub fn code(&self) -> u8 {
        match self {
            Self::Config(_) => 78,
            Self::Privilege(_) => 77,
            Self::Failed(_) => 1,
        }
    }

    /// What the system says to something that was tried; a missing privilege is told apart.
    pub fn failed(what: impl fmt::Display, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Privilege(format!("{what}: {error}")),
            _ => Self::Failed(format!("{what}: {error}")),
        }
    }

    /// As [`Fatal::failed`], for a socket that listens at `addr`.
    pub(crate) fn listening(what: &str, addr: impl fmt::Display, error: io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "; another program has this port: `ss -lnp` shows which",
            io::ErrorKind::PermissionDenied => {
                "; ports below 1024 take CAP_NET_BIND_SERVICE, transparent ones CAP_NET_ADMIN"
            }
            io::ErrorKind::AddrNotAvailable => "; no interface has this address",
            _ => "",
        };
        match Self::failed(format_args!("cannot listen on {addr} ({what})"), error) {
            Self::Privilege(why) => Self::Privilege(why + hint),
            Self::Failed(why) => Self::Failed(why + hint),
            other => other,
        }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Config(why) | Self::Privilege(why) | Self::Failed(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Fatal {}

impl From<ConfigError> for Fatal {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<tq_identity::FileError> for Fatal {
    fn from(error: tq_identity::FileError) -> Self {
        use tq_identity::FileError;
        match error {
            FileError::Io { ref cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                // Root, too: tquicd keeps no power over what is not its own.
                Self::Privilege(format!("{error}; it must belong to the user that tquicd runs as"))
            }
            FileError::TooOpen { .. } | FileError::Contents { .. } => Self::Config(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<tq_identity::StoreError> for Fatal {
    fn from(error: tq_identity::StoreError) -> Self {
        match error {
            tq_identity::StoreError::File(error) => error.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}
