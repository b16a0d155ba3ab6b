use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use tq_time::Instant;

use super::model::{Link, best_alone, completion};
use super::*;
use crate::testing::{any_demand, any_paths, bulk, path};
use crate::{Class, Health, PathSet, Status, eta_optimistic};

const NOW: Instant = Instant::from_nanos(1_000_000);

/// A generator of numbers for the pairs, the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// 0.1 to 100 Mbit/s (as bytes) and an RTT below `rtt_ms`.
    fn link(&mut self, rtt_ms: u64) -> Link {
        let kbit = 100 + self.below(99_900);
        Link { rate: kbit * 125 * 945 / 1000, owd: self.below(rtt_ms * 1000) * 500 + 100_000 }
    }
}

/// Speed of the bond over speed of the best link alone, in thousandths, worst first.
fn ratios(kind: Kind, seed: u64, pairs: usize, rtt_ms: u64, size: u64) -> Vec<u64> {
    let mut draw = Draw(seed);
    let mut ratios: Vec<u64> = (0..pairs)
        .map(|_| {
            let links = [draw.link(rtt_ms), draw.link(rtt_ms)];
            best_alone(&links, size) * 1000 / completion(kind, &links, size)
        })
        .collect();
    ratios.sort_unstable();
    ratios
}

#[test]
fn the_backlog_rule_is_never_slower_than_the_best_link_alone() {
    for (rtt, size) in [(400, 1_000_000), (400, 3_000_000), (50, 3_000_000)] {
        let ratios = ratios(Kind::Aggregate, 1, 150, rtt, size);
        assert!(ratios[0] >= 980, "worst {} of 150 pairs, RTT < {rtt} ms, {size} B", ratios[0]);
    }
    // An initial window is worth seconds on the slowest links; the rule cannot take back what it is.
    let small = ratios(Kind::Aggregate, 1, 150, 400, 300_000);
    assert!(small[7] >= 980, "5th percentile {}", small[7]);
}

#[test]
fn taking_the_rule_away_shows() {
    let ratios = ratios(Kind::MinRtt, 1, 60, 400, 1_000_000);
    assert!(ratios[0] < 900, "the model must tell schedulers apart, worst {}", ratios[0]);
}

#[test]
fn equal_links_give_their_sum() {
    let link = Link { rate: 12_000_000, owd: 10_000_000 };
    let (one, two) =
        (best_alone(&[link], 30_000_000), completion(Kind::Aggregate, &[link, link], 30_000_000));
    assert!(one * 100 / two >= 190, "{one} {two}");
}

#[test]
fn names_are_read_back_and_a_wrong_one_lists_them() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    let text = "fastest".parse::<Kind>().unwrap_err().to_string();
    assert_eq!(
        text,
        "unknown scheduler, expected one of aggregate, minrtt, roundrobin, weighted, blest, ecf"
    );
    assert_eq!(Kind::default(), Kind::Aggregate);
}

