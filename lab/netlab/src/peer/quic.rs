//! Our QUIC through its public interface, one connection for a transfer, with a path over each link it may use.
//!
//! Decides how a transfer is asked for (on each stream seventeen bytes from the client, as [`super::tcp`] does) and that a
//! path that is given up is opened again. Both ends have a runtime of their own whose threads live in their host.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tq::quic::cc::Algorithm;
use tq::quic::sched::Kind as Scheduler;
use tq::tls::RawIdentity;
use tq::{
    Bytes, ClientConfig, Connection, Endpoint, Path, PathId, PathStatus, RecvStream, SendStream,
    ServerConfig, SocketId, TransportConfig, tls,
};
use tq_packet::Namespace;
use tq_scenario::Host as Options;
use tq_udp::Clock;

use super::{Done, Progress, Transfer, sleep_until};
use crate::names;

const ALPN: &str = "tq-lab";
/// Of a key pair that guards nothing.
const SEED: [u8; 32] = *b"tq-netlab measures, no secret..!";
/// Before a path that could not be opened is tried again.
const REOPEN: std::time::Duration = std::time::Duration::from_millis(500);
static BLOCK: [u8; 1 << 18] = [0x5a; 1 << 18];

type Uploads = Arc<Mutex<Vec<(u64, Progress)>>>;

/// What both ends are told, for so many links; what the stack does not have is in the second part.
pub fn tuning(
    options: &Options,
    cc: &str,
    scheduler: Option<Scheduler>,
    links: usize,
) -> Result<(impl Fn(&mut TransportConfig) + Clone + Send + use<>, Vec<String>)> {
    let algorithm: Algorithm = cc.parse().map_err(|_| {
        anyhow!(
            "our QUIC has no congestion control {cc:?}; it has {}",
            Algorithm::ALL.map(Algorithm::name).join(", ")
        )
    })?;
    let mut without = Vec::new();
    for (name, given) in [
        ("stream_window", options.stream_window.is_some()),
        ("connection_window", options.connection_window.is_some()),
        ("initial_window", options.initial_window.is_some()),
        ("max_segments", options.max_segments.is_some()),
        ("timer_tick", options.timer_tick.is_some()),
    ] {
        if given {
            without.push(format!("host option {name}"));
        }
    }
    let named = options.scheduler.as_deref().filter(|_| scheduler.is_none());
    let scheduler = scheduler.or_else(|| named?.parse().ok());
    if let Some(name) = named.filter(|_| scheduler.is_none()) {
        without.push(format!("scheduler {name}"));
    }
    let several = links > 1 && options.multipath != Some(false);
    let own = options.clone();
    let edit = move |transport: &mut TransportConfig| {
        transport.congestion = Some(algorithm);
        transport.scheduler = scheduler.unwrap_or_default();
        transport.max_paths = several.then_some(links as u32);
        let keep = |value: &mut _, wanted: Option<_>| *value = wanted.unwrap_or(*value);
        keep(&mut transport.ack_frequency, own.ack_frequency);
        keep(&mut transport.ecn, own.ecn);
        keep(&mut transport.pacing, own.pacing);
        keep(&mut transport.mtu_discovery, own.mtu_discovery);
        transport.max_mtu = own.max_datagram.map_or(1472, |most| u16::try_from(most).unwrap_or(u16::MAX));
        transport.max_ack_delay = own.ack_delay.unwrap_or(transport.max_ack_delay);
        transport.idle_timeout = own.idle_timeout.unwrap_or(transport.idle_timeout);
        transport.keep_alive = own.keep_alive.or(transport.keep_alive);
    };
    Ok((edit, without))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// A server in a namespace, until it is dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    uploads: Uploads,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// Listens on all addresses of `namespace`.
    pub fn start(namespace: &Namespace, tune: impl Fn(&mut TransportConfig)) -> Result<Self> {
        let addr = (Ipv4Addr::UNSPECIFIED, 0).into();
        let identity = RawIdentity::from_seed(SEED);
        let mut config = ServerConfig::new(tls::ServerConfig::new().raw_key(identity).alpn([ALPN]))?;
        config.transport(|transport| tune(transport));
        let uploads = Uploads::default();
        let (tell, told) = channel();
        let (stop, stopped) = oneshot::channel();
        let list = Arc::clone(&uploads);
        let thread = namespace.spawn("quic-server", move || {
            // Whoever started us waits for one answer.
            let Ok(runtime) = runtime().map_err(|error| tell.send(Err(error))) else { return };
            runtime.block_on(async {
                match Endpoint::server(config, addr) {
                    Ok(endpoint) => {
                        let _ = tell.send(Ok(endpoint.local_addr().port()));
                        tokio::spawn(serve(endpoint, list));
                        let _ = stopped.await;
                    }
                    Err(error) => drop(tell.send(Err(error))),
                }
            });
            runtime.shutdown_background();
        })?;
        let port = told.recv().context("the server ended")?.context("cannot listen")?;
        Ok(Self { port, uploads, stop: Some(stop), thread: Some(thread) })
    }

    /// Runs a transfer from `namespace` over these links, which race for the handshake; those marked are on standby.
    pub fn transfer(
        &self,
        namespace: &Namespace,
        links: Vec<(usize, bool)>,
        transfer: &Transfer,
        tune: impl Fn(&mut TransportConfig),
    ) -> Result<Running> {
        let trust = tls::ClientConfig::pinned_key(RawIdentity::from_seed(SEED).spki()).alpn([ALPN]);
        let mut config = ClientConfig::new(trust)?;
        config.transport(|transport| tune(transport));
        let streams: Vec<_> = (0..transfer.streams)
            .map(|number| (transfer.start.as_nanos() << 10 | u64::from(number), Progress::default()))
            .collect();
        if transfer.upload {
            self.uploads.lock().unwrap_or_else(PoisonError::into_inner).extend(streams.iter().cloned());
        }
        let (own, to, list) = (transfer.clone(), Links { links, port: self.port }, streams.clone());
        let thread = namespace.spawn("quic-client", move || -> Result<(), String> {
            let run = || -> Result<()> {
                let runtime = runtime()?;
                sleep_until(own.start);
                let result = runtime.block_on(async { runtime.spawn(client(own, to, config, list)).await });
                runtime.shutdown_background();
                result?
            };
            run().map_err(|error| format!("{error:#}"))
        })?;
        let streams = streams.into_iter().map(|(_, progress)| progress).collect();
        Ok(Running { streams, thread, wanted: transfer.bytes })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell any more.
            let _ = thread.join();
        }
    }
}

