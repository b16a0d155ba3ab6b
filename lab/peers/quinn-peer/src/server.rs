//! Answers `GET /name` with the file, and datagrams with themselves.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use quinn::{Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig};

use crate::{Case, socket, tls, transport};

/// Longest request line.
const REQUEST: usize = 4096;

pub(crate) async fn run(listen: SocketAddr, cert: &Path, key: &Path, www: PathBuf, case: Case) -> Result<()> {
    let mut config = ServerConfig::with_crypto(Arc::new(tls::server(case, cert, key)?));
    config.transport_config(transport());
    let runtime = quinn::default_runtime().context("no runtime")?;
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket(listen)?, runtime)?;
    println!("listening {}", endpoint.local_addr()?);
    let www: Arc<Path> = www.into();
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

/// The bytes asked for, if they lie below `www`.
fn file(request: &[u8], www: &Path) -> Result<Vec<u8>> {
    let line = std::str::from_utf8(request).context("request is not UTF-8")?;
    let Some(name) = line.strip_prefix("GET /").map(str::trim_end) else { bail!("not a request: {line:?}") };
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        bail!("not a file name: {name:?}");
    }
    std::fs::read(www.join(name)).with_context(|| format!("reading {name}"))
}
