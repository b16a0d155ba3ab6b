//! One-way delays of the paths, relative to each other, without clocks.
//!
//! With acknowledgements of all paths on one path k the way back is common: `owd_i − owd_j = rtt[i][k] − rtt[j][k]`.
//! Only where no common column exists is half the difference of round trips taken.

use tq_time::{Duration, Instant};

use crate::math::signed_diff;
use crate::matrix::{COLUMNS, Cell, RttMatrix};
use crate::silence::nanos;
use crate::view::MAX_PATHS;

#[cfg(test)]
mod tests;

/// A path's delay to the peer relative to the other paths, ns; the smallest base is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// Path id.
    pub id: u32,
    /// From minima: without queue. What [`crate::PathView::rel_owd`] carries, since the queue is added to it.
    pub base: i64,
    /// From smoothed values: with the queue as it is.
    pub smoothed: i64,
    /// From the common column; otherwise a guess from round trips.
    pub exact: bool,
}

/// Relative one-way delays of all paths that have samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneWay {
    delays: [Delay; MAX_PATHS],
    len: u8,
    column: Option<u32>,
    /// Half the smallest round trip, ns.
    half: u64,
}

type Cells = [Option<Cell>; COLUMNS];

impl OneWay {
    /// Works the delays out. The column is the one most paths have fresh samples in.
    pub fn new(now: Instant, matrix: &RttMatrix) -> Self {
        let count =
            |column: u32| matrix.paths().filter(|(_, cells)| fresh(now, cells, column).is_some()).count();
        let columns = matrix.paths().flat_map(|(_, cells)| cells.iter().flatten().map(|cell| cell.ack_path));
        let column = columns.max_by_key(|column| (count(*column), core::cmp::Reverse(*column)));
        let mut this = Self { column, ..Self::default() };
        let Some(column) = column else { return this };
        let reference = matrix.paths().find_map(|(_, cells)| {
            let common = fresh(now, cells, column).or_else(|| cell_of(cells, column))?;
            Some((own(cells)?, common))
        });
        for (id, cells) in matrix.paths() {
            if let Some(delay) = delay(now, id, cells, column, reference) {
                this.delays[usize::from(this.len)] = delay;
                this.len += 1;
            }
        }
        this.half = matrix
            .paths()
            .filter_map(|(_, cells)| own(cells))
            .map(|cell| nanos(cell.rtt.min()))
            .min()
            .unwrap_or(0)
            / 2;
        this.rebase();
        this
    }

    fn rebase(&mut self) {
        let len = usize::from(self.len);
        let least = self.delays[..len].iter().map(|delay| delay.base).min().unwrap_or(0);
        for delay in &mut self.delays[..len] {
            delay.base = delay.base.saturating_sub(least);
            delay.smoothed = delay.smoothed.saturating_sub(least);
        }
    }

    /// All delays.
    pub fn delays(&self) -> &[Delay] {
        &self.delays[..usize::from(self.len)]
    }

    /// The path's delay; `None` without samples.
    pub fn of(&self, id: u32) -> Option<&Delay> {
        self.delays().iter().find(|delay| delay.id == id)
    }

    /// Acknowledgement path the differences were taken on.
    pub fn column(&self) -> Option<u32> {
        self.column
    }

    /// Absolute delay for display, ns: relative plus half the smallest round trip.
    pub fn absolute(&self, id: u32) -> Option<u64> {
        self.of(id).map(|delay| self.half.saturating_add_signed(delay.base))
    }

    /// Largest difference of base delays, ns.
    pub fn spread(&self) -> u64 {
        self.delays().iter().map(|delay| delay.base.unsigned_abs()).max().unwrap_or(0)
    }
}

fn cell_of(cells: &Cells, column: u32) -> Option<&Cell> {
    cells.iter().flatten().find(|cell| cell.ack_path == column)
}

fn fresh(now: Instant, cells: &Cells, column: u32) -> Option<&Cell> {
    let limit = Duration::from_secs(10);
    cell_of(cells, column).filter(|cell| now.saturating_since(cell.last) <= limit)
}

/// The cell with the smallest round trip: the best figure for the path as a whole.
fn own(cells: &Cells) -> Option<&Cell> {
    cells.iter().flatten().min_by_key(|cell| cell.rtt.min())
}

/// Delay of one path in terms of the common column, to be rebased.
fn delay(
    now: Instant,
    id: u32,
    cells: &Cells,
    column: u32,
    reference: Option<(&Cell, &Cell)>,
) -> Option<Delay> {
    if let Some(cell) = fresh(now, cells, column) {
        let (base, smoothed) = (nanos(cell.rtt.min()), nanos(cell.rtt.smoothed()));
        return Some(Delay {
            id,
            base: signed_diff(base, 0),
            smoothed: signed_diff(smoothed, 0),
            exact: true,
        });
    }
    let (cell, (ref_own, ref_common)) = (own(cells)?, reference?);
    let half = |a: Duration, b: Duration| signed_diff(nanos(a), nanos(b)) / 2;
    let base = signed_diff(nanos(ref_common.rtt.min()), 0) + half(cell.rtt.min(), ref_own.rtt.min());
    let smoothed =
        signed_diff(nanos(ref_common.rtt.smoothed()), 0) + half(cell.rtt.smoothed(), ref_own.rtt.smoothed());
    Some(Delay { id, base, smoothed, exact: false })
}