/// A transfer under way.
#[derive(Debug)]
pub struct Running {
    streams: Vec<Progress>,
    thread: JoinHandle<io::Result<Result<(), String>>>,
    wanted: Option<u64>,
}

impl Running {
    /// Waits until it is over.
    pub fn wait(self) -> Done {
        let error = match self.thread.join() {
            Ok(Ok(result)) => result.err(),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the client panicked".into()),
        };
        Done::gather(&self.streams, self.wanted, error)
    }
}

/// The links of a client, and the server's port.
#[derive(Clone, Debug)]
struct Links {
    /// Numbers, and whether they are on standby.
    links: Vec<(usize, bool)>,
    port: u16,
}

impl Links {
    fn server(&self, link: usize) -> SocketAddr {
        (names::network(link), self.port).into()
    }

    /// An endpoint with a socket for each link; one link has the routes of its address, several their devices.
    fn endpoint(&self) -> Result<(Endpoint, Vec<SocketId>)> {
        let [(first, _), others @ ..] = &self.links[..] else { bail!("no link") };
        let device = |link| (!others.is_empty()).then(|| names::wan(link));
        let options = tq_udp::Options { device: device(*first), ..Default::default() };
        let endpoint = Endpoint::builder().socket(options).bind((names::user(*first), 0).into())?;
        let mut sockets = vec![endpoint.sockets()[0].id];
        for (link, _) in others {
            sockets.push(endpoint.add_socket(device(*link).as_deref(), (names::user(*link), 0).into())?);
        }
        Ok((endpoint, sockets))
    }

