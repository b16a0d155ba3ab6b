//! Greedy devices, and what is left for one that is not.

use super::{Account, Stock};

#[test]
fn one_device_gets_what_it_may_have() {
    let stock = Stock::new(1024);
    let device = Account::new(&stock, 256);
    let held: Vec<_> = std::iter::from_fn(|| device.take()).collect();
    assert_eq!((held.len(), stock.taken()), (256, 256));
    drop(held);
    assert_eq!(stock.taken(), 0);
    assert!(device.take().is_some());
}

#[test]
fn however_many_are_greedy_something_is_left_for_the_next() {
    for greedy in [1, 4, 20, 100] {
        let stock = Stock::new(1024);
        let mut held = Vec::new();
        for _ in 0..greedy {
            let device = Account::new(&stock, 256);
            held.extend(std::iter::from_fn(|| device.take()));
        }
        let modest = Account::new(&stock, 256);
        let left = std::iter::from_fn(|| modest.take()).collect::<Vec<_>>().len();
        assert!(left >= 1, "{greedy}: {left}");
    }
}

#[test]
fn a_stock_is_never_overdrawn() {
    let stock = Stock::new(10);
    let devices: Vec<_> = (0..50).map(|_| Account::new(&stock, 5)).collect();
    let held: Vec<_> = devices.iter().filter_map(|device| device.take()).collect();
    assert_eq!((held.len(), stock.taken()), (10, 10));
}
