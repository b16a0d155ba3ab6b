//! What TQUIC needs of the network of a Linux machine, and how it leaves that network as it was.
//!
//! [`links`] follows interfaces, addresses and default routes and says which of them can carry a path. [`host`] takes
//! TCP of a local network: rules, routes, one nft table and a few sysctls, each written to a journal before it is made
//! and taken back afterwards, also after a crash. [`tun`] and [`listener`] are where that traffic comes out, and
//! [`syn`] answers connections only when the far side has; [`intake`] puts these together. [`process`] gives away what
//! a process does not need. Decides nothing about paths, tenants or streams, and
//! touches no rule, table, mark or route that is not its own.
//!
//! All `unsafe` of the crate is in `sys`. Linux only; all but [`links`] needs CAP_NET_ADMIN, [`syn`] CAP_NET_RAW too.
#![cfg(target_os = "linux")]
#![warn(missing_docs, unreachable_pub)]

pub mod host;
pub mod intake;
pub mod links;
pub mod listener;
mod netlink;
pub mod process;
pub mod syn;
mod sys;
pub mod tun;
