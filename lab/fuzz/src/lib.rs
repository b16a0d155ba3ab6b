//! Functions that must not panic whatever bytes they get, a corpus to begin with, and mutations to go on with.
//!
//! A target is a pure function of its bytes: no clock, no socket, entropy from a seed. So a finding is a file, and the
//! file in `testdata/corpora` is its regression test. Runs are not guided by coverage: known secrets take the bytes past
//! the AEAD instead, and the corpus holds what real connections say.

pub mod corpus;
pub mod mutate;
#[path = "../../../crates/core/quic/tests/pair/mod.rs"]
mod pair;
mod seeds;
pub mod targets;

pub use seeds::generate;
