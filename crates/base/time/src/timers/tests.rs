//! The table of a connection.

use proptest::prelude::*;

use super::*;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

#[test]
fn timers_expire_in_order_of_their_deadlines() {
    let mut timers = Timers::<4>::new();
    timers.set(0, at(30));
    timers.set(2, at(10));
    timers.set(3, at(20));
    assert_eq!(timers.next(), Some(at(10)));
    assert_eq!(timers.pop_expired(at(9)), None);
    assert_eq!(timers.pop_expired(at(25)), Some(2));
    assert_eq!(timers.pop_expired(at(25)), Some(3));
    assert_eq!(timers.pop_expired(at(25)), None);
    assert_eq!(timers.next(), Some(at(30)));
}

#[test]
fn a_deadline_is_due_at_its_very_moment() {
    let mut timers = Timers::<1>::new();
    timers.set(0, at(5));
    assert_eq!(timers.pop_expired(at(5)), Some(0));
    assert_eq!(timers.at(0), None);
}

#[test]
fn setting_again_replaces_and_clearing_forgets() {
    let mut timers = Timers::<2>::default();
    timers.set(1, at(5));
    timers.set(1, at(8));
    assert_eq!(timers.at(1), Some(at(8)));
    timers.clear(1);
    assert_eq!((timers.at(1), timers.next()), (None, None));
    assert_eq!(timers.pop_expired(at(100)), None);
}

#[test]
fn never_is_clear_even_at_the_end_of_time() {
    let mut timers = Timers::<2>::new();
    timers.set(0, Instant::MAX);
    assert_eq!((timers.at(0), timers.next(), timers.pop_expired(Instant::MAX)), (None, None, None));
}

#[test]
fn an_index_out_of_the_table_reads_as_clear() {
    assert_eq!(Timers::<2>::new().at(2), None);
    assert_eq!(Timers::<0>::new().pop_expired(Instant::MAX), None);
}

proptest! {
    #[test]
    fn what_is_popped_is_the_minimum(rows in prop::collection::vec(prop::option::of(0..50u64), 6), now in 0..60u64) {
        let mut timers = Timers::<6>::new();
        for (index, row) in rows.iter().enumerate() {
            if let Some(nanos) = row {
                timers.set(index, at(*nanos));
            }
        }
        let mut left: std::vec::Vec<_> =
            rows.iter().enumerate().filter_map(|(index, row)| row.map(|nanos| (nanos, index))).collect();
        left.sort_unstable();
        for (nanos, index) in left {
            prop_assert_eq!(timers.next(), Some(at(nanos)));
            if nanos > now {
                break;
            }
            prop_assert_eq!(timers.pop_expired(at(now)), Some(index));
        }
        prop_assert_eq!(timers.pop_expired(at(now)), None);
    }
}
