use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::Pacer;
use crate::testing::MS;

const MTU: u16 = 1200;

fn start() -> Instant {
    Instant::ZERO + Duration::from_secs(100)
}

/// Sends bursts as they may leave, each `late` after its departure time; bytes sent before `end`.
fn send_until(pacer: &mut Pacer, now: &mut Instant, end: Instant, rate: u64, late: Duration) -> u64 {
    let burst = pacer.burst(rate, MTU);
    let mut sent = 0;
    loop {
        let departure = pacer.departure(*now, rate);
        if departure > *now {
            *now = departure + late;
        }
        if *now >= end {
            return sent;
        }
        pacer.on_sent(*now, burst, rate);
        sent += burst as u64;
    }
}

/// Bytes of one second, the initial credit spent before it began.
fn one_second(rate: u64, late: Duration) -> u64 {
    let mut pacer = Pacer::new();
    let mut now = start();
    let begin = start() + 200 * MS;
    send_until(&mut pacer, &mut now, begin, rate, late);
    send_until(&mut pacer, &mut now, begin + Duration::from_secs(1), rate, late)
}

#[test]
fn a_second_carries_the_rate_within_a_percent() {
    for rate in [250_000, 1_250_000, 12_500_000, 62_500_000, 125_000_000, 1_250_000_000, 12_500_000_000] {
        let sent = one_second(rate, Duration::ZERO) as f64;
        assert!((sent / rate as f64 - 1.0).abs() < 0.01, "{sent} at {rate}");
    }
}

#[test]
fn timers_a_millisecond_late_do_not_lower_the_rate() {
    for rate in [250_000, 1_250_000, 12_500_000, 50_000_000] {
        let sent = one_second(rate, MS) as f64;
        assert!((sent / rate as f64 - 1.0).abs() < 0.015, "{sent} at {rate}");
    }
    // At 1 Gbit/s, 100 µs.
    let sent = one_second(125_000_000, Duration::from_micros(100)) as f64;
    assert!((sent / 125e6 - 1.0).abs() < 0.01, "{sent}");
}

#[test]
fn a_burst_is_a_millisecond_between_two_packets_and_64_kilobytes() {
    let pacer = Pacer::new();
    for (rate, mtu, bytes) in [
        (0, 1200, 2400),
        (120_000, 1200, 2400),
        (2_400_000, 1200, 2400),
        (2_500_000, 1200, 2500),
        (12_500_000, 1452, 12_500),
        (65_536_000, 1452, 65_536),
        (1_250_000_000, 1452, 65_536),
        (u64::MAX, 1452, 65_536),
    ] {
        assert_eq!(pacer.burst(rate, mtu), bytes);
    }
}

/// Packets that leave at once, in bursts of two.
fn packets_at_once(pacer: &mut Pacer, now: Instant, rate: u64, mtu: u16) -> usize {
    let mut packets = 0;
    while pacer.departure(now, rate) == now {
        pacer.on_sent(now, 2 * usize::from(mtu), rate);
        packets += 2;
    }
    packets
}

#[test]
fn at_most_ten_packets_leave_at_once_at_first_and_after_idleness() {
    for (mtu, packets) in [(1200, 10), (1350, 10), (1452, 10), (1500, 8)] {
        let rate = 1_000_000;
        let mut pacer = Pacer::new();
        assert_eq!(packets_at_once(&mut pacer, start(), rate, mtu), packets, "mtu {mtu}");
        // The last answer was a departure time that nobody kept.
        for seconds in [1, 10, 1_000_000] {
            let now = start() + Duration::from_secs(seconds);
            pacer.rest();
            assert_eq!(packets_at_once(&mut pacer, now, rate, mtu), packets, "mtu {mtu}, {seconds} s");
        }
    }
}

#[test]
fn a_window_that_waits_for_acknowledgements_saves_nothing_up() {
    let rate = 1_000_000;
    let mut pacer = Pacer::new();
    packets_at_once(&mut pacer, start(), rate, MTU);
    for late in [6, 100, 10_000] {
        let now = start() + late * 100 * MS;
        pacer.hold();
        assert_eq!(packets_at_once(&mut pacer, now, rate, MTU), 2, "{late}");
    }
}

/// Whole bursts that leave at once.
fn bursts_at_once(pacer: &mut Pacer, now: Instant, rate: u64) -> usize {
    let burst = pacer.burst(rate, MTU);
    let mut bursts = 0;
    while pacer.departure(now, rate) == now {
        pacer.on_sent(now, burst, rate);
        bursts += 1;
    }
    bursts
}

#[test]
fn only_a_late_timer_makes_up_for_what_it_missed() {
    // 400 Mbit/s: a burst of 50 000 bytes per millisecond.
    let rate = 50_000_000;
    let spent = || {
        let mut pacer = Pacer::new();
        assert_eq!(bursts_at_once(&mut pacer, start(), rate), 1);
        pacer
    };
    let mut pacer = spent();
    let departure = pacer.departure(start(), rate);
    assert_eq!(bursts_at_once(&mut pacer, departure + MS, rate), 2);
    // A largest burst at most, and one more, as at any time.
    for late in [2, 6, 10, 1000] {
        let mut pacer = spent();
        let departure = pacer.departure(start(), rate);
        assert_eq!(bursts_at_once(&mut pacer, departure + late * MS, rate), 2, "{late}");
    }
    // Nobody waited: the burst left in time and nothing was asked for since.
    let mut pacer = spent();
    let departure = pacer.departure(start(), rate);
    pacer.on_sent(departure, 50_000, rate);
    assert_eq!(bursts_at_once(&mut pacer, departure + 4 * MS, rate), 1);
}

