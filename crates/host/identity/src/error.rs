//! What can be wrong with a token, a file or the store: always somebody's to mend, so each says what and where.

use std::path::PathBuf;
use std::{fmt, io};

use crate::DeviceId;

/// A line is no join token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// It does not begin with `tquic://`.
    NotAToken,
    /// Of a version that is not spoken here.
    Version(String),
    /// A character no token has, counted from 1.
    Character {
        /// Where.
        at: usize,
    },
    /// It ends too early.
    Torn,
    /// It was changed on the way.
    Checksum,
    /// A field is not there.
    Missing(&'static str),
    /// A field cannot be.
    Field(&'static str),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAToken => f.write_str("not a join token: it begins with tquic://1/"),
            Self::Version(version) => {
                write!(f, "join token of version {version:?}; this program reads version 1: update it")
            }
            Self::Character { at } => {
                write!(f, "character {at} of the join token cannot be there: copy it again")
            }
            Self::Torn => f.write_str("the join token is not whole: copy it again"),
            Self::Checksum => f.write_str("the join token was changed on the way: copy it again"),
            Self::Missing(field) => write!(f, "the join token has no {field}: have a new one made"),
            Self::Field(field) => write!(f, "the {field} in the join token cannot be: have a new one made"),
        }
    }
}

impl std::error::Error for TokenError {}

/// A file with secrets could not be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The system says no.
    Io {
        /// Which file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others than its owner may read or write it.
    TooOpen {
        /// Which file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    Contents {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, cause } => write!(f, "{}: {cause}", file.display()),
            Self::TooOpen { file, mode } => {
                let file = file.display();
                write!(
                    f,
                    "{file}: holds a secret, but others may read it (mode {mode:04o}): chmod 600 {file}"
                )
            }
            Self::Contents { file, why } => write!(f, "{}: {why}", file.display()),
        }
    }
}

impl std::error::Error for FileError {}

/// The store said no.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be opened.
    File(FileError),
    /// The database has a problem of its own.
    Database(String),
    /// There is such a device already.
    Exists(DeviceId),
    /// There is no such tenant or device.
    Unknown(String),
    /// No more devices fit.
    Full(usize),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Database(why) => write!(f, "the store cannot be used: {why}"),
            Self::Exists(id) => write!(f, "{id} exists: rotate it for a new token, or revoke it first"),
            Self::Unknown(what) => write!(f, "there is no {what}"),
            Self::Full(most) => write!(f, "there are {most} devices, which is the limit"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}
