//! Connection ids, kept per path from the first day: the ones we issue, the ones the peer issued.

mod local;
mod peer;

pub(crate) use local::LocalCids;
pub(crate) use peer::PeerCids;

#[cfg(test)]
mod tests;
