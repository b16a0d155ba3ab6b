use super::*;

fn at(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1000)
}

#[test]
fn the_latest_packet_is_explained_and_a_less_late_one_does_not_take_its_place() {
    let mut watch = Watch { file: None, asked: Instant::ZERO, queued: 0, worst: Stall::default() };
    let before = Duration::from_micros(100);
    watch.round(at(0), at(10), before, at(20), 900_000);
    assert_eq!(watch.worst(), Stall::default(), "less than a millisecond says nothing");
    watch.round(at(1_000), at(51_000), before, at(51_400), 50_300_000);
    let worst = Stall { late: 50_300_000, overslept: 50_000_000, worked: 500_000, queued: 0 };
    assert_eq!(watch.worst(), worst);
    watch.round(at(60_000), at(62_000), before, at(62_100), 2_000_000);
    assert_eq!(watch.worst(), worst);
    assert!(worst.to_string().contains("woke 50.0 ms late, worked 0.5 ms"), "{worst}");
    watch.forget();
    assert_eq!(watch.worst(), Stall::default());
}

#[test]
fn the_kernels_line_is_read_and_a_broken_one_is_nothing() {
    assert_eq!(parse(b"1200 34 5\n"), Times { cpu: 1200, queued: 34 });
    assert_eq!(parse(b""), Times::default());
    assert_eq!(parse(b"x 3"), Times { cpu: 0, queued: 3 });
}

#[test]
fn a_thread_that_worked_has_been_seen_to() {
    let watch = Watch::of_this_thread();
    let before = watch.times().cpu;
    // The kernel brings the figure up to date when it looks at the thread, some hundred times a second; asking is work.
    let seen = (0..10_000_000).any(|_| watch.file.is_none() || watch.times().cpu > before);
    assert!(seen, "no CPU time was seen");
}
