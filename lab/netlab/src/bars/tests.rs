use super::*;
use crate::emulator::books::LinkBooks;

const FILE: &str = r#"
name = "two"
time = "10s"
bars = ["use >= 0.9", "goodput >= 5Mbit/s", "gap <= 150ms", "share(b) <= 0.3", "paths == 2", "gain >= 1.2"]
[[link]]
name = "a"
rate = "8Mbit/s"
rtt = "20ms"
[[link]]
name = "b"
rate = "8Mbit/s"
rtt = "20ms"
[[traffic]]
kind = "bulk"
bytes = "endless"
[measure]
warm = { from = "1s", for = "2s" }
"#;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(1_000_000_000 + ms * 1_000_000)
}

fn facts<R>(progress: Vec<(Instant, u64)>, alone: &[f64], f: impl FnOnce(&Facts<'_>) -> R) -> R {
    let scenario = tq_scenario::parse("two.toml", FILE).unwrap();
    let done = Done { progress, complete: true, error: None };
    let measured = [Measured { traffic: 0, competing: false, upload: false, start: at(0), done }];
    let lane = |bytes| LaneBooks { offered: 100, delivered_bytes: bytes, ..LaneBooks::default() };
    let link = |bytes| LinkBooks { down: lane(bytes), ..LinkBooks::default() };
    let books = Books { links: vec![link(3000), link(1000)], ..Books::default() };
    f(&Facts {
        scenario: &scenario,
        seed: 1,
        zero: at(0),
        measured: &measured,
        links: &[0],
        books: &books,
        alone,
    })
}

/// 1 MB a second, every 100 ms.
fn steady() -> Vec<(Instant, u64)> {
    (1..50).map(|i| (at(i * 100), 100_000)).collect()
}

#[test]
fn only_what_comes_in_the_window_counts() {
    facts(steady(), &[], |facts| {
        assert!((facts.goodput(None) - 8e6).abs() < 1.0);
        let figures = facts.figures();
        // 8 Mbit/s of IP carry 0.945 of that.
        assert!((figures.use_ratio.unwrap() - 1.0 / PAYLOAD_SHARE).abs() < 1e-6);
        assert!((figures.gap_s - 0.1).abs() < 1e-9);
        assert_eq!(figures.bytes, 4_900_000);
    });
}

#[test]
fn silence_up_to_the_windows_end_is_a_gap() {
    let list = vec![(at(900), 1), (at(1200), 1), (at(1300), 1)];
    facts(list, &[], |facts| assert_eq!(facts.gap(None), Duration::from_millis(1700)));
    facts(Vec::new(), &[], |facts| assert_eq!(facts.gap(None), Duration::from_secs(2)));
}

#[test]
fn bars_hold_miss_or_are_not_measured() {
    let holds: Vec<_> =
        facts(steady(), &[], |facts| facts.judge().iter().map(|judged| judged.holds).collect());
    assert_eq!(holds, [Some(true), Some(true), Some(true), Some(true), None, None]);
    let holds: Vec<_> = facts(steady(), &[4e6, 8e6], |facts| facts.judge().iter().map(|j| j.holds).collect());
    // 8 Mbit/s of the 12 that the links carry one by one, and of the 8 of the best.
    assert_eq!((holds[0], holds[5]), (Some(false), Some(false)));
}
