//! Mappings live, die, move and run out.

use core::net::Ipv4Addr;

use super::*;
use crate::testing::ms;

fn end(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), port)
}

const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn config() -> NatConfig {
    NatConfig { timeout: Duration::from_secs(30), ..NatConfig::new(OUTSIDE) }
}

fn port(nat: &mut Nat, now: u64, host: u8) -> Option<u16> {
    nat.outbound(ms(now), end(host, 1000), end(200, 443)).map(|end| end.port())
}

#[test]
fn a_flow_keeps_its_port_while_it_speaks() {
    let mut nat = Nat::new(config(), 1);
    let first = nat.outbound(ms(0), end(1, 1000), end(200, 443)).unwrap();
    assert_eq!(first.ip(), OUTSIDE);
    for second in 1..10 {
        assert_eq!(port(&mut nat, second * 29_999, 1), Some(first.port()));
    }
    assert_eq!(nat.inbound(ms(270_000), first.port(), end(200, 443)), Some(end(1, 1000)));
    assert_ne!(port(&mut nat, 270_000, 2), Some(first.port()));
    assert_eq!(nat.mappings(ms(270_000)), 2);
}

#[test]
fn a_flow_that_was_silent_for_the_timeout_moves_to_another_port() {
    let mut nat = Nat::new(config(), 1);
    let first = port(&mut nat, 0, 1).unwrap();
    assert_eq!(nat.inbound(ms(29_999), first, end(200, 443)), Some(end(1, 1000)));
    assert_eq!(nat.inbound(ms(30_000), first, end(200, 443)), None, "nobody there any more");
    let second = port(&mut nat, 30_000, 1).unwrap();
    assert_ne!(first, second);
    assert_eq!(nat.inbound(ms(30_001), first, end(200, 443)), None);
    assert_eq!(nat.inbound(ms(30_001), second, end(200, 443)), Some(end(1, 1000)));
}

#[test]
fn packets_from_outside_refresh_only_where_they_may() {
    for refreshes in [false, true] {
        let mut nat = Nat::new(NatConfig { inbound_refreshes: refreshes, ..config() }, 1);
        let first = port(&mut nat, 0, 1).unwrap();
        assert!(nat.inbound(ms(20_000), first, end(200, 443)).is_some());
        assert_eq!(nat.inbound(ms(40_000), first, end(200, 443)).is_some(), refreshes);
    }
}

#[test]
fn rebinding_moves_every_flow_at_once() {
    let mut nat = Nat::new(config(), 1);
    let before: std::vec::Vec<_> = (1..9).map(|host| port(&mut nat, 0, host)).collect();
    nat.rebind();
    assert_eq!((nat.mappings(ms(0)), nat.inbound(ms(0), before[0].unwrap(), end(200, 443))), (0, None));
    for (host, old) in (1..9).zip(before) {
        assert_ne!(port(&mut nat, 1, host), old);
    }
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
    nat.rebind_to(elsewhere);
    assert_eq!(nat.outbound(ms(1), end(1, 1000), end(200, 443)).unwrap().ip(), elsewhere);
    assert_eq!(nat.outside(), elsewhere);
}

#[test]
fn a_symmetric_translator_tells_remote_ends_apart() {
    let mut nat = Nat::new(NatConfig { symmetric: true, ..config() }, 1);
    let a = nat.outbound(ms(0), end(1, 1000), end(200, 443)).unwrap().port();
    let b = nat.outbound(ms(0), end(1, 1000), end(201, 443)).unwrap().port();
    assert_ne!(a, b);
    assert_eq!(nat.inbound(ms(0), a, end(200, 443)), Some(end(1, 1000)));
    assert_eq!(nat.inbound(ms(0), a, end(201, 443)), None, "not the one it spoke to");
    let mut open = Nat::new(config(), 1);
    let a = open.outbound(ms(0), end(1, 1000), end(200, 443)).unwrap().port();
    assert_eq!(open.outbound(ms(0), end(1, 1000), end(201, 443)).unwrap().port(), a);
    assert_eq!(open.inbound(ms(0), a, end(99, 1)), Some(end(1, 1000)));
}

#[test]
fn ports_run_out_and_come_back() {
    // Turned round on purpose.
    let mut nat = Nat::new(NatConfig { ports: (4003, 4000), ..config() }, 1);
    let mut ports: std::vec::Vec<_> = (1..5).map(|host| port(&mut nat, 0, host).unwrap()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [4000, 4001, 4002, 4003]);
    assert_eq!(port(&mut nat, 1, 9), None);
    assert!(port(&mut nat, 29_000, 1).is_some(), "the old ones go on");
    assert!(port(&mut nat, 30_000, 9).is_some());
    assert_eq!(nat.mappings(ms(30_000)), 2);
}

#[test]
fn with_one_port_a_flow_comes_back_to_it() {
    let mut nat = Nat::new(NatConfig { ports: (4000, 4000), ..config() }, 1);
    assert_eq!(port(&mut nat, 0, 1), Some(4000));
    nat.rebind();
    assert_eq!(port(&mut nat, 0, 1), Some(4000));
}

#[test]
fn memory_is_bounded_by_the_ports() {
    let mut nat = Nat::new(NatConfig { ports: (1, 16), ..config() }, 1);
    for n in 0..10_000u64 {
        nat.outbound(ms(n * 100), end(1, n as u16), end(200, 443));
        if n % 7 == 0 {
            nat.rebind();
        }
        assert!(nat.mappings.len() <= 33 && nat.owners.len() <= 16, "{}", nat.mappings.len());
    }
}

#[test]
fn the_same_seed_gives_the_same_ports() {
    let ports = |seed| {
        let mut nat = Nat::new(config(), seed);
        (0..50).map(|host| port(&mut nat, 0, host)).collect::<std::vec::Vec<_>>()
    };
    assert_eq!(ports(5), ports(5));
    assert_ne!(ports(5), ports(6));
}

#[test]
fn of_two_ports_a_rebinding_takes_the_other() {
    for seed in 0..20 {
        let mut nat = Nat::new(NatConfig { ports: (4000, 4001), ..config() }, seed);
        let mut last = port(&mut nat, 0, 1);
        for n in 1..10 {
            if n % 2 == 0 {
                nat.rebind();
            }
            let next = port(&mut nat, n * 30_000, 1);
            assert_ne!(next, last);
            last = next;
        }
    }
}
