//! Answers `GET /name` with the file, and datagrams with themselves.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use peer_common::{Case, REQUEST, Server, file, tls};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig};

use crate::{socket, transport};

pub(crate) async fn run(options: Server, case: Case) -> Result<()> {
    let tls = tls::server(case, &options.cert, &options.key)?;
    let tls = QuicServerConfig::with_initial(Arc::new(tls), tls::initial())?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(transport());
    match options.preferred {
        Some(SocketAddr::V4(addr)) => config.preferred_address_v4(Some(addr)),
        Some(SocketAddr::V6(addr)) => config.preferred_address_v6(Some(addr)),
        None => &mut config,
    };
    let runtime = quinn::default_runtime().context("no runtime")?;
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket(options.listen)?, runtime)?;
    println!("listening {}", endpoint.local_addr()?);
    let www: Arc<Path> = options.www.into();
    while let Some(incoming) = endpoint.accept().await {
        if case == Case::Retry && !incoming.remote_address_validated() {
            incoming.retry().map_err(|_| anyhow::anyhow!("an address validated twice"))?;
            continue;
        }
        let www = www.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(incoming, www).await {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

async fn connection(incoming: Incoming, www: Arc<Path>) -> Result<()> {
    let connection = incoming.await.context("handshake")?;
    tokio::spawn(echo(connection.clone()));
    while let Ok((send, recv)) = connection.accept_bi().await {
        let www = www.clone();
        tokio::spawn(async move {
            if let Err(error) = request(send, recv, &www).await {
                eprintln!("{error:#}");
            }
        });
    }
    eprintln!("closed: {}", connection.close_reason().map_or_else(String::new, |reason| reason.to_string()));
    Ok(())
}

async fn echo(connection: Connection) {
    while let Ok(datagram) = connection.read_datagram().await {
        // A full queue drops the echo, as any network might.
        let _ = connection.send_datagram(datagram);
    }
}

async fn request(mut send: SendStream, mut recv: RecvStream, www: &Path) -> Result<()> {
    let request = recv.read_to_end(REQUEST).await.context("request")?;
    match file(&request, www) {
        Ok(contents) => {
            send.write_all(&contents).await.context("response")?;
            send.finish()?;
            Ok(())
        }
        Err(error) => {
            // HTTP/0.9 has no status to say it with.
            let _ = send.reset(1_u32.into());
            Err(error)
        }
    }
}
