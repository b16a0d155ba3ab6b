//! Limits of the peer, seen from the end that has to wait: what is said, once, and who is woken.

use super::*;

fn one_frame(from: &mut Streams) -> Packet {
    packet(from, 1200).expect("something to send")
}

// MUST 9000-2.2-3, 9000-4.1-1, 9000-19.10-3
#[test]
fn a_stream_at_its_limit_says_so_once_per_limit() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    assert_eq!(c.write_slice(id, &[1; 5000]), Ok(5000), "some more than the limit waits here");
    let mut sent = one_frame(&mut c);
    assert_eq!(frames(&sent)[0], Frame::Stream(stream(id, 0, &[1; 1000], false)));
    deliver(&mut s, at(0), &sent.bytes).unwrap();
    for _ in 0..2 {
        sent = one_frame(&mut c);
        assert_eq!(frames(&sent), [Frame::StreamDataBlocked(id, 1000)]);
        assert!(packet(&mut c, 1200).is_none(), "once");
        lost(&mut c, &sent);
    }
    c.on_max_stream_data(id, 1500).unwrap();
    let more = one_frame(&mut c);
    assert!(matches!(frames(&more)[..], [Frame::Stream(_)]), "it is not blocked at 1000 any more");
    lost(&mut c, &sent);
    sent = one_frame(&mut c);
    assert_eq!(frames(&sent), [Frame::StreamDataBlocked(id, 1500)]);
}

// MUST 9000-2.2-3, 9000-4.1-1, 9000-4.1-3, 9000-13.3-3
#[test]
fn a_connection_at_its_limit_says_so_once_per_limit() {
    let (mut c, mut s) = pair(&small());
    for _ in 0..4 {
        let id = c.open(Dir::Uni).unwrap();
        c.write_slice(id, &[1; 1000]).unwrap();
    }
    let sent = flush(&mut c, &mut s, at(0));
    let blocked = |p: &Packet| frames(p).iter().filter(|f| matches!(f, Frame::DataBlocked(3000))).count();
    assert_eq!(sent.iter().map(blocked).sum::<usize>(), 1);
    assert_eq!(s.peer_blocked(), 1);
    assert!(!c.wants_data() && c.backlog() == 1000);
    c.on_max_data(2000);
    assert!(!c.wants_data(), "limits do not fall");
    c.on_lost(&Token::DataBlocked(3000));
    assert!(c.wants_control(), "still true");
    c.on_max_data(3001);
    assert!(packet(&mut c, 1200).is_some_and(|p| blocked(&p) == 0), "not true any more");
    let sent = one_frame(&mut c);
    assert_eq!(frames(&sent), [Frame::DataBlocked(3001)]);
}

#[test]
fn credit_that_was_lost_is_told_again_when_the_peer_complains_and_once() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, &[1; 5000]).unwrap();
    let data = one_frame(&mut c);
    deliver(&mut s, at(0), &data.bytes).unwrap();
    assert_eq!(drain(&mut s, id).0.len(), 1000);
    let credit = one_frame(&mut s);
    assert!(frames(&credit).contains(&Frame::MaxStreamData(id, 2000)), "{:?}", frames(&credit));
    // It never comes, and is not known to be lost.
    for complaint in 0..3 {
        s.on_stream_data_blocked(id, 1000).unwrap();
        let again = packet(&mut s, 1200).map(|p| frames(&p) == [Frame::MaxStreamData(id, 2000)]);
        assert_eq!(again, (complaint == 0).then_some(true));
    }
    s.on_stream_data_blocked(id, 2000).unwrap();
    assert!(packet(&mut s, 1200).is_none(), "that is all there is");
    // The same for the connection: nothing was granted there beyond the first 3000.
    s.on_data_blocked(3000);
    assert!(packet(&mut s, 1200).is_none());
    s.on_data_blocked(2000);
    assert_eq!(frames(&one_frame(&mut s)), [Frame::MaxData(3000)]);
}

