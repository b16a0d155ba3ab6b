use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::{Flow, Groups, Sought, Watch};
use crate::math::MS;

const LOOK: Duration = Duration::from_millis(10);

/// A path: round trip without queue, ns, its way to the bottleneck, and which bottleneck that is.
#[derive(Clone, Copy)]
struct Way {
    rtt: u64,
    there: u64,
    queue: usize,
    rate: u64,
}

impl Way {
    fn new(rtt_ms: u64, queue: usize, rate: u64) -> Self {
        Self { rtt: rtt_ms * MS, there: rtt_ms * MS / 3, queue, rate }
    }
}

/// What stands in a bottleneck at a moment, ns, whatever the rests do.
type Queue = Box<dyn Fn(u64) -> u64>;

/// Paths, queues, and what was found.
struct Scene {
    groups: Groups,
    ways: Vec<Way>,
    queues: Vec<Queue>,
    now: Instant,
    busy: bool,
    /// Path, when, for how long, ns.
    rests: Vec<(usize, u64, u64)>,
    /// Groups of all paths, each time they changed.
    found: Vec<(u64, Vec<u32>)>,
}

impl Scene {
    fn new(ways: Vec<Way>, queues: Vec<Queue>) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let (groups, rests, found) = (Groups::default(), Vec::new(), Vec::new());
        Self { groups, ways, queues, now, busy: true, rests, found }
    }

    /// Round trip of a packet that leaves at `sent`: rests drain their share of the queue, which fills again in four times
    /// as long.
    fn rtt(&self, path: usize, sent: u64) -> u64 {
        let way = self.ways[path];
        let at = sent + way.there;
        let all =
            |queue| self.ways.iter().filter(move |way| way.queue == queue).map(|way| way.rate).sum::<u64>();
        let dip = |&(rested, from, rest): &(usize, u64, u64)| {
            let other = self.ways[rested];
            let from = from + other.there + rest;
            match other.queue == way.queue && (from..from + 4 * rest).contains(&at) {
                true => rest * other.rate / all(way.queue) * (from + 4 * rest - at) / (4 * rest),
                false => 0,
            }
        };
        let drained: u64 = self.rests.iter().rev().take(2).map(dip).sum();
        way.rtt + self.queues[way.queue](at).saturating_sub(drained)
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += LOOK;
            for path in 0..self.ways.len() {
                for step in 0..2 {
                    let heard = self.now.as_nanos() - step * 5 * MS;
                    let usual = self.rtt(path, heard.saturating_sub(self.ways[path].rtt));
                    let sent = heard - usual;
                    let rtt = Duration::from_nanos(self.rtt(path, sent));
                    self.groups.on_sample(path as u32, Instant::from_nanos(sent), rtt);
                }
            }
            let flow = |path: usize| Flow {
                id: path as u32,
                rate: self.ways[path].rate,
                rtt: self.ways[path].rtt,
                queue: self.queues[self.ways[path].queue](self.now.as_nanos()),
                busy: self.busy,
            };
            let flows: Vec<Flow> = (0..self.ways.len()).map(flow).collect();
            match self.groups.look(self.now, &flows) {
                Some(Sought::Rest(id, rest)) => {
                    self.rests.push((id as usize, self.now.as_nanos(), rest.as_nanos() as u64));
                }
                Some(Sought::Changed) => self.found.push((self.now.as_nanos(), self.labels())),
                None => {}
            }
        }
    }

    fn labels(&self) -> Vec<u32> {
        (0..self.ways.len()).map(|path| self.groups.of(path as u32)).collect()
    }
}

/// Always as long.
fn still(ms: u64) -> Queue {
    Box::new(move |_| ms * MS)
}

