use super::*;

#[test]
fn a_set_keeps_its_order_and_its_bound() {
    let set = PathSet::from_iter([7, 3, 7, 1, 9, 4, 5]);
    assert_eq!(set.as_slice(), [7, 3, 1, 9]);
    assert!(set.contains(9) && !set.contains(4));
}
