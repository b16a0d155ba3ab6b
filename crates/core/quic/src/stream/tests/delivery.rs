//! Bytes arrive once and in order, whatever the network does; frames fill packets to the last byte.

use proptest::prelude::*;

use super::*;

#[test]
fn bytes_and_the_end_arrive_in_order_on_every_kind_of_stream() {
    let (mut c, mut s) = pair(&StreamConfig::default());
    let data = pattern(40_000);
    let ids = [c.open(Dir::Bi).unwrap(), c.open(Dir::Uni).unwrap()];
    for id in ids {
        assert_eq!(c.write(id, &mut Bytes::from(data.clone())), Ok(40_000));
        c.finish(id).unwrap();
    }
    flush(&mut c, &mut s, at(0));
    assert_eq!((s.accept(Dir::Bi), s.accept(Dir::Uni)), (Some(ids[0]), Some(ids[1])));
    for id in ids {
        assert_eq!(drain(&mut s, id), (data.clone(), Ok(None)));
        assert_eq!(s.read(id, 1), Err(ReadError::Closed));
    }
    let answer = s.write_slice(ids[0], b"well");
    assert_eq!(answer, Ok(4));
    settle(&mut c, &mut s, at(0));
    assert_eq!(drain(&mut c, ids[0]).0, b"well");
}

#[test]
fn a_zero_length_fin_ends_a_stream_that_had_bytes_and_one_that_had_none() {
    let (mut c, mut s) = pair(&small());
    let (full, empty) = (c.open(Dir::Uni).unwrap(), c.open(Dir::Uni).unwrap());
    c.write_slice(full, &[1; 1000]).unwrap();
    c.finish(empty).unwrap();
    flush(&mut c, &mut s, at(0));
    assert_eq!(drain(&mut s, empty), (Vec::new(), Ok(None)));
    assert_eq!(drain(&mut s, full), (vec![1; 1000], Err(ReadError::Blocked)));
    let _ = events(&mut s);
    // the window is used up to its last byte: FIN needs none
    c.finish(full).unwrap();
    let lone = packet(&mut c, 1200).unwrap();
    assert_eq!(frames(&lone), [Frame::Stream(stream(full, 1000, b"", true))]);
    lost(&mut c, &lone);
    let lone = packet(&mut c, 1200).unwrap();
    deliver(&mut s, at(0), &lone.bytes).unwrap();
    acked(&mut c, &lone);
    assert_eq!(events(&mut s), [StreamEvent::Readable(full)]);
    assert_eq!(s.read(full, 9), Ok(None));
    assert!(events(&mut c).contains(&StreamEvent::Finished(full)));
    assert_eq!((c.len(), s.len()), (0, 0));
}

#[test]
fn the_end_can_be_taken_as_soon_as_all_before_it_was_read() {
    let (mut c, mut s) = pair(&StreamConfig::default());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, b"whole").unwrap();
    flush(&mut c, &mut s, at(0));
    assert!(!s.read_end(id), "it is not known where it ends");
    c.finish(id).unwrap();
    flush(&mut c, &mut s, at(0));
    assert!(!s.read_end(id), "there is something to read first");
    assert_eq!(s.read(id, 4).unwrap().unwrap(), "whol");
    assert!(!s.read_end(id));
    assert_eq!(s.read(id, 4).unwrap().unwrap(), "e");
    assert!(s.read_end(id));
    assert!(!s.read_end(id), "it is taken once");
    assert_eq!((s.read(id, 1), s.len()), (Err(ReadError::Closed), 0));
    let reset = c.open(Dir::Uni).unwrap();
    c.write_slice(reset, b"part").unwrap();
    flush(&mut c, &mut s, at(0));
    c.reset(reset, 7).unwrap();
    flush(&mut c, &mut s, at(0));
    assert!(!s.read_end(reset));
    assert_eq!(drain(&mut s, reset).1, Err(ReadError::Reset(7)));
}

