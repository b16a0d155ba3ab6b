use super::*;

const V1: [u8; 4] = [0, 0, 0, 1];

fn long(first: u8, version: [u8; 4]) -> Vec<u8> {
    [&[first][..], &version, &[8; 40]].concat()
}

#[test]
fn datagrams_are_counted_by_their_first_packet() {
    let seen = Seen::default();
    for first in [0xc0, 0xc3, 0xd0, 0xe1, 0xf0] {
        seen.note(&long(first, V1), 0);
    }
    // Version Negotiation has any first byte with the highest bit.
    seen.note(&long(0x80, [0; 4]), 0);
    seen.note(&long(0xf1, [0; 4]), 0);
    seen.note(&[0x41; 30], 0);
    seen.note(&[0x01], 0);
    for odd in [&[][..], &[0xc0, 0, 0, 0]] {
        seen.note(odd, 0);
    }
    let json = seen.json();
    let expected = "\"initial\":2,\"zero_rtt\":1,\"handshake\":1,\"retry\":1,\"version_negotiation\":2,\"short\":2,\
                    \"other\":2,";
    assert!(json.starts_with(&format!("{{{expected}")), "{json}");
    let versions = "\"versions\":[\"0x00000000\",\"0x00000001\"],\"handshake_versions\":[\"0x00000001\"]}";
    assert!(json.ends_with(versions), "{json}");
}

#[test]
fn what_became_of_them_is_counted() {
    let seen = Seen::default();
    use Became::*;
    for became in [Passed, Passed, Passed, Lost, Lost, Corrupted, Overflowed, Queued, Outage, Swallowed] {
        seen.done(became);
    }
    assert!(seen.json().contains("\"passed\":3,\"lost\":2,\"corrupted\":1,\"overflowed\":1,"));
    assert!(seen.json().contains("\"queue_full\":1,\"outage\":1,\"swallowed\":1,"));
}

#[test]
fn a_peer_that_makes_versions_up_fills_nothing() {
    let seen = Seen::default();
    for version in 1..1000_u32 {
        seen.note(&long(0xc0, version.to_be_bytes()), 0);
    }
    assert_eq!(seen.versions.lock().unwrap().len(), VERSIONS);
}

/// A long header packet with a length field and 20 bytes behind it.
fn whole(first: u8, version: u32, token: Option<&[u8]>) -> Vec<u8> {
    let token = token.map_or_else(Vec::new, |token| [&[token.len() as u8][..], token].concat());
    [&[first][..], &version.to_be_bytes(), &[2, 7, 7, 0], &token, &[20], &[9; 20]].concat()
}

#[test]
fn version_2_numbers_its_packets_differently() {
    let seen = Seen::default();
    for first in [0xd0, 0xe0, 0xf0, 0xc0] {
        seen.note(&long(first, V2.to_be_bytes()), 0);
    }
    let json = seen.json();
    assert!(json.starts_with("{\"initial\":1,\"zero_rtt\":1,\"handshake\":1,\"retry\":1,"), "{json}");
    assert!(json.contains("\"handshake_versions\":[\"0x6b3343cf\"]"), "{json}");
}

#[test]
fn coalesced_packets_are_told_apart() {
    let datagram = [whole(0xc0, 1, Some(b"token")), whole(0xe0, 1, None), vec![0x40; 30]].concat();
    let kinds: Vec<usize> = packets(&datagram).map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [INITIAL, HANDSHAKE], "behind long headers a short one is not looked for");
    let seen = Seen::default();
    seen.note(&[whole(0xc0, 1, Some(b"")), whole(0xd0, 1, None)].concat(), 0);
    assert!(seen.json().contains("\"zero_rtt\":0,") && seen.json().contains("\"zero_rtt_packets\":1,"));
    // Cut off anywhere, nothing is read that is not there.
    for len in 0..datagram.len() {
        assert!(packets(&datagram[..len]).count() <= 2);
    }
}

#[test]
fn amplification_counts_until_the_client_has_proven_its_address() {
    let (account, most) = (Account::default(), AtomicU64::new(0));
    account.received(&whole(0xc0, 1, Some(&[]))[..]);
    let received = account.received.load(Ordering::Relaxed) as usize;
    account.sent(2 * received, &most);
    account.sent(received / 2, &most);
    assert!((2400..=2500).contains(&most.load(Ordering::Relaxed)));
    account.received(&[whole(0xc0, 1, Some(&[])), whole(0xe0, 1, None)].concat());
    account.sent(100 * received, &most);
    assert!(most.load(Ordering::Relaxed) <= 2500);
}

#[test]
fn an_id_that_two_clients_use_is_noticed() {
    let seen = Seen::default();
    let short = |id: u8| [&[0x41][..], &[id; 8], &[id.wrapping_add(9); 20]].concat();
    for (id, client) in [(1, 0), (1, 0), (2, 1), (3, 1), (1, 1), (1, 0)] {
        seen.note(&short(id), client);
    }
    // Long headers may carry any, and what is too short to have one says nothing.
    seen.note(&long(0xc0, V1), 0);
    seen.note(&long(0xc0, V1), 1);
    seen.note(&[0x41, 1, 1], 1);
    assert!(seen.json().contains("\"also\":0,\"ids_reused\":1,"), "{}", seen.json());
}

#[test]
fn short_headers_at_the_second_door_are_counted() {
    let seen = Seen::default();
    seen.note(&[0x41; 30], 0);
    seen.note(&[0x41; 30], super::super::ALSO >> 1);
    seen.note(&long(0xc0, V1), super::super::ALSO >> 1);
    assert!(seen.json().contains("\"also\":1,\"ids_reused\":1,"), "{}", seen.json());
}

#[test]
fn ids_that_somebody_makes_up_fill_nothing() {
    let seen = Seen::default();
    for number in 0..10_000_u64 {
        seen.note(&[&[0x41][..], &number.to_le_bytes()].concat(), number % 2);
    }
    assert_eq!(seen.ids.lock().unwrap().len(), IDS);
}
