//! A host that speaks QUIC in the simulated network: an endpoint, its connections with a program each, and one timer.
//! It does what any host of the core does (docs/architecture.md, "The contract of the core"), once per moment of
//! virtual time. Connections are served in the order in which they were touched, so that a run repeats exactly.

mod config;
mod host;
mod nap;
mod report;
mod slot;

use std::cell::RefCell;
use std::rc::Rc;

pub use config::{Accepted, AppFactory, Connect, HostConfig, Judge, Policy, ServerSetup, Verdict};
pub use host::QuicHost;
pub use report::{ConnectionReport, HostReport};

use crate::process::{Context, Meta, Notice, Process};

/// A program shared with whoever looks at it between calls of the network. It must not be borrowed during one.
impl<P: Process> Process for Rc<RefCell<P>> {
    fn start(&mut self, cx: &mut Context<'_>) {
        self.borrow_mut().start(cx);
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, meta: &Meta, bytes: &mut [u8]) {
        self.borrow_mut().on_datagram(cx, meta, bytes);
    }

    fn on_timer(&mut self, cx: &mut Context<'_>) {
        self.borrow_mut().on_timer(cx);
    }

    fn on_notice(&mut self, cx: &mut Context<'_>, notice: &Notice) {
        self.borrow_mut().on_notice(cx, notice);
    }

    fn settle(&mut self, cx: &mut Context<'_>) {
        self.borrow_mut().settle(cx);
    }
}
