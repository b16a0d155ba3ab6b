//! Text and bytes against known values.

use proptest::prelude::*;

use super::{base32, base64, crc32, from_base64};

#[test]
fn known_values() {
    // RFC 4648 §10, without padding
    for (bytes, b64, b32) in
        [("", "", ""), ("f", "Zg", "my"), ("fo", "Zm8", "mzxq"), ("foobar", "Zm9vYmFy", "mzxw6ytboi")]
    {
        assert_eq!(base64(bytes.as_bytes()), b64);
        assert_eq!(base32(bytes.as_bytes()), b32);
    }
    assert_eq!(base64(&[0xfb, 0xff]), "-_8");
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn what_no_encoder_writes_is_refused() {
    for (text, at) in [("Zg=", 2), ("Z", 0), ("Zh", 1), ("Zm9v YmFy", 4), ("Zm9vé", 4)] {
        assert_eq!(from_base64(text), Err(at), "{text}");
    }
}

proptest! {
    #[test]
    fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(from_base64(&base64(&bytes)), Ok(bytes));
    }
}
