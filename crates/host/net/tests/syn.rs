//! Connections through a router whose far side answers late: a host of the local network, the router, the far hosts.

mod common;

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{Net, block, runs, says};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tq_net::host::Options;
use tq_net::intake::{Intake, Settings};
use tq_net::syn::{Refusal, Syn, Waiting};

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
async fn ask(intake: &Intake, syn: Syn) -> Option<TcpStream> {
    tokio::time::sleep(LATE).await;
    let port = syn.destination.port();
    let refusal = match port {
        1001 => Refusal::HostUnreachable,
        1002 => Refusal::NetUnreachable,
        1003 => Refusal::Denied,
        1004 => Refusal::Silence,
        _ => match TcpStream::connect(syn.destination).await {
            Ok(stream) => return Some(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Refusal::Refused,
            Err(error) => panic!("{syn:?}: {error}"),
        },
    };
    assert!(intake.refuse(&syn, refusal).unwrap());
    None
}

/// What the router does, until it is stopped; `f` is what happens meanwhile.
fn routed<T: Send>(router: &Net, name: &str, f: impl FnOnce() -> T + Send) -> T {
    let (ready, wait) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let options = Options { folder: folder(name), ..Options::default() };
    let result = std::thread::scope(|threads| {
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
    });
    std::fs::remove_dir_all(&options.folder).unwrap();
    result
}

async fn serve(options: &Options, ready: mpsc::Sender<()>, stopped: oneshot::Receiver<()>) {
    let settings = Settings { lan: vec!["lan0".into()], ..Settings::default() };
    let intake = Rc::new(Intake::start(options, &settings).unwrap());
    let far = Rc::new(RefCell::new(Waiting::new(1000, Duration::from_secs(60))));
    let (asking, waiting) = (intake.clone(), far.clone());
    let asks = tokio::task::spawn_local(async move {
        while let Ok(syn) = asking.next().await {
            let (intake, waiting) = (asking.clone(), waiting.clone());
            tokio::task::spawn_local(async move {
                if let Some(stream) = ask(&intake, syn).await {
                    waiting.borrow_mut().insert(syn, stream, Duration::ZERO);
                    assert!(intake.admit(&syn).unwrap());
                }
            });
        }
    });
    let accepting = intake.clone();
    let accepts = tokio::task::spawn_local(async move {
        while let Ok((syn, mut taken)) = accepting.accept().await {
            let mut stream = far.borrow_mut().take(&syn).expect("nobody was asked");
            tokio::task::spawn_local(async move {
                let _ = tokio::io::copy_bidirectional(&mut taken.stream, &mut stream).await;
            });
        }
    });
    ready.send(()).unwrap();
    let _ = stopped.await;
    asks.abort();
    accepts.abort();
    assert!(asks.await.is_err() && accepts.await.is_err());
    assert_eq!(intake.pending(), 0);
    Rc::into_inner(intake).unwrap().stop().unwrap();
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

#[test]
fn firewalls_and_nat_as_routers_have_them_are_passed() {
    let Some(nets) = nets() else { return };
    HOSTS.iter().for_each(|host| echo(&nets.far, &format!("{host}:7")));
    nets.router.commands(&[
        "nft add table inet fw",
        "nft add chain inet fw into { type filter hook input priority 0 ; policy drop ; }",
        "nft add rule inet fw into ct state invalid drop",
        "nft add rule inet fw into ct state established,related accept",
        "nft add rule inet fw into meta l4proto icmpv6 accept",
        "nft add rule inet fw into iifname { lo, lan0, tq0 } accept",
        "nft add chain inet fw through { type filter hook forward priority 0 ; policy drop ; }",
        "nft add rule inet fw through ct state established,related accept",
        "nft add rule inet fw through iifname lan0 accept",
        "nft add chain inet fw after { type nat hook postrouting priority 100 ; }",
        "nft add rule inet fw after oifname wan0 masquerade",
    ]);
    routed(&nets.router, "firewall", || {
        for host in HOSTS {
            let (stream, took) = connect(&nets.lan, &format!("{host}:7"));
            let (mut stream, mut got) = (stream.unwrap(), [0; 3]);
            assert!(took < LATE + Duration::from_millis(700), "{host}: {took:?}");
            stream.write_all(b"abc").unwrap();
            stream.read_exact(&mut got).unwrap();
            let (refused, _) = connect(&nets.lan, &format!("{host}:9"));
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused, "{host}");
            let (unreachable, _) = connect(&nets.lan, &format!("{host}:1001"));
            assert_eq!(unreachable.unwrap_err().raw_os_error(), Some(libc::EHOSTUNREACH), "{host}");
        }
    });
}

#[test]
fn what_the_machine_redirects_to_itself_stays_redirected() {
    let Some(nets) = nets() else { return };
    nets.router.commands(&[
        "nft add table inet fw",
        "nft add chain inet fw before { type nat hook prerouting priority -100 ; }",
        "nft add rule inet fw before iifname lan0 tcp dport 53 redirect to :7",
    ]);
    echo(&nets.router, "10.1.0.1:7");
    routed(&nets.router, "redirect", || {
        let (stream, took) = connect(&nets.lan, "203.0.113.9:53");
        let (mut stream, mut got) = (stream.unwrap(), [0; 3]);
        assert!(took < LATE, "{took:?}");
        stream.write_all(b"abc").unwrap();
        stream.read_exact(&mut got).unwrap();
    });
}
