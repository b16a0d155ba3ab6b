//! The scenario language: links, events, traffic and measures in TOML, checked and resolved.
//!
//! [`parse`] turns a text into a [`Scenario`] in which every reference is an index and every number has its unit
//! applied, or into *all* the [`Errors`] that can be told at once. What is checked here need not be checked by who
//! runs it. Decides what a scenario means for [`tq_linkmodel`]; runs nothing, and reads files only in [`load`].
#![forbid(unsafe_code)]

mod bar;
mod changes;
mod errors;
mod event;
mod host;
mod link;
mod measure;
mod parse;
mod random;
mod scenario;
mod traffic;
mod unit;
mod usable;

pub use bar::{Bar, Comparison, Dimension, Metric, Percentile, Target, Value};
pub use changes::{Act, Timed};
pub use errors::{Errors, Problem};
pub use event::{Action, Event, Pattern, Side, Span, What};
pub use host::{Cc, Host, Hosts, SCHEDULERS};
pub use link::{Cost, Link, NatOptions, Nominal, Shared, Vary, Way};
pub use measure::{Figure, Measure, Window};
pub use parse::{EVENTS, TABLES, load, parse, parse_with};
pub use scenario::Scenario;
pub use traffic::{Flow, Kind, Sizes, Traffic};
pub use unit::{Loss, QueueSize, Size, Speed, Time, UnitError};

#[cfg(test)]
mod tests;
