//! Sockets tied to network devices: each leaves through its own, whatever the routing table says, and a device that goes away
//! costs its path only. Two namespaces with two wires between them; without root these tests say so and pass.

mod common;

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::{configs, transfer};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};
use tq::{ClientConfig, Connection, Endpoint, PathId, SocketId, quic};
use tq_packet::Namespace;

const SERVER: &str = "10.9.9.9";
const LIMIT: Duration = Duration::from_secs(40);

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A thread in the server's namespace for as long as this lives: wires are given to it by its number.
struct Anchor {
    thread: String,
    _stay: Sender<()>,
}

impl Anchor {
    fn new(namespace: &Namespace) -> Self {
        let (tell, told) = channel();
        let (stay, gone) = channel();
        namespace
            .spawn("anchor", move || {
                let own = std::fs::read_link("/proc/thread-self").unwrap();
                tell.send(own.file_name().unwrap().to_string_lossy().into_owned()).unwrap();
                // Until the other end is dropped.
                let _ = gone.recv();
            })
            .unwrap();
        Self { thread: told.recv().unwrap(), _stay: stay }
    }
}

/// A client's namespace with devices `c0` and `c1`, at whose other ends is a server's. Both lead to the server's address, but
/// all routes prefer `c0`.
struct Wires {
    client: Namespace,
    server: Namespace,
    _anchor: Anchor,
}

impl Wires {
    fn new() -> Option<Self> {
        let (Ok(client), Ok(server)) = (Namespace::fresh(), Namespace::fresh()) else {
            eprintln!("skipped: needs root and network namespaces");
            return None;
        };
        let anchor = Anchor::new(&server);
        let wire = |i: u8| {
            ip(&format!("link add c{i} type veth peer name s{i} netns {}", anchor.thread));
            ip(&format!("addr add 10.9.{i}.1/24 dev c{i}"));
            ip(&format!("link set c{i} up"));
        };
        let ends = |i: u8| {
            ip(&format!("addr add 10.9.{i}.2/24 dev s{i}"));
            ip(&format!("link set s{i} up"));
        };
        // Answers may come by another way than the best.
        let lenient = || {
            for conf in ["all", "default", "c0", "c1"] {
                let _ = std::fs::write(format!("/proc/sys/net/ipv4/conf/{conf}/rp_filter"), "0");
            }
        };
        client.run(|| (0..2).for_each(wire)).unwrap();
        server
            .run(|| {
                ip("link set lo up");
                ip(&format!("addr add {SERVER}/32 dev lo"));
                (0..2).for_each(ends);
            })
            .unwrap();
        client
            .run(|| {
                lenient();
                (0..2).for_each(|i| {
                    ip(&format!("route add {SERVER}/32 via 10.9.{i}.2 dev c{i} metric {}", 10 + i));
                });
            })
            .unwrap();
        Some(Self { client, server, _anchor: anchor })
    }

    /// Runs `test` on the client's side, with a server that allows two paths at its address.
    fn run<F: Future<Output = ()>>(&self, test: impl FnOnce(Endpoint, ClientConfig) -> F + Send) {
        let (client_config, server_config) = configs(|transport| {
            transport.max_paths = Some(2);
            transport.scheduler = quic::sched::Kind::RoundRobin;
        });
        let (_runtime, server) = self
            .server
            .run(|| {
                let runtime = Runtime::new().unwrap();
                let any = "0.0.0.0:4433".parse().unwrap();
                let server = runtime.block_on(async { Endpoint::server(server_config, any).unwrap() });
                (runtime, server)
            })
            .unwrap();
        let limited = || {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                timeout(LIMIT, test(server, client_config)).await.expect("takes too long")
            });
        };
        self.client.run(limited).unwrap();
    }
}

/// A client with a socket on each device, and both ends of a connection with a path over each.
async fn connect(server: &Endpoint, config: &ClientConfig) -> (Endpoint, SocketId, Connection, Connection) {
    connect_with(server, config, tq::udp::Options::default().send_buffer).await
}

async fn connect_with(
    server: &Endpoint,
    config: &ClientConfig,
    send_buffer: usize,
) -> (Endpoint, SocketId, Connection, Connection) {
    let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let options = tq::udp::Options { device: Some("c0".into()), send_buffer, ..Default::default() };
    let endpoint = Endpoint::builder().socket(options).bind(any).unwrap();
    let second = endpoint.add_socket(Some("c1"), any).unwrap();
    let to = SocketAddr::new(SERVER.parse().unwrap(), 4433);
    let connecting = endpoint.connect_with(config, to, "localhost").unwrap();
    let accepting = async { server.accept().await.unwrap().await.unwrap() };
    let (client, accepted) = tokio::join!(connecting, accepting);
    let client = client.unwrap();
    client.open_path(second).await.unwrap();
    (endpoint, second, client, accepted)
}

