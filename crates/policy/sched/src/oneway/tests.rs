use super::*;
use crate::math::MS;

const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn sample(matrix: &mut RttMatrix, data: u32, ack: u32, ms: u64) {
    matrix.on_sample(NOW, data, ack, Duration::from_millis(ms), Duration::ZERO);
}

#[test]
fn a_common_column_gives_exact_differences() {
    // Ways there 10, 300, 25 ms; ways back 10, 100, 5 ms.
    let (there, back) = ([10, 300, 25], [10, 100, 5]);
    let mut matrix = RttMatrix::new();
    for (id, owd) in (0u32..).zip(there) {
        sample(&mut matrix, id, id, owd + back[id as usize]);
        sample(&mut matrix, id, 2, owd + back[2]);
        sample(&mut matrix, id, 2, owd + back[2] + 8);
    }
    let delays = OneWay::new(NOW, &matrix);
    assert_eq!(delays.column(), Some(2));
    let base = |id| delays.of(id).map(|delay| (delay.base, delay.exact));
    let ms = MS as i64;
    assert_eq!([base(0), base(1), base(2)], [Some((0, true)), Some((290 * ms, true)), Some((15 * ms, true))]);
    assert_eq!(delays.of(1).map(|delay| delay.smoothed), Some(291 * ms), "the queue is in the smoothed one");
    assert_eq!((delays.spread(), delays.absolute(0)), (290 * MS, Some(15 * MS / 2)));
}

#[test]
fn without_a_common_column_half_the_round_trips_must_do() {
    let mut matrix = RttMatrix::new();
    sample(&mut matrix, 0, 0, 20);
    sample(&mut matrix, 1, 1, 60);
    let delays = OneWay::new(NOW, &matrix);
    assert_eq!(delays.of(0).map(|delay| (delay.base, delay.exact)), Some((0, true)));
    assert_eq!(delays.of(1).map(|delay| (delay.base, delay.exact)), Some((20 * MS as i64, false)));
    assert!(delays.of(2).is_none());
}

#[test]
fn no_samples_no_delays() {
    let delays = OneWay::new(NOW, &RttMatrix::new());
    assert!(delays.delays().is_empty() && delays.column().is_none());
    assert_eq!(delays.spread(), 0);
}
