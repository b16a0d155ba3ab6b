//! Work on several threads, told in the order in which it was asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tq_quic::sched::Kind as Scheduler;
use tq_runner::paired::{self, Case, Item, Seen};

/// Does `work` on each item, `threads` at a time; results in the order of the items, whoever was done first. What is
/// done is named on standard error.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    name: impl Fn(&T) -> String + Sync,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(result);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    eprintln!("[{done}/{}] {}", items.len(), name(item));
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().flatten().collect()
}

/// Plays all items of comparisons, in their order.
pub(crate) fn paired(
    cases: &[Case],
    items: &[Item],
    scheduler: Option<Scheduler>,
    threads: usize,
) -> Result<Vec<Seen>> {
    let name = |item: &Item| {
        let scenario = &cases[item.case].scenario;
        let over = item.over.map_or("all", |link| &scenario.links[link].name);
        format!("{} {} over {over}, seed {}", scenario.name, item.cc.name(), item.seed)
    };
    let play = |item: &Item| {
        let case = &cases[item.case];
        paired::play(case, item, scheduler).with_context(|| case.scenario.name.clone())
    };
    each(items, threads, name, play).into_iter().collect()
}
