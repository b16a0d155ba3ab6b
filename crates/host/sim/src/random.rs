//! Random operations over random networks: a [`Plan`] made from a seed, two programs that carry it out, an oracle that
//! knows nothing of the protocol, and a shrinker that makes a failing plan small.
//!
//! A plan is a line of text (`seed=7 up.loss=20000 c@10:open=0,1 c@12:write=0,5000`), so a failure is a line to keep.
//! Same line: same run, to the nanosecond. What is judged is in [`run`], what a plan can say in [`Verb`].

mod actor;
mod board;
mod bond;
mod make;
mod paths;
mod plan;
mod shrink;
mod stage;
#[cfg(test)]
mod tests;
mod traffic;
mod verdict;
mod wires;

pub use plan::{BadPlan, Item, MOST_LINKS, Plan, Verb, Who};
pub use shrink::{Shrunk, shrink};
pub use stage::{Outcome, ReadHook, Tamper, WireHook, run, run_with};
pub use verdict::{Failure, Kind};
