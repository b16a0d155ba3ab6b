//! A LAN behind a router behind two WAN links, in network namespaces: hosts that know nothing of the bond.
//!
//! Needs root, `ip` and `nft`; without them it says so and passes.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::Folder;

/// A namespace with a name, gone with this.
struct Space(String);

fn runs(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Space {
    fn new(name: &str) -> Option<Self> {
        let name = format!("tqd{}{name}", std::process::id());
        runs(&format!("ip netns add {name}")).then_some(())?;
        let space = Self(name);
        space.run("ip link set lo up");
        Some(space)
    }

    fn run(&self, line: &str) {
        assert!(runs(&format!("ip netns exec {} {line}", self.0)), "{}: {line}", self.0);
    }

    fn shell(&self, line: &str) {
        let command = ["netns", "exec", &self.0, "sh", "-c", line];
        assert!(Command::new("ip").args(command).status().unwrap().success(), "{}: {line}", self.0);
    }

    fn says(&self, line: &str) -> String {
        let output =
            Command::new("ip").args(["netns", "exec", &self.0]).args(line.split(' ')).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn cable(&self, device: &str, addr: &str, other: &Self, peer: &str, peer_addr: &str) {
        self.run(&format!("ip link add {device} type veth peer name {peer} netns {}", other.0));
        for (space, device, addr) in [(self, device, addr), (other, peer, peer_addr)] {
            space.run(&format!("ip addr add {addr} dev {device}"));
            space.run(&format!("ip link set {device} up"));
        }
    }

    /// The test itself again, inside, as one of its helpers.
    fn helper(&self, role: &str, argument: &str) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "helper", "--nocapture"]).env("TQ_ROLE", role).env("TQ_ARGUMENT", argument);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    fn tquicd(&self, file: &Path) -> Running {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, env!("CARGO_BIN_EXE_tquicd"), "run"]).arg(file);
        Running(command.stderr(Stdio::inherit()).spawn().unwrap())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        runs(&format!("ip netns del {}", self.0));
    }
}

struct Running(Child);

