//! TCP through a bond: each connection is one stream, with a header that says where to.
//!
//! The near side accepts programs by SOCKS5 and HTTP CONNECT ([`serve`]), or a host takes them out of a network, and asks the far side ([`Way::open`]), which
//! resolves, checks and connects ([`Exit::answer`]). Decides what may be dialled, what a failure is called, and how ends and
//! resets pass from one side to the other. It keeps no sessions and knows no identities.
#![forbid(unsafe_code)]

mod control;
mod crew;
mod dial;
mod egress;
mod front;
mod header;
mod http;
mod measure;
mod relay;
mod share;
mod socks;
mod status;
mod traffic;
mod way;

pub use control::{ControlError, MAX_MESSAGE, PathTerms, ToRouter, ToServer, read_message, write_message};
pub use crew::{Crew, Pace};
pub use dial::{Exit, Limits, Room};
pub use egress::{Egress, Rule};
pub use front::{Front, listen, serve};
pub use header::{HeaderError, MAX_HEADER, Open, Target};
pub use measure::{Measure, Measured, measure};
pub use relay::{Side, abort, relay};
pub use share::{Account, Stock, Taken};
pub use status::Status;
pub use traffic::{Flow, Traffic, TrafficSnapshot};
pub use way::Way;

/// Application protocol of a bond.
pub const ALPN: &str = "tq1";
