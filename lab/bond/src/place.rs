//! Where a bond is tried: links between a router and a server, a program's place at one end, a far host at the other.
//!
//! Decides what a story may do to it, so that the same story is told in namespaces and on loopback.

use std::net::TcpStream;
use std::process::Command;

use anyhow::Result;
use tq_netlab::control::Wanted;

use crate::daemon::Control;

/// What a link is like.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkFacts {
    /// Its name.
    pub name: &'static str,
    /// Of IP, each way.
    pub rate_mbps: f64,
    /// Round trip, ms.
    pub rtt_ms: u64,
    /// What its queue holds, ms at the rate.
    pub queue_ms: u64,
}

/// Three unlike links, with the queues of their kinds. The rates may be replaced.
pub fn usual_links(rates: Option<[f64; 3]>) -> Vec<LinkFacts> {
    let [fibre, lte, hspa] = rates.unwrap_or([100.0, 40.0, 20.0]);
    vec![
        LinkFacts { name: "fibre", rate_mbps: fibre, rtt_ms: 10, queue_ms: 30 },
        LinkFacts { name: "lte", rate_mbps: lte, rtt_ms: 50, queue_ms: 300 },
        LinkFacts { name: "hspa", rate_mbps: hspa, rtt_ms: 120, queue_ms: 300 },
    ]
}

/// Bytes of IP that a link has delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Towards the server.
    pub up: u64,
    /// Towards the router.
    pub down: u64,
}

/// Where a bond is tried.
pub trait Place {
    /// Its links.
    fn links(&self) -> &[LinkFacts];
    /// What each has delivered so far.
    fn carried(&self) -> Result<Vec<Carried>>;
    /// Changes a link, now.
    fn change(&self, link: usize, change: Wanted) -> Result<()>;
    /// Makes this link the only one, or all of them usable again. What carries over one is told by the place: plain TCP, or
    /// the bond.
    fn only(&self, link: Option<usize>) -> Result<()>;
    /// `curl`, at the program's place, on its way through the bond.
    fn curl(&self) -> Command;
    /// Where a file is.
    fn url(&self, name: &str) -> String;
    /// A connection from the program's place, through the bond, to what only answers.
    fn dial(&self) -> Result<TcpStream>;
    /// The router's daemon.
    fn router(&self) -> &Control;
}
