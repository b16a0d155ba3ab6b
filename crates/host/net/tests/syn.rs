//! Connections through a router whose far side answers late: a host of the local network, the router, the far hosts.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{Net, block, runs, says};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tq_net::host::{Host, Options, Plan, Without};
use tq_net::listener::Listener;
use tq_net::syn::{Limits, Refusal, Syn, SynGate};
use tq_net::tun::Tun;

/// How much longer the far side takes than the network between.
const LATE: Duration = Duration::from_millis(150);

struct Nets {
    lan: Net,
    router: Net,
    far: Net,
}

fn nets() -> Option<Nets> {
    let nets = Nets { lan: Net::fresh()?, router: Net::fresh()?, far: Net::fresh()? };
    if !nets.router.run(|| runs("nft list tables")) {
        eprintln!("skipped: needs nft");
        return None;
    }
    let Nets { lan, router, far } = &nets;
    lan.cable("eth0", router, "lan0");
    router.cable("wan0", far, "eth0");
    lan.commands(&[
        "ip addr add 10.1.0.2/24 dev eth0",
        "ip addr add fd01::2/64 dev eth0 nodad",
        "ip route add default via 10.1.0.1",
        "ip -6 route add default via fd01::1",
    ]);
    router.commands(&[
        "ip addr add 10.1.0.1/24 dev lan0",
        "ip addr add fd01::1/64 dev lan0 nodad",
        "ip addr add 10.2.0.1/24 dev wan0",
        "ip addr add 2001:db8:2::1/64 dev wan0 nodad",
        "ip route add default via 10.2.0.2",
        "ip -6 route add default via 2001:db8:2::2",
    ]);
    far.commands(&[
        "ip addr add 10.2.0.2/24 dev eth0",
        "ip addr add 2001:db8:2::2/64 dev eth0 nodad",
        "ip addr add 203.0.113.9/32 dev lo",
        "ip addr add 2001:db8:9::9/128 dev lo nodad",
    ]);
    Some(nets)
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tq-net-{name}-{}", std::process::id()))
}

/// Asks the far side, late.
async fn ask(gate: &SynGate, syn: Syn) -> Option<TcpStream> {
    tokio::time::sleep(LATE).await;
    let port = syn.destination.port();
    let refusal = match port {
        1001 => Refusal::HostUnreachable,
        1002 => Refusal::NetUnreachable,
        1003 => Refusal::Denied,
        1004 => Refusal::Silence,
        _ => match TcpStream::connect(syn.destination).await {
            Ok(stream) => {
                assert!(gate.admit(&syn).unwrap());
                return Some(stream);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Refusal::Refused,
            Err(error) => panic!("{syn:?}: {error}"),
        },
    };
    assert!(gate.refuse(&syn, refusal).unwrap());
    None
}

/// What the router does, until it is stopped; `f` is what happens meanwhile.
fn routed<T: Send>(router: &Net, name: &str, f: impl FnOnce() -> T + Send) -> T {
    let (ready, wait) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let options = Options { folder: folder(name), ..Options::default() };
    std::thread::scope(|threads| {
        threads.spawn(|| {
            router.run(|| {
                let serve = async {
                    let local = tokio::task::LocalSet::new();
                    local.run_until(serve(&options, ready, stopped)).await;
                };
                block(serve);
            });
        });
        wait.recv().expect("the router did not start");
        let result = f();
        drop(stop);
        result
    })
}

async fn serve(options: &Options, ready: mpsc::Sender<()>, stopped: oneshot::Receiver<()>) {
    let mut host = Host::open(options).unwrap();
    let gate = Rc::new(SynGate::new(Tun::open("tq0", 1360).unwrap(), Limits::default()).unwrap());
    let (v4, v6) = (Listener::bind(false).unwrap(), Listener::bind(true).unwrap());
    let plan = Plan {
        lan: vec!["lan0".into()],
        tun: "tq0".into(),
        port_v4: v4.port(),
        port_v6: Some(v6.port()),
        direct: Vec::new(),
        without: Without::Direct,
    };
    host.apply(&plan).unwrap();
    let far: Rc<std::cell::RefCell<Vec<(Syn, TcpStream)>>> = Rc::default();
    let (asking, waiting) = (gate.clone(), far.clone());
    tokio::task::spawn_local(async move {
        while let Ok(syn) = asking.next().await {
            let (gate, waiting) = (asking.clone(), waiting.clone());
            tokio::task::spawn_local(async move {
                if let Some(stream) = ask(&gate, syn).await {
                    waiting.borrow_mut().push((syn, stream));
                }
            });
        }
    });
    for listener in [v4, v6] {
        let (gate, waiting) = (gate.clone(), far.clone());
        tokio::task::spawn_local(async move {
            while let Ok(mut taken) = listener.accept().await {
                let syn = Syn { client: taken.client, destination: taken.destination };
                gate.arrived(&syn);
                let at = waiting.borrow().iter().position(|(of, _)| *of == syn).expect("nobody was asked");
                let (_, mut stream) = waiting.borrow_mut().remove(at);
                tokio::task::spawn_local(async move {
                    let _ = tokio::io::copy_bidirectional(&mut taken.stream, &mut stream).await;
                });
            }
        });
    }
    ready.send(()).unwrap();
    let _ = stopped.await;
    assert_eq!(gate.pending(), 0);
    host.undo().unwrap();
}

/// An echo on a port of a far host.
fn echo(far: &Net, address: &str) {
    let listener = far.run(|| TcpListener::bind(address).unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..len]);
                }
            });
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "real connects take real time")]
fn connect(lan: &Net, to: &str) -> (std::io::Result<std::net::TcpStream>, Duration) {
    let to: SocketAddr = to.parse().unwrap();
    lan.run(|| {
        let start = Instant::now();
        let result = std::net::TcpStream::connect_timeout(&to, Duration::from_secs(5));
        (result, start.elapsed())
    })
}

