use super::*;

#[test]
fn a_round_ends_when_what_was_next_at_its_beginning_is_acknowledged() {
    let mut gauge = Gauge::default();
    assert_eq!(gauge.on_acked(1, 0, 10), Some(true));
    assert_eq!(gauge.on_acked(5, 9, 15), None);
    assert_eq!(gauge.on_acked(1, 10, 20), Some(true));
    assert_eq!(gauge.on_acked(4, 14, 25), None);
}

#[test]
fn a_round_is_bad_if_more_than_a_fiftieth_of_it_was_lost() {
    let mut gauge = Gauge::default();
    gauge.on_acked(1, 0, 200);
    gauge.on_lost(4);
    assert_eq!(gauge.on_acked(196, 200, 400), Some(true));
    gauge.on_lost(5);
    assert_eq!(gauge.on_acked(195, 400, 600), Some(false));
    gauge.on_lost(2);
    assert_eq!(gauge.on_acked(3, 600, 605), Some(true), "few packets tell little");
}

#[test]
fn the_queue_is_forgotten_when_round_trips_change_their_terms() {
    let mut gauge = Gauge::default();
    let ms = Duration::from_millis;
    gauge.on_rtt(ms(50), ms(50));
    assert_eq!(gauge.queue(ms(20)), ms(30));
    gauge.on_column();
    assert_eq!(gauge.queue(ms(20)), ms(0));
}
