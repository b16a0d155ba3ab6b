//! Who is heard when more comes in than can be taken: then the kernel drops what does not fit, of everybody alike, and whoever
//! sends most without regard has most of what is left.
//!
//! While a socket overflows, a connection that asks for much more than its share is heard up to a level, and the rest of its
//! datagrams is dropped before they are opened, which costs a fraction; what is saved goes to the others. The share is that of
//! the fairest division (max-min): who asks for less than the level notices nothing. Decides the level, from epoch to epoch;
//! never who is a flooder, and nothing while all goes in.

use std::sync::Arc;

use tq_time::{Duration, Instant};

use crate::shared::Shared;

/// How long is counted before it is judged.
pub(super) const EPOCH: Duration = Duration::from_millis(10);
/// What a datagram costs beside its bytes, as if it were longer.
const DATAGRAM: u64 = 600;
/// Who asks for no more than so much of the fair share, in percent, is left alone: connections that are all as greedy are
/// slowed down by what the kernel drops.
const EASE: u64 = 150;

/// What a connection has asked for in an epoch. In its state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    epoch: u64,
    cost: u64,
}

/// Nobody is held to less than this in an epoch, 26 Mbit/s or so: whoever asks for less is not what a socket overflows by,
/// and a level that fell without end would shut everybody out.
const LEAST: u64 = 32 * 1024;

/// The counts of an epoch.
#[derive(Default)]
pub(super) struct Crowd {
    epoch: u64,
    began: Instant,
    /// Who was heard.
    here: Vec<Arc<Shared>>,
    /// What was taken in.
    taken: u64,
    /// The most one connection may cost in an epoch; `None` while all goes in.
    level: Option<u64>,
    /// Datagrams asked for in this epoch.
    datagrams: u64,
}

impl Crowd {
    /// Whether the epoch is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_since(self.began) >= EPOCH
    }

    /// Ends an epoch, in which the kernel dropped `lost` datagrams, of all sockets.
    pub(super) fn turn(&mut self, now: Instant, lost: u64) {
        let mut asked: Vec<u64> = self.here.iter().map(|shared| shared.lock().heard.cost).collect();
        self.level = next_level(self.level, &mut asked, self.taken, self.datagrams, lost);
        self.here.clear();
        self.epoch += 1;
        (self.began, self.taken, self.datagrams) = (now, 0, 0);
    }

    /// How many of `count` datagrams with so many bytes in all are taken in; `heard` is the connection's.
    pub(super) fn admit(
        &mut self,
        heard: &mut Heard,
        shared: &Arc<Shared>,
        count: usize,
        bytes: usize,
    ) -> usize {
        if heard.epoch != self.epoch {
            *heard = Heard { epoch: self.epoch, cost: 0 };
            self.here.push(Arc::clone(shared));
        }
        let cost = bytes as u64 + count as u64 * DATAGRAM;
        let before = heard.cost;
        heard.cost += cost;
        self.datagrams += count as u64;
        let room = self.level.map_or(cost, |level| level.saturating_sub(before).min(cost));
        self.taken += room;
        if room == cost { count } else { (count as u64 * room / cost.max(1)) as usize }
    }
}

/// The level of the next epoch, when connections `asked` for so much, so much was `taken` in, and of `datagrams` and `lost` more
/// the latter were dropped by the kernel.
fn next_level(level: Option<u64>, asked: &mut [u64], taken: u64, datagrams: u64, lost: u64) -> Option<u64> {
    let most = asked.iter().copied().max().unwrap_or(0);
    if lost == 0 {
        // Slowly up again, and away when nobody would feel it.
        return level.map(|level| level + level / 8 + 1).filter(|level| *level < 2 * most);
    }
    if asked.len() < 2 {
        return None;
    }
    // What was dropped was asked for, too, by each in its proportion.
    let all = datagrams.saturating_add(lost);
    for one in asked.iter_mut() {
        *one = (u128::from(*one) * u128::from(all) / u128::from(datagrams.max(1))) as u64;
    }
    asked.sort_unstable();
    let fair = share(asked, taken) / 100 * EASE;
    let level = level.map_or(fair, |level| fair.min(level - level / 8)).max(LEAST);
    (level < asked[asked.len() - 1]).then_some(level)
}

/// The level at which those who asked (in ascending order) together get `capacity`.
fn share(asked: &[u64], capacity: u64) -> u64 {
    let mut left = capacity;
    for (at, one) in asked.iter().enumerate() {
        let each = left / (asked.len() - at) as u64;
        if *one > each {
            return each;
        }
        left -= one;
    }
    u64::MAX / EASE
}

#[cfg(test)]
mod tests;
