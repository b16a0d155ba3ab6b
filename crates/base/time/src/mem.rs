//! The one heap type of this crate. This module alone says `extern crate alloc`.

extern crate alloc;

pub(crate) use alloc::vec::Vec;
