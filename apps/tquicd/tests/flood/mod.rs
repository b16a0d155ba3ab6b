//! Devices that take what they are due, and one that takes all it can get.

#![allow(dead_code, reason = "test and example use some of it each")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tq::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, tls};
use tq_identity::{Secret, Token};
use tq_tunnel::{Open, Target, ToRouter, ToServer, read_message, write_message};

/// Of a target's connections.
const SEND_BUFFER: u32 = 256 * 1024;

/// What a device can do to a server that is more than its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// As many bytes as go, both ways, over many streams.
    Bytes,
    /// Connections opened and left, one after the other.
    Opens,
    /// Bytes one by one, over many streams.
    Tiny,
    /// Downloads that nobody reads.
    Unread,
    /// Datagrams that never were a packet, as fast as the kernel takes them.
    Noise,
    /// No flood: what is missing then, no flood has taken.
    Nothing,
    /// The noise of [`Flood::Noise`] at a socket of its own: what is missing then, the machine has taken and not the server.
    Elsewhere,
}

impl Flood {
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("bytes", Self::Bytes),
        ("opens", Self::Opens),
        ("tiny", Self::Tiny),
        ("unread", Self::Unread),
        ("noise", Self::Noise),
        ("nothing", Self::Nothing),
        ("elsewhere", Self::Elsewhere),
    ];

    /// Whether it is there to compare with.
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Nothing | Self::Elsewhere)
    }
}

/// A service that sends for ever (`D`), swallows everything (`U`) or sends it back (`E`), as the first byte says.
pub(crate) async fn target() -> SocketAddr {
    target_at(([127, 0, 0, 1], 0).into()).await
}

pub(crate) async fn target_at(addr: SocketAddr) -> SocketAddr {
    // It stands for one on another machine: its buffers are not to be what all TCP here runs short of.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_send_buffer_size(SEND_BUFFER).unwrap();
    socket.bind(addr).unwrap();
    let listener = socket.listen(1024).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((tcp, _)) => drop(tokio::spawn(serve(tcp))),
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    addr
}

async fn serve(mut tcp: TcpStream) -> std::io::Result<()> {
    let mut block = vec![0; 64 * 1024];
    tcp.read_exact(&mut block[..1]).await?;
    match block[0] {
        b'D' => loop {
            tcp.write_all(&block).await?;
        },
        b'E' => {
            let (mut from, mut to) = tcp.split();
            tokio::io::copy(&mut from, &mut to).await.map(drop)
        }
        _ => loop {
            if tcp.read(&mut block).await? == 0 {
                return Ok(());
            }
        },
    }
}

/// A device that has joined.
pub(crate) struct Joined {
    pub(crate) connection: Connection,
    _endpoint: Endpoint,
    pub(crate) control: (SendStream, RecvStream),
}

/// Joins as a router does.
pub(crate) async fn join(token: &Token) -> Joined {
    let pin = tls::ed25519_spki(&token.server_key);
    let key = token.secret.join_key();
    let trust = tls::ClientConfig::pinned_key(&pin).raw_key(key).alpn([tq_tunnel::ALPN]);
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = (token.addresses[0], token.port).into();
    let name = token.secret.server_name();
    let config = ClientConfig::new(trust).unwrap();
    let connection = endpoint.connect_with(&config, to, &name).unwrap().await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let hello = ToServer::Hello { version: 1, software: "flood".into() };
    write_message(&mut send, &hello).await.unwrap();
    let _: ToRouter = read_message(&mut recv).await.unwrap();
    let key = Secret::generate().join_key().spki().to_vec();
    write_message(&mut send, &ToServer::Enrol { key }).await.unwrap();
    let _: ToRouter = read_message(&mut recv).await.unwrap();
    Joined { connection, _endpoint: endpoint, control: (send, recv) }
}

/// A stream to `target`, which is told what to do; the answer is not waited for.
async fn ask(connection: &Connection, target: SocketAddr, what: u8) -> Option<(SendStream, RecvStream)> {
    let (mut send, recv) = connection.open_bi().await.ok()?;
    let mut first = Open::tcp(Target::Addr(target)).encode();
    first.push(what);
    send.write_all(&first).await.ok()?;
    Some((send, recv))
}

/// Downloads for ever over one stream, `rate` bytes a second if there is one, and counts.
pub(crate) async fn download(
    connection: Connection,
    target: SocketAddr,
    rate: Option<u64>,
    count: Arc<AtomicU64>,
) {
    let Some((_send, mut recv)) = ask(&connection, target, b'D').await else { return };
    let (start, mut all) = (Instant::now(), 0u64);
    while let Ok(Some(chunk)) = recv.read_chunk(64 * 1024).await {
        all += chunk.len() as u64;
        count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(all as f64 / rate as f64);
            tokio::time::sleep_until(start + due).await;
        }
    }
}

/// Floods for ever.
pub(crate) async fn flood(kind: Flood, token: Token, target: SocketAddr) {
    let joined = join(&token).await;
    let mut tasks = JoinSet::new();
    for i in 0..match kind {
        Flood::Bytes => 128,
        Flood::Opens => 200,
        Flood::Tiny | Flood::Unread => 1000,
        Flood::Noise | Flood::Nothing | Flood::Elsewhere => 1,
    } {
        let connection = joined.connection.clone();
        let to = (token.addresses[0], token.port).into();
        tasks.spawn(async move {
            match kind {
                Flood::Bytes if i % 2 == 0 => download(connection, target, None, Arc::default()).await,
                Flood::Bytes => write(connection, target, 64 * 1024).await,
                Flood::Opens => while ask(&connection, target, b'U').await.is_some() {},
                Flood::Tiny => write(connection, target, 1).await,
                Flood::Unread => {
                    let held = ask(&connection, target, b'D').await;
                    std::future::pending::<()>().await;
                    drop(held);
                }
                Flood::Noise => noise(to).await,
                Flood::Nothing => std::future::pending().await,
                Flood::Elsewhere => {
                    let unread = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                    noise(unread.local_addr().unwrap()).await;
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

async fn write(connection: Connection, target: SocketAddr, len: usize) {
    let Some((mut send, _recv)) = ask(&connection, target, b'U').await else { return };
    let block = vec![0; len];
    while send.write_all(&block).await.is_ok() {
        if len == 1 {
            // Each leaves alone.
            tokio::task::yield_now().await;
        }
    }
}

async fn noise(to: SocketAddr) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let block = [0x40; 1200];
    loop {
        let _ = socket.send_to(&block, to).await;
    }
}
