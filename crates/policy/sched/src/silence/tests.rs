use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * MS)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn acked(gaps: &[u64]) -> (Silence, u64) {
    let (mut silence, mut now) = (Silence::new(at(0)), 0);
    silence.on_sent(at(0), false);
    for gap in gaps {
        now += gap;
        silence.on_progress(at(now), false);
    }
    (silence, now)
}

#[test]
fn twice_the_usual_gap_between_its_bounds() {
    let near = Load { other_rtt: Some(ms(40)), srtt: ms(600), ..Load::default() };
    let of = |gaps: &[u64]| {
        let (silence, now) = acked(gaps);
        silence.tolerance(at(now), &near)
    };
    assert_eq!(of(&[]), ms(15));
    assert_eq!(of(&[40, 2, 2]), ms(15), "the first acknowledgement of a busy period is no gap");
    assert_eq!(of(&[40, 2, 12]), ms(24));
    assert_eq!(of(&[40, 2, 90]), ms(50));
    assert_eq!(of(&[40, 2, 201]), ms(15), "an outage is no habit");
    let (silence, now) = acked(&[40, 2, 190]);
    let far = Load { other_rtt: Some(ms(300)), ..near };
    assert_eq!(silence.tolerance(at(now), &far), ms(300), "nothing could arrive sooner elsewhere");
    assert_eq!(silence.tolerance(at(now), &Load { other_rtt: None, srtt: ms(40), ..near }), ms(50));
}

#[test]
fn the_usual_gap_halves_in_ten_seconds() {
    let near = Load { other_rtt: Some(ms(40)), ..Load::default() };
    let (silence, now) = acked(&[40, 2, 20]);
    assert_eq!(silence.tolerance(at(now + 10_000), &near), ms(20));
    assert_eq!(silence.tolerance(at(now + 5_000), &near), ms(30));
}

#[test]
fn a_pause_of_the_application_is_no_silence() {
    let load = Load { oldest_sent: Some(at(0)), srtt: ms(40), ..Load::default() };
    let (mut silence, _) = acked(&[40]);
    silence.on_progress(at(42), true);
    assert_eq!((silence.suspect_at(&load), silence.since()), (None, None));
    silence.on_sent(at(9000), false);
    assert_eq!(silence.since(), Some(at(9000)));
    let load = Load { oldest_sent: Some(at(9000)), ack_delay: ms(5), rttvar: ms(2), ..load };
    assert_eq!(
        silence.suspect_at(&load),
        Some(at(9049)),
        "round trip, twice its variation, the peer's delay"
    );
    silence.on_progress(at(9100), false);
    assert_eq!(
        silence.tolerance(at(9100), &load),
        ms(15),
        "no gap before a busy period's first acknowledgement"
    );
}

#[test]
fn gaps_before_an_answer_is_due_are_no_habit() {
    let usual = |due: Option<u64>| {
        let mut silence = Silence::new(at(0));
        silence.on_sent(at(0), false);
        silence.on_progress(at(40), false);
        if let Some(due) = due {
            silence.expect(at(due - 40), ms(40));
        }
        silence.on_progress(at(80), false);
        silence.tolerance(at(80), &Load { srtt: ms(40), other_rtt: Some(ms(40)), ..Load::default() })
    };
    assert_eq!(usual(None), ms(50));
    assert_eq!(usual(Some(80)), ms(15), "a round trip of slow start");
    assert_eq!(usual(Some(60)), ms(40), "20 ms late");
}

#[test]
fn a_sender_that_rests_after_a_loss_is_no_silent_path() {
    let mut silence = Silence::new(at(0));
    let load = Load { oldest_sent: Some(at(97)), srtt: ms(50), other_rtt: Some(ms(40)), ..Load::default() };
    for sent in 0..=98 {
        silence.on_sent(at(sent), sent == 98);
    }
    silence.on_progress(at(150), false);
    assert_eq!(silence.suspect_at(&load), Some(at(165)), "what left last before the rest");
    (132..150).for_each(|sent| silence.on_sent(at(sent), true));
    assert_eq!(silence.suspect_at(&load), Some(at(183)), "what left first after it");
    assert_eq!(silence.expect(at(97), ms(50)), at(182));
    // A dead link's probes are far between: they put nothing off.
    [200, 300].into_iter().for_each(|probe| silence.on_sent(at(probe), true));
    assert_eq!(silence.suspect_at(&load), Some(at(183)));
    silence.on_sent(at(320), false);
    assert_eq!(silence.suspect_at(&load), Some(at(165)));
}
