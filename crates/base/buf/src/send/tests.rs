//! The send buffer against a table with one row per byte.

use proptest::prelude::*;

use super::*;
use crate::mem::vec;

const NO_LIMIT: u64 = u64::MAX;

/// The byte every test writes at `offset`.
fn byte(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(byte).collect()
}

/// A buffer with `len` bytes, written at once.
fn filled(len: u64) -> SendBuffer {
    let mut buffer = SendBuffer::new();
    buffer.write_slice(&bytes(0..len));
    buffer
}

/// Memory of the chunks, counting what was gathered by capacity.
fn held(buffer: &SendBuffer) -> u64 {
    let size = |chunk: &Chunk| match &chunk.data {
        Data::Shared(bytes) => bytes.len(),
        Data::Gathered(bytes) => bytes.capacity(),
    };
    buffer.chunks.iter().map(|chunk| size(chunk) as u64).sum()
}

fn check(buffer: &SendBuffer, range: Range<u64>) {
    let mut copy = vec![0; (range.end - range.start) as usize];
    assert_eq!(buffer.copy(range.clone(), &mut copy), copy.len());
    assert_eq!(copy, bytes(range));
}

#[test]
fn fresh_bytes_leave_in_order_up_to_the_limit() {
    let mut buffer = filled(3000);
    assert_eq!(buffer.next(1200, NO_LIMIT), Some(0..1200));
    assert_eq!(buffer.next(1200, 1500), Some(1200..1500));
    assert_eq!(buffer.next(1200, 1500), None);
    assert_eq!(buffer.next(0, NO_LIMIT), None);
    assert_eq!((buffer.sent(), buffer.unsent(), buffer.end()), (1500, 1500, 3000));
    assert_eq!(buffer.next(9000, NO_LIMIT), Some(1500..3000));
    assert_eq!(buffer.next(9000, NO_LIMIT), None);
}

#[test]
fn lost_bytes_leave_before_fresh_ones_and_only_once() {
    let mut buffer = filled(5000);
    buffer.next(4000, NO_LIMIT);
    buffer.lose(1000..2000);
    buffer.lose(3000..4000);
    assert!(buffer.has_lost());
    assert_eq!(buffer.next(700, NO_LIMIT), Some(1000..1700));
    assert_eq!(buffer.next(700, NO_LIMIT), Some(1700..2000));
    assert_eq!(buffer.next(1200, NO_LIMIT), Some(3000..4000));
    assert!(!buffer.has_lost());
    assert_eq!(buffer.next(1200, NO_LIMIT), Some(4000..5000));
}

#[test]
fn a_late_loss_of_acknowledged_bytes_is_ignored() {
    let mut buffer = filled(4000);
    buffer.next(4000, NO_LIMIT);
    buffer.ack(1000..2000);
    buffer.lose(500..2500);
    assert_eq!(buffer.next(4000, NO_LIMIT), Some(500..1000));
    assert_eq!(buffer.next(4000, NO_LIMIT), Some(2000..2500));
    assert_eq!(buffer.next(4000, NO_LIMIT), None);
}

#[test]
fn an_acknowledgement_ends_a_pending_retransmission() {
    let mut buffer = filled(4000);
    buffer.next(4000, NO_LIMIT);
    buffer.lose(0..3000);
    buffer.ack(1000..2000);
    assert_eq!(buffer.next(4000, NO_LIMIT), Some(0..1000));
    buffer.ack(2000..3000);
    assert!(!buffer.has_lost());
}

#[test]
fn what_was_never_sent_is_neither_acknowledged_nor_lost() {
    let mut buffer = filled(4000);
    buffer.next(1000, NO_LIMIT);
    buffer.ack(500..9000);
    buffer.ack(2000..3000);
    buffer.lose(900..u64::MAX);
    buffer.ack(Range { start: 700, end: 600 });
    assert!(!buffer.has_lost());
    assert_eq!(buffer.unacked(), 4000);
    buffer.ack(0..500);
    assert_eq!((buffer.unacked(), buffer.unsent()), (3000, 3000));
    check(&buffer, 1000..4000);
}

#[test]
fn acknowledged_bytes_are_given_back() {
    let mut buffer = filled(1 << 20);
    while buffer.next(1200, NO_LIMIT).is_some() {}
    buffer.ack(200_000..1 << 20);
    assert_eq!(buffer.unacked(), 1 << 20);
    buffer.ack(0..200_000);
    assert_eq!((buffer.unacked(), held(&buffer)), (0, 0));
    assert_eq!(buffer.copy(0..10, &mut [0; 10]), 0);
}

