use std::collections::BTreeSet;

use super::*;

#[test]
fn the_published_sets_hold_253_pairs_in_their_ranges() {
    for set in Set::ALL {
        let ranges = Literature::of(set);
        let cases = published(set, Order::AsListed, Queues::Published).unwrap();
        assert_eq!(cases.len(), 253);
        assert_eq!(Set::named(set.name()), Some(set));
        for link in cases.iter().flat_map(|case| &case.links) {
            let (rate, rtt) = (link.rate_down as f64 / 125_000.0, link.rtt().as_secs_f64() * 1000.0);
            assert!((ranges.rate.0..=ranges.rate.1).contains(&rate), "{rate}");
            assert!((ranges.rtt.0..=ranges.rtt.1).contains(&rtt), "{rtt}");
            assert!(f64::from(link.loss_ppm) <= ranges.loss.1 * 10_000.0);
        }
    }
}

#[test]
fn orders_swap_the_links_and_queue_readings_change_only_queues() {
    let listed = published(Set::LowBdp, Order::AsListed, Queues::Published).unwrap();
    let swapped = published(Set::LowBdp, Order::Swapped, Queues::Published).unwrap();
    let released = published(Set::LowBdp, Order::AsListed, Queues::AsReleased).unwrap();
    for ((a, b), c) in listed.iter().zip(&swapped).zip(&released) {
        assert_eq!((&a.links[0], &a.links[1]), (&b.links[1], &b.links[0]));
        for (ours, theirs) in a.links.iter().zip(&c.links) {
            assert_eq!(
                theirs,
                &GridLink { queue_up: theirs.queue_up, queue_down: theirs.queue_down, ..ours.clone() }
            );
        }
    }
    // 51.83 Mbit/s, 21 ms, 48 ms of queue: 311 kB as published, about one BDP of 136 kB (142 kB in units of 2^20) as released.
    assert_eq!(listed[0].links[0].queue_down, 310_980);
    assert_eq!(released[0].links[0].queue_down, 95 * 1500);
}

#[test]
fn filled_designs_keep_their_points_further_apart_than_chance_does() {
    for (count, dimensions) in [(50, 2), (50, 6), (100, 8), (20, 15)] {
        let filled = least_distance(&fill(Design { count, dimensions, seed: 3 }).unwrap());
        let chance = (0..20)
            .map(|seed| least_distance(&random(Design { count, dimensions, seed })))
            .fold(0.0, f64::max);
        assert!(
            filled > 1.2 * chance,
            "{count} points in {dimensions}: {filled} against at most {chance} by chance"
        );
    }
}

#[test]
fn a_seed_decides_everything() {
    let design = Design { count: 30, dimensions: 6, seed: 11 };
    assert_eq!(fill(design).unwrap(), fill(design).unwrap());
    assert_ne!(fill(design).unwrap(), fill(Design { seed: 12, ..design }).unwrap());
    assert_eq!(today(2, 30, 5).unwrap(), today(2, 30, 5).unwrap());
    assert_eq!(literature(Set::HighBdpLoss, 9, 5).unwrap(), literature(Set::HighBdpLoss, 9, 5).unwrap());
    // The first outputs of SplitMix64 for seed 1234567, which other implementations give too.
    let mut rng = SplitMix::new(1_234_567);
    assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (count, dimensions) in [(0, 2), (MOST_POINTS + 1, 2), (5, 0), (5, 33)] {
        assert!(fill(Design { count, dimensions, seed: 0 }).is_err());
    }
    assert!(today(0, 5, 0).is_err() && today(5, 5, 0).is_err());
    assert_eq!(fill(Design { count: 1, dimensions: 1, seed: 0 }).unwrap().len(), 1);
}

#[test]
fn new_pairs_lie_in_the_ranges_of_the_literature() {
    for set in Set::ALL {
        let ranges = Literature::of(set);
        let cases = literature(set, 40, 1).unwrap();
        assert_eq!(cases.len(), 40);
        let losses: BTreeSet<u32> = cases.iter().map(|case| case.links[1].loss_ppm).collect();
        assert_eq!(losses.len() > 1, ranges.loss.1 > 0.0);
        for link in cases.iter().flat_map(|case| &case.links) {
            let rate = link.rate_up as f64 / 125_000.0;
            assert!((ranges.rate.0..=ranges.rate.1).contains(&rate), "{rate}");
            assert!(link.rtt().as_secs_f64() * 1000.0 <= ranges.rtt.1 + 0.01);
            assert!(link.queue_down >= 15_000);
        }
    }
}

#[test]
fn links_of_today_lie_in_the_ranges_of_their_class_and_every_set_occurs() {
    for (links, sets) in [(2, 21), (3, 56)] {
        let cases = today(links, 60, 9).unwrap();
        let mut seen = BTreeSet::new();
        for case in &cases {
            assert_eq!(case.links.len(), links);
            let mut names: Vec<_> = case.links.iter().map(|link| link.name).collect();
            names.sort_unstable();
            seen.insert(names);
            for link in &case.links {
                let class = Class::ALL.into_iter().find(|class| class.name() == link.name).unwrap();
                let range = class.range();
                let within =
                    |value: f64, (low, high): (f64, f64)| value >= low * 0.999 && value <= high * 1.001;
                assert!(within(link.rate_down as f64 / 125_000.0, range.down));
                assert!(within(link.rate_up as f64 / 125_000.0, range.up) && link.rate_up <= link.rate_down);
                assert!(within(link.rtt().as_secs_f64() * 1000.0, range.rtt));
                assert!(within(link.jitter.as_secs_f64() * 1000.0, range.jitter));
                assert!(within(f64::from(link.loss_ppm) / 10_000.0, range.loss));
            }
        }
        assert_eq!(seen.len(), sets);
        let ids: BTreeSet<_> = cases.iter().map(|case| &case.id).collect();
        assert_eq!(ids.len(), 60);
    }
}
