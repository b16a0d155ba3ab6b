//! Two threads exchange 100 000 datagrams; every byte is checked.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};

use common::{bind, datagram, poll};
use tq_udp::{Ecn, RecvBatch, Transmit};

const TOTAL: u64 = 100_000;
const SIZE: usize = 1200;
/// Datagrams under way, few enough for the receive buffer.
const WINDOW: u64 = 1500;

/// A sum over the words of `bytes` that depends on their order.
fn checksum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    words.fold(0x9e37_79b9, |sum, word| (sum ^ word).rotate_left(7).wrapping_mul(0x0100_0000_01b3))
}

/// Number, noise, checksum of both.
fn write(number: u64, datagram: &mut [u8]) {
    let (sum, body) = datagram.split_first_chunk_mut::<8>().unwrap();
    for (i, word) in body.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&number.wrapping_mul(i as u64 | 1).to_le_bytes());
    }
    *sum = checksum(body).to_le_bytes();
}

#[test]
fn a_hundred_thousand_datagrams_arrive_whole_and_in_order() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let remote = to.local_addr().unwrap();
    let arrived = AtomicU64::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut buffer = vec![0; 44 * SIZE];
            let mut next = 0;
            while next < TOTAL {
                // Trains of every length.
                let count = (1 + next % 44).min(TOTAL - next);
                while next + count > arrived.load(Ordering::Acquire) + WINDOW {
                    std::thread::yield_now();
                }
                let contents = &mut buffer[..count as usize * SIZE];
                for (number, datagram) in (next..).zip(contents.chunks_exact_mut(SIZE)) {
                    write(number, datagram);
                }
                let (segment, ecn) = (Some(SIZE as u16), Ecn::Ect0);
                from.send(&Transmit { segment, ecn, ..datagram(remote, contents) }).unwrap();
                next += count;
            }
        });
        let mut batch = RecvBatch::new();
        let mut expected = 0;
        while expected < TOTAL {
            assert!(poll(&to, libc::POLLIN, 5000), "only {expected} arrived");
            while to.recv(&mut batch).is_ok() {
                for mut train in batch.trains() {
                    assert_eq!((train.ecn, train.remote), (Ecn::Ect0, from.local_addr().unwrap()));
                    for datagram in train.datagrams() {
                        let (sum, body) = datagram.split_first_chunk::<8>().unwrap();
                        assert_eq!(u64::from_le_bytes(*sum), checksum(body));
                        let number = u64::from_le_bytes(*body.first_chunk().unwrap());
                        assert_eq!(number, expected);
                        expected += 1;
                    }
                }
                arrived.store(expected, Ordering::Release);
            }
        }
    });
    assert_eq!(to.dropped().unwrap(), 0);
}
