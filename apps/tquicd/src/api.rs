//! What both roles answer alike.

use tq_control::model::{SCHEMA, Status};

use crate::events::Hub;

/// What both know of themselves.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) name: String,
    pub(crate) hub: Hub,
}

impl Common {
    /// A status without what the role adds.
    pub(crate) fn status(&self, role: &str) -> Status {
        Status {
            schema: SCHEMA,
            name: self.name.clone(),
            role: role.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: self.hub.uptime_s(),
            session: None,
            sessions: Vec::new(),
            links: Vec::new(),
            traffic: Default::default(),
        }
    }
}