// MUST 9000-2.2-2
#[test]
fn a_fin_rides_on_the_last_bytes_and_again_when_they_are_lost() {
    let (mut c, _) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, &[1; 700]).unwrap();
    c.finish(id).unwrap();
    let (first, second) = (packet(&mut c, 500).unwrap(), packet(&mut c, 500).unwrap());
    let fins = |p: &Packet| frames(p).iter().filter(|f| matches!(f, Frame::Stream(s) if s.fin)).count();
    assert_eq!((fins(&first), fins(&second)), (0, 1));
    lost(&mut c, &second);
    acked(&mut c, &first);
    let again = packet(&mut c, 500).unwrap();
    assert_eq!(again.bytes, second.bytes);
    acked(&mut c, &second);
    acked(&mut c, &again);
    assert_eq!(events(&mut c), [StreamEvent::Finished(id)]);
    assert_eq!(c.len(), 0);
}

#[test]
fn a_full_packet_of_one_stream_is_one_frame_without_length_and_one_token() {
    let (mut c, mut s) = pair(&StreamConfig::default());
    let id = c.open(Dir::Bi).unwrap();
    c.write_slice(id, &pattern(60_000)).unwrap();
    let mut offset = 0;
    for size in (1180..1220).chain([64, 65, 70, 100, 9000]) {
        let sent = packet(&mut c, size).unwrap();
        assert_eq!(sent.bytes.len(), size, "to the last byte");
        assert_eq!(sent.bytes[0] & 0b11_1010, 0b00_1000, "no LEN bit");
        let [Token::Stream { offset: from, len, fin: false, .. }] = sent.tokens[..] else { panic!() };
        assert_eq!(from, offset);
        offset += u64::from(len);
        deliver(&mut s, at(0), &sent.bytes).unwrap();
    }
    assert_eq!(drain(&mut s, id).0, pattern(60_000)[..offset as usize]);
}

#[test]
fn what_is_lost_goes_again_in_packets_of_any_size() {
    for first in [60, 300, 1200] {
        for second in 21..90 {
            let (mut c, mut s) = pair(&small());
            let id = c.open(Dir::Uni).unwrap();
            c.write_slice(id, &pattern(600)).unwrap();
            c.finish(id).unwrap();
            while let Some(sent) = packet(&mut c, first) {
                lost(&mut c, &sent);
                if c.backlog() == 600 && !c.held.unsent > 0 {
                    break;
                }
            }
            while let Some(sent) = packet(&mut c, second) {
                deliver(&mut s, at(0), &sent.bytes).unwrap();
                acked(&mut c, &sent);
            }
            assert_eq!(drain(&mut s, id), (pattern(600), Ok(None)), "{first} then {second}");
            assert_eq!((c.len(), c.backlog()), (0, 0));
        }
    }
}

#[test]
fn a_loss_that_was_none_costs_nothing_and_leaves_nothing() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, &pattern(900)).unwrap();
    let sent = packet(&mut c, 1200).unwrap();
    deliver(&mut s, at(0), &sent.bytes).unwrap();
    lost(&mut c, &sent);
    assert_eq!(c.backlog(), 900);
    acked(&mut c, &sent);
    assert_eq!(c.backlog(), 0);
    assert!(!c.wants_data() && packet(&mut c, 1200).is_none());
}

#[test]
fn an_event_comes_once_until_it_is_answered() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Bi).unwrap();
    for round in 0..3 {
        c.write_slice(id, b"a").unwrap();
        flush(&mut c, &mut s, at(0));
        c.write_slice(id, b"b").unwrap();
        flush(&mut c, &mut s, at(0));
        let expected = if round == 0 {
            vec![StreamEvent::Opened(Dir::Bi), StreamEvent::Readable(id)]
        } else {
            vec![StreamEvent::Readable(id)]
        };
        assert_eq!(events(&mut s), expected);
        assert_eq!(drain(&mut s, id), (b"ab".to_vec(), Err(ReadError::Blocked)));
    }
    let second = c.open(Dir::Bi).unwrap();
    c.finish(second).unwrap();
    flush(&mut c, &mut s, at(0));
    assert_eq!(events(&mut s), [StreamEvent::Readable(second)], "the first was not accepted yet");
    assert_eq!([s.accept(Dir::Bi), s.accept(Dir::Bi), s.accept(Dir::Bi)], [Some(id), Some(second), None]);
    c.open(Dir::Bi).map(|third| c.finish(third)).unwrap().unwrap();
    flush(&mut c, &mut s, at(0));
    assert!(events(&mut s).contains(&StreamEvent::Opened(Dir::Bi)));
}

