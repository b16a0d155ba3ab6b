//! Runs scenarios in the simulator.
#![forbid(unsafe_code)]
fn main() {}