proptest! {
    #[test]
    fn what_is_picked_is_usable_and_fits(
        views in any_paths(), demand in any_demand(), kind in prop::sample::select(Kind::ALL.to_vec()),
    ) {
        let best = views.iter().filter_map(PathView::tier).min();
        let pick = Scheduler::new(kind).pick(NOW, &views, &demand);
        let ids = match pick {
            Pick::Send(id) => PathSet::from_iter([id]),
            Pick::Duplicate(set) => set,
            Pick::WaitUntil(at) => {
                prop_assert!(at > NOW, "waits for something to come");
                PathSet::default()
            }
            Pick::Nothing | Pick::Reinject { .. } => PathSet::default(),
        };
        for id in ids.as_slice() {
            let view = views.iter().find(|view| view.id == *id).unwrap();
            prop_assert!(demand.backlog > 0);
            prop_assert!(view.validated && view.health != Health::Out && view.tier() == best);
            prop_assert!(view.fits(&demand));
            prop_assert!(view.departs(NOW) || demand.class.is_urgent());
        }
        if !views.iter().any(|view| view.tier() == best && view.fits(&demand)) {
            prop_assert!(ids.as_slice().is_empty());
        }
    }

    #[test]
    fn the_path_that_delivers_first_never_sits_with_room(views in any_paths(), backlog in 1..5_000_000u64) {
        let demand = bulk(backlog);
        let best = views.iter().filter_map(PathView::tier).min();
        let serving = views.iter().filter(|view| best.is_some() && view.tier() == best);
        let first = serving.min_by_key(|view| (eta_optimistic(view), view.id));
        let pick = Scheduler::new(Kind::Aggregate).pick(NOW, &views, &demand);
        if first.is_some_and(|view| view.fits(&demand) && view.departs(NOW)) {
            prop_assert!(matches!(pick, Pick::Send(_)), "{pick:?}");
        }
    }

    #[test]
    fn round_robin_is_fair(count in 1..8u32, turns in 1..100u32) {
        let views: Vec<PathView> = (0..count).map(|id| path(id, 10 + u64::from(id), 1_000_000)).collect();
        let mut scheduler = Scheduler::new(Kind::RoundRobin);
        let mut sent = [0u32; 8];
        for _ in 0..turns {
            let Pick::Send(id) = scheduler.pick(NOW, &views, &bulk(1)) else { panic!("all have room") };
            // Asking again without sending changes nothing.
            prop_assert_eq!(scheduler.pick(NOW, &views, &bulk(1)), Pick::Send(id));
            scheduler.on_sent(id, 1200);
            sent[id as usize] += 1;
        }
        let used = &sent[..count as usize];
        prop_assert!(used.iter().max().unwrap() - used.iter().min().unwrap() <= 1);
    }

    #[test]
    fn min_rtt_picks_the_least_within_its_band(views in any_paths()) {
        let demand = bulk(10_000);
        if let Pick::Send(id) = Scheduler::new(Kind::MinRtt).pick(NOW, &views, &demand) {
            let best = views.iter().filter_map(PathView::tier).min();
            let able = views.iter().filter(|v| v.tier() == best && v.fits(&demand) && v.departs(NOW));
            let least = able.map(|view| view.srtt).min().unwrap();
            let picked = views.iter().find(|view| view.id == id).unwrap();
            prop_assert!(picked.srtt <= least.saturating_add(minrtt::band(least)));
        }
    }

    #[test]
    fn weighted_shares_stay_within_one_quantum(weights in prop::collection::vec(1..20u16, 2..6), sends in 1..400) {
        let views: Vec<PathView> = weights.iter().enumerate()
            .map(|(id, weight)| PathView { weight: *weight, ..path(id as u32, 20, 1_000_000) }).collect();
        let mut scheduler = Scheduler::new(Kind::Weighted);
        let mut sent = std::vec![0i64; weights.len()];
        for _ in 0..sends {
            let Pick::Send(id) = scheduler.pick(NOW, &views, &bulk(100_000)) else { panic!("all have room") };
            scheduler.on_sent(id, 1400);
            sent[id as usize] += 1400;
        }
        // Rounds each path has had: none is more than one quantum and a packet from another.
        let quantum = |index: usize| i64::from(weights[index]) * weighted::QUANTUM;
        for a in 0..sent.len() {
            for b in 0..sent.len() {
                let lead = sent[a] * quantum(b) - sent[b] * quantum(a);
                prop_assert!(lead <= quantum(a) * quantum(b) + 1400 * (quantum(a) + quantum(b)));
            }
        }
    }
}

#[test]
fn a_burst_on_credit_is_paid_back() {
    let views = [path(0, 20, 1_000_000), path(1, 20, 1_000_000)];
    let mut scheduler = Scheduler::new(Kind::Weighted);
    assert_eq!(scheduler.pick(NOW, &views, &bulk(1)), Pick::Send(0));
    scheduler.on_sent(0, 60_000);
    let mut other = 0;
    while scheduler.pick(NOW, &views, &bulk(1)) == Pick::Send(1) {
        scheduler.on_sent(1, 1500);
        other += 1500;
    }
    assert!((58_500..=61_500).contains(&other), "{other}");
}

#[test]
fn backup_held_and_suspect_paths_serve_when_nothing_better_is_left() {
    let of = |health, status| PathView { health, status, ..path(1, 5, 1_000_000) };
    for kind in Kind::ALL {
        let mut scheduler = Scheduler::new(kind);
        let mut pick =
            |other: PathView, last: PathView| scheduler.pick(NOW, &[other, last], &bulk(10_000_000));
        let good = PathView { id: 2, cwnd: 0, ..path(2, 50, 1_000_000) };
        for worse in [
            of(Health::Good, Status::Backup),
            of(Health::Held, Status::Available),
            of(Health::Suspect, Status::Available),
            of(Health::Out, Status::Available),
        ] {
            assert_eq!(pick(good, worse), Pick::Nothing, "{kind}: full is not gone");
        }
        let gone = PathView { health: Health::Out, ..good };
        assert_eq!(pick(gone, of(Health::Good, Status::Backup)), Pick::Send(1));
        assert_eq!(pick(gone, of(Health::Held, Status::Available)), Pick::Send(1));
        assert_eq!(pick(gone, of(Health::Suspect, Status::Available)), Pick::Send(1));
        assert_eq!(pick(gone, of(Health::Out, Status::Available)), Pick::Nothing);
    }
}

