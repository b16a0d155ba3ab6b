//! Which path carries the next bytes, and what is believed about each path.
//!
//! [`Scheduler`] turns views of the paths and a demand into a [`Pick`]; [`Decision`] records one so that it can be
//! replayed. [`Monitor`] says how a path does ([`Health`]), [`RttMatrix`], [`OneWay`], [`Capacity`], [`Queue`] and
//! [`Jitter`] estimate what views report, [`AckRouting`] says on which paths acknowledgements go, [`Groups`] which of
//! them share a bottleneck.
//!
//! Nothing here sends, reads a clock, draws a random number or allocates. Facts come in with the time they
//! happened at, decisions go out; arithmetic is integer, so the same facts give the same decisions everywhere.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod acks;
mod bond;
mod capacity;
mod demand;
mod eta;
mod field;
mod groups;
mod guard;
mod health;
mod math;
mod matrix;
mod memory;
mod monitor;
mod oneway;
mod overflow;
mod queue;
mod record;
mod reinject;
mod scheduler;
mod silence;
mod tail;
#[cfg(test)]
mod testing;
mod view;
mod weights;

pub use acks::{AckPath, AckRouting, Pace, Routes};
pub use bond::{Bond, BondChange, BondState, Member};
pub use capacity::{Capacity, Estimate, Window};
pub use demand::{Class, Demand, MAX_COPIES, Outstanding, PathSet, Pick};
pub use eta::{eta_optimistic, eta_pessimistic};
pub use groups::{Flow, Groups, Sought};
pub use guard::{Account, Guard, Loaded, Order, Period, Reason, Train};
pub use health::{Cause, Change, Health, Refused};
pub use matrix::{COLUMNS, Cell, ColumnChange, RttMatrix};
pub use memory::Memory;
pub use monitor::{Monitor, Orders, Probe, Resend, witness};
pub use oneway::{Delay, OneWay};
pub use overflow::Overflow;
pub use queue::{Jitter, Queue};
pub use record::{BadRecord, Decision};
pub use reinject::{Budget, overdue};
pub use scheduler::{Feedback, Kind, Scheduler, UnknownScheduler};
pub use silence::{Load, Silence, Witness};
pub use tail::Tail;
pub use view::{CapacityState, MAX_PATHS, PathView, Status};
pub use weights::Weights;
