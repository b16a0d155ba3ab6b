//! Fetches every URL on a stream of its own, or exchanges datagrams.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use peer_common::{Case, DATAGRAMS, ENOUGH, Url, any, echoed, numbered, one_server, save, tls};
use s2n_quic::client::Connect;
use s2n_quic::provider::datagram::default::Sender;
use s2n_quic::provider::tls::rustls as quic;
use s2n_quic::{Client, Connection};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{datagrams, limits, server, socket};

/// How long a lone CONNECTION_CLOSE takes at most.
const GOODBYE: Duration = Duration::from_millis(100);

pub(crate) async fn run(options: &peer_common::Client, case: Case) -> Result<()> {
    let urls = one_server(&options.urls)?;
    let server = urls[0];
    let addr = tokio::net::lookup_host(server.authority).await?.next().context("no address")?;
    let client = Client::builder()
        .with_tls(quic::Client::from(tls::client(case)?))?
        .with_limits(limits()?)?
        .with_datagram(datagrams()?)?
        .with_io(socket(any(addr))?.0)?
        .start()
        .map_err(|error| anyhow!("{error}"))?;
    for urls in case.rounds(&urls) {
        let connect = Connect::new(addr).with_server_name(server.host);
        let connection = client.connect(connect).await.context("handshake")?;
        match case {
            Case::Datagram => exchange(&connection).await?,
            _ => fetch_all(&connection, &options.downloads, urls).await?,
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
        let (handle, target, request) = (connection.handle(), url.target(downloads)?, url.request());
        fetches.spawn(async move {
            save(&target, &fetch(handle, &request).await.with_context(|| request.clone())?)
        });
    }
    while let Some(fetch) = fetches.join_next().await {
        fetch??;
    }
    Ok(())
}

async fn fetch(mut connection: s2n_quic::connection::Handle, request: &str) -> Result<Vec<u8>> {
    let mut stream = connection.open_bidirectional_stream().await?;
    stream.send(request.to_owned().into()).await?;
    stream.finish()?;
    let mut contents = Vec::new();
    while let Some(chunk) = stream.receive().await? {
        contents.extend_from_slice(&chunk);
    }
    Ok(contents)
}

/// Sends numbered datagrams again and again until enough of them have come back unchanged.
async fn exchange(connection: &Connection) -> Result<()> {
    let handle = connection.handle();
    let mut back = BTreeSet::new();
    for _ in 0..100 {
        for i in (0..DATAGRAMS).filter(|i| !back.contains(i)) {
            let sent = handle.datagram_mut(|sender: &mut Sender| sender.send_datagram(numbered(i).into()));
            sent.map_err(|error| anyhow!("{error:?}"))?.map_err(|error| anyhow!("{error:?}"))?;
        }
        let listen = async {
            while back.len() < usize::from(DATAGRAMS) {
                back.insert(echoed(&server::receive(&handle).await?)?);
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
