//! Fetches every URL on a stream of its own, or exchanges datagrams.

use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use s2n_quic::client::Connect;
use s2n_quic::provider::datagram::default::Sender;
use s2n_quic::{Client, Connection};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{Case, DATAGRAM, datagrams, limits, server, socket, tls};

/// Datagrams sent, and how many must come back.
const DATAGRAMS: u8 = 20;
const ENOUGH: usize = 15;
/// How long a lone CONNECTION_CLOSE takes at most.
const GOODBYE: Duration = Duration::from_millis(100);

pub(crate) async fn run(downloads: &Path, urls: &[String], case: Case) -> Result<()> {
    let urls = urls.iter().map(|url| Url::parse(url)).collect::<Result<Vec<_>>>()?;
    let server = urls.first().context("no URL")?;
    ensure!(urls.iter().all(|url| url.authority == server.authority), "URLs of several servers");
    let addr = tokio::net::lookup_host(server.authority).await?.next().context("no address")?;
    let any = if addr.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let client = Client::builder()
        .with_tls(tls::client(case)?)?
        .with_limits(limits()?)?
        .with_datagram(datagrams()?)?
        .with_io(socket(any)?.0)?
        .start()
        .map_err(|error| anyhow!("{error}"))?;
    let rounds: Vec<&[Url<'_>]> = match case {
        Case::ConnectionPerFile => urls.chunks(1).collect(),
        _ => vec![&urls],
    };
    for urls in rounds.into_iter().filter(|urls| !urls.is_empty()) {
        let connect = Connect::new(addr).with_server_name(server.host);
        let connection = client.connect(connect).await.context("handshake")?;
        match case {
            Case::Datagram => exchange(&connection).await?,
            _ => fetch_all(&connection, downloads, urls).await?,
        }
        connection.close(0_u32.into());
    }
    drop(client);
    sleep(GOODBYE).await;
    Ok(())
}

async fn fetch_all(connection: &Connection, downloads: &Path, urls: &[Url<'_>]) -> Result<()> {
    let mut fetches = JoinSet::new();
    for url in urls {
        let (handle, path) = (connection.handle(), url.path.to_owned());
        let name = Path::new(url.path).file_name().context("a URL without a file name")?;
        let target = downloads.join(name);
        fetches.spawn(async move {
            let contents = fetch(handle, &path).await.with_context(|| path.clone())?;
            std::fs::write(&target, contents).with_context(|| target.display().to_string())
        });
    }
    while let Some(fetch) = fetches.join_next().await {
        fetch??;
    }
    Ok(())
}

async fn fetch(mut connection: s2n_quic::connection::Handle, path: &str) -> Result<Vec<u8>> {
    let mut stream = connection.open_bidirectional_stream().await?;
    stream.send(format!("GET {path}\r\n").into()).await?;
    stream.finish()?;
    let mut contents = Vec::new();
    while let Some(chunk) = stream.receive().await? {
        contents.extend_from_slice(&chunk);
    }
    Ok(contents)
}

/// Sends numbered datagrams again and again until enough of them have come back unchanged.
async fn exchange(connection: &Connection) -> Result<()> {
    let numbered = |i: u8| -> Bytes { (0..DATAGRAM).map(|at| i.wrapping_add(at as u8)).collect() };
    let handle = connection.handle();
    let mut back = BTreeSet::new();
    for _ in 0..100 {
        for i in (0..DATAGRAMS).filter(|i| !back.contains(i)) {
            let sent = handle.datagram_mut(|sender: &mut Sender| sender.send_datagram(numbered(i)));
            sent.map_err(|error| anyhow!("{error:?}"))?.map_err(|error| anyhow!("{error:?}"))?;
        }
        let listen = async {
            while back.len() < usize::from(DATAGRAMS) {
                let datagram = server::receive(&handle).await?;
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
