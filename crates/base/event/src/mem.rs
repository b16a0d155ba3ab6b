//! The one door to the heap in this crate: a boxed subscriber and the writer's line buffer, nothing else.
//! It decides what may be allocated; it never allocates on its own.

extern crate alloc;

pub(crate) use alloc::boxed::Box;
pub(crate) use alloc::string::String;
pub(crate) use alloc::vec::Vec;