#[test]
fn a_large_write_is_not_copied() {
    let mut buffer = SendBuffer::new();
    let data = Bytes::from(bytes(0..5000));
    buffer.write(data.clone());
    assert!(!data.is_unique());
    buffer.next(5000, NO_LIMIT);
    buffer.ack(0..5000);
    assert!(data.is_unique());
}

#[test]
fn small_writes_share_chunks_and_waste_is_bounded() {
    let mut buffer = SendBuffer::new();
    for offset in 0..1_000_000 {
        buffer.write_slice(&[byte(offset)]);
    }
    assert!(buffer.chunks.len() < 30, "{} chunks", buffer.chunks.len());
    check(&buffer, 0..1_000_000);

    let mut buffer = SendBuffer::new();
    while buffer.end() < 1 << 20 {
        buffer.write_slice(&[byte(buffer.end())]);
        buffer.write(Bytes::from(bytes(buffer.end()..buffer.end() + SHARED as u64)));
        assert!(held(&buffer) <= 3 * buffer.unacked() + (128 << 10));
    }
}

#[test]
fn a_short_stream_takes_what_it_needs() {
    for len in [1, 32, 64, 100, 1000] {
        let buffer = filled(len);
        assert_eq!((held(&buffer), buffer.chunks.capacity()), (len.max(64), 1));
    }
}

#[test]
fn a_copy_of_what_next_gave_needs_no_search() {
    let mut buffer = filled(1 << 20);
    while let Some(range) = buffer.next(1200, NO_LIMIT) {
        let chunk = &buffer.chunks[buffer.cursor];
        assert!(chunk.start <= range.start && range.start < chunk.end());
        check(&buffer, range.clone());
        buffer.ack(range);
    }
    assert_eq!(buffer.unacked(), 0);
}

#[test]
fn a_copy_stops_where_either_side_ends() {
    let buffer = filled(100);
    let mut into = [0; 150];
    assert_eq!(buffer.copy(90..200, &mut into), 10);
    assert_eq!(buffer.copy(0..100, &mut into[..30]), 30);
    assert_eq!(into[..30], bytes(0..30));
    assert_eq!(buffer.copy(300..400, &mut into), 0);
    assert_eq!(buffer.copy(Range { start: 20, end: 10 }, &mut into), 0);
    assert_eq!(SendBuffer::new().copy(0..10, &mut into), 0);
}

#[test]
fn clearing_leaves_the_final_size() {
    let mut buffer = filled(3000);
    buffer.next(1000, NO_LIMIT);
    buffer.lose(0..1000);
    buffer.clear();
    assert_eq!((buffer.end(), buffer.sent(), buffer.unacked(), buffer.unsent()), (1000, 1000, 0, 0));
    assert_eq!(buffer.next(1000, NO_LIMIT), None);
    buffer.ack(0..1000);
    assert_eq!(held(&buffer), 0);
}

#[test]
fn a_buffer_is_renewed_for_another_stream_and_keeps_what_short_ones_need() {
    let mut buffer = filled(50);
    let room = buffer.chunks[0].bytes().as_ptr();
    buffer.next(50, NO_LIMIT);
    buffer.ack(0..50);
    buffer.renew();
    buffer.write_slice(&bytes(0..40));
    assert_eq!(buffer.chunks[0].bytes().as_ptr(), room, "the room was not kept");
    check(&buffer, 0..40);
    assert_eq!((buffer.sent(), buffer.end(), buffer.unacked()), (0, 40, 40));

    let mut buffer = filled(1 << 20);
    buffer.next(5000, NO_LIMIT);
    buffer.lose(0..100);
    buffer.ack(4000..5000);
    buffer.renew();
    let kept = (buffer.chunks.capacity(), buffer.spare.capacity());
    assert!(kept.0 <= 4 && kept.1 <= KEPT, "{kept:?}");
    assert_eq!((buffer.end(), buffer.sent(), buffer.has_lost()), (0, 0, false));
    buffer.write_slice(&bytes(0..3000));
    assert_eq!(buffer.next(1200, NO_LIMIT), Some(0..1200));
    check(&buffer, 0..3000);
}

