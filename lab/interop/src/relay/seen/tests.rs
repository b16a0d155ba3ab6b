use super::*;

const V1: [u8; 4] = [0, 0, 0, 1];

fn long(first: u8, version: [u8; 4]) -> Vec<u8> {
    [&[first][..], &version, &[8; 40]].concat()
}

#[test]
fn datagrams_are_counted_by_their_first_packet() {
    let seen = Seen::default();
    for first in [0xc0, 0xc3, 0xd0, 0xe1, 0xf0] {
        seen.note(&long(first, V1));
    }
    // Version Negotiation has any first byte with the highest bit.
    seen.note(&long(0x80, [0; 4]));
    seen.note(&long(0xf1, [0; 4]));
    seen.note(&[0x41; 30]);
    seen.note(&[0x01]);
    for odd in [&[][..], &[0xc0, 0, 0, 0]] {
        seen.note(odd);
    }
    let json = seen.json();
    let expected = "\"initial\":2,\"zero_rtt\":1,\"handshake\":1,\"retry\":1,\"version_negotiation\":2,\"short\":2,\
                    \"other\":2,";
    assert!(json.starts_with(&format!("{{{expected}")), "{json}");
    assert!(json.ends_with("\"versions\":[\"0x00000000\",\"0x00000001\"]}"), "{json}");
}

#[test]
fn what_became_of_them_is_counted() {
    let seen = Seen::default();
    let pass = Some(Verdict::Pass);
    for verdict in [pass, pass, pass, Some(Verdict::Lose), Some(Verdict::Lose), Some(Verdict::Corrupt), None]
    {
        seen.done(verdict);
    }
    assert!(seen.json().contains("\"passed\":3,\"lost\":2,\"corrupted\":1,\"overflowed\":1,"));
}

#[test]
fn a_peer_that_makes_versions_up_fills_nothing() {
    let seen = Seen::default();
    for version in 1..1000_u32 {
        seen.note(&long(0xc0, version.to_be_bytes()));
    }
    assert_eq!(seen.versions.lock().unwrap().len(), VERSIONS);
}
