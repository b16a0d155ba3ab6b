use super::*;

#[test]
fn links_are_devices_addresses_or_both() {
    let link =
        |text: &str| text.parse::<Link>().map(|link| (link.device.clone(), link.addr, link.to_string()));
    let ip: IpAddr = "10.0.0.7".parse().unwrap();
    assert_eq!(link("eth0"), Ok((Some("eth0".into()), None, "eth0".into())));
    assert_eq!(link("eth0=10.0.0.7"), Ok((Some("eth0".into()), Some(ip), "eth0=10.0.0.7".into())));
    assert_eq!(link("=10.0.0.7"), Ok((None, Some(ip), "=10.0.0.7".into())));
    assert_eq!(link("eth0=fe80::1").unwrap().2, "eth0=fe80::1");
    assert!(link("").is_err() && link("=").is_err());
    assert!(link("eth0=10.0.0").unwrap_err().contains("\"10.0.0\" is not an IP address"));
}

#[test]
fn a_link_without_an_address_is_bound_to_any_of_the_servers_family() {
    let link: Link = "eth0".parse().unwrap();
    assert_eq!(link.bound("192.0.2.1:4433".parse().unwrap()), "0.0.0.0:0".parse().unwrap());
    assert_eq!(link.bound("[2001:db8::1]:4433".parse().unwrap()), "[::]:0".parse().unwrap());
}
