//! The runner's client: fetches URLs into a directory, with the behaviour of one test case.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tq::{Bytes, Connection, ConnectionError, Endpoint, Version, tls};

use crate::case::Case;
use crate::url::Url;
use crate::{h3, hq};

/// A version of the form reserved for this (RFC 9000 §15).
const NOBODYS: Version = Version(0x1a2a_3a4a);
/// The datagram case: how many, how long, how many must come back.
const DATAGRAMS: u8 = 20;
const DATAGRAM_LEN: usize = 500;
const ENOUGH: usize = 15;
/// Silence after which no more echoes of a round are expected.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long tickets are waited for after a handshake: they are the last things a server sends of it.
const TICKETS: Duration = Duration::from_millis(200);
/// How long the end of a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long and how often a key update is tried that was not possible yet.
const LATE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(10);
/// How long a move to a preferred address may take.
const MOVE: Duration = Duration::from_secs(2);
/// How often datagrams without an echo are sent.
const ROUNDS: u32 = 20;

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where files go.
    pub downloads: PathBuf,
    /// PEM file with roots; without it any certificate will do, as in the runner's network.
    pub ca: Option<PathBuf>,
    /// Whether the server speaks HTTP/3 and nothing else.
    pub http3: bool,
    /// What to fetch, all from one server.
    pub urls: Vec<Url>,
}

/// Runs the case.
///
/// # Errors
/// What the case is about did not work.
pub async fn run(case: Case, options: &Options) -> Result<()> {
    let first = options.urls.first().context("no URL to fetch")?;
    let same = |url: &Url| (&url.host, url.port) == (&first.host, first.port);
    ensure!(options.urls.iter().all(same), "all URLs must be of one server");
    let client = Client::new(case, options, first).await?;
    match case {
        Case::Datagram => client.datagrams().await?,
        Case::Resumption | Case::ZeroRtt => client.twice(&options.urls, &options.downloads).await?,
        Case::ConnectionPerFile => {
            for url in &options.urls {
                client.fetch(std::slice::from_ref(url), &options.downloads).await?;
            }
        }
        _ => client.fetch(&options.urls, &options.downloads).await?,
    }
    // Nobody answers late packets of the server for longer than is worth waiting.
    let _ = timeout(GOODBYE, client.endpoint.wait_idle()).await;
    Ok(())
}

/// An endpoint and whom it talks to.
struct Client {
    case: Case,
    endpoint: Endpoint,
    config: tq::ClientConfig,
    remote: SocketAddr,
    host: String,
    /// To name in requests, if they are of HTTP/3.
    authority: Option<Arc<str>>,
}

impl Client {
    async fn new(case: Case, options: &Options, url: &Url) -> Result<Self> {
        let roots = options.ca.as_ref().map(tls::Roots::load).transpose()?;
        let mut config =
            tq::ClientConfig::new(case.client_tls(roots, if options.http3 { h3::ALPN } else { hq::ALPN }))?;
        config.transport(|transport| case.transport(transport));
        let addresses = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
        let remote = addresses.with_context(|| format!("cannot resolve {}", url.host))?.next();
        let remote = remote.with_context(|| format!("{} has no address", url.host))?;
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let endpoint = Endpoint::builder().config(case.endpoint()).bind((any, 0).into());
        let endpoint = endpoint.context("cannot open a socket")?;
        let authority = options.http3.then(|| format!("{}:{}", url.host, url.port).into());
        Ok(Self { case, endpoint, config, remote, host: url.host.clone(), authority })
    }

    async fn connect(&self) -> Result<Connection> {
        let attempt = async |config: &tq::ClientConfig| {
            let connecting = self.endpoint.connect_with(config, self.remote, &self.host)?;
            Ok::<_, anyhow::Error>(connecting.await)
        };
        if self.case == Case::VersionNegotiation {
            let mut config = self.config.clone();
            match attempt(config.version(NOBODYS)).await? {
                // The server said what it speaks, and the next attempt will take it at its word.
                Err(ConnectionError::VersionMismatch) => {}
                result => return result.context("after version negotiation"),
            }
        }
        let connection = attempt(&self.config).await?;
        let connection = connection.with_context(|| format!("connecting to {}", self.remote))?;
        let version = connection.version();
        ensure!(self.case != Case::Version2 || version == Version::V2, "the server chose {version:?}");
        Ok(connection)
    }

    /// A connection for the first file, from which tickets come, and one for the others, which uses one.
    async fn twice(&self, urls: &[Url], downloads: &Path) -> Result<()> {
        let (first, others) = urls.split_at(1);
        let others = if others.is_empty() { first } else { others };
        let connection = self.connect().await?;
        self.fetch_over(&connection, first, downloads).await?;
        timeout(LATE, connection.confirmed()).await.context("the handshake is never confirmed")??;
        sleep(TICKETS).await;
        connection.close(0, b"done");
        if self.case == Case::Resumption {
            let connection = self.connect().await?;
            ensure!(connection.is_resumed(), "the second handshake was a full one");
            self.fetch_over(&connection, others, downloads).await?;
            connection.close(0, b"done");
            return Ok(());
        }
        let connecting = self.endpoint.connect_with(&self.config, self.remote, &self.host)?;
        let connection = connecting.into_early().ok().context("no ticket for 0-RTT came")?;
        self.fetch_over(&connection, others, downloads).await?;
        ensure!(connection.early_accepted().await?, "the server did not take 0-RTT");
        connection.close(0, b"done");
        Ok(())
    }

