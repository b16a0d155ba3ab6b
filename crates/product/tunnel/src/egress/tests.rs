//! Addresses a tenant may not reach, in all their disguises.

use super::{Egress, Rule};

fn allows(egress: &Egress, addr: &str) -> bool {
    egress.allows(addr.parse().unwrap())
}

#[test]
fn the_server_itself_is_out_of_bounds() {
    let egress = Egress { own: vec!["203.0.113.7".parse().unwrap()], ..Egress::default() };
    for addr in [
        "127.0.0.1:80",
        "127.8.9.1:80",
        "0.0.0.0:80",
        "0.1.2.3:80",
        "169.254.169.254:80",
        "100.100.100.200:80",
        "168.63.129.16:80",
        "192.0.0.192:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "250.0.0.1:80",
        "203.0.113.7:443",
        "[::1]:80",
        "[::]:80",
        "[::ffff:127.0.0.1]:80",
        "[::ffff:169.254.169.254]:80",
        "[::127.0.0.1]:80",
        "[64:ff9b::7f00:1]:80",
        "[64:ff9b::cb00:7107]:80",
        "[64:ff9b:1::7f00:1]:80",
        "[2002:7f00:1::1]:80",
        "[2001:0:1:2:3:4:80ff:fffe]:80",
        "[2a00::5efe:7f00:1]:80",
        "[fe80::1]:80",
        "[fec0::1]:80",
        "[ff02::1]:80",
        "[fd00:ec2::254]:80",
    ] {
        assert!(!allows(&egress, addr), "{addr}");
    }
    for addr in
        ["198.51.100.1:80", "10.1.2.3:80", "[2001:db8::1]:80", "[64:ff9b::c633:6401]:80", "[fd00::1]:80"]
    {
        assert!(allows(&egress, addr), "{addr}");
    }
}

#[test]
fn a_rule_opens_or_closes() {
    let rule = |text: &str| text.parse::<Rule>().unwrap();
    let egress = Egress {
        allow: vec![rule("127.0.0.1 port 8080-8081"), rule("10.1.0.0/16")],
        deny: vec![rule("10.0.0.0/8"), rule("2001:db8::/32"), rule("0.0.0.0/0 port 25")],
        own: Vec::new(),
    };
    for addr in
        ["127.0.0.1:8080", "127.0.0.1:8081", "[::ffff:127.0.0.1]:8080", "10.1.2.3:9", "198.51.100.1:80"]
    {
        assert!(allows(&egress, addr), "{addr}");
    }
    for addr in ["127.0.0.1:8082", "127.0.0.2:8080", "10.2.0.1:9", "[2001:db8::1]:80", "198.51.100.1:25"] {
        assert!(!allows(&egress, addr), "{addr}");
    }
}

#[test]
fn rules_come_back_and_others_are_refused() {
    for text in ["10.0.0.0/8", "127.0.0.1/32 port 80", "fd00::/8 port 1-1024"] {
        assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "x",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.1 80",
        "10.0.0.1 port",
        "10.0.0.1 port 9-8",
        "1.2.3.4 port 1 2",
    ] {
        assert!(text.parse::<Rule>().is_err(), "{text}");
    }
}

#[test]
fn addresses_are_found_in_the_kernels_tables() {
    let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\nLocal:\n     +-- 10.0.0.0/24 2 0 2\n\
        |-- 10.0.0.0\n           /24 link UNICAST\n        |-- 10.0.0.7\n           /32 host LOCAL\n\
        |-- 10.0.0.255\n           /32 link BROADCAST\n";
    assert!(super::trie_has(trie, "10.0.0.7".parse().unwrap()));
    for other in ["10.0.0.0", "10.0.0.255", "10.0.0.70", "0.0.0.0"] {
        assert!(!super::trie_has(trie, other.parse().unwrap()), "{other}");
    }
    let inet6 = "20010db8000000000000000000000007 02 40 00 80     eth0\n";
    assert!(super::inet6_has(inet6, "2001:db8::7".parse().unwrap()));
    assert!(!super::inet6_has(inet6, "2001:db8::8".parse().unwrap()));
    // What this host says of itself is read the same way.
    assert!(super::in_tables("127.0.0.1".parse().unwrap()));
    assert!(!super::in_tables("203.0.113.77".parse().unwrap()));
}
