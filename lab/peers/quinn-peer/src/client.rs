//! Fetches every URL on a stream of its own, or exchanges datagrams.

use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::crypto::{self, Session};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{Case, DATAGRAM, RESERVED_VERSION, socket, tls, transport};

/// Datagrams sent, and how many must come back.
const DATAGRAMS: u8 = 20;
const ENOUGH: usize = 15;
/// Bytes read at a time.
const PART: usize = 64 << 10;

pub(crate) async fn run(downloads: &Path, urls: &[String], case: Case) -> Result<()> {
    let urls = urls.iter().map(|url| Url::parse(url)).collect::<Result<Vec<_>>>()?;
    let server = urls.first().context("no URL")?;
    ensure!(urls.iter().all(|url| url.authority == server.authority), "URLs of several servers");
    let addr = tokio::net::lookup_host(server.authority).await?.next().context("no address")?;
    let endpoint = endpoint(addr)?;
    let crypto = tls::client(case)?;
    if case == Case::VersionNegotiation {
        // A socket of its own, so that nobody waits for what is left of the attempt.
        negotiate(&self::endpoint(addr)?, addr, server.host, crypto).await?;
    }
    // One for all connections, as it holds the sessions to resume.
    let mut config = ClientConfig::new(Arc::new(tls::client(case)?));
    config.transport_config(transport());
    let rounds: Vec<&[Url<'_>]> = match case {
        Case::ConnectionPerFile => urls.chunks(1).collect(),
        Case::Resumption | Case::ZeroRtt => vec![&urls[..1], &urls[1..]],
        _ => vec![&urls],
    };
    for (round, urls) in rounds.into_iter().filter(|urls| !urls.is_empty()).enumerate() {
        let connecting = endpoint.connect_with(config.clone(), addr, server.host)?;
        let connection = if case == Case::ZeroRtt && round > 0 {
            let early = connecting.into_0rtt();
            early.map_err(|_| anyhow::anyhow!("no session to send early data with"))?.0
        } else {
            connecting.await.context("handshake")?
        };
        match case {
            Case::Datagram => datagrams(&connection).await?,
            _ => fetch_all(&connection, downloads, urls, case).await?,
        }
        connection.close(0_u32.into(), b"");
    }
    endpoint.wait_idle().await;
    Ok(())
}

fn endpoint(server: SocketAddr) -> Result<Endpoint> {
    let any =
        if server.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = socket(any)?;
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![RESERVED_VERSION, 1]);
    let runtime = quinn::default_runtime().context("no runtime")?;
    Ok(Endpoint::new(config, None, socket, runtime)?)
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
        let (connection, path) = (connection.clone(), url.path.to_owned());
        let update = case == Case::KeyUpdate && index == 0;
        let name = Path::new(url.path).file_name().context("a URL without a file name")?;
        let target = downloads.join(name);
        fetches.spawn(async move {
            let contents = fetch(&connection, &path, update).await.with_context(|| path.clone())?;
            std::fs::write(&target, contents).with_context(|| target.display().to_string())
        });
    }
    while let Some(fetch) = fetches.join_next().await {
        fetch??;
    }
    Ok(())
}

async fn fetch(connection: &Connection, path: &str, update: bool) -> Result<Vec<u8>> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(format!("GET {path}\r\n").as_bytes()).await?;
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
    let numbered = |i: u8| -> Bytes { (0..DATAGRAM).map(|at| i.wrapping_add(at as u8)).collect() };
    ensure!(
        connection.max_datagram_size().is_some_and(|max| max >= DATAGRAM),
        "the server takes no datagrams"
    );
    let mut back = BTreeSet::new();
    for _ in 0..100 {
        for i in (0..DATAGRAMS).filter(|i| !back.contains(i)) {
            connection.send_datagram(numbered(i))?;
        }
        let listen = async {
            while back.len() < usize::from(DATAGRAMS) {
                let datagram = connection.read_datagram().await?;
                let i = *datagram.first().context("an empty datagram")?;
                ensure!(i < DATAGRAMS && datagram == numbered(i), "an echo of something else");
                back.insert(i);
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

/// The parts of `https://HOST[:PORT]/PATH`.
struct Url<'a> {
    authority: (&'a str, u16),
    host: &'a str,
    path: &'a str,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        let rest = url.strip_prefix("https://").with_context(|| format!("not an https URL: {url}"))?;
        let (authority, path) = rest.split_at(rest.find('/').context("a URL without a path")?);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().context("port")?),
            _ => (authority, 443),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self { authority: (host, port), host, path })
    }
}
