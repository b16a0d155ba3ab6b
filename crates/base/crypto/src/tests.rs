//! Vectors of RFC 9001 appendix A, RFC 9369 appendix A and multipath §2.4.

mod provider;
mod vectors;

use std::vec;
use std::vec::Vec;

use tq_wire::PathId;

use crate::{HeaderKey, PacketKey, SAMPLE_LEN, Seal, Suite, TAG_LEN, protect, unprotect};
use provider::Provider;

// MUST 9001-6.6-7, 9001-6.6-8
#[test]
fn limits_are_those_of_rfc_9001() {
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm] {
        assert_eq!(suite.confidentiality_limit(), 1 << 23);
        assert_eq!(suite.integrity_limit(), 1 << 52);
    }
    assert!(Suite::ChaCha20Poly1305.confidentiality_limit() > 1 << 62);
    assert_eq!(Suite::ChaCha20Poly1305.integrity_limit(), 1 << 36);
}

#[test]
fn suites_have_the_key_and_hash_lengths_of_tls() {
    let lengths = |suite: Suite| (suite.key_len(), suite.hash().len());
    assert_eq!(lengths(Suite::Aes128Gcm), (16, 32));
    assert_eq!(lengths(Suite::Aes256Gcm), (32, 48));
    assert_eq!(lengths(Suite::ChaCha20Poly1305), (32, 32));
    assert!(!Suite::Aes128Gcm.hash().is_empty());
    assert_eq!(Suite::ChaCha20Poly1305.name(), "TLS_CHACHA20_POLY1305_SHA256");
}

/// A mask of ones in the bits that count, so that what it covers shows.
struct Ones;

impl HeaderKey for Ones {
    fn mask(&self, _: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        [0xff; 5]
    }
}

#[test]
fn the_mask_covers_four_bits_of_a_long_header_and_five_of_a_short_one() {
    for (first, covered) in [(0xc0, 0x0f), (0x40, 0x1f)] {
        for pn_len in 1..=4 {
            let first = first | (pn_len - 1) as u8;
            let mut packet = vec![0; 40];
            packet[0] = first;
            protect(&Ones, &mut packet, 9, pn_len);
            assert_eq!(packet[0], first ^ covered);
            let mut expected = [0; 5];
            expected[..pn_len].fill(0xff);
            assert_eq!(packet[9..14], expected);
            let unprotected = unprotect(&Ones, &mut packet, 9).expect("long enough");
            assert_eq!((unprotected.first, unprotected.pn_len, unprotected.truncated), (first, pn_len, 0));
        }
    }
}

// MUST 9001-5.4.2-1
#[test]
fn a_packet_too_short_for_a_sample_is_left_alone() {
    for len in 0..9 + 4 + SAMPLE_LEN {
        let mut packet: Vec<u8> = (0..len as u8).collect();
        let before = packet.clone();
        assert_eq!(unprotect(&Ones, &mut packet, 9), None);
        assert_eq!(packet, before);
    }
    assert_eq!(unprotect(&Ones, &mut [1; 8], usize::MAX - 8), None);
}

/// Path, packet number, header length, packet.
type Call = (PathId, u64, usize, Vec<u8>);

/// Notes what it was asked to seal.
struct Noting(std::sync::Mutex<Vec<Call>>);

impl PacketKey for Noting {
    fn seal(&self, path: PathId, pn: u64, header_len: usize, packet: &mut [u8]) {
        self.0.lock().unwrap().push((path, pn, header_len, packet.to_vec()));
    }

    fn open(&self, _: PathId, _: u64, _: &[u8], _: &mut [u8]) -> Result<usize, crate::OpenFailed> {
        Err(crate::OpenFailed)
    }
}

#[test]
fn a_batch_is_sealed_job_by_job_in_order() {
    let key = Noting(std::sync::Mutex::default());
    let mut buffer: Vec<u8> = (0..100).collect();
    let job = |packet, header_len, pn| Seal { packet, header_len, pn_len: 2, pn };
    key.seal_batch(PathId(7), &[job(0..40, 10, 5), job(40..100, 12, 6)], &mut buffer);
    let expected =
        [(PathId(7), 5, 10, (0..40).collect::<Vec<u8>>()), (PathId(7), 6, 12, (40..100).collect())];
    assert_eq!(*key.0.lock().unwrap(), expected);
}

#[test]
fn what_is_opened_must_be_whole_and_unchanged() {
    use crate::Crypto;
    let key = Provider.packet_key(Suite::Aes256Gcm, &[7; 32], [9; 12]);
    let mut packet = vec![1; 50];
    key.seal(PathId(1), 3, 10, &mut packet);
    for at in 0..packet.len() {
        let mut wrong = packet.clone();
        wrong[at] ^= 1;
        let (header, payload) = wrong.split_at_mut(10);
        assert!(key.open(PathId(1), 3, header, payload).is_err(), "byte {at}");
    }
    for len in 0..TAG_LEN {
        assert!(key.open(PathId(1), 3, &[], &mut vec![0; len]).is_err());
    }
    let (header, payload) = packet.split_at_mut(10);
    assert_eq!(key.open(PathId(1), 3, header, payload), Ok(50 - 10 - TAG_LEN));
    assert_eq!(payload[..24], [1; 24]);
}
