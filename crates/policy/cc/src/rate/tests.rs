use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::{RateSampler, SentState};
use crate::Algorithm;
use crate::testing::{MS, Transfer};

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

#[test]
fn a_link_of_ten_megabits_is_measured_within_two_percent() {
    for algorithm in Algorithm::LOSS_BASED {
        let mut transfer = Transfer::new(algorithm, 1_250_000, 40 * MS, 1_000_000);
        // Once the window exceeds the 50 kB of the pipe, the link is what limits.
        while transfer.controller.window() < 75_000 {
            transfer.step();
        }
        // The end of slow start lets the queue drain; samples that span the pause say what was sent, not what could be.
        transfer.run(500 * MS);
        transfer.samples.clear();
        transfer.run(500 * MS);
        assert_eq!(transfer.dropped, 0);
        assert!(transfer.samples.len() > 100);
        for sample in &transfer.samples {
            let share = sample.rate as f64 / 1_250_000.0;
            assert!((share - 1.0).abs() < 0.02, "{sample:?}");
            assert!(!sample.app_limited);
        }
    }
}

#[test]
fn acknowledgements_that_arrive_together_do_not_overstate_the_rate() {
    let mut sampler = RateSampler::new();
    // Ten packets, one per 10 ms (120 kB/s), acknowledged at once 50 ms after the last.
    let sent: [SentState; 10] = core::array::from_fn(|i| sampler.on_sent(at(10 * i as u64), 1200 * i as u64));
    for (i, state) in sent.iter().enumerate().rev() {
        sampler.on_acked(at(140), 1200, at(10 * i as u64), state);
    }
    let sample = sampler.sample().expect("ten packets were acknowledged");
    assert_eq!((sample.delivered, sample.interval), (12_000, 140 * MS));
    assert_eq!(sample.rate, 85_714);
    assert_eq!(sampler.sample(), None);
}

#[test]
fn acknowledgements_faster_than_the_packets_left_count_over_the_time_of_sending() {
    let mut sampler = RateSampler::new();
    // A packet every 10 ms is 120 kB/s. Acknowledgements take 35 ms, but that of packet 9 comes at 185 ms and those
    // of the next ten together 40 ms after it: by their times alone 300 kB/s.
    let arrives = |packet: u64| match packet {
        0..9 => 10 * packet + 35,
        9 => 185,
        _ => 225,
    };
    let mut sent = std::vec::Vec::new();
    let mut last = None;
    for ms in (0..=225).step_by(5) {
        if ms % 10 == 0 && sent.len() < 20 {
            sent.push(sampler.on_sent(at(ms), sent.len() as u64));
        }
        for packet in (0..20).filter(|&packet| arrives(packet) == ms) {
            sampler.on_acked(at(ms), 1200, at(10 * packet), &sent[packet as usize]);
        }
        last = sampler.sample().or(last);
    }
    let last = last.expect("all were acknowledged");
    assert_eq!((last.delivered, last.interval, last.rate), (12_000, 100 * MS, 120_000));
}

#[test]
fn a_burst_into_a_slow_link_is_measured_by_its_acknowledgements() {
    let mut sampler = RateSampler::new();
    let sent: [SentState; 10] = core::array::from_fn(|i| sampler.on_sent(at(0), 1200 * i as u64));
    let mut last = None;
    for (i, state) in sent.iter().enumerate() {
        // 10 ms per packet after 20 ms of delay.
        let now = at(30 + 10 * i as u64);
        sampler.on_acked(now, 1200, at(0), state);
        last = sampler.sample();
    }
    let last = last.expect("acknowledged");
    assert_eq!((last.delivered, last.interval), (12_000, 120 * MS));
    assert_eq!(last.rate, 100_000);
}

