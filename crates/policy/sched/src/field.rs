//! The paths a decision is about: who may carry data at all, who has room, who may leave now.
//!
//! The rules every scheduler shares are applied here once: only validated paths, never one that is out, a held,
//! backup or suspect path only if nothing better is left, nothing without window, address room or socket. It
//! prefers nobody among the paths that remain.

use tq_time::Instant;

use crate::demand::{Demand, Pick};
use crate::view::{MAX_PATHS, PathView};

#[cfg(test)]
mod tests;

/// A set of positions in the views.
type Mask = u32;
const _: () = assert!(MAX_PATHS <= Mask::BITS as usize);

/// The views sorted by what the shared rules allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) now: Instant,
    pub(crate) demand: &'a Demand,
    views: &'a [PathView],
    serving: Mask,
    fitting: Mask,
    ready: Mask,
}

impl<'a> Field<'a> {
    pub(crate) fn new(now: Instant, views: &'a [PathView], demand: &'a Demand) -> Self {
        let views = &views[..views.len().min(MAX_PATHS)];
        let best = views.iter().filter_map(PathView::tier).min();
        let (mut serving, mut fitting, mut ready) = (0, 0, 0);
        for (index, view) in views.iter().enumerate() {
            let bit = 1 << index;
            if best.is_some() && view.tier() == best {
                serving |= bit;
                if view.fits(demand) {
                    fitting |= bit;
                    if view.departs(now) || demand.class.is_urgent() {
                        ready |= bit;
                    }
                }
            }
        }
        Self { now, demand, views, serving, fitting, ready }
    }

    fn of(&self, mask: Mask) -> impl Iterator<Item = &'a PathView> + Clone + use<'a> {
        self.views.iter().enumerate().filter(move |(index, _)| mask & (1 << index) != 0).map(|(_, view)| view)
    }

    /// All views.
    pub(crate) fn views(&self) -> &'a [PathView] {
        self.views
    }

    /// Paths in service, with room or without.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &'a PathView> + Clone + use<'a> {
        self.of(self.serving)
    }

    /// Paths in service with room.
    pub(crate) fn fitting(&self) -> impl Iterator<Item = &'a PathView> + Clone + use<'a> {
        self.of(self.fitting)
    }

    /// Paths in service with room whose pacer agrees.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &'a PathView> + Clone + use<'a> {
        self.of(self.ready)
    }

    /// The answer if no path is ready: the earliest departure of one with room, else nothing.
    pub(crate) fn wait(&self) -> Pick {
        wait_for(self.fitting())
    }
}

/// Waits for the first of these to depart.
pub(crate) fn wait_for<'a>(paths: impl Iterator<Item = &'a PathView>) -> Pick {
    let first = paths.map(|view| view.next_departure).filter(|at| *at > 0).min();
    first.map_or(Pick::Nothing, |at| Pick::WaitUntil(Instant::from_nanos(at)))
}
