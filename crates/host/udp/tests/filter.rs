//! What the kernel drops for us.

mod common;

use common::{at, bind, datagram, receive};
use tq_udp::{MAX_UNWANTED, SAMPLE, Socket, Unwanted};

const SHORT: [u8; 30] = [0x40; 30];
const LONG: [u8; 30] = [0xc0; 30];

/// Whose datagrams arrive, and with which first byte.
fn arrived(to: &Socket, senders: &[(&Socket, &str)]) -> Vec<(usize, u8)> {
    let name = |(socket, ip): &(&Socket, &str)| at(ip, socket);
    for sender in senders {
        let ip = if sender.1 == "::1" { "::1" } else { "127.0.0.1" };
        for bytes in [SHORT, LONG] {
            sender.0.send(&datagram(at(ip, to), &bytes)).unwrap();
        }
    }
    let seen = receive(to).into_iter().flat_map(|train| {
        let from = senders.iter().position(|sender| name(sender) == train.remote).unwrap();
        train.data.chunks(train.stride).map(|bytes| (from, bytes[0])).collect::<Vec<_>>()
    });
    seen.collect()
}

/// Whether these arrive of all senders; few of what is refused are let in all the same, so that is asked up to three times.
fn arrives(to: &Socket, senders: &[(&Socket, &str)], expected: &[(usize, u8)]) -> bool {
    (0..3).any(|_| arrived(to, senders) == expected)
}

#[test]
fn only_what_is_unwanted_is_dropped_and_only_as_long_as_it_is() {
    for (own, ip) in [("127.0.0.1:0", "127.0.0.1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let (to, one, two) =
            (bind(own), bind(&format!("{}:0", bracket(ip))), bind(&format!("{}:0", bracket(ip))));
        let all = [(0, 0x40), (0, 0xc0), (1, 0x40), (1, 0xc0)];
        let senders = [(&one, ip), (&two, ip)];
        assert_eq!(arrived(&to, &senders), all);
        to.refuse(&[Unwanted { source: at(ip, &one), long: false }]).unwrap();
        assert!(arrives(&to, &senders, &all[1..]), "{ip}");
        assert!(to.dropped().unwrap() >= 1);
        to.refuse(&[true, false].map(|long| Unwanted { source: at(ip, &two), long })).unwrap();
        assert!(arrives(&to, &senders, &all[..2]), "{ip}");
        to.refuse(&[]).unwrap();
        assert_eq!(arrived(&to, &senders), all);
        to.refuse(&[]).unwrap();
    }
}

fn bracket(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }
}

#[test]
fn as_many_as_there_may_be_are_refused_and_more_are_not() {
    let (to, from) = (bind("[::]:0"), bind("[::1]:0"));
    let other = |n: usize| Unwanted { source: ([0, 0, 0, 0, 0, 0, 0, 2], n as u16 + 1).into(), long: false };
    let mut list: Vec<_> = (0..MAX_UNWANTED - 1).map(other).collect();
    list.push(Unwanted { source: at("::1", &from), long: false });
    to.refuse(&list).unwrap();
    assert!(arrives(&to, &[(&from, "::1")], &[(0, 0xc0)]));
    list.insert(0, other(500));
    to.refuse(&list).unwrap();
    assert_eq!(arrived(&to, &[(&from, "::1")]).len(), 2);
}

#[test]
fn a_sample_of_what_is_refused_is_let_in() {
    let (to, from) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    to.refuse(&[Unwanted { source: at("127.0.0.1", &from), long: false }]).unwrap();
    let all = 100 * SAMPLE;
    for _ in 0..all {
        from.send(&datagram(at("127.0.0.1", &to), &SHORT)).unwrap();
    }
    let heard = all - to.dropped().unwrap();
    assert!((50..150).contains(&heard), "{heard} of a hundred");
}

#[test]
fn a_buffer_tells_how_full_it_is() {
    let (to, from) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    assert_eq!(to.fullness().unwrap(), 0.0);
    for _ in 0..100 {
        from.send(&datagram(at("127.0.0.1", &to), &[0; 1000])).unwrap();
    }
    let fullness = to.fullness().unwrap();
    assert!(fullness > 0.001 && fullness <= 1.0, "{fullness}");
}
