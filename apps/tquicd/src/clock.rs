//! The time of day, in one place: tokens expire by it. Everything else counts from the start.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the daemon is where time comes from")]
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A moment to count from.
pub(crate) fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
