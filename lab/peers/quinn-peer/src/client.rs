//! Fetches every URL on a stream of its own, or exchanges datagrams.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use peer_common::{
    Case, Client, DATAGRAM, DATAGRAMS, ENOUGH, MOVE, Url, any, echoed, numbered, one_server, save, tls,
};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::crypto::{self, Session};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{RESERVED_VERSION, socket, transport};

/// Bytes read at a time.
const PART: usize = 64 << 10;

pub(crate) async fn run(options: &Client, case: Case) -> Result<()> {
    let urls = one_server(&options.urls)?;
    let server = urls[0];
    let addr = tokio::net::lookup_host(server.authority).await?.next().context("no address")?;
    let endpoint = endpoint(addr)?;
    if case == Case::VersionNegotiation {
        // A socket of its own, so that nobody waits for what is left of the attempt.
        negotiate(&self::endpoint(addr)?, addr, server.host, crypto(case)?).await?;
    }
    // One for all connections, as it holds the sessions to resume.
    let mut config = ClientConfig::new(Arc::new(crypto(case)?));
    config.transport_config(transport());
    for (round, urls) in case.rounds(&urls).into_iter().enumerate() {
        let connecting = endpoint.connect_with(config.clone(), addr, server.host)?;
        let connection = if case == Case::ZeroRtt && round > 0 {
            let early = connecting.into_0rtt();
            early.map_err(|_| anyhow::anyhow!("no session to send early data with"))?.0
        } else {
            connecting.await.context("handshake")?
        };
        match case {
            Case::Datagram => datagrams(&connection).await?,
            Case::Migration => {
                let fetched = fetch_all(&connection, &options.downloads, urls, case);
                tokio::try_join!(fetched, move_on(&endpoint, addr))?;
            }
            _ => fetch_all(&connection, &options.downloads, urls, case).await?,
        }
        connection.close(0_u32.into(), b"");
    }
    endpoint.wait_idle().await;
    Ok(())
}

fn crypto(case: Case) -> Result<QuicClientConfig> {
    Ok(QuicClientConfig::with_initial(Arc::new(tls::client(case)?), tls::initial())?)
}

fn endpoint(server: SocketAddr) -> Result<Endpoint> {
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![RESERVED_VERSION, 1]);
    let runtime = quinn::default_runtime().context("no runtime")?;
    Ok(Endpoint::new(config, None, socket(any(server))?, runtime)?)
}

/// Takes all connections of an endpoint to another socket.
async fn move_on(endpoint: &Endpoint, server: SocketAddr) -> Result<()> {
    sleep(MOVE).await;
    endpoint.rebind(socket(any(server))?).context("moving")
}

/// Offers a version nobody speaks. The server has to answer with those it does, version 1 among them, which
/// quinn reports as a mismatch; the caller then connects with version 1.
async fn negotiate(
    endpoint: &Endpoint,
    addr: SocketAddr,
    host: &str,
    crypto: QuicClientConfig,
) -> Result<()> {
    let mut config = ClientConfig::new(Arc::new(AnyVersion(Arc::new(crypto))));
    config.version(RESERVED_VERSION).transport_config(transport());
    match endpoint.connect_with(config, addr, host)?.await {
        Err(ConnectionError::VersionMismatch) => Ok(()),
        Err(error) => Err(error).context("expected Version Negotiation"),
        Ok(_) => bail!("the server accepted version {RESERVED_VERSION:#x}"),
    }
}

/// TLS that takes the reserved version for version 1, as keys are needed to build a first packet.
struct AnyVersion(Arc<QuicClientConfig>);

impl crypto::ClientConfig for AnyVersion {
    #[cfg(not(feature = "noq"))]
    fn start_session(
        self: Arc<Self>,
        _version: u32,
        server_name: &str,
        params: &quinn_proto::transport_parameters::TransportParameters,
    ) -> Result<Box<dyn Session>, quinn::ConnectError> {
        self.0.clone().start_session(1, server_name, params)
    }

    #[cfg(feature = "noq")]
    fn start_session(
        &self,
        _version: u32,
        server_name: &str,
        params: &quinn_proto::transport_parameters::TransportParameters,
    ) -> Result<Box<dyn Session>, quinn::ConnectError> {
        self.0.start_session(1, server_name, params)
    }
}

async fn fetch_all(connection: &Connection, downloads: &Path, urls: &[Url<'_>], case: Case) -> Result<()> {
    let mut fetches = JoinSet::new();
    for (index, url) in urls.iter().enumerate() {
        let connection = connection.clone();
        let update = case == Case::KeyUpdate && index == 0;
        let (target, request) = (url.target(downloads)?, url.request());
        fetches.spawn(async move {
            save(&target, &fetch(&connection, &request, update).await.with_context(|| request.clone())?)
        });
    }
    while let Some(fetch) = fetches.join_next().await {
        fetch??;
    }
    Ok(())
}

async fn fetch(connection: &Connection, request: &str, update: bool) -> Result<Vec<u8>> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(request.as_bytes()).await?;
    send.finish()?;
    let (mut contents, mut part) = (Vec::new(), vec![0; PART]);
    let mut updated = !update;
    while let Some(len) = recv.read(&mut part).await? {
        contents.extend_from_slice(&part[..len]);
        if !updated {
            // The first bytes of the response follow the server's confirmation of the handshake.
            connection.force_key_update();
            updated = true;
        }
    }
    Ok(contents)
}

/// Sends numbered datagrams again and again until enough of them have come back unchanged.
async fn datagrams(connection: &Connection) -> Result<()> {
    ensure!(
        connection.max_datagram_size().is_some_and(|max| max >= DATAGRAM),
        "the server takes no datagrams"
    );
    let mut back = BTreeSet::new();
    for _ in 0..100 {
        for i in (0..DATAGRAMS).filter(|i| !back.contains(i)) {
            connection.send_datagram(numbered(i).into())?;
        }
        let listen = async {
            while back.len() < usize::from(DATAGRAMS) {
                back.insert(echoed(&connection.read_datagram().await?)?);
            }
            Ok(())
        };
        if let Ok(result) = timeout(Duration::from_millis(100), listen).await {
            return result;
        }
        if back.len() >= ENOUGH {
            // Leave the last echoes a moment, as they may be under way.
            sleep(Duration::from_millis(10)).await;
            return Ok(());
        }
    }
    bail!("{} of {DATAGRAMS} datagrams came back", back.len())
}
