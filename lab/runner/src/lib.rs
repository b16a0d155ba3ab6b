//! What a run of scenarios is measured against, and how it is told.
//!
//! Scenarios in the simulator ([`run`](mod@run)), ceilings of an ideal transport ([`fluid`]), sets of link pairs ([`grid`]),
//! scenarios and bars of public test suites ([`suite`]), pauses of delivery when a link dies ([`failover`]), pairs of
//! flows ([`fair`]), figures ([`stats`]) and their documents ([`report`], [`svg`]).
//! Reads no clock and no file: the program beside it does.
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

//! Scenarios in the simulator ([`run`](mod@run)), ceilings of an ideal transport ([`fluid`]), sets of link pairs ([`grid`]),
//! scenarios and bars of public test suites ([`suite`]), pauses of delivery when a link dies ([`failover`]), pairs of
//! flows ([`fair`]), figures ([`stats`]) and their documents ([`report`], [`svg`]).
pub mod failover;
pub mod fair;
pub mod fluid;
pub mod grid;
pub mod guard;
pub mod hard;
pub mod paired;
pub mod report;
pub mod run;
pub mod sets;
pub mod stats;
pub mod suite;
pub mod svg;
pub mod table;