    /// Keeps a path over each further link as long as the connection lasts.
    fn keep(&self, connection: &Connection, sockets: &[SocketId]) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let won = connection.path(PathId(0));
        for ((link, standby), socket) in self.links.iter().zip(sockets) {
            let mut first = Some(won.clone()).filter(|path| path.socket() == Some(*socket));
            let (connection, to, standby, socket) =
                (connection.clone(), self.server(*link), *standby, *socket);
            tasks.spawn(async move {
                while connection.close_reason().is_none() {
                    let path = match first.take() {
                        Some(path) => Ok(path),
                        None => connection.open_path_to(socket, to).await,
                    };
                    match path {
                        Ok(path) => lasts(&connection, &path, standby).await,
                        Err(_) => sleep(REOPEN).await,
                    }
                }
            });
        }
        tasks
    }
}

/// Waits until a path is given up.
async fn lasts(connection: &Connection, path: &Path, standby: bool) {
    let mut events = connection.path_events();
    if standby {
        // It may be gone, which the loop sees.
        let _ = path.set_status(PathStatus::Backup);
    }
    while path.state().is_live() && events.next().await.is_ok() {}
}

async fn client(own: Transfer, to: Links, config: ClientConfig, streams: Vec<(u64, Progress)>) -> Result<()> {
    let (endpoint, sockets) = to.endpoint()?;
    let stop = own.stop;
    let connecting = endpoint.connect_over(&sockets, &config, to.server(own.link), "lab")?;
    let connection = timeout(stop - Clock::now(), connecting).await.context("no handshake in time")??;
    let _paths = to.keep(&connection, &sockets);
    let mut running = JoinSet::new();
    for (key, progress) in streams {
        let (connection, own) = (connection.clone(), own.clone());
        running
            .spawn(async move { timeout(stop - Clock::now(), stream(connection, own, key, progress)).await });
    }
    while let Some(result) = running.join_next().await {
        // Out of time is no error: the scenario is over.
        if let Ok(result) = result? {
            result?;
        }
    }
    connection.close(0, b"measured");
    // The peer hears of it or not.
    let _ = timeout(std::time::Duration::from_millis(300), endpoint.wait_idle()).await;
    Ok(())
}

async fn stream(connection: Connection, own: Transfer, key: u64, progress: Progress) -> Result<()> {
    let (mut send, mut recv) = connection.open_bi().await?;
    let mut order = [0; 17];
    order[0] = if own.upload { b'U' } else { b'D' };
    let bytes = own.bytes.unwrap_or(u64::MAX);
    order[1..9].copy_from_slice(&bytes.to_be_bytes());
    order[9..].copy_from_slice(&key.to_be_bytes());
    send.write_all(&order).await?;
    if own.upload {
        fill(&mut send, bytes).await?;
        send.finish()?;
        return swallow(&mut recv, &Progress::default()).await;
    }
    send.finish()?;
    swallow(&mut recv, &progress).await
}

async fn serve(endpoint: Endpoint, uploads: Uploads) {
    while let Some(incoming) = endpoint.accept().await {
        let uploads = Arc::clone(&uploads);
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            while let Ok((send, recv)) = connection.accept_bi().await {
                // A client that leaves has what it wanted.
                tokio::spawn(answer(send, recv, Arc::clone(&uploads)));
            }
        });
    }
}

async fn answer(mut send: SendStream, mut recv: RecvStream, uploads: Uploads) -> Result<()> {
    let mut order = [0; 17];
    recv.read_exact(&mut order).await?;
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let (bytes, key) = (number(&order[1..9]), number(&order[9..]));
    if order[0] == b'D' {
        fill(&mut send, bytes).await?;
    } else {
        let found =
            |list: &Vec<(u64, Progress)>| list.iter().find(|(own, _)| *own == key).map(|(_, p)| p.clone());
        let progress = found(&uploads.lock().unwrap_or_else(PoisonError::into_inner));
        swallow(&mut recv, &progress.context("an upload that nobody asked for")?).await?;
    }
    send.finish()?;
    Ok(())
}

async fn fill(send: &mut SendStream, mut bytes: u64) -> Result<()> {
    let block = Bytes::from_static(&BLOCK);
    while bytes > 0 {
        let part = bytes.min(block.len() as u64);
        send.write_chunk(block.slice(..part as usize)).await?;
        bytes -= part;
    }
    Ok(())
}

async fn swallow(recv: &mut RecvStream, progress: &Progress) -> Result<()> {
    while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
        progress.add(chunk.len() as u64);
    }
    Ok(())
}