    /// Fetches files over one connection, all at once.
    async fn fetch(&self, urls: &[Url], downloads: &Path) -> Result<()> {
        let connection = self.connect().await?;
        if matches!(self.case, Case::Preferred | Case::Migration) {
            let (moved, fetched) =
                tokio::join!(self.move_on(&connection), self.fetch_over(&connection, urls, downloads));
            fetched?;
            moved?;
        } else {
            self.fetch_over(&connection, urls, downloads).await?;
        }
        connection.close(0, b"done");
        Ok(())
    }

    /// Sees that the connection moves to the server's preferred address, or moves it to another port of ours.
    async fn move_on(&self, connection: &Connection) -> Result<()> {
        timeout(LATE, connection.confirmed()).await.context("the handshake is never confirmed")??;
        if self.case == Case::Migration {
            let any = SocketAddr::new(self.endpoint.local_addr().ip(), 0);
            let socket = self.endpoint.bind_also(any).context("cannot open a second socket")?;
            connection.migrate(socket).await.context("the move to another port")?;
            return Ok(());
        }
        let followed = async {
            while connection.remote_address() == self.remote {
                sleep(RETRY).await;
            }
        };
        timeout(MOVE, followed).await.context("no preferred address, or no answer from there")?;
        eprintln!("client: the server is at {}", connection.remote_address());
        Ok(())
    }

    /// Fetches files over a connection, all at once.
    async fn fetch_over(&self, connection: &Connection, urls: &[Url], downloads: &Path) -> Result<()> {
        let updated = Arc::new(AtomicBool::new(self.case != Case::KeyUpdate));
        let start = Instant::now();
        if self.authority.is_some() {
            h3::greet(connection).await?;
        }
        let mut fetches = JoinSet::new();
        for url in urls {
            let (connection, updated) = (connection.clone(), Arc::clone(&updated));
            let authority = self.authority.clone();
            let (path, file) = (url.path.clone(), downloads.join(url.file_name()?));
            fetches.spawn(async move {
                let update = |connection: &Connection| {
                    if !updated.load(Ordering::Relaxed) && connection.update_keys() {
                        updated.store(true, Ordering::Relaxed);
                    }
                };
                hq::fetch(&connection, authority.as_deref(), &path, &file, update).await
            });
        }
        let mut bytes = 0;
        while let Some(fetched) = fetches.join_next().await {
            bytes += fetched??;
        }
        let seconds = start.elapsed().as_secs_f64();
        let kbps = bytes as f64 * 8e-3 / seconds;
        eprintln!("client: {} files, {bytes} bytes in {seconds:.3} s, {kbps:.0} kbit/s", urls.len());
        if !updated.load(Ordering::Relaxed) {
            self.update_late(connection, &urls[0], downloads).await?;
        }
        Ok(())
    }

    /// Updates keys that could not be updated while files were fetched, because the peer just did so, and fetches
    /// a file with them.
    async fn update_late(&self, connection: &Connection, url: &Url, downloads: &Path) -> Result<()> {
        let update = async {
            while !connection.update_keys() {
                sleep(RETRY).await;
            }
        };
        timeout(LATE, update).await.ok().context("the keys could never be updated")?;
        let file = downloads.join(url.file_name()?);
        hq::fetch(connection, self.authority.as_deref(), &url.path, &file, |_| ()).await?;
        Ok(())
    }

    /// Sends datagrams until enough of them came back as they were: the network owes nobody a datagram.
    async fn datagrams(&self) -> Result<()> {
        let connection = self.connect().await?;
        let all = (0..DATAGRAMS).map(|number| Bytes::from(vec![number; DATAGRAM_LEN]));
        let mut missing: Vec<Bytes> = all.collect();
        let mut rounds = 0;
        while missing.len() > usize::from(DATAGRAMS) - ENOUGH {
            ensure!(rounds < ROUNDS, "{} of {DATAGRAMS} datagrams did not come back", missing.len());
            rounds += 1;
            for datagram in &missing {
                connection.send_datagram_wait(datagram.clone()).await?;
            }
            while !missing.is_empty() {
                let Ok(datagram) = timeout(PATIENCE, connection.read_datagram()).await else { break };
                let datagram = datagram?;
                let number = datagram.first().copied().unwrap_or(DATAGRAMS);
                let sent = number < DATAGRAMS && datagram == vec![number; DATAGRAM_LEN];
                ensure!(sent, "a datagram came back that was not sent");
                missing.retain(|sent| *sent != datagram);
            }
        }
        connection.close(0, b"done");
        let back = usize::from(DATAGRAMS) - missing.len();
        eprintln!("client: {back} of {DATAGRAMS} datagrams came back in {rounds} rounds");
        Ok(())
    }
}
