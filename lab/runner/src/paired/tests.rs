use super::*;

fn scenario() -> Scenario {
    let text = "name = \"two\"\ntime = \"9s\"\n[[link]]\nname = \"a\"\nrate = \"4Mbit/s\"\nrtt = \"20ms\"\n\
                [[link]]\nname = \"b\"\nrate = \"4Mbit/s\"\nrtt = \"30ms\"\n[[traffic]]\nkind = \"bulk\"\nbytes = \"500kB\"\n";
    tq_scenario::parse("two.toml", text).expect("a scenario")
}

fn of(goodput: f64) -> Seen {
    Seen { goodput, ..Seen::default() }
}

#[test]
fn every_seed_has_every_link_alone_before_all_together() {
    let cases = [Case::new(scenario(), Cc::Cubic), Case { links: vec![1], ..Case::new(scenario(), Cc::Bbr) }];
    let items = items(&cases, 2, 7);
    let told: Vec<_> = items.iter().map(|item| (item.case, item.over, item.seed)).collect();
    let first =
        [(0, Some(0), 7), (0, Some(1), 7), (0, None, 7), (0, Some(0), 8), (0, Some(1), 8), (0, None, 8)];
    let second = [(1, Some(1), 7), (1, None, 7), (1, Some(1), 8), (1, None, 8)];
    assert_eq!(told, [&first[..], &second].concat());
}

#[test]
fn the_better_of_two_controllers_counts_alone() {
    let cases = [Case { alone: vec![Cc::Cubic, Cc::Bbr], ..Case::new(scenario(), Cc::Cubic) }];
    let items = items(&cases, 1, 1);
    let seen = [3.0, 5.0, 4.0, 2.0, 8.0].map(of).to_vec();
    let pairs = gather(&cases, &items, seen);
    assert_eq!(pairs[0][0].goodputs(), [5.0, 4.0]);
    assert_eq!((pairs[0][0].together.goodput, pairs[0][0].best()), (8.0, 5.0));
}

#[test]
fn two_links_carry_more_than_one_and_say_how_much() {
    let cases = [Case::new(scenario(), Cc::Cubic)];
    let items = items(&cases, 1, 1);
    let seen = items.iter().map(|item| play(&cases[item.case], item, None, None).expect("a run"));
    let pairs = gather(&cases, &items, seen.collect());
    let gain = pairs[0][0].gain().expect("a gain");
    assert!(gain.ratio_to_best > 1.5, "{gain:?}");
    assert!(told(&pairs[0]).0.is_empty());
    assert_eq!(alone(&pairs[0]).len(), 2);
}
