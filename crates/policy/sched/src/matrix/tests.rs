use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * MS)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sample(matrix: &mut RttMatrix, now: u64, data: u32, ack: u32, rtt: u64) -> Option<ColumnChange> {
    matrix.on_sample(at(now), data, ack, ms(rtt), Duration::ZERO)
}

#[test]
fn the_three_users_see_their_columns() {
    let mut matrix = RttMatrix::new();
    sample(&mut matrix, 0, 1, 1, 600);
    sample(&mut matrix, 10, 1, 0, 310);
    let seen = |matrix: &RttMatrix, now| {
        let of = |cell: Option<&Cell>| cell.map(|cell| cell.ack_path);
        (of(matrix.control(1)), of(matrix.slowest(at(now), 1)), of(matrix.fastest(at(now), 1)))
    };
    assert_eq!(seen(&matrix, 10), (Some(1), Some(1), Some(0)));
    assert_eq!(seen(&matrix, 1005), (Some(1), Some(0), Some(0)), "the own column is no longer fresh");
    assert_eq!(seen(&matrix, 9000), (Some(1), Some(0), Some(0)), "the youngest, if none is");
    assert_eq!(matrix.control_min(1), Some(ms(600)));
    assert!(matrix.control(7).is_none());
}

#[test]
fn congestion_control_moves_to_a_column_that_stays_faster_and_keeps_its_minimum() {
    let mut matrix = RttMatrix::new();
    // Path 2 knows the difference of the ways back: 290 ms.
    for now in 0..4 {
        sample(&mut matrix, now, 2, 1, 400);
        sample(&mut matrix, now, 2, 0, 110);
    }
    sample(&mut matrix, 0, 1, 1, 600);
    let mut change = None;
    for now in (10..2000).step_by(100) {
        change = change.or(sample(&mut matrix, now, 1, 1, 650).map(|found| (now, found)));
        change = change.or(sample(&mut matrix, now, 1, 0, 360).map(|found| (now, found)));
    }
    let expected = ColumnChange { path: 1, from: 1, to: 0, min_shift: Some(-290 * MS as i64) };
    assert_eq!(change, Some((1710, expected)), "eight samples, then a second");
    assert_eq!(matrix.control(1).map(|cell| cell.ack_path), Some(0));
    assert_eq!(matrix.control_min(1), Some(ms(310)), "the queue of 50 ms is not forgotten");
}

#[test]
fn a_column_that_is_little_faster_is_left_alone_and_a_silent_one_at_once() {
    let mut matrix = RttMatrix::new();
    for now in (0..5000).step_by(50) {
        assert_eq!(sample(&mut matrix, now, 1, 1, 20), None);
        assert_eq!(sample(&mut matrix, now, 1, 0, 17), None);
    }
    for now in (5000..6000).step_by(50) {
        assert_eq!(sample(&mut matrix, now, 1, 0, 30), None);
    }
    let change = sample(&mut matrix, 6000, 1, 0, 30).unwrap();
    assert_eq!((change.from, change.to, change.min_shift), (1, 0, Some(-3 * MS as i64)));
}

#[test]
fn a_column_that_fell_silent_is_left_after_a_round_trip() {
    for samples in [10, 500] {
        let mut matrix = RttMatrix::new();
        for now in 0..samples {
            assert_eq!(sample(&mut matrix, now, 1, 1, 60), None);
        }
        for now in (samples..samples + 60).step_by(5) {
            assert_eq!(sample(&mut matrix, now, 1, 0, 80), None, "slower, and it is not time yet");
        }
        let change = sample(&mut matrix, samples + 60, 1, 0, 80).unwrap();
        assert_eq!((change.from, change.to), (1, 0));
    }
}

#[test]
fn a_few_acknowledgements_that_strayed_change_no_column() {
    let mut matrix = RttMatrix::new();
    (0..20).for_each(|now| assert_eq!(sample(&mut matrix, now, 1, 0, 80), None));
    (20..40).for_each(|now| assert_eq!(sample(&mut matrix, now, 1, 0, 80), None));
    (40..400).step_by(40).for_each(|now| assert_eq!(sample(&mut matrix, now, 1, 1, 90), None, "{now}"));
    assert_eq!(matrix.control(1).map(|cell| cell.ack_path), Some(0));
}

#[test]
fn paths_and_columns_are_bounded() {
    let mut matrix = RttMatrix::new();
    for id in 0..40 {
        sample(&mut matrix, u64::from(id), id, id, 20);
    }
    assert_eq!(matrix.paths().count(), MAX_PATHS);
    for ack in 1..40 {
        sample(&mut matrix, 100 + u64::from(ack), 0, ack, 20);
    }
    let kept = |matrix: &RttMatrix, ack| matrix.cell(0, ack).is_some();
    assert!(kept(&matrix, 0) && kept(&matrix, 39) && kept(&matrix, 38) && kept(&matrix, 37));
    assert!(!kept(&matrix, 36), "the oldest made room, the own column did not");
    matrix.forget(39);
    assert!(!kept(&matrix, 39));
    matrix.forget(0);
    assert!(matrix.control(0).is_none());
    sample(&mut matrix, 900, 99, 99, 20);
    assert!(matrix.control(99).is_some(), "room for another path");
    matrix.reset(99);
    assert!(matrix.control(99).is_none());
    assert!(size_of::<RttMatrix>() < 8192, "{}", size_of::<RttMatrix>());
}
