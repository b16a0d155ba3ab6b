use super::*;

#[test]
fn orders_survive_the_wire() {
    for order in [Order::Cpu, Order::Download(u64::MAX), Order::Upload, Order::Request(32)] {
        assert_eq!(Order::decode(order.encode()).unwrap(), order);
    }
    assert!(Order::decode([0; ORDER]).is_err());
}
