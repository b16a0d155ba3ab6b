use super::share;

#[test]
fn shares_add_up() {
    for (bytes, streams) in [(10, 3), (2, 5), (0, 1), (1_000_000_007, 64)] {
        assert_eq!((0..streams).map(|index| share(bytes, streams, index)).sum::<u64>(), bytes);
    }
}
