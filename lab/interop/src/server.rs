//! The runner's server: files of a directory over `hq-interop`, with the behaviour of one test case.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tq::{Connection, Endpoint, Incoming, tls};

use crate::case::Case;
use crate::{h3, hq};

/// What a server is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; `[::]` takes both families.
    pub listen: SocketAddr,
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the key.
    pub key: PathBuf,
    /// Directory of the files.
    pub www: PathBuf,
    /// Connection migration: where a second socket listens. Any port of the first one's address unless given.
    pub also: Option<SocketAddr>,
    /// Connection migration: addresses to tell clients, one of a family, if the second socket is reached by others than its own.
    pub preferred: Vec<SocketAddr>,
    /// Whether clients speak HTTP/3 and nothing else.
    pub http3: bool,
}

/// Opens the endpoint.
///
/// # Errors
/// A file cannot be read or the address cannot be bound; the message says which.
pub fn bind(case: Case, options: &Options) -> Result<Endpoint> {
    let identity = tls::CertificateIdentity::load(&options.cert, &options.key)?;
    let mut config =
        tq::ServerConfig::new(case.server_tls(identity, if options.http3 { h3::ALPN } else { hq::ALPN }))?;
    config.transport(|transport| case.transport(transport));
    let endpoint = Endpoint::builder().config(case.endpoint()).bind(options.listen);
    let endpoint = endpoint.with_context(|| format!("cannot listen on {}", options.listen))?;
    if case == Case::Preferred {
        let also = options.also.unwrap_or_else(|| SocketAddr::new(options.listen.ip(), 0));
        let socket = endpoint.bind_also(also).with_context(|| format!("cannot listen on {also}"))?;
        let own = endpoint.socket_addr(socket).context("a socket without an address")?;
        let preferred = if options.preferred.is_empty() { &[own][..] } else { &options.preferred };
        ensure!(
            preferred.iter().all(|addr| !addr.ip().is_unspecified()),
            "say where clients reach the second socket (--preferred), or listen on one address"
        );
        config.transport(|transport| {
            for addr in preferred {
                match addr {
                    SocketAddr::V4(addr) => transport.preferred_v4 = Some(*addr),
                    SocketAddr::V6(addr) => transport.preferred_v6 = Some(*addr),
                }
            }
        });
    }
    endpoint.set_server_config(Some(config));
    Ok(endpoint)
}

/// Serves until the endpoint is closed.
pub async fn serve(endpoint: &Endpoint, case: Case, options: &Options) {
    let (www, http3): (Arc<Path>, _) = (options.www.as_path().into(), options.http3);
    while let Some(incoming) = endpoint.accept().await {
        if case == Case::Retry && incoming.may_retry() {
            // It may, so it cannot fail.
            let _ = incoming.retry();
            continue;
        }
        let www = Arc::clone(&www);
        tokio::spawn(async move {
            if let Err(error) = converse(incoming, case, www, http3).await {
                eprintln!("server: {error:#}");
            }
        });
    }
}

async fn converse(incoming: Incoming, case: Case, www: Arc<Path>, http3: bool) -> Result<()> {
    let remote = incoming.remote_address();
    let connecting = incoming.accept().with_context(|| format!("handshake with {remote}"))?;
    let connection = match case {
        // Sending a file twice does no harm, so early requests are answered at once.
        Case::ZeroRtt => connecting.into_early().ok().context("a server can always begin early")?,
        _ => connecting.await.with_context(|| format!("handshake with {remote}"))?,
    };
    if case == Case::Datagram {
        tokio::spawn(echo(connection.clone()));
    }
    if http3 {
        h3::greet(&connection).await?;
    }
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        let www = Arc::clone(&www);
        tokio::spawn(async move {
            if let Err(error) = hq::answer(&www, http3, &mut send, &mut recv).await {
                eprintln!("server: {error:#}");
            }
        });
    }
    Ok(())
}

/// Sends every datagram back.
async fn echo(connection: Connection) {
    while let Ok(datagram) = connection.read_datagram().await {
        // One that no longer fits is lost, as on any path.
        let _ = connection.send_datagram(datagram);
    }
}
