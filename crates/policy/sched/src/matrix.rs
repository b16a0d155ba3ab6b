//! Round trips by data path and acknowledgement path.
//!
//! A sample taken on path i from an acknowledgement that returned on path k belongs in cell (i, k). Congestion
//! control sees one fixed column per path, loss detection the slowest fresh one, silence the fastest. Mixing them
//! would make every change of the acknowledgement path look like a queue.

use tq_cc::Rtt;
use tq_time::{Duration, Instant};

use crate::math::{MS, signed_diff};
use crate::silence::nanos;
use crate::view::MAX_PATHS;

#[cfg(test)]
mod tests;

/// Acknowledgement paths remembered per data path; the one unused longest makes room.
pub const COLUMNS: usize = 4;
/// A column is fresh for this long.
const FRESH: Duration = Duration::from_secs(1);
/// Samples before a column may serve congestion control.
const ENOUGH: u32 = 8;
/// How long a column has to be better before it serves congestion control.
const STEADY: Duration = Duration::from_secs(1);
/// A column that had no sample for a round trip and for so long, while others had [`ENOUGH`], does not serve any more:
/// controllers would go on by what they saw last, and see no queue grow.
const FADED: Duration = Duration::from_millis(50);

/// One cell: data on one path, acknowledgements on another.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Path the acknowledgements returned on.
    pub ack_path: u32,
    /// Smoothed, variation, minimum.
    pub rtt: Rtt,
    /// When the last sample was taken.
    pub last: Instant,
    /// Samples taken.
    pub samples: u32,
}

impl Cell {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_since(self.last) <= FRESH
    }
}

/// The column that serves a path's congestion control changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnChange {
    /// Data path.
    pub path: u32,
    /// Acknowledgement path until now.
    pub from: u32,
    /// Acknowledgement path from now on.
    pub to: u32,
    /// Add this (ns) to minimum filters; `None`: no path has both columns, restart them.
    pub min_shift: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    path: u32,
    cells: [Option<Cell>; COLUMNS],
    cc: u32,
    /// Minimum in the column's terms, carried over from columns before.
    cc_min: u64,
    /// Samples of other columns since its last.
    missed: u32,
    better: Option<(u32, Instant)>,
}

impl Row {
    fn cell(&self, ack_path: u32) -> Option<&Cell> {
        self.cells.iter().flatten().find(|cell| cell.ack_path == ack_path)
    }

    /// The cell of `ack_path`, made if need be at the cost of the oldest that serves nobody.
    fn enter(&mut self, ack_path: u32, now: Instant, initial: Duration) -> &mut Cell {
        let keep = [self.path, self.cc];
        let known = self.cells.iter().position(|cell| cell.is_some_and(|cell| cell.ack_path == ack_path));
        let index = known.or_else(|| self.cells.iter().position(Option::is_none)).unwrap_or_else(|| {
            let ages =
                self.cells.iter().enumerate().filter_map(|(index, cell)| cell.map(|cell| (index, cell)));
            let free = ages.filter(|(_, cell)| !keep.contains(&cell.ack_path));
            free.min_by_key(|(_, cell)| cell.last).map_or(0, |(index, _)| index)
        });
        if known.is_none() {
            self.cells[index] = None;
        }
        self.cells[index].get_or_insert(Cell { ack_path, rtt: Rtt::new(initial), last: now, samples: 0 })
    }
}

/// RTTs of at most [`MAX_PATHS`] data paths over [`COLUMNS`] acknowledgement paths each (about 6 KB).
#[derive(Clone, Copy, Debug, Default)]
pub struct RttMatrix {
    rows: [Option<Row>; MAX_PATHS],
}

impl RttMatrix {
    /// A matrix without samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a sample of `data` path from an acknowledgement on `ack` path; `delay` as for [`Rtt::update`].
    /// Samples of a further path are dropped once [`MAX_PATHS`] are known. Says whether the column of
    /// congestion control changed.
    pub fn on_sample(
        &mut self,
        now: Instant,
        data: u32,
        ack: u32,
        sample: Duration,
        delay: Duration,
    ) -> Option<ColumnChange> {
        let known = self.rows.iter().position(|row| row.is_some_and(|row| row.path == data));
        let index = known.or_else(|| self.rows.iter().position(Option::is_none))?;
        let fresh =
            Row { path: data, cells: [None; COLUMNS], cc: ack, cc_min: u64::MAX, missed: 0, better: None };
        let row = self.rows[index].get_or_insert(fresh);
        let cell = row.enter(ack, now, sample);
        cell.rtt.update(sample, delay);
        cell.last = now;
        cell.samples = cell.samples.saturating_add(1);
        row.missed = row.missed.saturating_add(1);
        if row.cc == ack {
            (row.cc_min, row.missed) = (row.cc_min.min(nanos(sample)), 0);
        }
        self.choose_column(now, index)
    }

    /// Forgets a path, as data path and as acknowledgement path.
    pub fn forget(&mut self, id: u32) {
        for slot in &mut self.rows {
            if slot.is_some_and(|row| row.path == id) {
                *slot = None;
            }
            for cell in slot.iter_mut().flat_map(|row| row.cells.iter_mut()) {
                if cell.is_some_and(|cell| cell.ack_path == id) {
                    *cell = None;
                }
            }
        }
    }

