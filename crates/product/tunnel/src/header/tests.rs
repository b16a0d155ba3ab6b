//! Headers that come back, and those of peers that mean harm.

use proptest::prelude::*;

use super::{HeaderError, Open, Target};
use crate::Measure;

#[test]
fn targets_come_back() {
    for text in ["203.0.113.7:443", "[2001:db8::7]:22", "example.org:80", "a_b-c.d:65535"] {
        let open = Open { target: Target::parse(text).unwrap(), class: 2 };
        assert_eq!(open.target.to_string(), text);
        assert_eq!(Open::decode(&open.encode()[2..]), Ok(open));
    }
    for what in Measure::ALL {
        let open = Open::tcp(Target::Measure(what));
        assert_eq!(Open::decode(&open.encode()[2..]), Ok(open));
    }
    assert_eq!(Open::decode(&[1, 2, 3]), Err(HeaderError::Address));
}

#[test]
fn what_is_no_target_is_refused() {
    let long = format!("{}:80", "x".repeat(254));
    let bad = [
        "",
        ":",
        "host",
        "host:",
        ":80",
        "host:0",
        "host:65536",
        "host:+80",
        "::1:80",
        "[::1:80",
        "ho st:80",
    ];
    for text in bad.into_iter().chain(["ho/st:80", "[host]:80", "h\u{f6}st:80", "host:8 0", long.as_str()]) {
        assert_eq!(Target::parse(text), Err(HeaderError::Address), "{text:?}");
    }
}

#[test]
fn a_mapped_address_is_the_one_it_maps() {
    let open = Open::tcp(Target::parse("[::ffff:127.0.0.1]:80").unwrap());
    assert_eq!(Open::decode(&open.encode()[2..]).unwrap().target, Target::parse("127.0.0.1:80").unwrap());
}

#[test]
fn later_fields_are_skipped_and_early_ends_told() {
    let whole = Open::tcp(Target::parse("203.0.113.7:443").unwrap());
    let bytes = &whole.encode()[2..];
    assert_eq!(Open::decode(&[bytes, &[1, 2, 3]].concat()), Ok(whole));
    for len in 0..bytes.len() {
        assert_eq!(Open::decode(&bytes[..len]), Err(HeaderError::Torn), "{len}");
    }
    assert_eq!(Open::decode(&[2, 1, 4, 0]), Err(HeaderError::Version(2, 1)));
    assert_eq!(Open::decode(&[1, 9, 4, 0]), Err(HeaderError::Version(1, 9)));
    assert_eq!(Open::decode(&[1, 1, 5, 0]), Err(HeaderError::Address));
    assert_eq!(Open::decode(&[1, 1, 4, 1, 2, 3, 4, 0, 0, 0, 0]), Err(HeaderError::Address));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(open) = Open::decode(&body) {
            prop_assert_eq!(Open::decode(&open.encode()[2..]).map(|again| again.encode()), Ok(open.encode()));
        }
    }
}