// MUST 9000-3.2-1
#[test]
fn opening_a_stream_opens_those_below_it() {
    let (mut c, mut s) = pair(&small());
    let ids: Vec<_> = (0..8).map(|_| c.open(Dir::Bi).unwrap()).collect();
    c.write_slice(ids[7], b"x").unwrap();
    flush(&mut c, &mut s, at(0));
    assert_eq!(s.len(), 8);
    for id in &ids {
        assert_eq!(s.accept(Dir::Bi), Some(*id));
    }
    assert_eq!(s.read(ids[3], 1), Err(ReadError::Blocked));
    assert_eq!(s.write_slice(ids[4], b"first words from below"), Ok(22));
    settle(&mut s, &mut c, at(0));
    assert_eq!(drain(&mut c, ids[4]).0, b"first words from below");
}

#[test]
fn read_into_and_reads_of_nothing() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, &pattern(100)).unwrap();
    c.finish(id).unwrap();
    assert_eq!(c.write(id, &mut Bytes::new()), Err(WriteError::Closed));
    flush(&mut c, &mut s, at(0));
    assert_eq!(s.read_into(id, &mut []), Ok(Some(0)));
    assert_eq!(s.read(id, 0), Ok(Some(Bytes::new())));
    let mut into = [0; 64];
    assert_eq!(s.read_into(id, &mut into), Ok(Some(64)));
    assert_eq!(into[..], pattern(100)[..64]);
    assert_eq!(s.read_into(id, &mut into), Ok(Some(36)));
    assert_eq!(s.read_into(id, &mut into), Ok(None));
    assert_eq!(s.read_into(id, &mut into), Err(ReadError::Closed));
}

/// What the network and the applications do next.
#[derive(Clone, Debug)]
enum Step {
    Write {
        stream: usize,
        len: usize,
    },
    Finish {
        stream: usize,
    },
    /// Sends a packet of this size; kept under way.
    Send {
        server: bool,
        size: usize,
    },
    /// The nth packet under way arrives and is acknowledged.
    Arrive {
        nth: usize,
        duplicate: bool,
    },
    /// It arrives, yet is thought lost, and is acknowledged after that.
    Spurious {
        nth: usize,
    },
    Lose {
        nth: usize,
    },
    Read {
        stream: usize,
        max: usize,
    },
    Prioritise {
        stream: usize,
        priority: i32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let stream = 0..4_usize;
    prop_oneof![
        4 => (stream.clone(), 0..2000_usize).prop_map(|(stream, len)| Step::Write { stream, len }),
        1 => stream.clone().prop_map(|stream| Step::Finish { stream }),
        8 => (any::<bool>(), 20..1500_usize).prop_map(|(server, size)| Step::Send { server, size }),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(nth, duplicate)| Step::Arrive { nth, duplicate }),
        1 => any::<usize>().prop_map(|nth| Step::Spurious { nth }),
        2 => any::<usize>().prop_map(|nth| Step::Lose { nth }),
        5 => (stream.clone(), 1..3000_usize).prop_map(|(stream, max)| Step::Read { stream, max }),
        1 => (stream, -1..2_i32).prop_map(|(stream, priority)| Step::Prioritise { stream, priority }),
    ]
}

/// Four streams from client to server, and what their applications saw.
struct World {
    ends: [Streams; 2],
    under_way: Vec<(bool, Packet)>,
    ids: Vec<StreamId>,
    written: Vec<Vec<u8>>,
    finished: [bool; 4],
    read: Vec<Vec<u8>>,
    ended: [bool; 4],
    now: u64,
}

impl World {
    fn new() -> Self {
        let config = StreamConfig {
            stream_window: 1500,
            connection_window: 4000,
            max_stream_window: 6000,
            send_buffer: 5000,
            ..small()
        };
        let (mut c, s) = pair(&config);
        let ids = [Dir::Bi, Dir::Uni, Dir::Bi, Dir::Uni].map(|dir| c.open(dir).unwrap()).to_vec();
        let none = vec![Vec::new(); 4];
        Self {
            ends: [c, s],
            under_way: Vec::new(),
            ids,
            written: none.clone(),
            finished: [false; 4],
            read: none,
            ended: [false; 4],
            now: 0,
        }
    }

