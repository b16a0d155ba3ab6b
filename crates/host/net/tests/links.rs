//! Links as a real kernel tells of them.

mod common;

use std::time::Duration;

use common::{Net, block, runs, soon};
use tq_net::links::{Change, LinkEvent, Select, Watcher};

fn wan() -> Select {
    Select { allow: vec!["wan*".into()], deny: Vec::new() }
}

fn shown(event: &LinkEvent) -> String {
    let LinkEvent { change, link } = event;
    format!("{change:?} {} {:?} via {:?}", link.device, link.addresses, link.gateways)
}

async fn next(watcher: &mut Watcher) -> String {
    shown(&soon(watcher.next()).await.unwrap())
}

/// The next change that is no [`Change::Changed`].
async fn turn(watcher: &mut Watcher) -> String {
    loop {
        let event = soon(watcher.next()).await.unwrap();
        if event.change != Change::Changed {
            return shown(&event);
        }
    }
}

async fn silent(watcher: &mut Watcher) {
    let event = tokio::time::timeout(Duration::from_millis(200), watcher.next()).await;
    assert!(event.is_err(), "{event:?}");
}

fn run(line: &str) {
    assert!(runs(line), "{line}");
}

const TWO: [&str; 8] = [
    "ip link add wan0 type veth peer name far0",
    "ip link add wan1 type veth peer name far1",
    "ip addr add 10.77.0.1/24 dev wan0",
    "ip addr add 10.77.1.1/24 dev wan1",
    "ip link set far0 up",
    "ip link set wan0 up",
    "ip link set far1 up",
    "ip route add default via 10.77.0.2 dev wan0 metric 10",
];
const ZERO: &str = "wan0 [10.77.0.1] via [10.77.0.2]";
const ONE: &str = "wan1 [10.77.1.1] via [10.77.1.2]";

#[test]
fn links_come_flap_and_go() {
    let Some(net) = Net::fresh() else { return };
    net.commands(&TWO);
    net.run(|| {
        block(async {
            let mut watcher = Watcher::new(wan()).unwrap();
            assert_eq!(next(&mut watcher).await, format!("Up {ZERO}"));
            run("ip link set wan1 up");
            silent(&mut watcher).await;
            // Without a default route of its own an interface is no link, in whatever table that is.
            run("ip route add default via 10.77.1.2 dev wan1 table 7");
            assert_eq!(next(&mut watcher).await, format!("Up {ONE}"));
            for _ in 0..3 {
                run("ip link set far0 down");
                assert_eq!(next(&mut watcher).await, format!("Down {ZERO}"));
                run("ip link set far0 up");
                assert_eq!(next(&mut watcher).await, format!("Up {ZERO}"));
            }
            assert_eq!(watcher.links().count(), 2);
            run("ip addr del 10.77.1.1/24 dev wan1");
            assert_eq!(next(&mut watcher).await, format!("Down {ONE}"));
            // The route went with the address, and the kernel did not say so.
            run("ip addr add 10.77.1.1/24 dev wan1");
            silent(&mut watcher).await;
            run("ip route add default via 10.77.1.2 dev wan1 table 7");
            assert_eq!(next(&mut watcher).await, format!("Up {ONE}"));
            run("ip link del wan1");
            assert_eq!(turn(&mut watcher).await, format!("Down {ONE}"));
            run("ip link set wan0 down");
            assert_eq!(next(&mut watcher).await, format!("Down {ZERO}"));
            run("ip link set wan0 up");
            silent(&mut watcher).await;
        });
    });
}

