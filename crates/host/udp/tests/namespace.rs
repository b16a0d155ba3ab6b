//! What loopback cannot show: a small MTU, a slow device, no route. Each test gives its thread a network
//! namespace of its own; where that takes privileges the machine does not grant, it says so and passes.

mod common;

use std::process::Command;

use common::{bind, datagram, poll, receive};
use tq_udp::{Options, SendError, Socket, Transmit};

/// Runs `test` on a thread in a fresh namespace, after `commands`.
fn within(commands: &[&str], test: impl FnOnce() + Send) {
    std::thread::scope(|threads| {
        let thread = threads.spawn(|| {
            if enter(commands) {
                test();
            }
        });
        thread.join().unwrap();
    });
}

fn enter(commands: &[&str]) -> bool {
    // SAFETY: concerns only the namespace of this thread.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        eprintln!("skipped: no network namespaces here");
        return false;
    }
    commands.iter().all(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let done = Command::new(words[0]).args(&words[1..]).status().is_ok_and(|status| status.success());
        if !done {
            eprintln!("skipped: cannot `{line}`");
        }
        done
    })
}

// MUST 9000-14-2
#[test]
fn datagrams_beyond_the_mtu_are_too_big_rather_than_fragmented() {
    within(&["ip link set lo up mtu 1500"], || {
        for (ip, fits) in [("127.0.0.1:0", 1472), ("[::1]:0", 1452)] {
            let (from, to) = (bind(ip), bind(ip));
            let remote = to.local_addr().unwrap();
            from.send(&datagram(remote, &vec![0; fits])).unwrap();
            let result = from.send(&datagram(remote, &vec![0; fits + 1]));
            assert!(matches!(result, Err(SendError::TooBig)), "{ip}: {result:?}");
            // A train of such datagrams fails the same way and segmentation stays on.
            let contents = vec![0; 20_000];
            let segment = Some(u16::try_from(fits).unwrap() + 1);
            let result = from.send(&Transmit { segment, ..datagram(remote, &contents) });
            assert!(matches!(result, Err(SendError::TooBig)), "{ip}: {result:?}");
            assert!(from.max_segments() >= 64);
            let segment = Some(u16::try_from(fits).unwrap());
            from.send(&Transmit { segment, ..datagram(remote, &contents) }).unwrap();
            let bytes: usize = receive(&to).iter().map(|train| train.data.len()).sum();
            assert_eq!(bytes, fits + 20_000);
        }
    });
}

#[test]
fn a_slow_device_blocks_and_resuming_loses_nothing() {
    within(
        &["ip link set lo up mtu 1500", "tc qdisc add dev lo root tbf rate 80mbit burst 8kb limit 8mb"],
        || {
            let options = Options { send_buffer: 20_000, ..Options::default() };
            let from = Socket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
            let to = bind("127.0.0.1:0");
            let contents: Vec<u8> = (0..1_000_000_u32).map(|i| (i / 250) as u8).collect();
            let (mut at, mut blocked) = (0, 0);
            while at < contents.len() {
                let transmit =
                    Transmit { segment: Some(1000), ..datagram(to.local_addr().unwrap(), &contents[at..]) };
                match from.send(&transmit) {
                    Ok(()) => break,
                    Err(SendError::WouldBlock { sent }) => {
                        assert_eq!(sent % 1000, 0);
                        at += sent;
                        blocked += 1;
                        assert!(poll(&from, libc::POLLOUT, 5000));
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            assert!(blocked > 0);
            let mut seen = Vec::new();
            while seen.len() < contents.len() {
                seen.extend(receive(&to).into_iter().flat_map(|train| train.data));
            }
            assert!(seen == contents);
        },
    );
}

#[test]
fn an_address_that_was_taken_away_is_a_bad_source() {
    within(&["ip link set lo up", "ip addr add 10.9.9.9/32 dev lo"], || {
        let (from, to) = (bind("10.9.9.9:0"), bind("127.0.0.1:0"));
        let remote = to.local_addr().unwrap();
        from.send(&datagram(remote, b"hello")).unwrap();
        let words = ["addr", "del", "10.9.9.9/32", "dev", "lo"];
        assert!(Command::new("ip").args(words).status().unwrap().success());
        let contents = vec![0; 5000];
        for segment in [None, Some(1000)] {
            let result = from.send(&Transmit { segment, ..datagram(remote, &contents) });
            assert!(matches!(result, Err(SendError::BadSource(_))), "{result:?}");
        }
        assert!(from.max_segments() >= 64);
    });
}

#[test]
fn a_device_that_goes_away_makes_its_peers_unreachable() {
    let up =
        ["ip link add one type veth peer name two", "ip addr add 10.9.9.1/24 dev one", "ip link set one up"];
    within(&[&up[..], &["ip link set two up"]].concat(), || {
        let options = Options { device: Some("one".into()), ..Options::default() };
        let from = Socket::bind("0.0.0.0:0".parse().unwrap(), &options).unwrap();
        let remote = "10.9.9.2:9".parse().unwrap();
        from.send(&datagram(remote, b"hello")).unwrap();
        assert!(from.has_route(remote, None));
        for (words, there) in
            [("link set one down", false), ("link set one up", true), ("link del one", false)]
        {
            assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success());
            assert_eq!(from.has_route(remote, None), there, "{words}");
            let result = from.send(&datagram(remote, b"hello"));
            assert_eq!(result.is_ok(), there, "{words}: {result:?}");
            assert!(there || matches!(result, Err(SendError::Unreachable(_))), "{words}: {result:?}");
        }
    });
}

#[test]
fn without_a_route_the_peer_is_unreachable() {
    within(&[], || {
        for (any, peer) in [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")] {
            let from = bind(any);
            for segment in [None, Some(2)] {
                let result = from.send(&Transmit { segment, ..datagram(peer.parse().unwrap(), b"hello") });
                assert!(matches!(result, Err(SendError::Unreachable(_))), "{result:?}");
            }
            assert!(from.max_segments() >= 64);
        }
    });
}
