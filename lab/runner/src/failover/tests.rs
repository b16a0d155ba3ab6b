use super::*;

#[test]
fn all_cases_can_be_played_and_nothing_is_lost() {
    for case in Case::all("1bdp") {
        let found = case.run(1, None, None).expect("a run");
        assert!(found.sound, "{}", case.name());
    }
}

#[test]
fn blips_give_no_path_up() {
    for lasts in [50, 300, 1000].map(Duration::from_millis) {
        for seed in 1..=2 {
            let case = Case::new(Cut::Blip(lasts), 0, "300ms");
            let found = case.run(seed, None, None).expect("a run");
            assert_eq!(found.abandons, 0, "{} seed {seed}", case.name());
        }
    }
}

/// The bar with few seeds; `tq-scenarios failover --seeds 200` has them all.
#[test]
fn a_silent_cut_stops_delivery_no_longer_than_the_bound() {
    for cut in [Cut::Both, Cut::Data, Cut::Acks] {
        for link in [0, 1] {
            for seed in 1..=2 {
                let case = Case::new(cut, link, "1bdp");
                let found = case.run(seed, None, None).expect("a run");
                assert!(found.gap <= found.bound, "{} seed {seed}: {found:?}", case.name());
            }
        }
    }
}

/// What arrived on the link that was cut must not go again ahead of what did not, where the other one is slow.
#[test]
fn a_slow_survivor_carries_what_is_missing_first() {
    let mut gaps: Vec<Duration> = (1..=8)
        .map(|seed| {
            Case { left: 10, ..Case::new(Cut::Both, 0, "1bdp") }.run(seed, None, None).expect("a run").gap
        })
        .collect();
    gaps.sort_unstable();
    assert!(gaps[4] < Duration::from_millis(80), "{gaps:?}");
}

#[test]
fn an_interface_that_says_so_shortens_the_pause() {
    let gap = |cut| Case::new(cut, 0, "1bdp").run(1, None, None).expect("a run").gap;
    let (told, silent) = (gap(Cut::Carrier), gap(Cut::Both));
    assert!(told < silent, "{told:?} with a word, {silent:?} without");
}
