//! Queue bounds are exact, and a rate that changes is felt at the right packet.

use super::*;
use crate::testing::{at, millis, ms};

/// A 1000-byte packet takes a millisecond.
const MILLION: Rate = Rate::Fixed(1_000_000);

fn stage(queue: Queue) -> Stage {
    Stage::new(MILLION, queue, None, None)
}

fn send(stage: &mut Stage, now: Instant) -> Result<Instant, Refused> {
    stage.send(now, 1000, Ecn::NotEct).map(|sent| sent.left)
}

fn accepted(queue: Queue) -> (u64, Depth) {
    let mut stage = stage(queue);
    let count = (0..1000).filter(|_| send(&mut stage, ms(0)).is_ok()).count();
    (count as u64, stage.longest())
}

#[test]
fn a_queue_holds_what_it_says_in_bytes_packets_and_time() {
    let depth =
        |packets: u32| Depth { bytes: u64::from(packets) * 1000, packets, delay: millis(packets.into()) };
    assert_eq!(accepted(Queue::Bytes(7000)), (7, depth(7)));
    assert_eq!(accepted(Queue::Bytes(7999)), (7, depth(7)));
    assert_eq!(accepted(Queue::Packets(9)), (9, depth(9)));
    // The last one waits for 20 ms.
    assert_eq!(accepted(Queue::Time(millis(20))), (21, depth(21)));
    assert_eq!(accepted(Queue::default()).0, 1000);
}

#[test]
fn a_packet_that_finds_the_link_idle_always_goes() {
    for queue in [Queue::Bytes(0), Queue::Packets(0), Queue::Time(Duration::ZERO)] {
        let mut stage = stage(queue);
        assert_eq!(send(&mut stage, ms(0)), Ok(ms(1)));
        assert_eq!(send(&mut stage, at(999_999)), Err(Refused::Full));
        assert_eq!(send(&mut stage, ms(1)), Ok(ms(2)));
    }
}

#[test]
fn no_queue_is_endless() {
    let mut stage = stage(Queue::default());
    let fits = (0..2_000_000u32).take_while(|_| stage.send(ms(0), 1, Ecn::NotEct).is_ok()).count();
    assert_eq!(fits, Queue::MOST_PACKETS);
    let mut slow = Stage::new(Rate::Fixed(1), Queue::default(), None, None);
    assert_eq!(slow.send(ms(0), 3600, Ecn::NotEct).map(|sent| sent.left), Ok(ms(3_600_000)));
    assert_eq!(slow.send(ms(0), 1, Ecn::NotEct), Err(Refused::Full), "nothing waits for more than an hour");
}

#[test]
fn a_full_queue_has_room_again_when_a_packet_has_left() {
    let mut stage = stage(Queue::Packets(3));
    (0..3).for_each(|_| assert!(send(&mut stage, ms(0)).is_ok()));
    assert_eq!(send(&mut stage, at(999_999)), Err(Refused::Full));
    assert_eq!(send(&mut stage, ms(1)), Ok(ms(4)));
    assert_eq!(stage.depth(ms(2)), Depth { bytes: 2000, packets: 2, delay: millis(2) });
    assert_eq!(stage.depth(ms(9)), Depth::default());
}

#[test]
fn an_announced_rate_is_felt_in_the_middle_of_a_packet() {
    let mut stage = stage(Queue::default());
    stage.set(ms(0), at(1_500_000), Rate::Fixed(500_000));
    stage.set(ms(0), ms(10), Rate::Fixed(0));
    stage.set(ms(0), ms(20), Rate::Unlimited);
    let left: std::vec::Vec<u64> =
        (0..8).map(|_| send(&mut stage, ms(0)).unwrap().as_nanos() / 100_000).collect();
    // One at full rate, half of the next; then half the rate, a stop from 10 to 20 ms, and no limit.
    assert_eq!(left, [10, 25, 45, 65, 85, 200, 200, 200]);
}

