use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use tq_wire::Dir;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const BOTH: Halves = Halves { send: true, recv: true };

fn theirs(index: u64) -> StreamId {
    StreamId::new(Side::Server, Dir::Bi, index)
}

#[test]
fn a_waiting_task_is_handed_out_once() {
    let mut wakers = Wakers::new(Side::Client);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let id = StreamId::new(Side::Client, Dir::Bi, 0);
    wakers.register(id, BOTH);
    wakers.park(id, Wait::Read, &waker);
    wakers.park(id, Wait::Read, &waker);
    assert!(wakers.take(id, Wait::Write).is_none());
    wakers.take(id, Wait::Read).expect("parked").wake();
    assert!(wakers.take(id, Wait::Read).is_none());
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn an_outcome_before_accept_is_not_forgotten() {
    let mut wakers = Wakers::new(Side::Client);
    wakers.settle(theirs(3), Outcome::Stopped(7));
    wakers.register(theirs(3), BOTH);
    assert_eq!(wakers.outcome(theirs(3)), Some(Outcome::Stopped(7)));
    wakers.settle(theirs(3), Outcome::Acknowledged);
    assert_eq!(wakers.outcome(theirs(3)), Some(Outcome::Stopped(7)), "the first word counts");
}

#[test]
fn nothing_is_kept_for_streams_without_handles() {
    let mut wakers = Wakers::new(Side::Client);
    wakers.register(theirs(0), BOTH);
    wakers.release(theirs(0), Halves { send: true, recv: false });
    assert_eq!(wakers.entries.len(), 1);
    wakers.release(theirs(0), Halves { send: false, recv: true });
    wakers.settle(theirs(0), Outcome::Acknowledged);
    assert_eq!(wakers.entries.len(), 0);
}

#[test]
fn ids_a_peer_picks_do_not_collide_in_every_connection_alike() {
    let places = |key: &IdKey| {
        let mut places: Vec<u64> = (0..256).map(|index| key.hash_one(theirs(index << 20)) & 0xff).collect();
        places.sort_unstable();
        places.dedup();
        places.len()
    };
    let (one, two) = (IdKey(0xfeed_0123_89ab_4567), IdKey(0x1234_5678_9abc_def1));
    assert!(places(&one).min(places(&two)) > 100, "{} {}", places(&one), places(&two));
    assert_ne!(one.hash_one(theirs(1)), two.hash_one(theirs(1)));
    assert_ne!(IdKey::new().0, IdKey::new().0);
}
