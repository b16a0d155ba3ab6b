//! The control stream: a client's first stream, on which router and server talk about the session itself.
//!
//! Messages are JSON behind a length of two octets. What one end does not know it skips.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tq::{RecvStream, SendStream};

/// Longest message, bytes.
pub const MAX_MESSAGE: usize = 8 * 1024;

/// What a router says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToServer {
    /// First of all.
    Hello {
        /// Of this protocol: 1.
        version: u32,
        /// The program and its version, for people.
        software: String,
    },
    /// This is my key from now on.
    Enrol {
        /// DER SubjectPublicKeyInfo.
        key: Vec<u8>,
    },
    /// How I would like my paths to be used: what I do in my direction, and ask of you in yours. Paths that are not named
    /// stay as they are.
    Policy {
        /// Each path that can be used.
        paths: Vec<PathTerms>,
    },
    /// I am here. Large enough a packet to be answered by a stateless reset (RFC 9000 §10.3) where the session is not known
    /// any more, which is how a router learns that its server began anew.
    Alive,
    /// Something of a later version.
    #[serde(other)]
    Unknown,
}

/// How a path is to be used, either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathTerms {
    /// Its id.
    pub path: u32,
    /// Those that cost less are filled first.
    #[serde(default)]
    pub cost: u8,
    /// Its share with the weighted scheduler; none: by what it is measured to carry.
    #[serde(default)]
    pub weight: Option<u16>,
    /// The most to send on it, bytes per second.
    #[serde(default)]
    pub max_rate: Option<u64>,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToRouter {
    /// The answer to a hello.
    Welcome {
        /// Of this protocol: 1.
        version: u32,
        /// The program and its version, for people.
        software: String,
        /// Whether a key of its own is asked for before anything else.
        enrol: bool,
    },
    /// The key was taken; the token opens nothing any more.
    Enrolled,
    /// Something of a later version.
    #[serde(other)]
    Unknown,
}

/// The control stream ended, or the peer does not keep to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// The stream or the connection is gone.
    Lost,
    /// Longer than [`MAX_MESSAGE`].
    TooLong(usize),
    /// Not what was agreed: the peer's fault.
    Malformed(String),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("the control stream ended"),
            Self::TooLong(len) => {
                write!(f, "a control message of {len} bytes, at most {MAX_MESSAGE} are read")
            }
            Self::Malformed(why) => write!(f, "a control message that cannot be read: {why}"),
        }
    }
}

impl std::error::Error for ControlError {}

/// Reads the next message.
///
/// # Errors
/// See [`ControlError`].
pub async fn read_message<T: DeserializeOwned>(recv: &mut RecvStream) -> Result<T, ControlError> {
    let mut len = [0; 2];
    recv.read_exact(&mut len).await.map_err(|_| ControlError::Lost)?;
    let len = usize::from(u16::from_be_bytes(len));
    if len > MAX_MESSAGE {
        return Err(ControlError::TooLong(len));
    }
    let mut body = vec![0; len];
    recv.read_exact(&mut body).await.map_err(|_| ControlError::Lost)?;
    serde_json::from_slice(&body).map_err(|error| ControlError::Malformed(error.to_string()))
}

/// Writes a message.
///
/// # Errors
/// The stream or the connection is gone, or the message is too long.
pub async fn write_message<T: Serialize>(send: &mut SendStream, message: &T) -> Result<(), ControlError> {
    let body = serde_json::to_vec(message).map_err(|error| ControlError::Malformed(error.to_string()))?;
    if body.len() > MAX_MESSAGE {
        return Err(ControlError::TooLong(body.len()));
    }
    let bytes = [&(body.len() as u16).to_be_bytes()[..], &body].concat();
    send.write_all(&bytes).await.map_err(|_| ControlError::Lost)
}

#[cfg(test)]
mod tests;
