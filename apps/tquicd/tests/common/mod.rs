//! A server and a router on loopback, each link an address of its own, and a target behind the server.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tq_control::{Client, model};
use tquicd::server::Server;
use tquicd::{Config, Daemon};

/// Nothing here takes longer, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test, but not for ever.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { timeout(LIMIT, test).await.expect("takes too long") });
}

/// Waits until something is so.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    for _ in 0..1000 {
        if let Some(found) = ask().await {
            return found;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 20 s: {what}");
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tquicd-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A server's configuration on this port, which lets tenants reach `allow` on loopback.
    pub(crate) fn server(&self, port: u16, allow: &[SocketAddr]) -> PathBuf {
        let rules: Vec<_> =
            allow.iter().map(|addr| format!("\"{} port {}\"", addr.ip(), addr.port())).collect();
        let text = format!(
            "state = \"{}\"\n[server]\nlisten = [\"127.0.0.1:{port}\"]\naddresses = [\"127.0.0.1\"]\n\
            [egress]\nallow = [{}]\n[control]\nsocket = \"{}\"\n",
            self.path("server"),
            rules.join(", "),
            self.path("server.sock")
        );
        self.write("server.toml", &text)
    }

    /// A router's configuration with links at 127.0.0.2 and on, and a port for SOCKS5.
    pub(crate) fn router(&self, token: &str, links: usize) -> PathBuf {
        tq_identity::write_secret(&self.0.join("token"), token).unwrap();
        let links: String = (0..links)
            .map(|i| format!("[[link]]\nname = \"wan{i}\"\naddress = \"127.0.0.{}\"\n", i + 2))
            .collect();
        let text = format!(
            "state = \"{}\"\n[router]\ntoken_file = \"{}\"\n{links}[tcp]\nsocks5 = [\"127.0.0.1:{}\"]\n\
            http = [\"127.0.0.1:{}\"]\n[control]\nsocket = \"{}\"\n",
            self.path("router"),
            self.path("token"),
            free_port(),
            free_port(),
            self.path("router.sock"),
        );
        self.write("router.toml", &text)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port nobody has now. Below those that the kernel gives to connections: one of these could be taken before it is bound.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() * 64 % 10_000;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from((first + next) % 10_000).unwrap();
        let addr = (std::net::Ipv4Addr::LOCALHOST, port);
        if std::net::TcpListener::bind(addr).is_ok() && std::net::UdpSocket::bind(addr).is_ok() {
            return port;
        }
    }
}

/// Both ends, connected.
pub(crate) struct Bond {
    pub(crate) server: Daemon,
    pub(crate) router: Daemon,
    pub(crate) socks: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) at_server: Client,
    pub(crate) at_router: Client,
    pub(crate) folder: Folder,
}

pub(crate) fn id(text: &str) -> tq_identity::DeviceId {
    let (tenant, device) = text.split_once('/').unwrap();
    tq_identity::DeviceId { tenant: tenant.parse().unwrap(), device: device.parse().unwrap() }
}

pub(crate) async fn start_server(folder: &Folder, allow: &[SocketAddr]) -> (Daemon, Arc<Server>, Client) {
    let daemon = Daemon::start(Config::load(&folder.server(0, allow)).unwrap()).await.unwrap();
    let server = Arc::clone(daemon.server().unwrap());
    (daemon, server, Client::new(&folder.0.join("server.sock")))
}

impl Bond {
    /// With `links` links; tenants may reach `allow`.
    pub(crate) async fn new(links: usize, allow: &[SocketAddr]) -> Self {
        let folder = Folder::new();
        let (server, handle, at_server) = start_server(&folder, allow).await;
        let token = handle.invite(&id("acme/van"), None, false).unwrap();
        let config = Config::load(&folder.router(&token.to_string(), links)).unwrap();
        let tquicd::config::Role::Router(role) = &config.role else { panic!("a router") };
        let (socks, http) = (role.socks5[0], role.http[0]);
        let router = Daemon::start(config).await.unwrap();
        let at_router = Client::new(&folder.0.join("router.sock"));
        let bond = Self { server, router, socks, http, at_server, at_router, folder };
        bond.wait_for_paths(links).await;
        bond
    }

    /// Waits until so many links are up.
    pub(crate) async fn wait_for_paths(&self, count: usize) {
        until("paths", || async {
            let status: model::Status = self.at_router.get("status").await.unwrap();
            let up = status.links.iter().filter(|link| link.state == "up").count();
            (up == count && status.session.unwrap().state == "connected").then_some(())
        })
        .await;
    }
}

/// Asks a SOCKS5 front for a connection; the code it answers with.
pub(crate) async fn socks(front: SocketAddr, target: &str) -> Result<TcpStream, u8> {
    let mut tcp = TcpStream::connect(front).await.unwrap();
    let (host, port) = target.rsplit_once(':').unwrap();
    let mut ask = vec![5, 1, 0, 5, 1, 0];
    match host.trim_matches(['[', ']']).parse() {
        Ok(std::net::IpAddr::V4(ip)) => ask.extend([&[1][..], &ip.octets()].concat()),
        Ok(std::net::IpAddr::V6(ip)) => ask.extend([&[4][..], &ip.octets()].concat()),
        Err(_) => ask.extend([&[3, host.len() as u8][..], host.as_bytes()].concat()),
    }
    ask.extend(port.parse::<u16>().unwrap().to_be_bytes());
    tcp.write_all(&ask).await.unwrap();
    let mut told = [0; 12];
    tcp.read_exact(&mut told).await.unwrap();
    assert_eq!(told[..3], [5, 0, 5]);
    if told[3] == 0 { Ok(tcp) } else { Err(told[3]) }
}

/// A target that sends back what it gets, and its end after the end.
pub(crate) async fn echo(addr: &str) -> SocketAddr {
    let listener = TcpListener::bind(addr).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = tcp.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    addr
}

/// Sends bytes and their end, and says whether the same come back with theirs.
pub(crate) async fn comes_back(mut tcp: TcpStream, len: usize) -> bool {
    let sent: Vec<u8> = (0..len).map(|i| (i * 31 + (i >> 8) * 7 + (i >> 16)) as u8).collect();
    let (mut from, mut to) = tcp.split();
    let send = async {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_, read) = tokio::join!(send, from.read_to_end(&mut back));
    read.is_ok() && back == sent
}
