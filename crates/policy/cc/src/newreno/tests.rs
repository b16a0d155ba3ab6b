use crate::Algorithm;
use crate::testing::{AckClock, MS};

// MUST 9002-7.3.2-1, 9002-7.3.3-1
#[test]
fn the_sawtooth_halves_and_climbs_one_packet_per_round_trip() {
    let mut clock = AckClock::new(Algorithm::NewReno, 1500, 100 * MS);
    let mut top = clock.lose_at(400.0);
    for _ in 0..3 {
        clock.recover();
        let bottom = clock.packets();
        assert!((bottom - top / 2.0).abs() < 0.1, "{bottom} after {top}");
        clock.run(100 * 100 * MS);
        let slope = (clock.packets() - bottom) / 100.0;
        assert!((slope - 1.0).abs() < 0.01, "{slope}");
        top = clock.packets();
        clock.lose();
    }
}

#[test]
fn the_mean_window_is_the_square_root_law() {
    // RFC 9438 §5.1, column Reno: 1.22/sqrt(p), 38.7 packets at p = 10^-3 (the model loses at fixed distances).
    let mut clock = AckClock::new(Algorithm::NewReno, 1500, 100 * MS);
    let (mut area, mut time, mut until) = (0.0, 0.0, 1000 * 1500);
    for cycle in 0..60 {
        while clock.acked < until {
            let before = clock.now;
            clock.ack();
            if cycle >= 20 {
                let step = clock.now.saturating_since(before).as_secs_f64();
                area += clock.packets() * step;
                time += step;
            }
        }
        until += 1000 * 1500;
        clock.lose();
    }
    let mean = area / time;
    let law = (1.5f64 / 1e-3).sqrt();
    assert!((mean / law - 1.0).abs() < 0.05, "{mean} against {law}");
}

#[test]
fn growth_below_a_byte_per_acknowledgement_adds_up() {
    let mut clock = AckClock::new(Algorithm::NewReno, 1200, 10 * MS);
    // 50 MB: an acknowledgement of two packets adds a twentieth of a byte.
    clock.lose_at(83_333.0);
    clock.recover();
    let bottom = clock.packets();
    clock.run(10 * 10 * MS);
    assert!((clock.packets() - bottom - 10.0).abs() < 0.1, "{}", clock.packets() - bottom);
}
