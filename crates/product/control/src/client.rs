//! Asks a daemon over its socket.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::Method;
use crate::model::{Event, Failed};

/// Largest answer read.
const ANSWER: usize = 64 << 20;
/// Longest event.
const EVENT: usize = 64 * 1024;

/// Where a daemon listens.
#[derive(Clone, Debug)]
pub struct Client(PathBuf);

/// Nothing came of a question.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens at this socket, or it may not be opened.
    Unreachable(PathBuf, std::io::Error),
    /// The daemon said no.
    Refused(u16, String),
    /// The answer makes no sense: another version, or the daemon went away.
    Broken(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(path, error) => {
                let hint = match error.kind() {
                    std::io::ErrorKind::PermissionDenied => "be root or in the group tquic",
                    _ => "is tquicd running?",
                };
                write!(f, "cannot ask the daemon at {}: {error}; {hint}", path.display())
            }
            Self::Refused(_, why) => f.write_str(why),
            Self::Broken(why) => write!(f, "the daemon's answer cannot be read: {why}"),
        }
    }
}

impl std::error::Error for ClientError {}

fn broken(error: impl fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}

impl Client {
    /// Of the daemon at this socket.
    pub fn new(socket: &Path) -> Self {
        Self(socket.into())
    }

    /// Asks, and waits for the answer. `path` stands behind `/v1/`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let response = self.send(method, path, serde_json::to_vec(body).map_err(broken)?).await?;
        let bytes = Limited::new(response.into_body(), ANSWER).collect().await.map_err(broken)?.to_bytes();
        serde_json::from_slice(&bytes).map_err(broken)
    }

    /// Asks for something to be told.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::Get, path, &()).await
    }

    /// What happens from now on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self) -> Result<Events, ClientError> {
        let response = self.send(Method::Get, "events", Vec::new()).await?;
        Ok(Events { body: response.into_body(), waiting: BytesMut::new() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<hyper::Response<Incoming>, ClientError> {
        let socket = UnixStream::connect(&self.0).await;
        let socket = socket.map_err(|error| ClientError::Unreachable(self.0.clone(), error))?;
        let (mut http, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
        tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(method.as_str())
            .uri(format!("/v1/{path}"))
            .header(hyper::header::HOST, "tquicd")
            .body(Full::new(Bytes::from(body)))
            .map_err(broken)?;
        let response = http.send_request(request).await.map_err(broken)?;
        let code = response.status().as_u16();
        if code == 200 {
            return Ok(response);
        }
        let bytes = Limited::new(response.into_body(), ANSWER).collect().await.map_err(broken)?.to_bytes();
        let why =
            serde_json::from_slice::<Failed>(&bytes).map_or_else(|_| format!("status {code}"), |f| f.error);
        Err(ClientError::Refused(code, why))
    }
}

/// A daemon's events, one after the other.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    waiting: BytesMut,
}

impl Events {
    /// The next one; `None` when the daemon stops.
    ///
    /// # Errors
    /// The daemon went away, or says what cannot be read.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            while let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
                let line = self.waiting.split_to(end);
                self.waiting.advance(1);
                if let Some(data) = line.strip_prefix(b"data: ") {
                    return serde_json::from_slice(data).map(Some).map_err(broken);
                }
            }
            if self.waiting.len() > EVENT {
                return Err(broken("an event without end"));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame.map_err(broken)?.into_data() {
                        self.waiting.extend_from_slice(&data);
                    }
                }
                None => return Ok(None),
            }
        }
    }
}
