//! An allocator that counts what the calling thread holds. A test is one thread, so tests of a binary do not disturb
//! each other.
#![allow(dead_code, unreachable_pub, reason = "each test file uses what it needs")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

pub struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    HELD.set(HELD.get() + bytes);
    MOST.set(MOST.get().max(HELD.get()));
}

// SAFETY: every call is handed on to the system's allocator as it came; only numbers are kept beside, in cells that
// need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are passed on
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on
        unsafe { System.dealloc(at, layout) }
    }
}

/// Bytes this thread holds.
pub fn held() -> isize {
    HELD.get()
}

/// The most it has held since the last call.
pub fn most() -> isize {
    MOST.replace(HELD.get())
}

/// What `work` leaves behind, and the most it held in between, both beyond what was there before.
pub fn growth(work: impl FnOnce()) -> (isize, isize) {
    let before = held();
    most();
    work();
    (held() - before, most() - before)
}
