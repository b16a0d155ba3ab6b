//! The heap types of the transport, under one name.
//!
//! This module alone says `extern crate alloc`, so the crates above need no opinion about it and a search for
//! who allocates has one place to start. It decides nothing else.

extern crate alloc;

pub use alloc::{
    borrow::{Cow, ToOwned},
    boxed::Box,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
