use proptest::prelude::*;

use super::*;

const GEO: u64 = 290 * MS;

fn ms(time: i64) -> i64 {
    time * MS as i64
}

#[test]
fn a_slow_path_that_ends_last_was_waited_for() {
    let mut tail = Tail::new();
    assert!(!tail.on_arrived(0, 0, ms(100), 9000));
    assert!(!tail.on_arrived(1, GEO, ms(110), 8000));
    assert!(!tail.on_arrived(0, 0, ms(120), 3000));
    assert!(tail.on_arrived(1, GEO, ms(150), 0), "30 ms later is more than a tenth of 290");
}

#[test]
fn a_little_later_is_as_planned() {
    for (longer, late) in [(GEO, 28), (5 * MS, 2)] {
        let mut tail = Tail::new();
        tail.on_arrived(1, longer, ms(90), 9000);
        tail.on_arrived(0, 0, ms(100), 3000);
        assert!(!tail.on_arrived(1, longer, ms(100 + late), 0), "{late} ms of {longer} ns");
    }
}

#[test]
fn the_fastest_path_is_never_blamed() {
    let mut tail = Tail::new();
    tail.on_arrived(1, GEO, ms(10), 9000);
    assert!(!tail.on_arrived(0, 0, ms(500), 0));
}

#[test]
fn one_path_alone_waits_for_itself() {
    let mut tail = Tail::new();
    tail.on_arrived(1, GEO, ms(10), 9000);
    assert!(!tail.on_arrived(1, GEO, ms(500), 0));
}

#[test]
fn what_a_path_did_in_the_transfer_before_does_not_count() {
    let mut tail = Tail::new();
    tail.on_arrived(0, 0, ms(10), 9000);
    tail.on_arrived(0, 0, ms(20), 0);
    // the next one is on the slow path alone
    tail.on_arrived(1, GEO, ms(900), 100);
    assert!(!tail.on_arrived(1, GEO, ms(950), 0));
}

#[test]
fn a_copy_that_arrives_when_all_is_over_is_late_for_nothing() {
    let mut tail = Tail::new();
    tail.on_arrived(1, GEO, ms(10), 9000);
    tail.on_arrived(0, 0, ms(20), 0);
    assert!(!tail.on_arrived(1, GEO, ms(600), 0));
}

#[test]
fn a_path_that_is_gone_is_forgotten() {
    let mut tail = Tail::new();
    tail.on_arrived(0, 0, ms(10), 9000);
    tail.forget(0);
    assert!(!tail.on_arrived(1, GEO, ms(600), 0));
}

proptest! {
    /// Whatever it is shown, it blames at most the one that ended a transfer, and never the fastest.
    #[test]
    fn blames_only_who_ended_it(
        arrivals in proptest::collection::vec((0u32..6, any::<u64>(), any::<i64>(), 0u64..3), 0..60)
    ) {
        let mut tail = Tail::new();
        for (id, longer, at, outstanding) in arrivals {
            let longer = if id == 0 { 0 } else { longer };
            let blamed = tail.on_arrived(id, longer, at, outstanding);
            prop_assert!(!blamed || id != 0 && outstanding == 0);
        }
    }
}
