//! How soon a bond is back: after outages of everything between its ends, and after its server was killed.
//!
//! Both ends on loopback, the server a process of its own, a relay of datagrams between them that can be told to drop all. After an
//! outage a byte that waited must come back through the same session; after a kill the router must have a new one. Bar for
//! the latter: 3 s after the start.
//!
//! `cargo run -p tquicd --example comeback [-- --outages 5,60,115 --restarts 9]`

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, sleep};
use tq_control::{Client, Method, model};
use tquicd::{Config, Daemon};

const BAR: Duration = Duration::from_secs(3);

/// How soon a bond is back.
#[derive(Parser)]
struct Options {
    /// Seconds in which everything is dropped, each in turn.
    #[arg(long, value_delimiter = ',', default_value = "5,60,115")]
    outages: Vec<u64>,
    /// How often the server is killed; it is started again 0, 1, 2, … s later.
    #[arg(long, default_value_t = 9)]
    restarts: u64,
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(file) = &options.serve {
        return runtime.block_on(tquicd::run(Config::load(file).unwrap())).unwrap();
    }
    let met = runtime.block_on(measure(&options));
    runtime.shutdown_background();
    std::process::exit(i32::from(!met));
}

/// A server that is killed with its owner.
struct Server(Child);

impl Server {
    fn start(file: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        Self(command.arg("--serve").arg(file).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Passes datagrams on to `server`, with a port for each client, unless `cut`.
async fn relay(front: UdpSocket, server: SocketAddr, cut: Arc<AtomicBool>) {
    let front = Arc::new(front);
    let mut clients = HashMap::<SocketAddr, Arc<UdpSocket>>::new();
    let mut datagram = vec![0; 65_536];
    while let Ok((len, client)) = front.recv_from(&mut datagram).await {
        if cut.load(Ordering::Relaxed) {
            continue;
        }
        let back = match clients.get(&client) {
            Some(back) => Arc::clone(back),
            None => {
                let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                clients.insert(client, Arc::clone(&back));
                tokio::spawn(answers(Arc::clone(&back), Arc::clone(&front), client, Arc::clone(&cut)));
                back
            }
        };
        let _ = back.send_to(&datagram[..len], server).await;
    }
}

async fn answers(back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, cut: Arc<AtomicBool>) {
    let mut datagram = vec![0; 65_536];
    loop {
        // An error tells that the server is not there at the moment.
        let Ok((len, _)) = back.recv_from(&mut datagram).await else { continue };
        if !cut.load(Ordering::Relaxed) {
            let _ = front.send_to(&datagram[..len], client).await;
        }
    }
}

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = tcp.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    addr
}

/// Waits until something is there.
async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Sessions the router has had, if it has one now.
async fn sessions(router: &Client) -> Option<u64> {
    let session = router.get::<model::Status>("status").await.ok()?.session?;
    (session.state == "connected").then_some(session.sessions)
}

async fn connect(front: SocketAddr, target: SocketAddr) -> TcpStream {
    let mut tcp = TcpStream::connect(front).await.unwrap();
    let ask = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    tcp.write_all(ask.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    while !told.ends_with(b"\r\n\r\n") {
        told.push(tcp.read_u8().await.unwrap());
    }
    assert!(told.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&told));
    tcp
}

/// Below those that the kernel gives to connections.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok()
            && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
        {
            return port;
        }
    }
}

async fn measure(options: &Options) -> bool {
    let folder = Folder(std::env::temp_dir().join(format!("tquicd-comeback-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let at = |name: &str| folder.0.join(name);
    let (target, cut, port) = (echo().await, Arc::new(AtomicBool::new(false)), free_port());
    let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let text = format!(
        "state = {:?}\n[server]\nlisten = [\"127.0.0.1:{port}\"]\naddresses = [\"127.0.0.1\"]\nport = {}\n[egress]\n\
         allow = [\"127.0.0.1\"]\n[control]\nsocket = {:?}\n",
        at("server"),
        front.local_addr().unwrap().port(),
        at("server.sock")
    );
    std::fs::write(at("server.toml"), text).unwrap();
    tokio::spawn(relay(front, ([127, 0, 0, 1], port).into(), Arc::clone(&cut)));
    let mut server = Server::start(&at("server.toml"));
    let client = Client::new(&at("server.sock"));
    let empty = serde_json::json!({});
    let token: model::NewToken =
        until(|| async { client.ask(Method::Post, "tenants/acme/van", &empty).await.ok() }).await;
    tq_identity::write_secret(&at("token"), &token.token).unwrap();
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = format!(
        "state = {:?}\n[router]\ntoken_file = {:?}\n[[link]]\nname = \"one\"\naddress = \"127.0.0.2\"\n[[link]]\nname = \"two\"\n\
         address = \"127.0.0.3\"\n[tcp]\nhttp = [\"{http}\"]\n[control]\nsocket = {:?}\n",
        at("router"),
        at("token"),
        at("router.sock")
    );
    std::fs::write(at("router.toml"), text).unwrap();
    let _router = Daemon::start(Config::load(&at("router.toml")).unwrap()).await.unwrap();
    let router = Client::new(&at("router.sock"));
    let mut before = until(|| sessions(&router)).await;
    let mut met = true;
    for seconds in &options.outages {
        let mut tcp = connect(http, target).await;
        cut.store(true, Ordering::Relaxed);
        tcp.write_all(b"x").await.unwrap();
        sleep(Duration::from_secs(*seconds)).await;
        cut.store(false, Ordering::Relaxed);
        let start = Instant::now();
        let came = tcp.read_u8().await.is_ok();
        let same = sessions(&router).await == Some(before);
        met &= came && same;
        println!(
            "outage of {seconds} s: a byte came back {:.2} s after it; {}",
            start.elapsed().as_secs_f64(),
            if came && same { "the same session" } else { "LOST" }
        );
    }
    for wait in 0..options.restarts {
        drop(server);
        sleep(Duration::from_secs(wait)).await;
        let start = Instant::now();
        server = Server::start(&at("server.toml"));
        let seen = before;
        before = until(|| async { sessions(&router).await.filter(|now| *now > seen) }).await;
        let took = start.elapsed();
        met &= took <= BAR;
        let verdict = if took <= BAR { "met" } else { "MISSED" };
        println!(
            "killed, started {wait} s later: back after {:.2} s; {verdict} (bar 3 s)",
            took.as_secs_f64()
        );
    }
    met
}
