//! The assembler against a table with one row per byte.

use core::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::mem::{Vec, vec};
use store::BLOCK;

const LAST: u64 = (1 << 62) - 1;

fn byte(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(byte).collect()
}

/// An assembler that has read all below `offset`.
fn at(offset: u64) -> Assembler {
    let mut assembler = Assembler::new();
    if offset > 0 {
        assembler.insert(offset - 1, &[0]).unwrap();
        assembler.clear();
    }
    assembler
}

fn read_all(assembler: &mut Assembler) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = assembler.read(usize::MAX) {
        all.extend_from_slice(&bytes);
    }
    all
}

/// Inserts `range` in one-byte pieces and expects to read it back.
fn one_by_one(offsets: impl Iterator<Item = u64>, len: u64) -> Assembler {
    let mut assembler = Assembler::new();
    for offset in offsets {
        assembler.insert(offset, &[byte(offset)]).unwrap();
        assert!(assembler.store.pieces() as u64 <= assembler.highest() / BLOCK + 1);
    }
    assert_eq!((assembler.buffered() as u64, assembler.ready() as u64), (len, len));
    assert_eq!(read_all(&mut assembler), bytes(0..len));
    assembler
}

#[test]
fn bytes_in_order_come_out_at_once() {
    let mut assembler = Assembler::new();
    assembler.insert(0, &bytes(0..1200)).unwrap();
    assert_eq!(assembler.read(1000).unwrap(), bytes(0..1000));
    assembler.insert(1200, &bytes(1200..2400)).unwrap();
    assert_eq!((assembler.consumed(), assembler.received(), assembler.ready()), (1000, 2400, 1400));
    assert_eq!(read_all(&mut assembler), bytes(1000..2400));
    assert_eq!(assembler.read(1), None);
    assert_eq!((assembler.buffered(), assembler.highest()), (0, 2400));
}

#[test]
fn a_gap_holds_back_what_follows() {
    let mut assembler = Assembler::new();
    assembler.insert(100, &bytes(100..200)).unwrap();
    assert_eq!((assembler.read(10), assembler.ready(), assembler.received()), (None, 0, 0));
    assert_eq!((assembler.highest(), assembler.buffered()), (200, 100));
    assembler.insert(0, &bytes(0..100)).unwrap();
    assert_eq!(read_all(&mut assembler), bytes(0..200));
}

#[test]
fn the_first_copy_of_a_byte_stays() {
    let mut assembler = Assembler::new();
    assembler.insert(10, &[1; 10]).unwrap();
    assembler.insert(30, &[1; 10]).unwrap();
    assembler.insert(0, &[2; 50]).unwrap();
    assembler.insert(0, &[3; 60]).unwrap();
    let mut expected = vec![2; 50];
    expected[10..20].fill(1);
    expected[30..40].fill(1);
    expected.extend([3; 10]);
    assert_eq!(read_all(&mut assembler), expected);
}

#[test]
fn bytes_that_were_read_do_not_come_back() {
    let mut assembler = Assembler::new();
    assembler.insert(0, &bytes(0..100)).unwrap();
    assert_eq!(assembler.read(60).unwrap(), bytes(0..60));
    assembler.insert(0, &[0; 50]).unwrap();
    assembler.insert(50, &[0; 60]).unwrap();
    assert_eq!(assembler.buffered(), 50);
    let rest = read_all(&mut assembler);
    assert_eq!(rest[..40], bytes(60..100));
    assert_eq!(rest[40..], [0; 10]);
}

#[test]
fn single_bytes_in_reverse_are_assembled() {
    one_by_one((0..70_000).rev(), 70_000);
}

#[test]
fn single_bytes_even_then_odd_are_assembled_within_the_bound_on_gaps() {
    let mut assembler = Assembler::new();
    for start in (0..100_000u64).step_by(2000) {
        let order = (start..start + 2000).step_by(2).chain((start + 1..start + 2000).step_by(2));
        for offset in order {
            assembler.insert(offset, &[byte(offset)]).unwrap();
        }
    }
    assert_eq!(read_all(&mut assembler), bytes(0..100_000));
}

#[test]
fn gaps_are_bounded_and_closing_one_makes_room() {
    let mut assembler = Assembler::new();
    for gap in 0..1024 {
        assembler.insert(2 * gap + 1, &[byte(2 * gap + 1)]).unwrap();
    }
    assert_eq!(assembler.gaps(), MOST_GAPS);
    assert_eq!(assembler.insert(5000, &[0]), Err(TooFragmented));
    assert_eq!((assembler.buffered(), assembler.highest()), (1024, 2048));
    // What touches, repeats or fills is welcome.
    assembler.insert(2048, &bytes(2048..2050)).unwrap();
    assembler.insert(1, &[9]).unwrap();
    assembler.insert(4, &[byte(4)]).unwrap();
    assembler.insert(5000, &[byte(5000)]).unwrap();
    assert_eq!(assembler.insert(7000, &[0]), Err(TooFragmented));
    assembler.insert(0, &bytes(0..5000)).unwrap();
    assert_eq!(assembler.gaps(), 0);
    assert_eq!(read_all(&mut assembler), bytes(0..5001));
}