#[test]
fn of_what_a_host_with_much_to_do_misses_ten_milliseconds_are_made_up_for() {
    // 8 Mbit/s: two packets per burst.
    let rate = 1_000_000;
    let packets = |late: u32| {
        let mut pacer = Pacer::new();
        packets_at_once(&mut pacer, start(), rate, MTU);
        let departure = pacer.departure(start(), rate);
        packets_at_once(&mut pacer, departure + late * MS, rate, MTU)
    };
    assert_eq!([packets(0), packets(2), packets(5)], [2, 2, 6]);
    assert_eq!([packets(10), packets(20), packets(10_000)], [10, 10, 10]);
}

#[test]
fn a_window_that_was_full_when_the_timer_came_saves_nothing_up() {
    let rate = 50_000_000;
    let mut pacer = Pacer::new();
    bursts_at_once(&mut pacer, start(), rate);
    let departure = pacer.departure(start(), rate);
    pacer.hold();
    assert_eq!(bursts_at_once(&mut pacer, departure + 4 * MS, rate), 1);
}

#[test]
fn after_the_first_ten_packets_the_rate_rules() {
    let mut pacer = Pacer::new();
    let rate = 1_200_000;
    packets_at_once(&mut pacer, start(), rate, MTU);
    // The credit of 11 999 bytes is overdrawn by one: a byte later the next pair may leave.
    let departure = pacer.departure(start(), rate);
    assert!(departure <= start() + Duration::from_micros(1));
    pacer.on_sent(departure, 2400, rate);
    let next = pacer.departure(departure, rate);
    // 2400 bytes at 1.2 MB/s.
    assert!(next.saturating_since(departure).abs_diff(2 * MS) < Duration::from_micros(1));
}

#[test]
fn what_leaves_regardless_is_charged() {
    let mut pacer = Pacer::new();
    let rate = 1_200_000;
    for _ in 0..20 {
        pacer.on_sent(start(), 1200, rate);
    }
    // 24 000 bytes less the first 11 999, at 1.2 bytes per µs.
    let wait = pacer.departure(start(), rate).saturating_since(start());
    assert!(wait.abs_diff(10 * MS) < Duration::from_micros(2), "{wait:?}");
}

#[test]
fn a_higher_rate_shortens_the_wait() {
    let mut pacer = Pacer::new();
    pacer.on_sent(start(), 111_999, 1_000_000);
    assert_eq!(pacer.departure(start(), 1_000_000), start() + 100 * MS);
    assert_eq!(pacer.departure(start() + 50 * MS, 5_000_000), start() + 50 * MS);
    let mut pacer = Pacer::new();
    pacer.on_sent(start(), 111_999, 1_000_000);
    assert_eq!(pacer.departure(start() + 50 * MS, 1_000_000), start() + 100 * MS);
    assert_eq!(pacer.departure(start() + 50 * MS, 5_000_000), start() + 60 * MS);
}

proptest! {
    #[test]
    fn any_use_stays_below_the_rate_plus_one_idle_burst(
        rate in 120_000u64..2_000_000_000,
        waits in proptest::collection::vec((0u64..20_000_000, any::<bool>()), 1..200),
    ) {
        let mut pacer = Pacer::new();
        let burst = pacer.burst(rate, MTU);
        let mut now = start();
        let mut sent = 0u64;
        for (wait, poll) in waits {
            now += Duration::from_nanos(wait);
            if poll {
                let departure = pacer.departure(now, rate);
                prop_assert!(departure >= now);
                if departure == now {
                    pacer.on_sent(now, burst, rate);
                    sent += burst as u64;
                } else {
                    // Debt is at most one burst, so the wait is at most its time.
                    let longest = Duration::from_secs_f64(burst as f64 / rate as f64 + 1e-8);
                    prop_assert!(departure.saturating_since(now) <= longest);
                }
            }
            let earned = (u128::from(rate) * now.saturating_since(start()).as_nanos() / 1_000_000_000) as u64;
            prop_assert!(sent <= earned + 12_000 + burst as u64);
        }
    }

    #[test]
    fn nothing_overflows(
        calls in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<usize>()), 1..50)
    ) {
        let mut pacer = Pacer::new();
        for (now, rate, bytes) in calls {
            let now = Instant::from_nanos(now);
            prop_assert!(pacer.departure(now, rate) >= now);
            pacer.on_sent(now, bytes, rate);
        }
    }
}

#[test]
fn a_caller_that_only_asks_earns_nothing_while_its_window_is_full() {
    let rate = 6_250_000;
    let after_a_pause = |asks: bool| {
        let (mut pacer, mut now) = (Pacer::new(), start());
        send_until(&mut pacer, &mut now, start() + 50 * MS, rate, Duration::ZERO);
        while pacer.earliest(now, rate) == now {
            pacer.on_sent(now, 1200, rate);
        }
        if !asks {
            pacer.departure(now, rate);
        }
        now += 2 * MS;
        let mut sent = 0;
        while pacer.departure(now, rate) == now {
            pacer.on_sent(now, 1200, rate);
            sent += 1200;
        }
        sent
    };
    assert!(after_a_pause(false) > 8000, "it waited, and is late: what it missed is made up for");
    assert_eq!(after_a_pause(true), 1200, "it was the window that held it");
}

#[test]
fn a_pause_lasts_as_long_as_it_was_asked_for_whatever_was_saved_up() {
    let (rate, pause) = (1_000_000, 12 * MS);
    let mut pacer = Pacer::new();
    assert_eq!(pacer.departure(start(), rate), start(), "ten packets are saved up");
    pacer.pause(start(), pause, rate);
    assert_eq!(pacer.departure(start() + 5 * MS, rate), start() + pause);
    assert_eq!(pacer.departure(start() + pause, rate), start() + pause);
}
