use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn sample(rate: u64, app_limited: bool) -> RateSample {
    RateSample { delivered: 1, interval: Duration::from_millis(1), rate, app_limited }
}

const WINDOW: Window =
    Window { cwnd: 20_000, srtt: Duration::from_millis(20), slow_start: false, profile: 777 };

fn told(capacity: &Capacity, now: u64, window: &Window) -> (u64, CapacityState) {
    let estimate = capacity.estimate(at(now), window);
    (estimate.rate, estimate.state)
}

#[test]
fn every_state_has_its_figure() {
    let mut capacity = Capacity::new();
    assert_eq!(told(&capacity, 0, &WINDOW), (777, CapacityState::Unknown));
    let slow_start = Window { slow_start: true, ..WINDOW };
    assert_eq!(told(&capacity, 0, &slow_start), (1_000_000, CapacityState::Growing));
    capacity.on_sample(at(0), 1, &sample(2_000_000, false));
    assert_eq!(told(&capacity, 0, &slow_start), (2_000_000, CapacityState::Growing));
    assert_eq!(told(&capacity, 9_999, &WINDOW), (2_000_000, CapacityState::Measured));
    assert_eq!(told(&capacity, 10_000, &WINDOW), (1_000_000, CapacityState::Stale));
    assert_eq!(capacity.estimate(at(10_000), &WINDOW).age, Some(Duration::from_secs(10)));
    capacity.reset();
    assert_eq!(told(&capacity, 10_000, &WINDOW), (777, CapacityState::Unknown));
}

#[test]
fn the_maximum_lasts_ten_rounds() {
    let mut capacity = Capacity::new();
    capacity.on_sample(at(0), 1, &sample(5000, false));
    for round in 2..=10 {
        capacity.on_sample(at(round), round, &sample(1000, false));
        assert_eq!(capacity.filtered(), 5000);
    }
    capacity.on_sample(at(11), 11, &sample(1000, false));
    assert_eq!(capacity.filtered(), 1000);
    capacity.on_sample(at(12), 500, &sample(10, false));
    assert_eq!(capacity.filtered(), 10, "rounds without samples count as well");
}

#[test]
fn a_limited_sample_raises_and_never_lowers() {
    let mut capacity = Capacity::new();
    capacity.on_sample(at(0), 1, &sample(5000, false));
    for round in 2..100 {
        capacity.on_sample(at(round), round, &sample(100, true));
    }
    assert_eq!((capacity.filtered(), capacity.newest()), (5000, 5000));
    capacity.on_sample(at(100), 100, &sample(6000, true));
    assert_eq!(capacity.filtered(), 6000);
}

#[test]
fn what_a_window_let_through_is_not_what_the_path_drains_at() {
    let (mut capacity, rtt) = (Capacity::new(), Duration::from_millis(100));
    let slow_start = Window { slow_start: true, ..WINDOW };
    assert_eq!(capacity.draining(at(2), &slow_start, rtt), 0);
    let took = |ms: u64, rate: u64| RateSample { interval: Duration::from_millis(ms), ..sample(rate, false) };
    capacity.on_sample(at(0), 1, &took(110, 120_000));
    assert_eq!(capacity.draining(at(2), &slow_start, rtt), 200_000, "20 kB in 100 ms");
    let known = |profile: u64| capacity.draining(at(2), &Window { profile, ..slow_start }, rtt);
    assert_eq!(
        [known(150_000), known(110_000)],
        [150_000, 200_000],
        "what is known of the link, unless it shows more"
    );
    assert_eq!(capacity.draining(at(2), &WINDOW, rtt), 120_000, "after slow start the newest");
    capacity.on_sample(at(1), 1, &took(110, 300_000));
    assert_eq!(capacity.draining(at(2), &slow_start, rtt), 300_000);
    capacity.on_sample(at(2), 2, &took(150, 100_000));
    assert_eq!(capacity.draining(at(2), &slow_start, rtt), 100_000, "what took longer stood in a queue");
    assert_eq!(
        capacity.draining(at(2) + Duration::from_millis(201), &WINDOW, rtt),
        300_000,
        "it may be of an outage"
    );
}

#[test]
fn what_a_path_delivered_with_a_queue_is_remembered_when_that_has_drained() {
    let (mut capacity, rtt) = (Capacity::new(), Duration::from_millis(50));
    let slow_start = Window { slow_start: true, ..WINDOW };
    let took = |ms: u64, rate: u64| RateSample { interval: Duration::from_millis(ms), ..sample(rate, false) };
    capacity.on_rtt(Duration::from_millis(500), rtt, &took(500, 17_000));
    capacity.on_sample(at(0), 1, &took(500, 17_000));
    assert_eq!(capacity.draining(at(0), &slow_start, rtt), 17_000);
    capacity.on_rtt(rtt, rtt, &took(55, 12_000));
    capacity.on_sample(at(1), 2, &took(55, 12_000));
    assert_eq!(capacity.draining(at(1), &slow_start, rtt), 17_000, "and not the 400 kB/s of the window");
    capacity.on_sample(at(2), 3, &took(55, 30_000));
    assert_eq!(capacity.draining(at(2), &slow_start, rtt), 400_000, "it shows more");
}