#[test]
fn every_second_packet_of_a_long_flight_may_be_lost() {
    let mut assembler = Assembler::new();
    let packet = [7; 1162];
    for number in (1..40_000u64).step_by(2) {
        let inserted = assembler.insert(number * 1162, &packet);
        assert_eq!(inserted.is_ok(), number / 2 < MOST_EVER as u64, "{number}");
    }
}

#[test]
fn a_gap_split_in_two_counts_as_two() {
    let mut assembler = Assembler::new();
    for gap in 0..1024 {
        assembler.insert(10 * gap + 9, &[0]).unwrap();
    }
    assert_eq!(assembler.insert(5, &[0]), Err(TooFragmented));
    assert_eq!(assembler.insert(10 * 500 + 5, &[0]), Err(TooFragmented));
    assembler.insert(0, &[0]).unwrap();
    assembler.insert(10 * 500 + 5, &[0; 4]).unwrap();
}

#[test]
fn the_last_offsets_of_a_stream_do_not_overflow() {
    let mut assembler = Assembler::new();
    assembler.insert(LAST, &[7]).unwrap();
    assert_eq!((assembler.highest(), assembler.store.pieces()), (LAST + 1, 1));
    assembler.insert(0, &[1, 2]).unwrap();
    assert_eq!(read_all(&mut assembler), [1, 2]);

    let mut assembler = at(LAST - 9);
    assembler.insert(LAST - 4, &[5; 5]).unwrap();
    assembler.insert(LAST - 20, &[4; 21]).unwrap();
    assert_eq!(read_all(&mut assembler), [4, 4, 4, 4, 4, 5, 5, 5, 5, 5]);
    assert_eq!(assembler.consumed(), LAST + 1);

    let mut assembler = at(u64::MAX - 2);
    assembler.insert(u64::MAX - 2, &[3; 9]).unwrap();
    assembler.insert(u64::MAX, &[3; 9]).unwrap();
    assert_eq!(read_all(&mut assembler), [3, 3]);
}

#[test]
fn unordered_reads_give_each_byte_once() {
    let mut assembler = Assembler::new();
    assembler.insert(50, &bytes(50..100)).unwrap();
    assembler.insert(200, &bytes(200..300)).unwrap();
    assert_eq!(assembler.read_any(), Some((50, bytes(50..100).into())));
    assembler.insert(40, &bytes(40..120)).unwrap();
    assert_eq!(assembler.read_any(), Some((40, bytes(40..50).into())));
    assert_eq!(assembler.read_any(), Some((100, bytes(100..120).into())));
    assert_eq!(assembler.read_any(), Some((200, bytes(200..300).into())));
    assert_eq!((assembler.read_any(), assembler.buffered(), assembler.consumed()), (None, 0, 0));
    assembler.insert(0, &bytes(0..250)).unwrap();
    assert_eq!(assembler.ready(), 40);
    assert_eq!(assembler.read(usize::MAX).unwrap(), bytes(0..40));
    assert_eq!(assembler.consumed(), 120);
    assert_eq!(assembler.read_any(), Some((120, bytes(120..200).into())));
    assert_eq!((assembler.consumed(), assembler.store.pieces()), (300, 1));
}

#[test]
fn clearing_ends_the_stream_where_it_was() {
    let mut assembler = Assembler::new();
    assembler.insert(10, &[0; 100]).unwrap();
    assembler.clear();
    assert_eq!((assembler.consumed(), assembler.highest(), assembler.buffered()), (110, 110, 0));
    assembler.insert(0, &[0; 110]).unwrap();
    assert_eq!((assembler.ready(), assembler.store.pieces()), (0, 0));
}

#[test]
fn an_assembler_is_renewed_for_another_stream() {
    for len in [30, 200_000] {
        let mut assembler = Assembler::new();
        assembler.insert(0, &bytes(0..len)).unwrap();
        assembler.insert(len + 10, &[0; 10]).unwrap();
        assembler.read(10);
        assembler.renew();
        assert_eq!((assembler.ready(), assembler.highest(), assembler.buffered()), (0, 0, 0));
        assert_eq!((assembler.consumed(), assembler.received(), assembler.store.pieces()), (0, 0, 0));
        assert!(assembler.got.room() <= 4);
        assembler.insert(5, &bytes(5..100)).unwrap();
        assert_eq!(assembler.ready(), 0);
        assembler.insert(0, &bytes(0..5)).unwrap();
        assert_eq!(read_all(&mut assembler), bytes(0..100));
    }
}

#[test]
fn packets_in_order_do_not_allocate_one_by_one() {
    let mut assembler = Assembler::new();
    let packet = [0; 1200];
    for number in 0..10_000u64 {
        assembler.insert(number * 1200, &packet).unwrap();
        while assembler.read(usize::MAX).is_some() {}
    }
    let blocks = (12_000_000 / BLOCK) as usize;
    assert!(assembler.store.allocations <= blocks + 6, "{} allocations", assembler.store.allocations);
}