#[test]
fn a_sudden_rate_is_felt_behind_the_queue() {
    let mut stage = stage(Queue::default());
    assert_eq!((send(&mut stage, ms(0)), send(&mut stage, ms(0))), (Ok(ms(1)), Ok(ms(2))));
    stage.set(ms(0), ms(0), Rate::Fixed(500_000));
    assert_eq!(send(&mut stage, ms(0)), Ok(ms(4)));
}

#[test]
fn a_flush_frees_the_queue_and_the_link() {
    let mut stage = stage(Queue::Packets(5));
    (0..5).for_each(|_| assert!(send(&mut stage, ms(0)).is_ok()));
    stage.flush(ms(2));
    assert_eq!(stage.depth(ms(2)), Depth::default());
    assert_eq!(send(&mut stage, ms(2)), Ok(ms(3)));
}

#[test]
fn above_the_mark_the_capable_are_marked_and_the_others_left_alone() {
    let mut stage = Stage::new(MILLION, Queue::Packets(10), None, Some(millis(3)));
    let mark = |stage: &mut Stage, ecn| stage.send(ms(0), 1000, ecn).map(|sent| sent.marked);
    // Waits of 0, 1, 2 and 3 ms.
    (0..4).for_each(|_| assert_eq!(mark(&mut stage, Ecn::Ect0), Ok(false)));
    assert_eq!(mark(&mut stage, Ecn::Ect0), Ok(true));
    assert_eq!(mark(&mut stage, Ecn::Ect1), Ok(true));
    assert_eq!(mark(&mut stage, Ecn::NotEct), Ok(false));
    assert_eq!(mark(&mut stage, Ecn::Ce), Ok(false), "it is marked already");
}

#[test]
fn codel_keeps_a_standing_queue_short() {
    // A ninth more than fits, for 20 s; without CoDel the queue stands at a second in the end.
    let run = |codel, ecn| {
        let mut stage = Stage::new(MILLION, Queue::Time(millis(1000)), codel, None);
        let sent = (0..22_222).map(|n| (n, stage.send(at(n * 900_000), 1000, ecn)));
        let (mut refused, mut marked, mut last) = (0, 0, Duration::ZERO);
        for (n, sent) in sent {
            match sent {
                Ok(sent) => (marked, last) = (marked + u32::from(sent.marked), sent.left - at(n * 900_000)),
                Err(Refused::Aqm) => refused += 1,
                Err(Refused::Full) => {}
            }
        }
        (refused, marked, last)
    };
    let (refused, marked, last) = run(None, Ecn::NotEct);
    assert_eq!((refused, marked), (0, 0));
    assert!(last >= millis(999), "{last:?}");
    let (refused, marked, last) = run(Some(CoDel::default()), Ecn::NotEct);
    assert!(refused > 1000 && marked == 0 && last < millis(200), "{refused} {marked} {last:?}");
    let (refused, marked, _) = run(Some(CoDel::default()), Ecn::Ect0);
    assert!(refused == 0 && marked > 500, "{refused} {marked}");
    let (refused, marked, _) = run(Some(CoDel { ecn: false, ..CoDel::default() }), Ecn::Ect0);
    assert!(refused > 500 && marked == 0);
}

#[test]
fn what_codel_takes_out_costs_no_time_on_the_wire() {
    let codel = CoDel { target: Duration::ZERO, interval: Duration::ZERO, ecn: false };
    let mut stage = Stage::new(MILLION, Queue::default(), Some(codel), None);
    let sent: std::vec::Vec<_> = (0..4).map(|_| send(&mut stage, ms(0))).collect();
    assert!(sent.iter().all(|sent| *sent == Err(Refused::Aqm)), "{sent:?}");
    assert_eq!(stage.depth(ms(0)), Depth::default());
}

/// What leaves at each chance, in milliseconds, when all wait from 0 on.
fn whole(stage: &mut Stage, lens: &[u32]) -> std::vec::Vec<u64> {
    let mut left = |len| stage.send(ms(0), len, Ecn::NotEct).unwrap().left.as_nanos() / 1_000_000;
    lens.iter().map(|len| left(*len)).collect()
}

fn trace(text: &str) -> Rate {
    Rate::trace(crate::Trace::parse(text).unwrap())
}

