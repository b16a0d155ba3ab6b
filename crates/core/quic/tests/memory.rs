//! What strangers and hostile peers can make an endpoint hold, counted by the allocator. One test, because the count is
//! the whole process's.

mod pair;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use pair::raw::{Raw, crypto, params};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::{Cid, Dir, Frame, StreamId};
use tq_quic::{EndpointConfig, TransportConfig};

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it came; only a number is kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> isize {
    HELD.load(Ordering::Relaxed)
}

/// Growth of what is held while `attack` runs, apart from the record of what the victim sent.
fn growth(raw: &mut Raw, attack: impl FnOnce(&mut Raw)) -> isize {
    raw.datagrams = Vec::new();
    let before = held();
    attack(raw);
    raw.datagrams = Vec::new();
    held() - before
}

/// Sends without keeping the answers.
fn quietly(raw: &mut Raw, level: Level, payload: &[u8]) {
    raw.send(level, payload);
    raw.datagrams.clear();
}

#[test]
fn floods_hold_little_and_give_it_back() {
    // strangers that begin a handshake and fall silent (threat 2)
    let mut house = EndpointConfig::default();
    house.retry_above = None;
    let mut raw = Raw::idle_server(TransportConfig::default(), house, 2000);
    let count = 1000;
    let hello = pair::raw::hello(raw.scid, params());
    let grown = growth(&mut raw, |raw| {
        for n in 0..count {
            let id = Cid::new(&(n as u64).to_be_bytes()).expect("short");
            (raw.dcid, raw.odcid, raw.pn) = (id, id, [0; 3]);
            quietly(raw, Level::Initial, &crypto(0, &hello));
        }
    });
    assert_eq!(raw.victim.endpoint.half_open(), count as usize);
    // about 5 KiB of it are slack in the map of this test
    println!("{} bytes for each half-open handshake", grown / count);
    assert!(grown / count <= 24 << 10, "{} bytes for each half-open handshake", grown / count);
    let grown = growth(&mut raw, |raw| raw.pass(Duration::from_secs(40)));
    assert!(-grown / count > 2000, "{grown}");
    assert_eq!(raw.victim.endpoint.connections(), 0);

    // challenges (threat 8)
    let mut raw = Raw::server();
    let grown = growth(&mut raw, |raw| {
        for n in 0..100_000u64 {
            quietly(raw, Level::OneRtt, &pair::raw::bytes(&[Frame::PathChallenge(n.to_be_bytes())]));
            if n.is_multiple_of(100) {
                raw.pass(Duration::from_millis(1));
            }
        }
    });
    println!("{grown} bytes after challenges");
    assert!(grown < 4 << 20, "{grown} bytes after challenges");

    // stream fragments with gaps (threat 11)
    let mut raw = Raw::server();
    let id = StreamId::new(tq_quic::wire::Side::Client, Dir::Uni, 0);
    let grown = growth(&mut raw, |raw| {
        for n in 0..1000u64 {
            let frame = tq_quic::wire::frame::Stream { id, offset: 1 + 2 * n, fin: false, data: b"x" };
            quietly(raw, Level::OneRtt, &pair::raw::bytes(&[Frame::Stream(frame)]));
        }
    });
    println!("{grown} bytes after fragments");
    assert!(grown < 2 << 20, "{grown} bytes after fragments");
    assert!(raw.victim.closed(raw.handle).is_none());

    // datagrams nobody reads
    let mut raw = Raw::server();
    let grown = growth(&mut raw, |raw| {
        for _ in 0..20_000 {
            quietly(raw, Level::OneRtt, &pair::raw::bytes(&[Frame::Datagram(&[1; 300])]));
        }
    });
    println!("{grown} bytes after messages");
    assert!(grown < 4 << 20, "{grown} bytes after messages");
}