/// Something that looks random, the same for the same number.
fn noise(seed: u64, at: u64) -> u64 {
    let mixed = (at ^ seed.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

fn two_of_three() -> Scene {
    let ways = vec![Way::new(40, 0, 3_500_000), Way::new(50, 0, 3_000_000), Way::new(20, 1, 6_000_000)];
    Scene::new(ways, vec![still(10), still(5)])
}

#[test]
fn two_of_three_behind_one_queue_are_found_within_a_minute() {
    let mut scene = two_of_three();
    scene.run(Duration::from_secs(60));
    assert_eq!(scene.labels(), [1, 1, 0]);
    assert_eq!(scene.found.len(), 1);
}

#[test]
fn a_test_during_which_the_queue_fell_or_filled_says_nothing() {
    let rest = Duration::from_millis(16);
    let dipped = |least: [u64; 3]| Watch { id: 0, least: least.map(|ms| ms * MS), due: 6 * MS }.dipped(rest);
    assert_eq!(dipped([118, 110, 119]), Some(true));
    assert_eq!(dipped([118, 118, 119]), Some(false));
    assert_eq!(dipped([118, 110, 112]), Some(true), "it fills slowly all the time");
    assert_eq!(dipped([68, 95, 102]), None);
    assert_eq!(dipped([127, 109, 74]), None);
}

#[test]
fn three_behind_one_queue_are_one_group() {
    let ways = (0..3).map(|path| Way::new(20 + 15 * path, 0, 3_000_000)).collect();
    let mut scene = Scene::new(ways, vec![still(12)]);
    scene.run(Duration::from_secs(60));
    assert_eq!(scene.labels(), [1, 1, 1]);
}

#[test]
fn links_of_their_own_are_asked_a_few_times_and_then_left_alone() {
    let ways = vec![Way::new(40, 0, 3_500_000), Way::new(50, 1, 3_000_000)];
    let mut scene = Scene::new(ways, vec![still(10), still(12)]);
    scene.run(Duration::from_secs(290));
    assert_eq!(scene.found, []);
    assert_eq!(scene.rests.len(), 6);
    assert!(scene.rests.iter().all(|(.., rest)| *rest <= 12 * MS), "no longer than the queue");
}

#[test]
fn a_group_stands_while_tests_confirm_it_and_ends_when_they_do_not() {
    let mut scene = two_of_three();
    scene.run(Duration::from_secs(1200));
    assert_eq!(scene.found.len(), 1, "it never ended");
    scene.ways[1].queue = 1;
    scene.ways[2].queue = 0;
    scene.run(Duration::from_secs(320));
    assert_eq!(scene.groups.of(0), scene.groups.of(2));
    assert_eq!(scene.groups.of(1), 0);
}

#[test]
fn nobody_rests_while_there_is_nothing_to_carry_or_no_queue_to_see() {
    let mut scene = two_of_three();
    scene.busy = false;
    scene.run(Duration::from_secs(60));
    let ways = vec![Way::new(40, 0, 3_500_000), Way::new(50, 0, 3_000_000)];
    let mut empty = Scene::new(ways, vec![still(1)]);
    empty.run(Duration::from_secs(60));
    assert_eq!((scene.rests.len(), empty.rests.len()), (0, 0));
}

#[test]
fn what_was_found_ends_with_the_path() {
    let mut scene = two_of_three();
    scene.run(Duration::from_secs(60));
    assert!(scene.groups.forget(1));
    assert_eq!(scene.labels(), [0, 0, 0]);
    assert!(!scene.groups.forget(2), "it was in none");
}

#[test]
fn more_paths_than_are_compared_do_no_harm() {
    let way = |path: u64| Way::new(20 + path, path.saturating_sub(1) as usize, 3_000_000);
    let queues = (0..11).map(|queue| still(8 + queue)).collect();
    let mut scene = Scene::new((0..12).map(way).collect(), queues);
    scene.run(Duration::from_secs(240));
    let labels = scene.labels();
    assert!(labels[..2] == [1, 1] && labels[2..].iter().all(|group| *group == 0));
}

/// A queue that has a life of its own: it swings evenly or in steps, and each packet adds some.
fn lively() -> impl Strategy<Value = (u64, u64, u64, bool, u64)> {
    (1u64..40, 150u64..20_000, 0u64..15, any::<bool>(), any::<u64>())
}

fn queue((swing, period, jitter, steps, seed): (u64, u64, u64, bool, u64)) -> Queue {
    Box::new(move |at| {
        let period = period * MS;
        let phase = (at + seed % period) % period;
        let swing = match steps {
            true if phase < period / 2 => swing * MS,
            true => 0,
            false => swing * MS * phase.min(period - phase) * 2 / period,
        };
        3 * MS + swing + noise(seed, at) % (jitter * MS + 1)
    })
}

proptest! {
    #[test]
    fn queues_with_a_life_of_their_own_make_no_group(
        one in lively(),
        other in lively(),
        rates in (1_000_000u64..20_000_000, 1_000_000u64..20_000_000),
        rtts in (5u64..200, 5u64..200),
    ) {
        let ways = vec![Way::new(rtts.0, 0, rates.0), Way::new(rtts.1, 1, rates.1)];
        let mut scene = Scene::new(ways, vec![queue(one), queue(other)]);
        scene.run(Duration::from_secs(120));
        prop_assert_eq!(scene.found, []);
    }
}
