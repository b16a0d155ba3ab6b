//! Tokens that come back, and lines that are none.

use proptest::prelude::*;

use super::Token;
use crate::text::{base64, crc32};
use crate::{Secret, TokenError};

fn sample() -> Token {
    Token {
        addresses: vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        port: 443,
        server_key: [7; 32],
        tenant: "acme".parse().unwrap(),
        device: "van-3".parse().unwrap(),
        secret: Secret::from_bytes([9; 32]),
        expires: Some(2_000_000_000),
    }
}

/// A line with these fields and a right checksum.
fn line(fields: &[u8]) -> String {
    let mut bytes = fields.to_vec();
    bytes.extend_from_slice(&[255, 4]);
    bytes.extend_from_slice(&crc32(fields).to_be_bytes());
    format!("tquic://1/{}", base64(&bytes))
}

#[test]
fn a_token_is_one_line_that_comes_back() {
    let text = sample().to_string();
    assert!(text.starts_with("tquic://1/") && !text.contains(char::is_whitespace), "{text}");
    assert_eq!(text.parse::<Token>(), Ok(sample()));
    assert_eq!(format!("  {text}\n").parse::<Token>(), Ok(sample()));
}

#[test]
fn debug_keeps_the_secret() {
    assert!(format!("{:?}", sample()).contains("Secret(..)"));
}

#[test]
fn what_is_wrong_is_said() {
    let parse = |text: &str| text.parse::<Token>().unwrap_err();
    assert_eq!(parse(""), TokenError::NotAToken);
    assert_eq!(parse("https://example.org"), TokenError::NotAToken);
    assert_eq!(parse("tquic://1"), TokenError::Torn);
    assert_eq!(parse("tquic://1/"), TokenError::Torn);
    assert_eq!(parse("tquic://2/AAAA"), TokenError::Version("2".into()));
    assert_eq!(parse("tquic://1/AA AA"), TokenError::Character { at: 13 });
    let text = sample().to_string();
    assert_eq!(parse(&text[..text.len() - 4]), TokenError::Torn);
    assert_eq!(parse(&line(&[])), TokenError::Missing("server's address"));
    assert_eq!(parse(&line(&[1, 4, 1, 2, 3, 4])), TokenError::Missing("port"));
    assert_eq!(parse(&line(&[1, 5, 1, 2, 3, 4, 5])), TokenError::Field("server's address"));
    assert_eq!(parse(&line(&[3, 2, 0, 0])), TokenError::Field("port"));
    assert_eq!(parse(&line(&[3, 2, 1, 0, 3, 2, 1, 0])), TokenError::Field("port"));
    assert_eq!(parse(&line(&[5, 2, b'a', b'/'])), TokenError::Field("tenant"));
    assert_eq!(parse(&line(&[5, 9, b'a'])), TokenError::Torn);
    assert_eq!(parse(&line(&[1, 4, 0, 0, 0, 0])), TokenError::Field("server's address"));
}

#[test]
fn fields_of_later_versions_are_skipped() {
    let whole = crate::text::from_base64(sample().to_string().strip_prefix("tquic://1/").unwrap()).unwrap();
    let fields = [&[100, 3, 1, 2, 3][..], &whole[..whole.len() - 6]].concat();
    assert_eq!(line(&fields).parse::<Token>(), Ok(sample()));
}

#[test]
fn the_name_asked_for_tells_nothing_and_stays() {
    let (one, other) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
    assert_eq!(one.server_name().len(), 29);
    assert_ne!(one.server_name(), other.server_name());
    assert_ne!(one.join_key().spki(), other.join_key().spki());
    assert_eq!(one.join_key().spki(), Secret::from_bytes([1; 32]).join_key().spki());
}

proptest! {
    #[test]
    fn one_character_changed_never_passes(at in 10usize..200, c in "[A-Za-z0-9_-]") {
        let text = sample().to_string();
        let at = 10 + (at - 10) % (text.len() - 10);
        let mut changed = text.clone();
        changed.replace_range(at..=at, &c);
        prop_assume!(changed != text);
        prop_assert!(changed.parse::<Token>().is_err());
    }

    #[test]
    fn any_text_is_read_without_panic(text in "(tquic://1/)?[ -~]{0,80}") {
        let _ = text.parse::<Token>();
    }

    #[test]
    fn any_fields_are_read_without_panic(fields in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = line(&fields).parse::<Token>();
    }
}