#[test]
fn ipv6_joins_and_leaves_a_link_and_an_address_is_used_once_it_is_proven() {
    let Some(net) = Net::fresh() else { return };
    net.commands(&TWO);
    net.run(|| {
        block(async {
            let mut watcher = Watcher::new(wan()).unwrap();
            assert_eq!(next(&mut watcher).await, format!("Up {ZERO}"));
            run("ip addr add 2001:db8::1/64 dev wan0");
            run("ip -6 route add default via 2001:db8::2 dev wan0");
            let both = "Changed wan0 [10.77.0.1, 2001:db8::1] via [10.77.0.2, 2001:db8::2]";
            assert_eq!(next(&mut watcher).await, both);
            run("ip route replace default via 10.77.0.9 dev wan0 metric 10");
            assert!(next(&mut watcher).await.ends_with("via [10.77.0.9, 2001:db8::2]"));
            run("ip route del default via 10.77.0.9 dev wan0 metric 10");
            assert_eq!(next(&mut watcher).await, "Changed wan0 [2001:db8::1] via [2001:db8::2]");
            run("ip addr del 2001:db8::1/64 dev wan0");
            assert_eq!(turn(&mut watcher).await, "Down wan0 [2001:db8::1] via [2001:db8::2]");
        });
    });
}

#[test]
fn virtual_interfaces_are_no_links_until_they_are_allowed() {
    let Some(net) = Net::fresh() else { return };
    net.commands(&TWO);
    net.commands(&["ip link add br0 type bridge", "ip addr add 10.9.0.1/24 dev br0", "ip link set br0 up"]);
    net.commands(&["ip link set wan1 up", "ip link set wan1 master br0"]);
    net.commands(&["ip route add default via 10.9.0.2 dev br0 metric 99"]);
    net.run(|| {
        block(async {
            let mut watcher = Watcher::new(Select::default()).unwrap();
            silent(&mut watcher).await;
            watcher.set_select(Select { allow: vec!["*".into()], deny: vec!["wan*".into()] });
            assert_eq!(next(&mut watcher).await, "Up br0 [10.9.0.1] via [10.9.0.2]");
            // A port that leaves its bridge is not gone.
            watcher.set_select(wan());
            assert_eq!(next(&mut watcher).await, "Down br0 [10.9.0.1] via [10.9.0.2]");
            assert_eq!(next(&mut watcher).await, format!("Up {ZERO}"));
            run("ip link set wan1 nomaster");
            run("ip route add default via 10.77.1.2 dev wan1 table 7");
            assert_eq!(next(&mut watcher).await, format!("Up {ONE}"));
        });
    });
}

#[test]
fn an_overrun_is_mended_by_looking_again() {
    let Some(net) = Net::fresh() else { return };
    net.commands(&TWO);
    net.run(|| {
        block(async {
            let mut watcher = Watcher::with_backlog(wan(), 1).unwrap();
            assert_eq!(next(&mut watcher).await, format!("Up {ZERO}"));
            // More than fits, while nobody reads; the end of it is what counts.
            for i in 0..60 {
                run(&format!("ip addr add 10.77.0.{}/32 dev wan0", 100 + i));
            }
            run("ip link set wan1 up");
            run("ip route add default via 10.77.1.2 dev wan1 table 7");
            run("ip link set wan0 down");
            assert!(turn(&mut watcher).await.starts_with("Down wan0 "));
            assert_eq!(turn(&mut watcher).await, format!("Up {ONE}"));
            assert_eq!(watcher.links().count(), 1);
        });
    });
}

#[test]
fn routes_over_next_hops_with_numbers_come_change_and_go() {
    let Some(net) = Net::fresh() else { return };
    net.commands(&TWO);
    net.run(|| {
        block(async {
            let mut watcher = Watcher::new(wan()).unwrap();
            assert_eq!(next(&mut watcher).await, format!("Up {ZERO}"));
            run("ip link set wan1 up");
            if !runs("ip nexthop add id 1 via 10.77.1.2 dev wan1") {
                eprintln!("skipped: no next hops here");
                return;
            }
            run("ip route add default nhid 1 metric 20");
            assert_eq!(next(&mut watcher).await, format!("Up {ONE}"));
            run("ip nexthop replace id 1 via 10.77.1.9 dev wan1");
            assert_eq!(next(&mut watcher).await, "Changed wan1 [10.77.1.1] via [10.77.1.9]");
            // The route goes with it, and the kernel does not say so.
            run("ip nexthop del id 1");
            assert_eq!(next(&mut watcher).await, "Down wan1 [10.77.1.1] via [10.77.1.9]");
        });
    });
}
