//! Before anything is opened: as many descriptors as may be, and no power that is not needed.

use tq_net::process::{Capability, descriptors, keep_only, raise_descriptors};

use crate::config::{Config, Role};
use crate::{Fatal, debug, warn};

/// With fewer a server runs out of descriptors before its devices are at their limits.
const FEW: u64 = 16 * 1024;

/// Raises the limit of descriptors and gives away capabilities, for good. To be called before there are threads.
///
/// # Errors
/// The system does not let the process confine itself.
pub fn confine(config: &Config) -> Result<(), Fatal> {
    // What it is then is told below.
    let _ = raise_descriptors();
    let limit = descriptors();
    if limit < FEW {
        warn!(
            "only {limit} descriptors: about {} connections at a time (LimitNOFILE=, ulimit -n)",
            limit / 2
        );
    }
    let keep: &[_] = match &config.role {
        // A LAN and devices on one, a port below 1024 on the other.
        Role::Router(_) => &Capability::ALL,
        Role::Server(_) => &[Capability::NetBindService, Capability::NetAdmin],
    };
    let groups: Vec<_> = tq_control::group().into_iter().collect();
    let kept = keep_only(keep, &groups);
    let kept = kept.map_err(|error| Fatal::failed("cannot give privileges away", error))?;
    debug!("{limit} descriptors; kept of capabilities: {kept:?}");
    Ok(())
}
