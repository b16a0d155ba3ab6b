//! Turns counted by hand: who has much to do does not get more of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::{Crew, LOOKS, Pace, STEP, TURN};

/// Moves blocks for ever, and counts them.
async fn mover(pace: Pace, block: usize, count: Arc<AtomicUsize>) {
    loop {
        count.fetch_add(block, Ordering::Relaxed);
        pace.spend(block).await;
    }
}

fn crew(members: usize, block: usize) -> (Crew, Arc<AtomicUsize>) {
    let (mut crew, count) = (Crew::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..members {
        crew.join(mover(crew.pace(), block, Arc::clone(&count)));
    }
    (crew, count)
}

fn turn(crew: &mut Crew) -> Poll<()> {
    crew.turn(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_turn_is_as_long_for_thousands_as_for_one() {
    for block in [1, 1500, 64 * 1024] {
        let moved = [1, 4096].map(|members| {
            let (mut crew, count) = crew(members, block);
            for _ in 0..10 {
                assert!(turn(&mut crew).is_pending());
            }
            count.load(Ordering::Relaxed)
        });
        assert!(moved[1] <= moved[0] + block, "{block}: {moved:?}");
        assert!(moved[0] <= 10 * (TURN + block), "{block}: {moved:?}");
        assert!(moved[1] >= 10 * block * (TURN / (block + STEP)).min(LOOKS), "{block}: {moved:?}");
    }
}

#[test]
fn members_take_turns() {
    let (mut crew, counts) = (Crew::new(), [1, 2, 3].map(|_| Arc::new(AtomicUsize::new(0))));
    for count in &counts {
        crew.join(mover(crew.pace(), 64 * 1024, Arc::clone(count)));
    }
    for _ in 0..300 {
        assert!(turn(&mut crew).is_pending());
    }
    let counts = counts.map(|count| count.load(Ordering::Relaxed));
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(most * 10 <= least * 11, "{counts:?}");
}

#[test]
fn who_waits_is_not_looked_at() {
    let (mut crew, looks) = (Crew::new(), Arc::new(AtomicUsize::new(0)));
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let counted = Arc::clone(&looks);
    let mut gate = Box::pin(gate);
    crew.join(std::future::poll_fn(move |cx| {
        counted.fetch_add(1, Ordering::Relaxed);
        gate.as_mut().poll(cx).map(drop)
    }));
    for _ in 0..10 {
        assert!(turn(&mut crew).is_pending());
    }
    assert_eq!(looks.load(Ordering::Relaxed), 1);
    open.send(()).unwrap();
    assert!(turn(&mut crew).is_ready() && crew.is_empty());
}

#[test]
fn two_crews_on_one_thread_share_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let moved = runtime.block_on(async {
        let tasks = [(1, 64 * 1024), (4096, 1), (4096, 64 * 1024)].map(|(members, block)| {
            let (mut crew, count) = crew(members, block);
            (tokio::spawn(async move { crew.work().await }), count, block)
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tasks.map(|(task, count, block)| {
            task.abort();
            count.load(Ordering::Relaxed) / block * (block + STEP)
        })
    });
    let (least, most) = (moved.iter().min().unwrap(), moved.iter().max().unwrap());
    assert!(most * 2 <= least * 3, "work done: {moved:?}");
}
