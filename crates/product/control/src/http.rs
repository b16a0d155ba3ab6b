//! Requests and replies between the wire and the daemon, and a body that is whole or goes on for ever.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, mpsc};

use crate::model::{Done, Event, Failed, SCHEMA};

/// What is to be done with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Tell.
    Get,
    /// Make.
    Post,
    /// Change.
    Patch,
    /// Take away.
    Delete,
}

impl Method {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    pub(crate) fn of(method: &hyper::Method) -> Option<Self> {
        [Self::Get, Self::Post, Self::Patch, Self::Delete]
            .into_iter()
            .find(|known| known.as_str() == method.as_str())
    }
}

/// A request that was read whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// With what: the path's parts behind `/v1/`.
    pub parts: Vec<String>,
    /// More about it; empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// The body as JSON; an empty one counts as `{}`.
    ///
    /// # Errors
    /// A reply that says what is wrong.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Reply> {
        let body = if self.body.is_empty() { &b"{}"[..] } else { &self.body };
        serde_json::from_slice(body).map_err(|error| Reply::failed(400, error))
    }
}

/// What a request is answered with.
#[derive(Debug)]
pub enum Reply {
    /// A status and JSON.
    Json(u16, Vec<u8>),
    /// Events from now on, until the asker leaves.
    Events(broadcast::Receiver<Event>),
}

impl Reply {
    /// 200 and this.
    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::Json(200, body),
            Err(error) => Self::failed(500, error),
        }
    }

    /// 200: it was done.
    pub fn done() -> Self {
        Self::json(&Done { schema: SCHEMA })
    }

    /// Why it was not.
    pub fn failed(code: u16, why: impl std::fmt::Display) -> Self {
        let failed = Failed { schema: SCHEMA, error: why.to_string() };
        Self::Json(code, serde_json::to_vec(&failed).unwrap_or_default())
    }

    /// 404: there is no such thing.
    pub fn unknown(what: impl std::fmt::Display) -> Self {
        Self::failed(404, format_args!("there is no {what}"))
    }
}

/// What the daemon does with requests.
pub trait Api: Send + Sync + 'static {
    /// Answers one.
    fn call(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

/// A reply's body.
pub(crate) enum ReplyBody {
    Whole(Option<Bytes>),
    Events(mpsc::Receiver<Bytes>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => events.poll_recv(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Self::Events(_) => hyper::body::SizeHint::default(),
        }
    }
}

/// Events as server-sent events, for who reads them; who is slow misses some and is told so by a comment.
pub(crate) fn stream(mut events: broadcast::Receiver<Event>) -> ReplyBody {
    let (send, receive) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = events.recv() => next,
                () = send.closed() => return,
            };
            let text = match next {
                Ok(event) => format!("data: {}\n\n", serde_json::to_string(&event).unwrap_or_default()),
                Err(broadcast::error::RecvError::Lagged(missed)) => format!(": {missed} events missed\n\n"),
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if send.send(text.into()).await.is_err() {
                return;
            }
        }
    });
    ReplyBody::Events(receive)
}

#[cfg(test)]
mod tests;