    fn run(&mut self, step: &Step) {
        self.now += 1;
        let now = at(self.now);
        self.ends.iter_mut().for_each(|end| end.on_rtt(now, Duration::from_millis(30), false));
        match *step {
            Step::Write { stream, len } if !self.finished[stream] => {
                let from = self.written[stream].len();
                let data: Vec<u8> = (from..from + len).map(|i| (i * 7 + i / 251 + stream) as u8).collect();
                match self.ends[0].write_slice(self.ids[stream], &data) {
                    Ok(taken) => self.written[stream].extend_from_slice(&data[..taken]),
                    Err(error) => assert_eq!(error, WriteError::Blocked),
                }
            }
            Step::Finish { stream } if !self.finished[stream] => {
                self.ends[0].finish(self.ids[stream]).unwrap();
                self.finished[stream] = true;
            }
            Step::Send { server, size } => {
                let sent = packet(&mut self.ends[usize::from(server)], size);
                self.under_way.extend(sent.map(|sent| (server, sent)));
            }
            Step::Arrive { nth, duplicate } => self.arrive(nth, duplicate, false),
            Step::Spurious { nth } => self.arrive(nth, false, true),
            Step::Lose { nth } if !self.under_way.is_empty() => {
                let (server, sent) = self.under_way.swap_remove(nth % self.under_way.len());
                lost(&mut self.ends[usize::from(server)], &sent);
            }
            Step::Read { stream, max } => self.read(stream, max),
            Step::Prioritise { stream, priority } => {
                let _ = self.ends[0].set_priority(self.ids[stream], priority);
            }
            _ => {}
        }
        self.check();
    }

    fn arrive(&mut self, nth: usize, duplicate: bool, spurious: bool) {
        if self.under_way.is_empty() {
            return;
        }
        let (server, sent) = self.under_way.swap_remove(nth % self.under_way.len());
        for _ in 0..=usize::from(duplicate) {
            deliver(&mut self.ends[usize::from(!server)], at(self.now), &sent.bytes).expect("honest frames");
        }
        if spurious {
            lost(&mut self.ends[usize::from(server)], &sent);
        }
        acked(&mut self.ends[usize::from(server)], &sent);
    }

    fn read(&mut self, stream: usize, max: usize) {
        match self.ends[1].read(self.ids[stream], max) {
            Ok(Some(bytes)) => self.read[stream].extend_from_slice(&bytes),
            Ok(None) => {
                assert!(self.finished[stream] && !self.ended[stream]);
                assert_eq!(self.read[stream].len(), self.written[stream].len());
                self.ended[stream] = true;
            }
            Err(error) => assert!(matches!(error, ReadError::Blocked | ReadError::Closed), "{error:?}"),
        }
        assert!(self.written[stream].starts_with(&self.read[stream]), "bytes once and in order");
    }

    /// The sums kept are the sums there are.
    fn check(&self) {
        for end in &self.ends {
            let mut unacked = 0;
            let mut backlog = 0;
            for key in end.table.keys() {
                if let Some(send) = &end.table.get(key).unwrap().send {
                    unacked += send.held().unacked;
                    backlog += send.held().unsent + send.held().lost;
                }
            }
            assert_eq!((end.held.unacked, end.backlog()), (unacked, backlog));
            assert!(unacked <= 5000);
            assert!(end.inbound.window.limit() >= end.outbound.credit().min(1));
        }
    }

    /// The network is kind from now on: everything gets through.
    fn finish(&mut self) {
        for stream in 0..4 {
            self.run(&Step::Finish { stream });
        }
        while let Some((server, sent)) = self.under_way.pop() {
            lost(&mut self.ends[usize::from(server)], &sent);
        }
        for _ in 0..200 {
            let [c, s] = &mut self.ends;
            settle(c, s, at(self.now));
            for stream in 0..4 {
                self.read(stream, usize::MAX);
            }
        }
        assert_eq!(self.ended, [true; 4]);
        assert_eq!(self.read, self.written);
        assert_eq!(self.ends[0].backlog(), 0);
        assert!(self.ends.iter().all(|end| !end.wants_control() && !end.wants_data()));
        assert_eq!(self.ends[0].len(), 2, "only the halves the server never ended");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    // MUST 9000-2.2-1, 9000-2.2-2
    #[test]
    fn every_byte_arrives_once_and_in_order_through_loss_and_reordering(
        steps in proptest::collection::vec(step(), 1..250),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.run(step));
        world.finish();
    }
}