#[test]
fn lost_bytes_and_lone_fins_pass_a_blocked_connection() {
    let (mut c, _) = pair(&small());
    let ids: Vec<_> = (0..4).map(|_| c.open(Dir::Uni).unwrap()).collect();
    ids.iter().for_each(|id| assert_eq!(c.write_slice(*id, &[1; 1000]), Ok(1000)));
    let sent: Vec<_> = core::iter::from_fn(|| packet(&mut c, 1200)).collect();
    assert_eq!(c.outbound.credit(), 0);
    lost(&mut c, &sent[0]);
    assert!(c.wants_data());
    let again = one_frame(&mut c);
    assert!(matches!(frames(&again)[0], Frame::Stream(f) if f.id == ids[0] && f.offset == 0));
    c.finish(ids[1]).unwrap();
    let _ = core::iter::from_fn(|| packet(&mut c, 1200)).last();
    assert!(!c.wants_data());
    c.finish(ids[0]).unwrap();
    let fin = one_frame(&mut c);
    assert_eq!(frames(&fin), [Frame::Stream(stream(ids[0], 1000, b"", true))]);
}

// MUST 9000-4.6-2, 9000-19.11-3
#[test]
fn an_open_beyond_the_limit_is_refused_told_and_announced_later() {
    let (mut c, mut s) = pair(&small());
    let ids: Vec<_> = (0..4).map(|_| c.open(Dir::Uni).unwrap()).collect();
    assert_eq!((c.open(Dir::Uni), c.open(Dir::Uni)), (None, None));
    let sent = one_frame(&mut c);
    assert_eq!(frames(&sent), [Frame::StreamsBlocked(Dir::Uni, 4)]);
    assert!(!c.wants_control());
    lost(&mut c, &sent);
    let again = one_frame(&mut c);
    deliver(&mut s, at(0), &again.bytes).unwrap();
    assert_eq!(s.peer_blocked(), 1);
    assert_eq!(events(&mut c), []);
    c.finish(ids[0]).unwrap();
    settle(&mut c, &mut s, at(0));
    assert_eq!(drain(&mut s, ids[0]).1, Ok(None));
    settle(&mut c, &mut s, at(0));
    assert_eq!(events(&mut c), [StreamEvent::Finished(ids[0]), StreamEvent::Available(Dir::Uni)]);
    assert_eq!(c.open(Dir::Uni).map(StreamId::index), Some(4));
    lost(&mut c, &again);
    assert!(!c.wants_control(), "the limit it spoke of is history");
}

#[test]
fn nothing_is_opened_or_said_before_the_peer_is_known() {
    let mut c = Streams::new(Side::Client, &small());
    assert_eq!(c.open(Dir::Bi), None);
    assert!(!c.wants_control());
    c.on_params(&params(&small()));
    assert_eq!(events(&mut c), [StreamEvent::Available(Dir::Bi)]);
    assert!(c.open(Dir::Bi).is_some());
}

#[test]
fn a_writer_without_credit_is_woken_by_max_stream_data() {
    let (mut c, mut s) = pair(&StreamConfig { send_buffer: 1000, ..small() });
    let id = c.open(Dir::Uni).unwrap();
    assert_eq!(c.write_slice(id, &[1; 900]), Ok(900));
    flush(&mut c, &mut s, at(0));
    c.write_slice(id, &[1; 100]).unwrap();
    // more than half of the buffer is used, so nothing is taken ahead of credit
    let other = c.open(Dir::Uni).unwrap();
    assert_eq!(c.write_slice(other, &[1; 500]), Ok(500));
    assert_eq!(c.write_slice(id, &[1; 500]), Err(WriteError::Blocked));
    flush(&mut c, &mut s, at(0));
    assert_eq!(events(&mut c), []);
    assert_eq!(drain(&mut s, id).0.len(), 1000);
    flush(&mut s, &mut c, at(0));
    assert_eq!(events(&mut c), [StreamEvent::Writable(id)]);
    assert_eq!(c.write_slice(id, &[1; 500]), Ok(500));
}

