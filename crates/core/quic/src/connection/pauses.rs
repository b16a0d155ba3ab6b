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

/// What a path was like before it fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// Bytes.
    pub(crate) window: u64,
    /// Smoothed.
    pub(crate) rtt: Duration,
}

/// What is known of one path.
#[derive(Clone, Copy, Debug)]
struct Pause {
    path: PathId,
    /// Before the silence that lasts, or lasted.
    silent: Option<Before>,
    /// When something was heard again after the last pause.
    over: Option<Instant>,
    /// Before the last pause, until it is given back or turns out to be too much.
    before: Option<Before>,
}

/// The last pause of each path that was ever silent.
#[derive(Debug, Default)]
pub(crate) struct Pauses(SmallVec<[Pause; MAX_PATHS]>);

impl Pauses {
    /// Nothing is heard of `path` where something should be.
    pub(crate) fn on_silent(&mut self, path: PathId, before: Before) {
        match self.of(path) {
            Some(pause) => pause.silent = Some(before),
            None => self.0.push(Pause { path, silent: Some(before), over: None, before: None }),
        }
    }

    /// `path` is heard again after silence that `lasted` so long.
    pub(crate) fn on_heard_again(&mut self, now: Instant, path: PathId, lasted: Duration) {
        if let Some(pause) = self.of(path).filter(|_| lasted >= PAUSE) {
            (pause.over, pause.before) = (Some(now), pause.silent.take());
        }
    }

    /// When packets of `path` that are lost, the newest sent at `sent_at`, count as sent. RFC 9002 §7.3.2 would reduce the window
    /// once in each round trip of a pause and its aftermath; a third of it takes CUBIC longer to rebuild than a
    /// satellite stays.
    pub(crate) fn on_lost(&mut self, path: PathId, sent_at: Instant) -> Instant {
        let Some(pause) = self.of(path) else { return sent_at };
        match pause.over {
            Some(over) if sent_at <= over + AFTERMATH => sent_at.min(over),
            _ => {
                pause.before = None;
                sent_at
            }
        }
    }

    /// A packet of `path` was acknowledged that left at `sent_at`: what to go back to, once after each pause, when one that left
    /// after the aftermath is acknowledged before any such was lost.
    pub(crate) fn on_acked(&mut self, path: PathId, sent_at: Instant) -> Option<Before> {
        let pause = self.of(path)?;
        if sent_at > pause.over? + AFTERMATH { pause.before.take() } else { None }
    }

    /// The path is over, or leads elsewhere.
    pub(crate) fn forget(&mut self, path: PathId) {
        self.0.retain(|pause| pause.path != path);
    }

    fn of(&mut self, path: PathId) -> Option<&mut Pause> {
        self.0.iter_mut().find(|pause| pause.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: PathId = PathId(1);
    const BEFORE: Before = Before { window: 500_000, rtt: Duration::from_millis(50) };

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn paused(ms: u64) -> Pauses {
        let mut pauses = Pauses::default();
        pauses.on_silent(PATH, BEFORE);
        pauses.on_heard_again(at(1000), PATH, Duration::from_millis(ms));
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
    fn what_was_before_is_given_back_once_and_only_if_nothing_is_lost_after_the_aftermath() {
        let mut pauses = paused(80);
        assert_eq!(pauses.on_acked(PATH, at(1100)), None, "not over yet");
        assert_eq!(pauses.on_acked(PathId(0), at(1200)), None);
        assert_eq!(pauses.on_acked(PATH, at(1101)), Some(BEFORE));
        assert_eq!(pauses.on_acked(PATH, at(1102)), None, "once");

        let mut pauses = paused(80);
        pauses.on_lost(PATH, at(1090));
        pauses.on_lost(PATH, at(1150));
        assert_eq!(pauses.on_acked(PATH, at(1160)), None, "too much for what is there now");
    }

    #[test]
    fn a_false_suspicion_changes_nothing_of_a_pause() {
        let mut pauses = paused(80);
        pauses.on_silent(PATH, Before { window: 1, ..BEFORE });
        pauses.on_heard_again(at(1050), PATH, Duration::from_millis(2));
        assert_eq!(pauses.on_lost(PATH, at(1090)), at(1000));
        assert_eq!(pauses.on_acked(PATH, at(1101)), Some(BEFORE));
    }

    #[test]
    fn a_path_has_one_pause_and_none_when_it_is_over() {
        let mut pauses = paused(80);
        pauses.on_silent(PATH, Before { window: 300_000, ..BEFORE });
        pauses.on_heard_again(at(2000), PATH, Duration::from_millis(80));
        assert_eq!(pauses.0.len(), 1);
        assert_eq!(pauses.on_acked(PATH, at(2200)).map(|before| before.window), Some(300_000));
        pauses.forget(PATH);
        assert!(pauses.0.is_empty());
    }
}