const HOSTS: [&str; 2] = ["203.0.113.9", "[2001:db8:9::9]"];

#[test]
fn a_connect_takes_as_long_as_the_far_connect() {
    let Some(nets) = nets() else { return };
    HOSTS.iter().for_each(|host| echo(&nets.far, &format!("{host}:7")));
    routed(&nets.router, "late", || {
        for host in HOSTS {
            for _ in 0..3 {
                let (stream, took) = connect(&nets.lan, &format!("{host}:7"));
                let mut stream = stream.unwrap();
                assert!((LATE..LATE + Duration::from_millis(700)).contains(&took), "{host}: {took:?}");
                stream.write_all(b"hello").unwrap();
                let mut got = [0; 5];
                stream.read_exact(&mut got).unwrap();
                assert_eq!(&got, b"hello");
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut got).unwrap(), 0);
            }
        }
    });
}

#[test]
fn refusals_arrive_as_what_they_are() {
    let Some(nets) = nets() else { return };
    routed(&nets.router, "refuse", || {
        let errors = |port: u16| {
            HOSTS.map(|host| {
                let (result, took) = connect(&nets.lan, &format!("{host}:{port}"));
                assert!(took >= LATE && took < Duration::from_millis(900), "{host}:{port}: {took:?}");
                result.unwrap_err().raw_os_error().unwrap()
            })
        };
        assert_eq!(errors(9), [libc::ECONNREFUSED; 2]);
        assert_eq!(errors(1001), [libc::EHOSTUNREACH; 2]);
        assert_eq!(errors(1002), [libc::ENETUNREACH; 2]);
        assert_eq!(errors(1003), [libc::EHOSTUNREACH, libc::EACCES]);
    });
}

#[test]
fn a_refusal_arrives_though_no_default_route_and_a_strict_filter_are_there() {
    let Some(nets) = nets() else { return };
    nets.router.commands(&["ip route del default", "ip -6 route del default"]);
    nets.router.run(|| std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap());
    routed(&nets.router, "strict", || {
        for host in HOSTS {
            let (result, _) = connect(&nets.lan, &format!("{host}:1001"));
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EHOSTUNREACH), "{host}");
        }
    });
}

#[test]
fn what_is_for_the_router_or_routed_by_its_main_table_is_left_alone() {
    let Some(nets) = nets() else { return };
    nets.far.commands(&["ip route add 10.1.0.0/24 via 10.2.0.1"]);
    echo(&nets.far, "10.2.0.2:7");
    echo(&nets.router, "10.1.0.1:7");
    echo(&nets.router, "10.2.0.1:7");
    nets.router.run(|| std::fs::write("/proc/sys/net/ipv4/conf/wan0/forwarding", "1").unwrap());
    routed(&nets.router, "alone", || {
        for to in ["10.1.0.1:7", "10.2.0.1:7", "10.2.0.2:7"] {
            let (result, took) = connect(&nets.lan, to);
            result.unwrap();
            assert!(took < LATE, "{to}: {took:?}");
        }
    });
}

#[test]
fn many_connects_at_once_are_all_answered() {
    let Some(nets) = nets() else { return };
    HOSTS.iter().for_each(|host| echo(&nets.far, &format!("{host}:7")));
    routed(&nets.router, "many", || {
        std::thread::scope(|threads| {
            for i in 0..100 {
                let lan = &nets.lan;
                threads.spawn(move || {
                    let (stream, _) = connect(lan, &format!("{}:7", HOSTS[i % 2]));
                    let (mut stream, mut got) = (stream.unwrap(), [0; 3]);
                    stream.write_all(b"abc").unwrap();
                    stream.read_exact(&mut got).unwrap();
                    assert_eq!(&got, b"abc");
                });
            }
        });
        assert!(nets.router.run(|| says("nft list table inet tquic")).contains("tproxy"));
    });
    // Nothing is left.
    assert!(!nets.router.run(|| says("nft list tables")).contains("tquic"));
}