#[test]
fn writers_without_room_are_woken_when_acknowledgements_make_some() {
    let config = StreamConfig { send_buffer: 800, ..small() };
    let (mut c, _) = pair(&config);
    let (a, b) = (c.open(Dir::Uni).unwrap(), c.open(Dir::Uni).unwrap());
    assert_eq!(c.write_slice(a, &[1; 900]), Ok(800));
    assert_eq!(c.write_slice(a, &[1; 100]), Err(WriteError::Blocked));
    assert_eq!(c.write(b, &mut Bytes::from_static(b"x")), Err(WriteError::Blocked));
    let sent = one_frame(&mut c);
    assert_eq!(events(&mut c), [], "sent is not acknowledged");
    acked(&mut c, &sent);
    assert_eq!(events(&mut c), [StreamEvent::Writable(a), StreamEvent::Writable(b)]);
    assert_eq!(c.write_slice(b, b"x"), Ok(1));
    assert_eq!(c.held.unacked, 1);
}

#[test]
fn a_reset_makes_room_for_other_writers() {
    let (mut c, _) = pair(&StreamConfig { send_buffer: 800, ..small() });
    let (a, b) = (c.open(Dir::Uni).unwrap(), c.open(Dir::Uni).unwrap());
    assert_eq!(c.write_slice(a, &[1; 800]), Ok(800));
    assert_eq!(c.write_slice(b, b"x"), Err(WriteError::Blocked));
    c.reset(a, 0).unwrap();
    assert_eq!(events(&mut c), [StreamEvent::Writable(b)]);
}

#[test]
fn the_send_buffer_follows_what_is_in_flight() {
    let config =
        StreamConfig { stream_window: 1 << 30, connection_window: 1 << 30, ..StreamConfig::default() };
    let (mut c, mut s) = pair(&config);
    let id = c.open(Dir::Uni).unwrap();
    let data = Bytes::from(vec![5; 8 << 20]);
    assert_eq!(c.write(id, &mut data.clone()), Ok(1 << 20), "no need for more before anything was sent");
    assert_eq!(c.write(id, &mut data.clone()), Err(WriteError::Blocked));
    let sent: Vec<_> = (0..200).map(|_| packet(&mut c, 1200).unwrap()).collect();
    assert_eq!(events(&mut c), [StreamEvent::Writable(id)]);
    let taken = c.write(id, &mut data.clone()).unwrap();
    assert!((400_000..500_000).contains(&taken), "{taken}");
    for packet in &sent {
        deliver(&mut s, at(0), &packet.bytes).unwrap();
        acked(&mut c, packet);
    }
    assert_eq!(c.held.unacked, c.held.unsent);
}

#[test]
fn no_more_writers_are_told_than_are_likely_to_find_room() {
    // too small for a share of each stream's own
    let config = StreamConfig { max_uni: 100, send_buffer: 32 << 10, ..StreamConfig::default() };
    let (mut c, _) = pair(&config);
    let ids: Vec<_> = (0..100).map(|_| c.open(Dir::Uni).unwrap()).collect();
    assert_eq!(c.write_slice(ids[0], &[1; 40_000]), Ok(32 << 10));
    for id in &ids {
        assert_eq!(c.write_slice(*id, &[1; 1000]), Err(WriteError::Blocked));
    }
    let sent: Vec<_> = core::iter::from_fn(|| packet(&mut c, 1200)).collect();
    let told =
        |c: &mut Streams| events(c).iter().filter(|event| matches!(event, StreamEvent::Writable(_))).count();
    assert_eq!(told(&mut c), 0);
    let (half, rest) = sent.split_at(sent.len() / 2);
    half.iter().for_each(|packet| acked(&mut c, packet));
    let first = told(&mut c);
    assert!((1..=3).contains(&first), "{first}");
    // whose answer makes room for the next
    for id in &ids[..first] {
        assert_eq!(c.write_slice(*id, &[1; 100]), Ok(100));
    }
    acked(&mut c, &rest[0]);
    let next = told(&mut c);
    assert!((1..=3).contains(&next), "{next}");
    // and those that never answer keep nobody waiting
    let more: Vec<_> = core::iter::from_fn(|| packet(&mut c, 1200)).collect();
    rest[1..].iter().chain(&more).for_each(|packet| acked(&mut c, packet));
    assert_eq!(first + next + told(&mut c), ids.len());
}