#[test]
fn a_short_stream_takes_little_memory_and_grows_in_steps() {
    let mut assembler = Assembler::new();
    for offset in 0..BLOCK {
        assembler.insert(offset, &[byte(offset)]).unwrap();
    }
    assert_eq!(assembler.store.allocations, 7);
    assert_eq!(read_all(&mut assembler), bytes(0..BLOCK));
    assert_eq!(assembler.store.pieces(), 0);
}

#[test]
fn a_short_stream_that_comes_whole_is_handed_out_as_it_lies() {
    let mut assembler = Assembler::new();
    assembler.insert(0, &bytes(0..32)).unwrap();
    let stored = assembler.store.first().as_ptr();
    let read = assembler.read(usize::MAX).unwrap();
    assert_eq!((read.as_ptr(), &read[..]), (stored, &bytes(0..32)[..]));
    assembler.insert(32, &bytes(32..80)).unwrap();
    assembler.insert(80, &bytes(80..90)).unwrap();
    assert_eq!(assembler.store.allocations, 2);
    assert_eq!(read_all(&mut assembler), bytes(32..90));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, usize, u8),
    Append(usize),
    Read(usize),
    ReadInto(usize),
    ReadAny,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..100_000u64, 0..6000usize, any::<u8>()).prop_map(|(at, len, fill)| Step::Insert(at, len, fill)),
        4 => (0..9000usize).prop_map(Step::Append),
        2 => (0..9000usize).prop_map(Step::Read),
        2 => (0..9000usize).prop_map(Step::ReadInto),
        2 => Just(Step::ReadAny),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Missing,
    Held(u8),
    Done,
}

/// Moves `count` bytes from `start` on from held to done and compares them with `bytes`.
fn took(model: &mut [State], start: u64, bytes: &[u8]) {
    for (row, byte) in model[start as usize..].iter_mut().zip(bytes) {
        assert_eq!(*row, State::Held(*byte));
        *row = State::Done;
    }
}

fn apply(step: &Step, assembler: &mut Assembler, model: &mut Vec<State>, base: u64) {
    let consumed = assembler.consumed() - base;
    let insert = |assembler: &mut Assembler, model: &mut Vec<State>, at: u64, data: &[u8]| {
        assembler.insert(base + at, data).unwrap();
        if data.is_empty() {
            return;
        }
        model.resize(model.len().max(at as usize + data.len()), State::Missing);
        for (row, byte) in model[at as usize..].iter_mut().zip(data) {
            if *row == State::Missing {
                *row = State::Held(*byte);
            }
        }
    };
    match *step {
        Step::Insert(at, len, fill) => {
            let data: Vec<u8> = (0..len).map(|index| (index as u8) ^ fill).collect();
            insert(assembler, model, at, &data);
        }
        Step::Append(len) => insert(assembler, model, assembler.received() - base, &vec![len as u8; len]),
        Step::Read(max) => {
            let bytes = assembler.read(max).unwrap_or_default();
            assert!(bytes.len() <= max);
            took(model, consumed, &bytes);
        }
        Step::ReadInto(max) => {
            let mut into = vec![0; max];
            let ready = assembler.ready();
            let count = assembler.read_into(&mut into);
            assert!(count >= ready.min(max));
            let mut rest = &into[..count];
            let mut at = consumed as usize;
            while !rest.is_empty() {
                at += model[at..].iter().take_while(|row| **row == State::Done).count();
                took(model, at as u64, &rest[..1]);
                rest = &rest[1..];
            }
        }
        Step::ReadAny => match assembler.read_any() {
            Some((at, bytes)) => {
                let first = model.iter().position(|row| matches!(row, State::Held(_)));
                assert_eq!(first, Some((at - base) as usize));
                took(model, at - base, &bytes);
            }
            None => assert!(!model.iter().any(|row| matches!(row, State::Held(_)))),
        },
    }
}

proptest! {
    #[test]
    fn every_byte_is_as_the_table_says(
        steps in prop::collection::vec(step(), 1..60),
        ordered in any::<bool>(),
        base in prop_oneof![Just(0), Just(5 * BLOCK - 100), Just(LAST - 200_000)],
    ) {
        let (mut assembler, mut model) = (at(base), Vec::new());
        for step in steps.iter().filter(|step| !(ordered && matches!(step, Step::ReadAny))) {
            apply(step, &mut assembler, &mut model, base);
            let done = model.iter().take_while(|row| **row == State::Done).count();
            let ready = model[done..].iter().take_while(|row| matches!(row, State::Held(_))).count();
            let received = model.iter().take_while(|row| **row != State::Missing).count();
            let held = model.iter().filter(|row| matches!(row, State::Held(_))).count();
            prop_assert_eq!(assembler.consumed() - base, done as u64);
            prop_assert_eq!(assembler.ready(), ready);
            prop_assert_eq!(assembler.received() - base, received as u64);
            prop_assert_eq!(assembler.highest() - base, model.len() as u64);
            prop_assert_eq!(assembler.buffered(), held);
            let blocks = (assembler.highest() - assembler.consumed()) / BLOCK + 2;
            let pieces = assembler.store.pieces() as u64;
            prop_assert!(pieces <= blocks + assembler.taken.len() as u64, "{} pieces", pieces);
        }
    }
}
