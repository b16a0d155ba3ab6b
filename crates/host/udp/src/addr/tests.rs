//! Addresses survive the kernel's layout; mapped ones come back as IPv4.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use proptest::prelude::*;

use super::{Family, Name, normal};

fn roundtrip(addr: SocketAddr, family: Family) -> Option<SocketAddr> {
    let (name, len) = Name::encode(addr, family)?;
    name.decode(len)
}

#[test]
fn ipv4_peers_stay_ipv4_on_sockets_of_both_families() {
    let addr: SocketAddr = "192.0.2.7:4433".parse().unwrap();
    assert_eq!(roundtrip(addr, Family::V4), Some(addr));
    assert_eq!(roundtrip(addr, Family::V6), Some(addr));
}

#[test]
fn mapped_addresses_are_ipv4_wherever_they_enter() {
    let mapped: SocketAddr = "[::ffff:192.0.2.7]:4433".parse().unwrap();
    let plain: SocketAddr = "192.0.2.7:4433".parse().unwrap();
    assert_eq!(roundtrip(mapped, Family::V4), Some(plain));
    assert_eq!(roundtrip(mapped, Family::V6), Some(plain));
    assert_eq!(normal(mapped), plain);
}

#[test]
fn ipv6_peers_keep_scope_and_flow_label() {
    let addr = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 443, 0xa_bcde, 3));
    assert_eq!(roundtrip(addr, Family::V6), Some(addr));
    assert_eq!(normal(addr), addr);
}

#[test]
fn an_ipv4_socket_has_no_name_for_an_ipv6_peer() {
    assert_eq!(roundtrip("[2001:db8::1]:443".parse().unwrap(), Family::V4), None);
}

#[test]
fn the_layout_is_the_kernels() {
    let addr: SocketAddr = "[2001:db8::9]:443".parse().unwrap();
    let theirs = socket2::SockAddr::from(addr);
    let (ours, len) = Name::encode(addr, Family::V6).unwrap();
    assert_eq!(theirs.len() as usize, len);
    assert_eq!(ours.decode(len), theirs.as_socket());
    let theirs = socket2::SockAddr::from("192.0.2.7:4433".parse::<SocketAddr>().unwrap());
    assert_eq!(theirs.len(), 16);
}

proptest! {
    #[test]
    fn whatever_the_kernel_writes_is_read_without_panic(bytes in any::<[u8; 28]>(), len in 0_usize..64) {
        let _ = Name(bytes).decode(len);
    }

    #[test]
    fn every_ipv6_address_survives(ip in any::<u128>(), port: u16, flow: u32, scope: u32) {
        let ip = Ipv6Addr::from(ip);
        prop_assume!(ip.to_ipv4_mapped().is_none());
        let addr = SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope));
        prop_assert_eq!(roundtrip(addr, Family::V6), Some(addr));
    }
}