#[test]
fn a_slow_path_is_used_from_the_backlog_the_rule_names() {
    // 50 Mbit/s with 20 ms beside 20 Mbit/s with 600 ms: 290 ms more one way.
    let full = PathView { in_flight: 140_000, ..path(0, 20, 6_250_000) };
    let views = [full, path(1, 600, 2_500_000)];
    let mut scheduler = Scheduler::new(Kind::Aggregate);
    let x = scheduler.threshold(NOW, &views, &bulk(1), 1);
    assert_eq!(x, 6_250_000 * 290 / 1000);
    assert_eq!(scheduler.pick(NOW, &views, &bulk(x)), Pick::Nothing);
    assert_eq!(scheduler.pick(NOW, &views, &bulk(x + 1)), Pick::Send(1));
    assert_eq!(scheduler.threshold(NOW, &views, &bulk(1), 0), 0);
    let short = Demand { stream_backlog: 60_000, ..bulk(50_000_000) };
    assert_eq!(scheduler.pick(NOW, &views, &short), Pick::Nothing, "mice do not go by satellite");
    let held = Demand { hold_budget: 60_000_000, ..bulk(50_000_000) };
    assert_eq!(scheduler.pick(NOW, &views, &held), Pick::Nothing, "the receiver would not wait that long");
    assert_eq!(scheduler.low_water(NOW, &views, &bulk(1)), x + 87_500);

    scheduler.on_feedback(Feedback::Blocked(1));
    assert_eq!(scheduler.threshold(NOW, &views, &bulk(1), 1), 6_250_000 * 290 / 1000 * 105 / 100);
    for _ in 0..100 {
        scheduler.on_feedback(Feedback::Round(1));
    }
    assert_eq!(scheduler.threshold(NOW, &views, &bulk(1), 1), 6_250_000 * 290 / 1000, "λ is at least one");
    let wary = [full, PathView { health: Health::Probation, ..views[1] }];
    assert_eq!(scheduler.threshold(NOW, &wary, &bulk(1), 1), 6_250_000 * 290 / 1000 * 160 / 100);
}

#[test]
fn a_paced_path_is_waited_for_and_others_used_meanwhile() {
    for kind in Kind::ALL {
        let paced = PathView { next_departure: 2_000_000, ..path(0, 20, 1_000_000) };
        let pick = Scheduler::new(kind).pick(NOW, &[paced], &bulk(100));
        assert_eq!(pick, Pick::WaitUntil(Instant::from_nanos(2_000_000)), "{kind}");
        let two = Scheduler::new(kind).pick(NOW, &[paced, path(1, 20, 1_000_000)], &bulk(10_000_000));
        assert_eq!(two, Pick::Send(1), "{kind}");
    }
}

#[test]
fn realtime_goes_twice_over_two_links_and_interactive_once() {
    let same = PathView { link: 0, ..path(1, 21, 1_000_000) };
    let views = [path(0, 20, 1_000_000), same, path(2, 30, 1_000_000)];
    let of = |class| Demand { class, ..bulk(200) };
    let mut scheduler = Scheduler::default();
    let twice = Pick::Duplicate(PathSet::from_iter([0, 2]));
    assert_eq!(scheduler.pick(NOW, &views, &of(Class::Realtime)), twice);
    assert_eq!(scheduler.pick(NOW, &views, &of(Class::Interactive)), Pick::Send(0));
}

#[test]
fn blest_skips_a_path_that_would_block_the_window() {
    let fast = PathView { in_flight: 140_000, ..path(0, 20, 6_250_000) };
    let views = [fast, path(1, 200, 2_500_000)];
    let mut scheduler = Scheduler::new(Kind::Blest);
    let small = Demand { send_window: 500_000, ..bulk(1_000_000) };
    assert_eq!(scheduler.pick(NOW, &views, &small), Pick::Nothing);
    assert_eq!(scheduler.pick(NOW, &views, &bulk(1_000_000)), Pick::Send(1));
    let alike = [fast, PathView { srtt: fast.srtt + 900_000, ..path(1, 20, 1) }];
    let none = Demand { send_window: 0, ..small };
    assert_eq!(scheduler.pick(NOW, &alike, &none), Pick::Send(1), "within 1 ms");
}

#[test]
fn ecf_waits_for_the_fast_path_when_it_finishes_first() {
    let fast = PathView { in_flight: 140_000, ..path(0, 20, 6_250_000) };
    let views = [fast, path(1, 600, 2_500_000)];
    let mut scheduler = Scheduler::new(Kind::Ecf);
    assert_eq!(scheduler.pick(NOW, &views, &bulk(2_000_000)), Pick::Nothing);
    assert_eq!(scheduler.memory().cursor, 1);
    assert_eq!(scheduler.pick(NOW, &views, &bulk(20_000_000)), Pick::Send(1));
    assert_eq!(scheduler.memory().cursor, 0);
}

#[test]
fn a_scheduler_is_small() {
    assert!(size_of::<Scheduler>() <= 300);
}
