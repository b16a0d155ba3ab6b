use super::*;
use crate::testing::path;
use crate::{Demand, Health};

fn ask(now: u64, held_ms: u64, from: PathView, on: PathView, budget: u64) -> Option<Pick> {
    let sent_at = Instant::from_nanos(held_ms * MS);
    let blocking = Some(Outstanding { path: from.id, sent_at, bytes: 1400 });
    let demand = Demand { blocking, resend_budget: budget, ..Demand::default() };
    pick(&Field::new(Instant::from_nanos(now * MS), &[from, on], &demand))
}

#[test]
fn a_copy_goes_where_it_arrives_clearly_first() {
    let (fast, slow) = (path(0, 20, 6_250_000), path(1, 600, 2_500_000));
    let copied = Some(Pick::Reinject { on: 0, from: 1 });
    assert_eq!(ask(1000, 990, slow, fast, 9000), copied, "290 ms would pass");
    assert_eq!(ask(1000, 708, slow, fast, 9000), None, "it is about to arrive");
    assert_eq!(ask(1000, 990, slow, fast, 1000), None, "no budget");
    assert_eq!(ask(1000, 998, fast, slow, 9000), None, "never to a slower one");
    let full = PathView { in_flight: fast.cwnd, ..fast };
    assert_eq!(ask(1000, 990, slow, full, 9000), None);
    assert_eq!(ask(1000, 990, slow, PathView { id: 1, ..fast }, 9000), None, "never on the same path");
}

#[test]
fn a_stall_is_expected_to_last_as_long_again() {
    let (silent, other) = (path(0, 20, 6_250_000), path(1, 60, 6_250_000));
    let suspect = PathView { health: Health::Suspect, ..silent };
    assert_eq!(ask(1030, 1000, suspect, other, 9000), None, "10 ms late, 15 at least, the other takes 30");
    assert_eq!(ask(1080, 1000, suspect, other, 9000), Some(Pick::Reinject { on: 1, from: 0 }));
}

#[test]
fn an_end_is_overdue_sooner_than_what_others_follow() {
    let (fast, slow) = (path(0, 20, 6_250_000), PathView { rttvar: 100 * MS, ..path(1, 600, 2_500_000) });
    assert_eq!(overdue(&slow, false), 1000 * MS);
    assert_eq!(overdue(&slow, true), 700 * MS);
    assert_eq!(
        overdue(&PathView { rttvar: MS, ..slow }, true),
        675 * MS,
        "an eighth of the round trip at least"
    );
    assert_eq!(overdue(&PathView { rttvar: u64::MAX, ..slow }, false), u64::MAX);
    assert_eq!(ask(1699, 1000, slow, fast, 9000), None, "it may be here at any moment");
    assert_eq!(ask(1700, 1000, slow, fast, 9000), Some(Pick::Reinject { on: 0, from: 1 }));
}

#[test]
fn the_budget_is_four_percent_and_bounded() {
    let mut budget = Budget::default();
    assert_eq!(budget.available(), Budget::FIRST);
    budget.on_resent(Budget::FIRST + 1);
    assert_eq!(budget.available(), 0);
    budget.on_acked(1_000_000, 0);
    assert_eq!(budget.available(), 40_000);
    budget.on_acked(u64::MAX, 0);
    assert_eq!(budget.available(), Budget::DEPTH);
    budget.on_acked(u64::MAX, 1 << 20);
    assert_eq!(budget.available(), 1 << 20, "a suspect path that holds more may be saved whole");
    budget.on_acked(5, 0);
    assert_eq!(budget.available(), 1 << 20, "what was granted is not taken back");
}

#[test]
fn who_sends_all_twice_that_it_may_stays_below_five_percent_of_ten_megabytes() {
    for held in [0, 64 << 20] {
        let (mut budget, mut acked, mut twice) = (Budget::default(), 0, 0);
        while acked < 100_000_000 {
            twice += budget.available();
            budget.on_resent(budget.available());
            budget.on_acked(12_000, held);
            acked += 12_000;
            assert!(acked < 10_000_000 || twice * 20 <= acked, "{twice} of {acked}");
        }
    }
}
