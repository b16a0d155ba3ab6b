//! Who gets how much, and that all of it comes back.

use super::*;

#[test]
fn nobody_takes_more_than_half_of_what_is_left() {
    let budget = Arc::new(WindowBudget::new(1000));
    let mut first = Share::new(Arc::clone(&budget));
    assert!(!first.grow(501));
    assert!(first.grow(500));
    let mut second = Share::new(Arc::clone(&budget));
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
    let mut share = Share::new(Arc::clone(&budget));
    assert!(!share.grow(1) && !share.grow(u64::MAX));
    assert!(share.grow(0));
    assert_eq!((budget.used(), budget.most()), (0, 0));
}
