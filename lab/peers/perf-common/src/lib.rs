//! What the programs that measure other stacks have in common, so that each is measured in the same way: the command
//! line, TLS, sockets, the count of turns and how results are told. Nothing here is between a stack and its packets.
#![warn(missing_docs, unreachable_pub)]

mod args;
// Every stack is measured with the same ruler.
#[path = "../../../../apps/tquic/src/perf/latency.rs"]
mod latency;
mod report;
mod socket;
pub mod tls;
mod turns;

pub use args::{Fetch, Many, Order, Serve, order};
pub use report::Meter;
pub use socket::{any, bound};
pub use turns::{Turns, sum};
