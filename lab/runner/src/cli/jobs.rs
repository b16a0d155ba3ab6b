//! Work on several threads, told in the order in which it was asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tq_runner::paired::{self, Case, Item, Seen};

use super::options::Telling;

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
pub(crate) fn paired(cases: &[Case], items: &[Item], telling: &Telling) -> Result<Vec<Seen>> {
    let over = |item: &Item| {
        item.over.map_or("all", |link| cases[item.case].scenario.links[link].name.as_str()).to_owned()
    };
    let name = |item: &Item| {
        let scenario = &cases[item.case].scenario;
        format!("{} {} over {}, seed {}", scenario.name, item.cc.name(), over(item), item.seed)
    };
    let play = |item: &Item| {
        let case = &cases[item.case];
        let how = format!("{}-{}-{}", item.cc.name(), item.seed, over(item));
        let qlog = telling.logs(&case.scenario.name, &how)?;
        paired::play(case, item, telling.scheduler, qlog).with_context(|| case.scenario.name.clone())
    };
    each(items, telling.jobs, name, play).into_iter().collect()
}
