//! What the stream buffers cost, measured at the allocator: bytes alive and allocations made.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use bytes::Bytes;
use tq_buf::{Assembler, SendBuffer, TooFragmented};

thread_local! {
    static ALIVE: Cell<isize> = const { Cell::new(0) };
    static MADE: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged; the counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALIVE.set(ALIVE.get() + layout.size() as isize);
        MADE.set(MADE.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALIVE.set(ALIVE.get() - layout.size() as isize);
        // SAFETY: `pointer` came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const KIB: usize = 1 << 10;

/// Bytes that this thread allocated and nobody freed, since `before`.
fn alive_since(before: isize) -> usize {
    (ALIVE.get() - before).try_into().unwrap()
}

/// The documented bounds of an assembler, checked against the `alive` bytes it holds.
fn check(assembler: &Assembler, alive: usize, gaps: usize) {
    let span = (assembler.highest() - assembler.consumed()) as usize;
    let lists = 96 * (span / (32 * KIB) + 8) + 64 * (gaps + 8);
    assert!(alive <= span + 64 * KIB + lists, "{alive} bytes for a span of {span}");
    let runs = assembler.buffered() + 64 * KIB * (gaps + 1);
    assert!(alive <= runs + lists, "{alive} bytes for {} in {gaps} gaps", assembler.buffered());
}

/// Inserts single bytes in the given order and checks the bound on the way; then reads all.
fn single_bytes(order: impl Iterator<Item = u64>, gaps: impl Fn(&Assembler) -> usize) {
    let before = ALIVE.get();
    let mut assembler = Assembler::new();
    for offset in order {
        assembler.insert(offset, &[offset as u8]).unwrap();
        check(&assembler, alive_since(before), gaps(&assembler));
    }
    assert_eq!(assembler.ready() as u64, assembler.highest());
    let mut offset = 0;
    while let Some(bytes) = assembler.read(777) {
        for byte in bytes {
            assert_eq!(byte, offset as u8);
            offset += 1;
        }
        check(&assembler, alive_since(before), 0);
    }
    assert_eq!(offset, assembler.highest());
    drop(assembler);
    assert_eq!(ALIVE.get(), before);
}

#[test]
fn single_bytes_in_bad_orders_cost_no_more_than_the_window() {
    let len = 100_000;
    single_bytes((0..len).rev(), |_| 1);
    let even_then_odd =
        |start: u64| (start..start + 2000).step_by(2).chain((start + 1..start + 2000).step_by(2));
    single_bytes((0..len).step_by(2000).flat_map(even_then_odd), |_| 1000);
    // Steps of a number that shares no factor with the length visit every offset once.
    let scattered = (0..1000u64).map(|index| index * 389 % 1000);
    single_bytes(scattered, |_| 1000);
}

#[test]
fn a_byte_in_every_block_costs_no_more_than_the_window() {
    let before = ALIVE.get();
    let mut assembler = Assembler::new();
    let mut refused = 0;
    for index in 1..3000u64 {
        match assembler.insert(index * 50_000 - 1, &[1]) {
            Ok(()) => check(&assembler, alive_since(before), 1024),
            Err(TooFragmented) => refused += 1,
        }
    }
    assert_eq!(refused, 2999 - 1024);
    assembler.clear();
    assert_eq!(ALIVE.get(), before);
}

#[test]
fn far_offsets_cost_what_they_carry() {
    let before = ALIVE.get();
    let mut assembler = Assembler::new();
    for power in 1..62 {
        assembler.insert(1 << power, &[0; 100]).unwrap();
    }
    assert!(alive_since(before) < 62 * 34 * KIB);
}

#[test]
fn a_short_stream_stays_small() {
    let before = ALIVE.get();
    let mut assembler = Assembler::new();
    assembler.insert(0, b"GET /\r\n").unwrap();
    let mut buffer = SendBuffer::new();
    buffer.write_slice(b"hello");
    assert!(alive_since(before) < 3 * KIB);
}

#[test]
fn receiving_in_order_allocates_per_block_not_per_packet() {
    let packet = [7; 1200];
    let mut into = [0; 4000];
    let mut assembler = Assembler::new();
    let before = MADE.get();
    for number in 0..10_000u64 {
        assembler.insert(number * 1200, &packet).unwrap();
        while assembler.read(usize::MAX).is_some() {}
    }
    // A block and the count of its readers for each 27 packets.
    assert!(MADE.get() - before < 2 * 10_000 / 27 + 20, "{} allocations", MADE.get() - before);
    let before = MADE.get();
    for number in 10_000..20_000u64 {
        assembler.insert(number * 1200, &packet).unwrap();
        while assembler.read_into(&mut into) > 0 {}
    }
    assert!(MADE.get() - before < 10_000 / 27 + 20, "{} allocations", MADE.get() - before);
}

#[test]
fn receiving_with_a_lost_packet_in_ten_allocates_per_block_too() {
    let packet = [7; 1200];
    let mut assembler = Assembler::new();
    let before = MADE.get();
    for number in 0..10_000u64 {
        // The tenth comes when nine others have.
        let number = if number % 10 == 9 { number - 9 } else { number + 1 };
        assembler.insert(number * 1200, &packet).unwrap();
        while assembler.read(usize::MAX).is_some() {}
    }
    assert_eq!(assembler.consumed(), 12_000_000);
    assert!(MADE.get() - before < 2 * 10_000 / 27 + 20, "{} allocations", MADE.get() - before);
}

#[test]
fn sending_allocates_per_chunk_not_per_packet() {
    let mut buffer = SendBuffer::new();
    let mut packet = [0; 1200];
    let data = Bytes::from(vec![1; 64 * KIB]);
    let before = MADE.get();
    for _ in 0..200 {
        buffer.write(data.clone());
        buffer.write_slice(&data);
        while let Some(range) = buffer.next(packet.len(), u64::MAX) {
            assert_eq!(buffer.copy(range.clone(), &mut packet) as u64, range.end - range.start);
        }
        // The peer acknowledges all but one packet, then that one, which went again.
        let from = buffer.end() - buffer.unacked();
        buffer.lose(from..from + 1200);
        buffer.ack(from + 1200..buffer.end());
        let again = buffer.next(1200, u64::MAX).unwrap();
        buffer.ack(again);
        assert_eq!(buffer.unacked(), 0);
    }
    assert!(MADE.get() - before < 200 + 10, "{} allocations", MADE.get() - before);
}

#[test]
fn single_byte_writes_cost_little_more_than_their_bytes() {
    let before = ALIVE.get();
    let mut buffer = SendBuffer::new();
    for byte in 0..300_000u32 {
        buffer.write_slice(&[byte as u8]);
        let held = alive_since(before);
        assert!(held <= 3 * buffer.unacked() as usize + 128 * KIB, "{held} bytes");
    }
    while buffer.next(1, u64::MAX).is_some() {}
    for offset in (0..300_000).rev() {
        buffer.ack(offset..offset + 1);
    }
    assert!(alive_since(before) < 4 * KIB);
}
