//! Pauses of paths: a satellite that hands over, a radio that changes its cell. What one takes with it is one congestion event,
//! and afterwards the window may soon be what it was before. It decides nothing about health, and sends nothing.

use core::time::Duration;

use smallvec::SmallVec;
use tq_sched::MAX_PATHS;
use tq_time::Instant;
use tq_wire::PathId;

/// Silence of a path that is a pause, at least. Less is somebody else's queue.
const PAUSE: Duration = Duration::from_millis(30);

/// What is lost of packets that left so soon after a pause belongs to it: links lose for a while when they come back.
const AFTERMATH: Duration = Duration::from_millis(100);

/// The last pause of one path.
#[derive(Clone, Copy, Debug)]
struct Pause {
    path: PathId,
    /// When something was heard again.
    over: Instant,
    /// The window before it, bytes, until it is given back or turns out to be too much.
    window: Option<u64>,
}

/// The last pause of each path that had one.
#[derive(Debug, Default)]
pub(crate) struct Pauses(SmallVec<[Pause; MAX_PATHS]>);

impl Pauses {
    /// `path`, whose window is `window` bytes, is heard again after silence that `lasted` so long.
    pub(crate) fn on_heard_again(&mut self, now: Instant, path: PathId, lasted: Duration, window: u64) {
        if lasted >= PAUSE {
            self.forget(path);
            self.0.push(Pause { path, over: now, window: Some(window) });
        }
    }

    /// When packets of `path` that are lost, the newest sent at `sent_at`, count as sent. RFC 9002 §7.3.2 would reduce the window
    /// once in each round trip of a pause and its aftermath; a third of it takes CUBIC longer to rebuild than a
    /// satellite stays.
    pub(crate) fn on_lost(&mut self, path: PathId, sent_at: Instant) -> Instant {
        let Some(pause) = self.0.iter_mut().find(|pause| pause.path == path) else { return sent_at };
        if sent_at > pause.over + AFTERMATH {
            pause.window = None;
            return sent_at;
        }
        sent_at.min(pause.over)
    }

    /// A packet of `path` was acknowledged that left at `sent_at`: the window to go back to, once after each pause, when one
    /// that left after the aftermath is acknowledged before any such was lost.
    pub(crate) fn on_acked(&mut self, path: PathId, sent_at: Instant) -> Option<u64> {
        let pause = self.0.iter_mut().find(|pause| pause.path == path)?;
        if sent_at > pause.over + AFTERMATH { pause.window.take() } else { None }
    }

    /// The path is over, or leads elsewhere.
    pub(crate) fn forget(&mut self, path: PathId) {
        self.0.retain(|pause| pause.path != path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: PathId = PathId(1);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn paused(ms: u64) -> Pauses {
        let mut pauses = Pauses::default();
        pauses.on_heard_again(at(1000), PATH, Duration::from_millis(ms), 500_000);
        pauses
    }

    #[test]
    fn all_that_a_pause_and_its_aftermath_take_was_sent_at_its_end() {
        let mut pauses = paused(30);
        assert_eq!(pauses.on_lost(PATH, at(950)), at(950), "before it");
        assert_eq!(pauses.on_lost(PATH, at(1001)), at(1000));
        assert_eq!(pauses.on_lost(PATH, at(1100)), at(1000));
        assert_eq!(pauses.on_lost(PATH, at(1101)), at(1101), "an event of its own");
        assert_eq!(pauses.on_lost(PathId(0), at(1050)), at(1050), "another path");
        assert_eq!(paused(29).on_lost(PATH, at(1050)), at(1050), "no pause");
    }

    #[test]
    fn the_window_is_given_back_once_and_only_if_nothing_is_lost_after_the_aftermath() {
        let mut pauses = paused(80);
        assert_eq!(pauses.on_acked(PATH, at(1100)), None, "not over yet");
        assert_eq!(pauses.on_acked(PathId(0), at(1200)), None);
        assert_eq!(pauses.on_acked(PATH, at(1101)), Some(500_000));
        assert_eq!(pauses.on_acked(PATH, at(1102)), None, "once");

        let mut pauses = paused(80);
        pauses.on_lost(PATH, at(1090));
        pauses.on_lost(PATH, at(1150));
        assert_eq!(pauses.on_acked(PATH, at(1160)), None, "too much for what is there now");
    }

    #[test]
    fn a_path_has_one_pause_and_none_when_it_is_over() {
        let mut pauses = paused(80);
        pauses.on_heard_again(at(2000), PATH, Duration::from_millis(80), 300_000);
        assert_eq!(pauses.0.len(), 1);
        assert_eq!(pauses.on_acked(PATH, at(2200)), Some(300_000));
        pauses.forget(PATH);
        assert!(pauses.0.is_empty());
    }
}