#[test]
fn small_writes_that_are_acknowledged_one_by_one_share_the_same_room() {
    let mut buffer = SendBuffer::new();
    for turn in 0..100 {
        buffer.write_slice(&bytes(turn * 32..turn * 32 + 32));
        check(&buffer, turn * 32..turn * 32 + 32);
        buffer.next(100, NO_LIMIT);
        buffer.ack(turn * 32..turn * 32 + 32);
        assert_eq!((buffer.chunks.len(), buffer.spare.capacity()), (0, SMALLEST));
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Fresh,
    Flying,
    Lost,
    Acked,
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, bool),
    Next(usize, u64),
    Ack(prop::sample::Index, u64),
    AckFirst(u64),
    Lose(prop::sample::Index, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3000u64, any::<bool>()).prop_map(|(len, shared)| Step::Write(len, shared)),
        8 => (0..1500usize, prop_oneof![4 => Just(NO_LIMIT), 1 => 0..20_000u64])
            .prop_map(|(max, limit)| Step::Next(max, limit)),
        3 => (any::<prop::sample::Index>(), 0..2000u64).prop_map(|(at, len)| Step::Ack(at, len)),
        2 => (0..2000u64).prop_map(Step::AckFirst),
        3 => (any::<prop::sample::Index>(), 0..2000u64).prop_map(|(at, len)| Step::Lose(at, len)),
    ]
}

/// What `next` must give.
fn expected(model: &[State], max: usize, limit: u64) -> Option<Range<u64>> {
    let from = |state| model.iter().position(|row| *row == state);
    let start = from(State::Lost).or_else(|| from(State::Fresh))?;
    let run = model[start..].iter().take_while(|row| **row == model[start]).count();
    let stop = (start + run.min(max)).min(usize::try_from(limit).unwrap_or(usize::MAX));
    (stop > start).then_some(start as u64..stop as u64)
}

fn apply(step: Step, buffer: &mut SendBuffer, model: &mut Vec<State>) {
    let len = model.len() as u64;
    let any = |at: prop::sample::Index| if len == 0 { 0 } else { at.index(len as usize) as u64 };
    let rows = |range: &Range<u64>| range.start as usize..range.end.min(len) as usize;
    match step {
        Step::Write(more, shared) => {
            let data = bytes(len..len + more);
            if shared {
                buffer.write(Bytes::from(data))
            } else {
                buffer.write_slice(&data)
            }
            model.resize((len + more) as usize, State::Fresh);
        }
        Step::Next(max, limit) => {
            let next = buffer.next(max, limit);
            assert_eq!(next, expected(model, max, limit));
            if let Some(range) = next {
                check(buffer, range.clone());
                model[rows(&range)].fill(State::Flying);
            }
        }
        Step::Ack(..) | Step::AckFirst(..) => {
            let range = match step {
                Step::Ack(at, more) => any(at)..any(at) + more,
                Step::AckFirst(more) => len - buffer.unacked()..len - buffer.unacked() + more,
                _ => return,
            };
            buffer.ack(range.clone());
            model[rows(&range)]
                .iter_mut()
                .filter(|row| **row != State::Fresh)
                .for_each(|row| *row = State::Acked);
        }
        Step::Lose(at, more) => {
            let range = any(at)..any(at) + more;
            buffer.lose(range.clone());
            model[rows(&range)]
                .iter_mut()
                .filter(|row| **row == State::Flying)
                .for_each(|row| *row = State::Lost);
        }
    }
}

proptest! {
    #[test]
    fn every_byte_is_as_the_table_says(steps in prop::collection::vec(step(), 1..80)) {
        let (mut buffer, mut model) = (SendBuffer::new(), Vec::new());
        for step in steps {
            apply(step, &mut buffer, &mut model);
            let base = model.iter().take_while(|row| **row == State::Acked).count();
            prop_assert_eq!(buffer.end(), model.len() as u64);
            prop_assert_eq!(buffer.unacked(), (model.len() - base) as u64);
            prop_assert_eq!(buffer.unsent(), model.iter().filter(|row| **row == State::Fresh).count() as u64);
            prop_assert_eq!(buffer.sent(), buffer.end() - buffer.unsent());
            prop_assert_eq!(buffer.has_lost(), model.contains(&State::Lost));
            prop_assert!(held(&buffer) <= 3 * buffer.unacked() + (128 << 10));
        }
        check(&buffer, buffer.end() - buffer.unacked()..buffer.end());
    }
}
