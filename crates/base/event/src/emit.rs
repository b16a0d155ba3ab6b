//! How an event leaves the protocol: one optional subscriber behind one branch.
//! It decides nothing about events; with no subscriber the event is not even built.

use crate::Event;
use crate::mem::Box;

#[cfg(test)]
mod tests;

/// Receives events. Called inline: keep it short, and never call back into the connection.
pub trait Subscriber: Send {
    /// `now_ns` is the caller's clock in nanoseconds, the one its `Instant`s count on.
    fn on_event(&mut self, now_ns: u64, event: &Event<'_>);
}

impl<S: Subscriber + ?Sized> Subscriber for Box<S> {
    fn on_event(&mut self, now_ns: u64, event: &Event<'_>) {
        (**self).on_event(now_ns, event);
    }
}

/// Two subscribers, in order.
impl<A: Subscriber, B: Subscriber> Subscriber for (A, B) {
    fn on_event(&mut self, now_ns: u64, event: &Event<'_>) {
        self.0.on_event(now_ns, event);
        self.1.on_event(now_ns, event);
    }
}

/// What a connection holds: a subscriber, or nothing.
#[derive(Default)]
pub struct Emitter(Option<Box<dyn Subscriber>>);

impl Emitter {
    /// Nobody listens.
    pub const fn none() -> Self {
        Self(None)
    }

    /// `subscriber` listens.
    pub const fn new(subscriber: Box<dyn Subscriber>) -> Self {
        Self(Some(subscriber))
    }

    /// Whether somebody listens; ask before collecting what only an event needs, such as frames.
    #[inline]
    pub const fn enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Builds the event and hands it over, if somebody listens.
    #[inline]
    pub fn emit<'a>(&mut self, now_ns: u64, event: impl FnOnce() -> Event<'a>) {
        if let Some(subscriber) = &mut self.0 {
            subscriber.on_event(now_ns, &event());
        }
    }

    /// The subscriber itself, for events that borrow from a place shorter-lived than a closure.
    #[inline]
    pub fn subscriber(&mut self) -> Option<&mut dyn Subscriber> {
        match &mut self.0 {
            Some(subscriber) => Some(&mut **subscriber),
            None => None,
        }
    }
}

impl core::fmt::Debug for Emitter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.enabled() { "Emitter(on)" } else { "Emitter(off)" })
    }
}
