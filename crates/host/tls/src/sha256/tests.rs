use aws_lc_rs::{digest, hkdf, hmac};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// The same by the library.
fn expanded(key: &[u8], info: &[&[u8]], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let key = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key);
    let okm = key.expand(info, Len(len)).unwrap();
    okm.fill(&mut out).unwrap();
    out
}

#[test]
fn the_vectors_of_rfc_4231_and_5869_come_out() {
    let tag = Hmac::new(b"Jefe").sign(&[b"what do ya want ", b"for nothing?"]);
    assert_eq!(hex::encode(tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let tag = Hmac::new(&[0xaa; 131]).sign(&[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
    assert_eq!(hex::encode(tag), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    let salt = hex::decode("000102030405060708090a0b0c").unwrap();
    let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
    let mut out = [0; 42];
    Hmac::new(&Hmac::new(&salt).sign(&[&[0x0b; 22]])).expand(&[&info], &mut out);
    let wanted = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(hex::encode(out), wanted);
}

#[test]
fn rustls_gets_no_more_than_hkdf_can_give() {
    let key = KeySchedule.expander_for_okm(&OkmBlock::new(&[7; LEN]));
    assert!(key.expand_slice(&[b"info"], &mut [0; 255 * LEN]).is_ok());
    assert!(key.expand_slice(&[b"info"], &mut [0; 255 * LEN + 1]).is_err());
    let none = KeySchedule.extract_from_zero_ikm(None).expand_block(&[b"x"]);
    let zeros = KeySchedule.extract_from_secret(Some(&[0; LEN]), &[0; LEN]).expand_block(&[b"x"]);
    assert_eq!(none.as_ref(), zeros.as_ref());
}

proptest! {
    #[test]
    fn digests_are_those_of_the_library(pieces in vec(vec(any::<u8>(), 0..200), 0..6)) {
        let mut hash = Sha256::new();
        pieces.iter().for_each(|piece| hash.update(piece));
        let fork = hash::Context::fork_finish(&hash);
        let digest = hash.finish();
        prop_assert_eq!(fork.as_ref(), &digest[..]);
        let wanted = digest::digest(&digest::SHA256, &pieces.concat());
        prop_assert_eq!(wanted.as_ref(), &digest[..]);
    }

    #[test]
    fn tags_and_expansions_are_those_of_the_library(
        key in vec(any::<u8>(), 1..150),
        pieces in vec(vec(any::<u8>(), 0..100), 0..4),
        len in 1_usize..200,
    ) {
        let pieces: Vec<_> = pieces.iter().map(|piece| &piece[..]).collect();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &pieces.concat());
        prop_assert_eq!(tag.as_ref(), &Hmac::new(&key).sign(&pieces)[..]);
        // The library takes no longer ones.
        let key = &key[..key.len().min(64)];
        let mut out = vec![0; len];
        Hmac::new(key).expand(&pieces, &mut out);
        prop_assert_eq!(expanded(key, &pieces, len), out);
    }
}
