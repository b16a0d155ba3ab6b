//! What all servers of the tool do: accept, answer stream by stream, and stop when interrupted.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use tq::{
    Connection, ConnectionError, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig,
};

/// How long clients are given to hear that the server stops.
const GOODBYE: Duration = Duration::from_secs(1);

/// Listens.
pub(crate) fn bind(endpoint: EndpointConfig, config: ServerConfig, listen: SocketAddr) -> Result<Endpoint> {
    let endpoint = Endpoint::builder().config(endpoint).server(config).bind(listen);
    endpoint.with_context(|| format!("cannot listen on {listen}"))
}

/// Answers every bidirectional stream of every client with `answer`, until SIGINT; with `early` before the handshake
/// is complete, which is for answers that may be given twice.
pub(crate) async fn serve<A, F>(endpoint: &Endpoint, early: bool, answer: A) -> Result<()>
where
    A: Fn(SendStream, RecvStream) -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    tokio::select! {
        () = accept(endpoint, early, answer) => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    endpoint.close(0, b"the server stops");
    // Whoever does not answer by then is left behind.
    let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
    Ok(())
}

async fn accept<A, F>(endpoint: &Endpoint, early: bool, answer: A)
where
    A: Fn(SendStream, RecvStream) -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    while let Some(incoming) = endpoint.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let remote = incoming.remote_address();
            match handshake(incoming, early).await {
                Ok(connection) => converse(connection, answer).await,
                Err(error) => eprintln!("{remote}: {error}"),
            }
        });
    }
}

async fn handshake(incoming: Incoming, early: bool) -> Result<Connection, ConnectionError> {
    let connecting = incoming.accept()?;
    let connecting = match early {
        true => connecting.into_early(),
        false => Err(connecting),
    };
    match connecting {
        Ok(connection) => Ok(connection),
        Err(connecting) => connecting.await,
    }
}

async fn converse<A, F>(connection: Connection, answer: A)
where
    A: Fn(SendStream, RecvStream) -> F,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let remote = connection.remote_address();
    while let Ok((send, recv)) = connection.accept_bi().await {
        let connection = connection.clone();
        let answer = answer(send, recv);
        let mut told = Box::pin(async move {
            // A client may leave when it has what it wants.
            if let Err(error) = answer.await
                && connection.close_reason().is_none()
            {
                eprintln!("{remote}: {error:#}");
            }
        });
        // A small request has come whole and is answered on the spot. A task is for those that have to wait.
        if poll_fn(|cx| Poll::Ready(told.as_mut().poll(cx))).await.is_pending() {
            tokio::spawn(told);
        }
        consume_budget().await;
    }
}