#[test]
fn one_trace_may_follow_another() {
    let mut stage = Stage::new(trace("5\n20\n"), Queue::default(), None, None);
    stage.set(ms(0), ms(10), trace("7\n7\n8\n"));
    // The first has one chance before 10 ms, the second is as if it had run since 0: 14, 15, 16, 22...
    let mut again = stage.clone();
    assert_eq!(whole(&mut stage, &[1500, 1500, 2000, 1]), [5, 15, 16, 16]);
    // A trace put in the place of one that was already announced.
    again.set(ms(0), ms(10), trace("11\n12\n"));
    assert_eq!(whole(&mut again, &[1500, 1500, 1500]), [5, 11, 12]);
    again.set(ms(0), ms(10), trace("13\n30\n"));
    assert_eq!(whole(&mut again, &[1500, 1500]), [13, 30]);
}

#[test]
fn idle_time_earns_no_credit() {
    // A byte takes 333 333 333.3 ns; the next one gains what was rounded only if it follows at once.
    let left = |gap: u64| {
        let mut stage = Stage::new(Rate::Fixed(3), Queue::default(), None, None);
        let first = stage.send(ms(0), 1, Ecn::NotEct).unwrap().left;
        let next = first + Duration::from_nanos(gap);
        (stage.send(next, 1, Ecn::NotEct).unwrap().left - next).as_nanos()
    };
    assert_eq!((left(0), left(1)), (333_333_333, 333_333_334));
}

#[test]
fn a_refused_packet_uses_nothing() {
    // Of the chance at 5 ms 500 bytes are left; what would take hours is refused and leaves them alone.
    let mut stage = Stage::new(trace("5\n1000000\n"), Queue::default(), None, None);
    assert_eq!(whole(&mut stage, &[1000]), [5]);
    assert_eq!(stage.send(ms(0), 60_000, Ecn::NotEct), Err(Refused::Full));
    assert_eq!(whole(&mut stage, &[500]), [5]);
    let codel = CoDel { target: millis(3), interval: Duration::ZERO, ecn: false };
    let mut stage = Stage::new(trace("5\n"), Queue::default(), Some(codel), None);
    assert_eq!(stage.send(ms(0), 1000, Ecn::NotEct), Err(Refused::Aqm));
    assert_eq!(stage.send(ms(3), 1500, Ecn::NotEct).map(|sent| sent.left), Ok(ms(5)));
}

#[test]
fn on_a_trace_the_wait_lasts_until_the_packet_leaves() {
    let mut stage = Stage::new(trace("10\n"), Queue::default(), None, Some(millis(4)));
    assert_eq!(stage.send(ms(5), 100, Ecn::Ect0).map(|sent| sent.marked), Ok(true));
    assert_eq!(stage.send(ms(6), 100, Ecn::Ect0).map(|sent| sent.marked), Ok(false));
}

#[test]
fn a_profile_brings_the_weather_of_the_moment_a_packet_leaves() {
    let segment = |delay, loss_ppm| crate::Segment {
        time: millis(10),
        rate: 1_000_000,
        delay: millis(delay),
        loss_ppm,
    };
    let profile = |segments: &[_]| Rate::profile(crate::Profile::new(segments.to_vec()).unwrap());
    let mut stage = Stage::new(profile(&[segment(1, 10), segment(2, 20)]), Queue::default(), None, None);
    stage.set(ms(0), ms(40), profile(&[segment(3, 30), segment(4, 40), segment(5, 50)]));
    let weather = |stage: &mut Stage, now| stage.weather(ms(now));
    assert_eq!([5, 15, 25, 35].map(|now| weather(&mut stage, now).1), [10, 20, 10, 20]);
    // Sent before the change, left after it: the place in the old profile is no place in the new one.
    assert_eq!(stage.send(ms(31), 1000, Ecn::NotEct).map(|sent| sent.left), Ok(ms(32)));
    assert_eq!([39, 40, 51, 65, 32].map(|now| weather(&mut stage, now).0 / 1_000_000), [2, 4, 5, 3, 2]);
}
