//! Interfaces as they come and go, told to the links. Without the kernel's word, sockets that fail have to do.

use std::sync::Arc;

use tokio::time::{Duration, sleep};
use tq_net::links::{Change, Cost, Select, Watcher};

use super::Router;
use super::links::LinkEvent;
use crate::config::{self, Begins};
use crate::warn;

const AGAIN: Duration = Duration::from_secs(5);

impl Router {
    /// Watches for ever.
    pub(crate) async fn watch_interfaces(self: Arc<Self>) {
        loop {
            if let Err(error) = self.follow().await {
                warn!("interfaces cannot be watched: {error}");
            }
            sleep(AGAIN).await;
        }
    }

    async fn follow(&self) -> std::io::Result<()> {
        let (mut allow, deny) = self.config.select.clone();
        // What is listed is meant, virtual or not.
        allow.extend(self.config.links.iter().filter_map(|link| match &link.begins {
            Begins::Device(device) => Some(device.clone()),
            Begins::Address(_) => None,
        }));
        let mut watcher = Watcher::new(Select { allow, deny })?;
        loop {
            let event = watcher.next().await?;
            let what = match event.change {
                Change::Up => "up",
                Change::Changed => "changed",
                Change::Down => "down",
            };
            self.hub.tell("link", what, &event.link.device, "");
            self.on_link(&LinkEvent {
                device: event.link.device,
                index: event.link.index,
                up: event.change != Change::Down,
                addresses: event.link.addresses,
                cost: match event.link.cost {
                    Cost::Flat => config::Cost::Flat,
                    Cost::Metered => config::Cost::Metered,
                },
            });
        }
    }
}
