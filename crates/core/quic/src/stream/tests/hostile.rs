//! Any frames in any order, while the application does what it likes: an error or nothing, never a panic, and never
//! more held than was granted.

use proptest::prelude::*;

use super::*;

/// One thing that happens to the server.
#[derive(Clone, Debug)]
enum Act {
    Stream { id: u64, offset: u64, len: usize, fin: bool },
    Reset { id: u64, code: u64, size: u64, reliable: Option<u64> },
    Stop { id: u64, code: u64 },
    Limit { id: u64, limit: u64 },
    Limits { dir: Dir, data: u64, streams: u64 },
    Open { dir: Dir },
    Accept { dir: Dir },
    Write { id: u64, len: usize },
    End { id: u64, with: u8 },
    Read { id: u64, max: usize },
    Send { size: usize },
    Heard { lost: bool },
    Rejected,
}

fn act() -> impl Strategy<Value = Act> {
    // ids of all four kinds, the last of them beyond the limits
    let id = || prop_oneof![20 => 0..20_u64, 1 => 20..64_u64];
    let dir = || prop_oneof![Just(Dir::Bi), Just(Dir::Uni)];
    let offset = || prop_oneof![20 => 0..900_u64, 1 => 900..1100_u64, 1 => Just((1_u64 << 62) - 200)];
    let reliable = proptest::option::of(0..1200_u64);
    prop_oneof![
        8 => (id(), offset(), 0..100_usize, proptest::bool::weighted(0.1))
            .prop_map(|(id, offset, len, fin)| Act::Stream { id, offset, len, fin }),
        2 => (id(), 0..2_u64, offset(), reliable)
            .prop_map(|(id, code, size, reliable)| Act::Reset { id, code, size, reliable }),
        1 => (id(), 0..9_u64).prop_map(|(id, code)| Act::Stop { id, code }),
        2 => (id(), 0..5000_u64).prop_map(|(id, limit)| Act::Limit { id, limit }),
        1 => (dir(), 0..9000_u64, 0..20_u64).prop_map(|(dir, data, streams)| Act::Limits { dir, data, streams }),
        1 => dir().prop_map(|dir| Act::Open { dir }),
        1 => dir().prop_map(|dir| Act::Accept { dir }),
        4 => (id(), 0..900_usize).prop_map(|(id, len)| Act::Write { id, len }),
        2 => (id(), 0..4_u8).prop_map(|(id, with)| Act::End { id, with }),
        6 => (id(), 0..900_usize).prop_map(|(id, max)| Act::Read { id, max }),
        5 => (2..1300_usize).prop_map(|size| Act::Send { size }),
        5 => any::<bool>().prop_map(|lost| Act::Heard { lost }),
        1 => Just(Act::Rejected),
    ]
}

fn run(s: &mut Streams, sent: &mut Vec<Packet>, act: &Act) -> Result<(), TransportError> {
    let now = at(1);
    match *act {
        Act::Stream { id, offset, len, fin } => {
            return s.on_stream(now, &stream(StreamId(id), offset, &[9; 100][..len], fin));
        }
        Act::Reset { id, code, size: final_size, reliable: None } => {
            return s.on_reset(&frame::ResetStream { id: StreamId(id), code, final_size });
        }
        Act::Reset { id, code, size: final_size, reliable: Some(reliable_size) } => {
            let id = StreamId(id);
            return s.on_reset_at(&frame::ResetStreamAt { id, code, final_size, reliable_size });
        }
        Act::Stop { id, code } => return s.on_stop_sending(&frame::StopSending { id: StreamId(id), code }),
        Act::Limit { id, limit } => return s.on_max_stream_data(StreamId(id), limit),
        Act::Limits { dir, data, streams } => {
            s.on_max_data(data);
            s.on_max_streams(dir, streams);
        }
        Act::Open { dir } => drop(s.open(dir)),
        Act::Accept { dir } => drop(s.accept(dir)),
        Act::Write { id, len } => drop(s.write_slice(StreamId(id), &vec![1; len])),
        Act::End { id, with: 0 } => drop(s.finish(StreamId(id))),
        Act::End { id, with: 1 } => drop(s.reset(StreamId(id), 1)),
        Act::End { id, with: 2 } => drop(s.stop(StreamId(id), 2)),
        Act::End { id, .. } => drop(s.set_priority(StreamId(id), (id % 3) as i32)),
        Act::Read { id, max } => drop(s.read(StreamId(id), max)),
        Act::Send { size } => sent.extend(packet(s, size)),
        Act::Heard { lost: true } => sent.pop().iter().for_each(|packet| lost(s, packet)),
        Act::Heard { lost: false } => sent.pop().iter().for_each(|packet| acked(s, packet)),
        Act::Rejected => {
            sent.clear();
            s.reset_sent_state();
            s.on_params(&params(&small()));
        }
    }
    Ok(())
}

fn check(s: &Streams) {
    let (mut unacked, mut backlog, mut unread) = (0, 0, 0);
    for key in s.table.keys() {
        if let Some(send) = &s.table.get(key).unwrap().send {
            unacked += send.held().unacked;
            backlog += send.held().unsent + send.held().lost;
        }
        unread += s.table.get(key).unwrap().recv.as_ref().map_or(0, |recv| recv.waiting());
    }
    assert_eq!((s.held.unacked, s.backlog()), (unacked, backlog), "sums");
    assert_eq!(s.inbound.unread(), unread, "what waits to be read");
    assert!(s.inbound.held() <= 6000, "half of it in order at least");
    assert!(s.outbound.sent <= s.outbound.limit.max(3000), "credit");
    assert!(s.len() <= 8 + 4 + 2 * 20, "streams");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_frames_and_verbs_breaks_anything(acts in proptest::collection::vec(act(), 1..300)) {
        let (_, mut s) = pair(&small());
        s.on_complete();
        let mut sent = Vec::new();
        let mut answered = false;
        for act in &acts {
            // the server's keys come after it rejected 0-RTT: nothing of it was acknowledged, no limit raised before
            answered |=
                matches!(act, Act::Heard { lost: false } | Act::Limit { .. } | Act::Limits { .. });
            if answered && matches!(act, Act::Rejected) {
                continue;
            }
            if let Err(error) = run(&mut s, &mut sent, act) {
                assert_ne!(error.frame, 0);
            }
            check(&s);
        }
        // whatever happened, it comes to rest
        for _ in 0..10_000 {
            let Some(packet) = packet(&mut s, 1300) else { break };
            acked(&mut s, &packet);
        }
        prop_assert!(!s.wants_data() && !s.wants_control());
        prop_assert_eq!(s.held.lost, 0);
    }
}
