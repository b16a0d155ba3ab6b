use super::*;

#[test]
fn a_set_is_found_by_its_name_and_has_the_published_pairs() {
    let counts = Kind::ALL.map(|kind| kind.pairs(Queues::Published, None).expect("pairs").len());
    assert_eq!(counts, [4 * 253, 253, 253, 2 * 253, 2 * 253]);
    for kind in Kind::ALL {
        assert_eq!(Kind::named(kind.name()), Some(kind));
        assert_eq!(kind.pairs(Queues::AsReleased, Some(3)).expect("pairs").len() % 3, 0);
    }
    assert_eq!(Kind::named("low"), None);
}

#[test]
fn only_the_published_start_is_not_raced_and_only_warm_has_a_window() {
    for kind in Kind::ALL {
        let pair = &kind.pairs(Queues::Published, Some(1)).expect("pairs")[0];
        let case = kind.compared(pair, kind.cc());
        assert_eq!(case.race, kind != Kind::AsPublished);
        let warm = case.scenario.measure.window != tq_scenario::Window::Cold;
        assert_eq!(warm, kind == Kind::Warm);
    }
}

fn line(benefit: f64, ceiling: f64) -> Line {
    Line {
        id: "x".into(),
        alone_mbps: vec![10.0, 5.0],
        together_mbps: 10.0,
        benefit: Some(benefit),
        ceiling: Some(ceiling),
        keeps: Some(1.0),
        ratio: Some(1.0),
        telling: true,
        wrong: Vec::new(),
    }
}

fn holds(kind: Kind, lines: &[Line]) -> bool {
    verdict(kind, lines).iter().all(|held| held.holds)
}

#[test]
fn nine_of_ten_within_the_ceiling_are_enough_where_the_ceiling_is_the_bar() {
    let mut lines = vec![line(0.7, 0.8); 9];
    lines.push(line(-0.9, 0.8));
    assert!(holds(Kind::AsPublished, &lines));
    lines[0] = line(0.6, 0.8);
    assert!(!holds(Kind::AsPublished, &lines));
}

#[test]
fn as_published_nothing_is_asked_of_a_small_link_that_the_ideal_cannot_do() {
    let slow = |ratio| Line { telling: false, ratio: Some(ratio), keeps: Some(0.8), ..line(0.0, 1.0) };
    assert!(holds(Kind::AsPublished, &[line(0.8, 0.8), slow(0.79)]));
    assert!(!holds(Kind::AsPublished, &[line(0.8, 0.8), slow(0.77)]));
    assert!(!holds(Kind::LowBdpRaced, &[line(0.9, 0.8), slow(0.79)]));
}

#[test]
fn a_median_and_a_least_benefit_are_held_to() {
    assert!(holds(Kind::LowBdpRaced, &[line(0.9, 1.0), line(0.9, 1.0), line(-0.02, 1.0)]));
    assert!(!holds(Kind::LowBdpRaced, &[line(0.9, 1.0), line(0.9, 1.0), line(-0.04, 1.0)]));
    assert!(!holds(Kind::LowBdpRaced, &[line(0.8, 1.0)]));
    assert!(!holds(Kind::Warm, &[]), "no pair says nothing good");
}

#[test]
fn where_a_link_adds_next_to_nothing_the_ratio_is_judged() {
    let small = |ratio| Line { telling: false, ratio: Some(ratio), benefit: Some(-5.0), ..line(0.0, 1.0) };
    assert!(holds(Kind::Lossy, &[line(0.8, 1.0), small(0.985)]));
    assert!(!holds(Kind::Lossy, &[line(0.8, 1.0), small(0.97)]));
    assert!(markdown(Kind::Lossy, &[small(0.97)], true).contains("< 5 %"));
}

/// The part of the published pairs in which an ideal that proves the second link's address before it sends anything of use
/// there is as near to the ceiling as asked.
#[test]
fn proving_an_address_alone_takes_what_the_bar_of_the_published_start_forgives() {
    let Bars::Ceiling { less, part } = Kind::AsPublished.bars() else { panic!("the bar is another") };
    let ideal = Kind::AsPublished.mode();
    let proving = Mode { opening: fluid::Opening::Validated, ..ideal };
    let (mut telling, mut near) = (0_u32, 0_u32);
    for pair in Kind::AsPublished.pairs(Queues::Published, None).expect("pairs") {
        let scenario = grid::scenario(&pair);
        let of = |mode| tell::ceiling_of(&scenario, mode).expect("links without loss");
        let (ceiling, proven) = (of(ideal), of(proving));
        if Gain::is_telling(&ceiling.alone_mbps) {
            telling += 1;
            near += u32::from(proven.benefit >= ceiling.benefit.map(|benefit| benefit - less));
        }
    }
    let share = f64::from(near) / f64::from(telling);
    assert!((part..part + 0.02).contains(&share), "{near} of {telling}");
}