#[test]
fn idle_time_is_not_slowness() {
    let mut sampler = RateSampler::new();
    let state = sampler.on_sent(at(0), 0);
    sampler.on_acked(at(50), 1200, at(0), &state);
    assert_eq!(sampler.sample().map(|sample| sample.rate), Some(24_000));
    let state = sampler.on_sent(at(60_000), 0);
    sampler.on_acked(at(60_050), 1200, at(60_000), &state);
    assert_eq!(sampler.sample().map(|sample| sample.rate), Some(24_000));
}

#[test]
fn samples_say_that_the_application_held_back_until_its_bubble_has_passed() {
    let mut sampler = RateSampler::new();
    let before = sampler.on_sent(at(0), 0);
    sampler.on_app_limited(1200);
    let bubble = sampler.on_sent(at(10), 1200);
    let mut app_limited = |now, sent_at, state: &SentState| {
        sampler.on_acked(at(now), 1200, at(sent_at), state);
        sampler.sample().map(|sample| sample.app_limited)
    };
    assert_eq!(app_limited(50, 0, &before), Some(false));
    assert_eq!(app_limited(60, 10, &bubble), Some(true));
    assert!(!sampler.on_sent(at(70), 0).app_limited());
}

#[test]
fn a_packet_s_flight_tells_what_was_in_flight_delivered_and_lost() {
    let mut sampler = RateSampler::new();
    let sent: [SentState; 4] = core::array::from_fn(|i| sampler.on_sent(at(i as u64), 1200 * i as u64));
    assert_eq!(sampler.flight(), None);
    sampler.on_acked(at(50), 1200, at(0), &sent[0]);
    sampler.sample();
    let first = sampler.flight().expect("a packet was acknowledged");
    assert_eq!((first.delivered_before, first.delivered, first.in_flight, first.lost), (0, 1200, 0, 0));
    let later = sampler.on_sent(at(51), 3600);
    // Two of them are lost at once; the newest tells what was in flight before it.
    let lost = sampler.on_lost(2400, &sent[2]);
    assert_eq!((lost.delivered_before, lost.delivered, lost.in_flight, lost.lost), (0, 1200, 2400, 2400));
    sampler.on_acked(at(101), 2400, at(51), &later);
    sampler.sample();
    let flight = sampler.flight().expect("packets were acknowledged");
    assert_eq!(
        (flight.delivered_before, flight.delivered, flight.in_flight, flight.lost),
        (1200, 3600, 3600, 2400)
    );
    sampler.sample();
    assert_eq!(sampler.flight(), None, "nothing was acknowledged");
    assert_eq!(size_of::<SentState>(), 32);
    // More than can be told is told as the most.
    assert_eq!(sampler.on_sent(at(102), u64::MAX).in_flight(), (1 << 31) - 1);
}

#[test]
fn an_acknowledgement_without_time_is_no_sample() {
    let mut sampler = RateSampler::new();
    let state = sampler.on_sent(at(5), 0);
    sampler.on_acked(at(5), 1200, at(5), &state);
    assert_eq!(sampler.sample(), None);
}

proptest! {
    #[test]
    fn an_interval_is_never_shorter_than_the_newest_packet_s_rtt(
        steps in proptest::collection::vec((1u64..1000, 1u64..5000, 0usize..4), 1..100)
    ) {
        let mut sampler = RateSampler::new();
        let mut flight = std::vec::Vec::new();
        let mut now = at(1);
        for (gap, bytes, acks) in steps {
            now += Duration::from_micros(gap);
            flight.push((now, bytes, sampler.on_sent(now, flight.len() as u64)));
            now += Duration::from_micros(gap);
            let mut newest = Instant::ZERO;
            for _ in 0..acks.min(flight.len()) {
                // Out of order: from the middle.
                let (sent_at, bytes, state) = flight.remove(flight.len() / 2);
                sampler.on_acked(now, bytes, sent_at, &state);
                newest = newest.max(sent_at);
            }
            let sample = sampler.sample();
            prop_assert_eq!(sample.is_some(), acks > 0);
            if let Some(sample) = sample {
                prop_assert!(sample.interval >= now - newest);
                prop_assert!(sample.delivered > 0);
            }
        }
    }
}
