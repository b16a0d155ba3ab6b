//! Emission: lazily built, in order, to everyone.

extern crate std;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::{Emitter, Subscriber};
use crate::mem::Box;
use crate::{DropReason, Event, PacketDropped};

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(u64, &'static str)>>>);

impl Subscriber for Seen {
    fn on_event(&mut self, now_ns: u64, event: &Event<'_>) {
        self.0.lock().unwrap().push((now_ns, event.name()));
    }
}

fn dropped() -> Event<'static> {
    PacketDropped { reason: DropReason::Duplicate, size: 40 }.into()
}

#[test]
fn without_a_subscriber_the_event_is_not_built() {
    let mut emitter = Emitter::none();
    emitter.emit(1, || panic!("built for nobody"));
    assert!(!emitter.enabled());
    assert!(emitter.subscriber().is_none());
}

#[test]
fn without_a_subscriber_the_emitter_is_two_words() {
    assert_eq!(size_of::<Emitter>(), 2 * size_of::<usize>());
}

#[test]
fn every_subscriber_sees_events_in_order_and_with_their_time() {
    let (a, b) = (Seen::default(), Seen::default());
    let mut emitter = Emitter::new(Box::new((a.clone(), Box::new(b.clone()) as Box<dyn Subscriber>)));
    emitter.emit(7, dropped);
    if let Some(subscriber) = emitter.subscriber() {
        subscriber.on_event(9, &dropped());
    }
    let expected = [(7, "quic:packet_dropped"), (9, "quic:packet_dropped")];
    assert_eq!(*a.0.lock().unwrap(), expected);
    assert_eq!(*b.0.lock().unwrap(), expected);
}
