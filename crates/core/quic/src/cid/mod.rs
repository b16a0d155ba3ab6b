//! Connection ids, kept per path from the first day: the ones we issue, the ones the peer issued.

mod local;
mod peer;

pub(crate) use local::{LocalCids, MAX_RETIRED};
pub(crate) use peer::{PeerCid, PeerCids};

#[cfg(test)]
mod tests;
