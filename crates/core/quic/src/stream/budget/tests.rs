//! Who gets how much, and that all of it comes back.

use super::*;

fn share_of(budget: &Arc<WindowBudget>) -> Share {
    let mut share = Share::default();
    share.set_budget(Arc::clone(budget));
    share
}

#[test]
fn nobody_takes_more_than_half_of_what_is_left() {
    let budget = Arc::new(WindowBudget::new(1000));
    let mut first = share_of(&budget);
    assert!(!first.grow(501));
    assert!(first.grow(500));
    let mut second = share_of(&budget);
    assert!(!second.grow(251));
    assert!(second.grow(250));
    assert_eq!(budget.used(), 750);
    drop(first);
    assert_eq!(budget.used(), 250);
    assert!(second.grow(375));
    drop(second);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_refused_request_takes_nothing() {
    let budget = Arc::new(WindowBudget::new(0));
    let mut share = share_of(&budget);
    assert!(!share.grow(1) && !share.grow(u64::MAX));
    assert!(share.grow(0));
    assert_eq!((budget.used(), budget.most()), (0, 0));
}

#[test]
fn of_what_is_left_an_eighth_is_lent_to_one_in_lots() {
    let budget = Arc::new(WindowBudget::new(64 * LOT));
    let mut first = share_of(&budget);
    assert_eq!(first.cover(1), 1);
    assert_eq!(budget.used(), LOT);
    assert_eq!(first.cover(20 * LOT as u64), 63 * LOT as u64 / 8);
    let mut second = share_of(&budget);
    let left = budget.most() - budget.used();
    assert_eq!(second.cover(u64::MAX), left as u64 / 8);
    assert_eq!(second.cover(u64::MAX), left as u64 / 8, "no more by asking again");
    // what is read comes back, a lot of it stays for what comes next
    first.reduce(2 * LOT as u64);
    second.reduce(1);
    assert_eq!(budget.used(), (2 + 1 + 1) * LOT + 1);
    first.reduce(0);
    drop(second);
    assert_eq!(budget.used(), 0);
}