    /// Forgets the samples of a data path whose addresses changed.
    pub fn reset(&mut self, id: u32) {
        for slot in &mut self.rows {
            if slot.is_some_and(|row| row.path == id) {
                *slot = None;
            }
        }
    }

    fn row(&self, data: u32) -> Option<&Row> {
        self.rows.iter().flatten().find(|row| row.path == data)
    }

    /// One cell.
    pub fn cell(&self, data: u32, ack: u32) -> Option<&Cell> {
        self.row(data)?.cell(ack)
    }

    /// The cell that serves the path's congestion control and queue estimate.
    pub fn control(&self, data: u32) -> Option<&Cell> {
        let row = self.row(data)?;
        row.cell(row.cc)
    }

    /// Smallest RTT in the terms of [`RttMatrix::control`], carried over changes of the column.
    pub fn control_min(&self, data: u32) -> Option<Duration> {
        self.row(data).map(|row| Duration::from_nanos(row.cc_min))
    }

    /// For loss detection and PTO: the slowest fresh cell, else the youngest.
    pub fn slowest(&self, now: Instant, data: u32) -> Option<&Cell> {
        let cells = || self.row(data).into_iter().flat_map(|row| row.cells.iter().flatten());
        let fresh = cells().filter(|cell| cell.is_fresh(now)).max_by_key(|cell| cell.rtt.smoothed());
        fresh.or_else(|| cells().max_by_key(|cell| cell.last))
    }

    /// For the silence detector: the fastest fresh cell, else the youngest.
    pub fn fastest(&self, now: Instant, data: u32) -> Option<&Cell> {
        let cells = || self.row(data).into_iter().flat_map(|row| row.cells.iter().flatten());
        let fresh = cells().filter(|cell| cell.is_fresh(now)).min_by_key(|cell| cell.rtt.smoothed());
        fresh.or_else(|| cells().max_by_key(|cell| cell.last))
    }

    /// Data paths known, with their cells.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (u32, &[Option<Cell>; COLUMNS])> + Clone {
        self.rows.iter().flatten().map(|row| (row.path, &row.cells))
    }

    /// Moves to a column that is faster by a fifth or 5 ms for a second, or away from one that fell silent.
    fn choose_column(&mut self, now: Instant, index: usize) -> Option<ColumnChange> {
        let row = self.rows[index].as_ref()?;
        let current = row.cell(row.cc).copied();
        let ready = row.cells.iter().flatten().filter(|cell| cell.samples >= ENOUGH && cell.is_fresh(now));
        let best =
            ready.filter(|cell| cell.ack_path != row.cc).min_by_key(|cell| cell.rtt.smoothed()).copied();
        let silent = current.is_none_or(|cell| {
            now.saturating_since(cell.last) > FADED.max(cell.rtt.smoothed()) && row.missed >= ENOUGH
        });
        let better = best.filter(|best| silent || current.is_none_or(|current| is_faster(best, &current)));
        let since = match (better, row.better) {
            (Some(best), Some((id, since))) if id == best.ack_path => since,
            _ => now,
        };
        let row = self.rows[index].as_mut()?;
        row.better = better.map(|best| (best.ack_path, since));
        let best = better?;
        if !silent && now.saturating_since(since) < STEADY {
            return None;
        }
        Some(self.change_column(index, best.ack_path))
    }

    fn change_column(&mut self, index: usize, to: u32) -> ColumnChange {
        let (path, from) = self.rows[index].map_or((0, to), |row| (row.path, row.cc));
        let shift = self.shift_between(path, from, to);
        if let Some(row) = &mut self.rows[index] {
            let own = row.cell(to).map_or(u64::MAX, |cell| nanos(cell.rtt.min()));
            // A floor keeps a wrong correction from making every later sample look like a queue.
            let carried =
                shift.map_or(u64::MAX, |shift| row.cc_min.saturating_add_signed(shift).max(own / 2));
            row.cc_min = own.min(carried);
            row.cc = to;
            row.better = None;
        }
        ColumnChange { path, from, to, min_shift: shift }
    }

    /// Difference of the base delays of two acknowledgement paths, by any data path that has both; another path's
    /// word is preferred, the own minimum in the new column being young.
    fn shift_between(&self, path: u32, from: u32, to: u32) -> Option<i64> {
        let both = self.rows.iter().flatten().filter_map(|row| {
            let (from, to) = (row.cell(from)?, row.cell(to)?);
            let shift = signed_diff(nanos(to.rtt.min()), nanos(from.rtt.min()));
            Some(((row.path != path, from.samples.min(to.samples)), shift))
        });
        both.max_by_key(|(weight, _)| *weight).map(|(_, shift)| shift)
    }
}

/// Faster by a fifth or by 5 ms.
fn is_faster(a: &Cell, b: &Cell) -> bool {
    let (a, b) = (nanos(a.rtt.smoothed()), nanos(b.rtt.smoothed()));
    a.saturating_add(5 * MS) <= b || a <= b / 5 * 4
}
