//! Answers `GET /name` with the file, and datagrams with themselves.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use peer_common::{Case, REQUEST, file, tls};
use s2n_quic::provider::datagram::default::{Receiver, Sender};
use s2n_quic::provider::endpoint_limits::{ConnectionAttempt, Limiter, Outcome};
use s2n_quic::provider::tls::rustls as quic;
use s2n_quic::stream::BidirectionalStream;
use s2n_quic::{Connection, Server};

use crate::{datagrams, limits, socket};

/// Whether every address has to prove itself.
struct Gate {
    retry: bool,
}

impl Limiter for Gate {
    fn on_connection_attempt(&mut self, _: &ConnectionAttempt<'_>) -> Outcome {
        if self.retry { Outcome::retry() } else { Outcome::allow() }
    }
}

pub(crate) async fn run(options: peer_common::Server, case: Case) -> Result<()> {
    let (io, local) = socket(options.listen)?;
    let mut server = Server::builder()
        .with_tls(quic::Server::from(tls::server(case, &options.cert, &options.key)?))?
        .with_limits(limits()?)?
        .with_endpoint_limits(Gate { retry: case == Case::Retry })?
        .with_datagram(datagrams()?)?
        .with_io(io)?
        .start()
        .map_err(|error| anyhow!("{error}"))?;
    println!("listening {local}");
    let www: Arc<Path> = options.www.into();
    while let Some(connection) = server.accept().await {
        let www = www.clone();
        tokio::spawn(async move {
            if let Err(error) = self::connection(connection, www, case).await {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

async fn connection(mut connection: Connection, www: Arc<Path>, case: Case) -> Result<()> {
    let remote = connection.remote_addr()?;
    if case == Case::Datagram {
        tokio::spawn(echo(connection.handle()));
    }
    while let Some(stream) = connection.accept_bidirectional_stream().await.context("accepting")? {
        let www = www.clone();
        tokio::spawn(async move {
            if let Err(error) = request(stream, &www).await {
                eprintln!("{error:#}");
            }
        });
    }
    eprintln!("{remote}: closed");
    Ok(())
}

async fn echo(connection: s2n_quic::connection::Handle) {
    while let Ok(datagram) = receive(&connection).await {
        // A full queue drops the echo, as any network might.
        let _ = connection.datagram_mut(|sender: &mut Sender| sender.send_datagram(datagram).is_ok());
    }
}

/// The next datagram.
pub(crate) async fn receive(connection: &s2n_quic::connection::Handle) -> Result<Bytes> {
    std::future::poll_fn(|cx| {
        match connection.datagram_mut(|receiver: &mut Receiver| receiver.poll_recv_datagram(cx)) {
            Ok(poll) => poll.map(|result| result.map_err(|error| anyhow!("{error:?}"))),
            Err(error) => std::task::Poll::Ready(Err(anyhow!("{error:?}"))),
        }
    })
    .await
}

async fn request(mut stream: BidirectionalStream, www: &Path) -> Result<()> {
    let mut request = Vec::new();
    while let Some(part) = stream.receive().await.context("request")? {
        request.extend_from_slice(&part);
        if request.len() > REQUEST {
            bail!("a request that does not end");
        }
    }
    match file(&request, www) {
        Ok(contents) => {
            stream.send(contents.into()).await.context("response")?;
            stream.close().await.context("response")
        }
        Err(error) => {
            // HTTP/0.9 has no status to say it with.
            let _ = stream.reset(1_u32.into());
            Err(error)
        }
    }
}