impl Running {
    /// Ends it and waits.
    fn end(&mut self, signal: &str) {
        let line = format!("kill -{signal} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What runs inside a namespace: a far host, or a program of the LAN.
#[test]
fn helper() {
    let (Ok(role), Ok(argument)) = (std::env::var("TQ_ROLE"), std::env::var("TQ_ARGUMENT")) else { return };
    match role.as_str() {
        "echo" => {
            let listener = TcpListener::bind(&argument).unwrap();
            for tcp in listener.incoming() {
                std::thread::spawn(move || {
                    let mut tcp = tcp.unwrap();
                    let _ = std::io::copy(&mut tcp.try_clone().unwrap(), &mut tcp);
                });
            }
        }
        _ => println!("heard {}", ask(&argument)),
    }
}

/// A program of the LAN: half a megabyte there and back, or why not.
fn ask(target: &str) -> String {
    let target: SocketAddr = target.parse().unwrap();
    let mut tcp = match TcpStream::connect_timeout(&target, Duration::from_secs(10)) {
        Ok(tcp) => tcp,
        Err(error) => return format!("{:?}", error.kind()),
    };
    let sent = vec![7; 500_000];
    let mut writer = tcp.try_clone().unwrap();
    let to_send = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&to_send).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    let read = tcp.read_to_end(&mut back);
    writing.join().unwrap();
    if read.is_ok() && back == sent { "all".into() } else { format!("{read:?} of {}", back.len()) }
}

impl Space {
    /// What a program of the LAN hears.
    fn hears(&self, target: &str) -> String {
        let output = self.helper("ask", target).wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let heard =
            text.lines().find_map(|line| line.split_once("heard ")).map(|(_, heard)| heard.to_owned());
        heard.unwrap_or(text)
    }
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let mut tries = 0;
    while !so() {
        tries += 1;
        assert!(tries < 200, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn hosts_of_a_lan_use_the_bond_without_knowing() {
    let spaces = ["lan", "router", "net", "server", "far"].map(Space::new);
    let [Some(lan), Some(router), Some(net), Some(server), Some(far)] = spaces else {
        eprintln!("skipped: needs root and network namespaces");
        return;
    };
    if !runs(&format!("ip netns exec {} nft list tables", router.0)) {
        eprintln!("skipped: needs nft");
        return;
    }
    // lan - router = (two links) = net - server - far
    lan.cable("eth0", "10.1.0.2/24", &router, "lan0", "10.1.0.1/24");
    router.cable("wan0", "10.2.0.2/24", &net, "net0", "10.2.0.1/24");
    router.cable("wan1", "10.3.0.2/24", &net, "net1", "10.3.0.1/24");
    net.cable("net2", "10.4.0.1/24", &server, "eth0", "10.4.0.2/24");
    server.cable("out", "10.9.0.1/24", &far, "eth0", "10.9.0.2/24");
    lan.run("ip route add default via 10.1.0.1");
    router.run("ip route add default via 10.2.0.1 metric 100");
    router.run("ip route add default via 10.3.0.1 metric 200");
    server.run("ip route add default via 10.4.0.1");
    far.run("ip route add default via 10.9.0.1");
    net.shell("echo 1 > /proc/sys/net/ipv4/ip_forward");

    let folder = Folder::new();
    let text = format!(
        "state = {:?}\n[server]\nlisten = [\"10.4.0.2:443\"]\naddresses = [\"10.4.0.2\"]\n[control]\nsocket = {:?}\n",
        folder.path("server"),
        folder.path("server.sock")
    );
    let _server = server.tquicd(&folder.write("server.toml", &text));
    let token = token(&folder);
    tq_identity::write_secret(&folder.0.join("token"), &token).unwrap();
    let text = format!(
        "state = {:?}\n[router]\ntoken_file = {:?}\nallow = [\"wan*\"]\n[lan]\ninterfaces = [\"lan0\"]\n\
        [control]\nsocket = {:?}\n",
        folder.path("router"),
        folder.path("token"),
        folder.path("router.sock")
    );
    let file = folder.write("router.toml", &text);
    // What the kernel adds by itself comes at its own time.
    let state = || {
        let all = ["ip rule", "ip route show table all", "nft list ruleset"].map(|line| router.says(line));
        all.concat()
            .lines()
            .filter(|line| !line.contains("proto kernel"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = state();
    let mut daemon = router.tquicd(&file);
    until("two links, found by themselves", || links_up(&folder) == 2);

    let _echo = Running(far.helper("echo", "10.9.0.2:7"));
    until("the far host listens", || far.says("ss -ltn").contains(":7 "));
    assert_eq!(lan.hears("10.9.0.2:7"), "all");
    assert_eq!(lan.hears("10.9.0.2:8"), "ConnectionRefused");
    assert_eq!(lan.hears("10.4.0.2:22"), "HostUnreachable", "the server's own address is out of bounds");
    // The bond is the only way: the far host is not to be reached otherwise.
    assert!(!router.says("ip route").contains("10.9.0"));

    // A link goes with its carrier, and comes back.
    net.run("ip link set net0 down");
    until("one link", || links_up(&folder) == 1);
    let begun = tokio::time::Instant::now();
    assert_eq!(lan.hears("10.9.0.2:7"), "all");
    assert!(begun.elapsed() < Duration::from_secs(8));
    net.run("ip link set net0 up");
    router.run("ip route replace default via 10.2.0.1 metric 100");
    until("two links again", || links_up(&folder) == 2);

    // A link gets another address, and another is unplugged and plugged in again.
    router.run("ip addr del 10.2.0.2/24 dev wan0");
    router.run("ip addr add 10.2.0.9/24 dev wan0");
    router.run("ip route replace default via 10.2.0.1 metric 100");
    router.run("ip link del wan1");
    until("one link", || links_up(&folder) == 1);
    assert_eq!(lan.hears("10.9.0.2:7"), "all");
    router.cable("wan1", "10.3.0.2/24", &net, "net1", "10.3.0.1/24");
    router.run("ip route replace default via 10.3.0.1 metric 200");
    until("two links once more", || links_up(&folder) == 2);
    router.run("ip addr del 10.2.0.9/24 dev wan0");
    until("the new one alone", || links_up(&folder) == 1);
    assert_eq!(lan.hears("10.9.0.2:7"), "all");
    assert_eq!(sessions(&folder), 1, "it was one session all the time");
    router.run("ip addr add 10.2.0.2/24 dev wan0");
    router.run("ip route replace default via 10.2.0.1 metric 100");
    until("both in the end", || links_up(&folder) == 2);

    // Killed, it leaves a journal; the next start puts back what the first changed, and a stop everything.
    daemon.end("KILL");
    let mut daemon = router.tquicd(&file);
    until("the next is back", || links_up(&folder) == 2);
    assert_eq!(lan.hears("10.9.0.2:7"), "all");
    daemon.end("TERM");
    assert_eq!(state(), before);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn token(folder: &Folder) -> String {
    let client = tq_control::Client::new(&folder.0.join("server.sock"));
    let ask = async {
        common::until("the server answers", || async {
            let body = serde_json::json!({});
            let token: Result<tq_control::model::NewToken, _> =
                client.ask(tq_control::Method::Post, "tenants/acme/van", &body).await;
            token.ok().map(|token| token.token)
        })
        .await
    };
    runtime().block_on(ask)
}

fn status(folder: &Folder) -> Option<tq_control::model::Status> {
    let client = tq_control::Client::new(&folder.0.join("router.sock"));
    runtime().block_on(client.get("status")).ok()
}

/// How many links carry a path.
fn links_up(folder: &Folder) -> usize {
    status(folder).map_or(0, |status| status.links.iter().filter(|link| link.state == "up").count())
}

/// How many sessions the router has had.
fn sessions(folder: &Folder) -> u64 {
    status(folder).and_then(|status| status.session).map_or(0, |session| session.sessions)
}
