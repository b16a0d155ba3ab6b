//! What happens, told to whoever listens at the moment, and to the log.

use tokio::sync::broadcast;
use tokio::time::Instant;
use tq_control::model::{Event, SCHEMA};

use crate::{clock, info};

/// Events kept for listeners that are slow.
const KEPT: usize = 256;

/// Where events go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    start: Instant,
    events: broadcast::Sender<Event>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { start: clock::now(), events: broadcast::channel(KEPT).0 }
    }

    /// Something happened.
    pub(crate) fn tell(&self, object: &str, event: &str, name: impl ToString, text: impl ToString) {
        let (name, text) = (name.to_string(), text.to_string());
        let colon = if text.is_empty() { "" } else { ": " };
        info!("{object} {name} {event}{colon}{text}");
        let at_ms = self.start.elapsed().as_millis() as u64;
        let event =
            Event { schema: SCHEMA, at_ms, object: object.to_owned(), event: event.to_owned(), name, text };
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(crate) fn uptime_s(&self) -> u64 {
        self.start.elapsed().as_secs()
    }
}