fn sent(connection: &Connection, path: u32) -> u64 {
    connection.path(PathId(path)).stats().unwrap().bytes_sent
}

#[test]
fn each_socket_leaves_through_its_device_whatever_the_routes_say() {
    let Some(wires) = Wires::new() else { return };
    wires.run(|server, config| async move {
        let (endpoint, second, client, accepted) = connect(&server, &config).await;
        transfer(&client, &accepted, 16 << 20, async || ()).await;
        transfer(&accepted, &client, 16 << 20, async || ()).await;
        for path in 0..2_u8 {
            let seen = accepted.path(PathId(path.into())).remote_address().unwrap().ip();
            assert_eq!(seen, IpAddr::from([10, 9, path, 1]));
            assert!(sent(&client, path.into()) > 2 << 20 && sent(&accepted, path.into()) > 2 << 20);
        }
        let devices: Vec<_> = endpoint.sockets().into_iter().map(|socket| socket.device.unwrap()).collect();
        assert_eq!(devices, ["c0", "c1"]);
        assert_eq!(client.path(PathId(1)).socket(), Some(second));
        let error = endpoint.add_socket(Some("c7"), "0.0.0.0:0".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("\"c7\" here; there are lo, c0, c1"), "{error}");
    });
}

#[test]
fn a_device_that_goes_away_costs_its_path_only() {
    let Some(wires) = Wires::new() else { return };
    wires.run(|server, config| async move {
        let (endpoint, second, client, accepted) = connect(&server, &config).await;
        // Down and up again: nothing is given up.
        transfer(&client, &accepted, 16 << 20, async || ip("link set c0 down")).await;
        ip("link set c0 up");
        ip(&format!("route replace {SERVER}/32 via 10.9.0.2 dev c0 metric 10"));
        // Looked for by itself.
        let before = sent(&client, 0);
        while sent(&client, 0) < before + (1 << 20) {
            transfer(&client, &accepted, 16 << 20, async || ()).await;
            sleep(Duration::from_millis(100)).await;
        }
        // For good.
        transfer(&client, &accepted, 16 << 20, async || ip("link del c1")).await;
        assert!(endpoint.stats().send_errors > 0);
        assert_eq!(client.paths().len(), 2, "nothing is given up because a device is gone");
        assert_eq!(endpoint.remove_socket(second).unwrap(), 1);
        assert_eq!(client.paths().len(), 1);
        transfer(&accepted, &client, 16 << 20, async || ()).await;
        assert_eq!(client.close_reason(), None);
    });
}

#[test]
fn a_device_that_is_full_holds_up_its_path_only() {
    let Some(wires) = Wires::new() else { return };
    let slow = || {
        let words = "qdisc add dev c0 root tbf rate 20mbit burst 16kb limit 8mb";
        Command::new("tc").args(words.split(' ')).status().is_ok_and(|status| status.success())
    };
    if !wires.client.run(slow).unwrap() {
        eprintln!("skipped: no tc here");
        return;
    }
    wires.run(|server, config| async move {
        let (_endpoint, _, client, accepted) = connect_with(&server, &config, 20_000).await;
        for _ in 0..2 {
            transfer(&client, &accepted, 16 << 20, async || ()).await;
        }
        let (slow, fast) = (sent(&client, 0), sent(&client, 1));
        assert!(fast > 3 * slow && slow > 100_000, "{slow} {fast}");
    });
}

#[test]
fn a_handshake_is_raced_past_a_dead_first_link() {
    let Some(wires) = Wires::new() else { return };
    wires.server.run(|| ip("link set s0 down")).unwrap();
    wires.run(|server, config| async move {
        let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let options = tq::udp::Options { device: Some("c0".into()), ..Default::default() };
        let endpoint = Endpoint::builder().socket(options).bind(any).unwrap();
        let first = endpoint.sockets()[0].id;
        let second = endpoint.add_socket(Some("c1"), any).unwrap();
        let to = SocketAddr::new(SERVER.parse().unwrap(), 4433);
        let connecting = endpoint.connect_over(&[first, second], &config, to, "localhost").unwrap();
        let accepting = async { server.accept().await.unwrap().await.unwrap() };
        let (client, accepted) = tokio::join!(connecting, accepting);
        let client = client.unwrap();
        assert_eq!(client.path(PathId(0)).socket(), Some(second));
        transfer(&accepted, &client, 16 << 20, async || ()).await;
        assert!(endpoint.connect_over(&[], &config, to, "localhost").is_err());
        // What a monitor of interfaces would say.
        endpoint.link_down(first);
        endpoint.link_up(first);
        transfer(&client, &accepted, 16 << 20, async || ()).await;
    });
}
