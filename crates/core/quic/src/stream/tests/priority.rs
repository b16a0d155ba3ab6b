//! Who sends first.

use tq_buf::mem::BTreeMap;

use super::*;

fn config(fair: bool) -> StreamConfig {
    StreamConfig { fair, ..StreamConfig::default() }
}

/// The client's streams with `len` bytes each.
fn streams(c: &mut Streams, count: usize, len: usize) -> Vec<StreamId> {
    let ids: Vec<_> = (0..count).map(|_| c.open(Dir::Uni).unwrap()).collect();
    ids.iter().for_each(|id| assert_eq!(c.write_slice(*id, &vec![1; len]), Ok(len)));
    ids
}

/// Whose bytes the next packets carry, packet by packet, repetitions left out.
fn order(c: &mut Streams, packets: usize) -> Vec<StreamId> {
    let mut order = Vec::new();
    for _ in 0..packets {
        let Some(sent) = packet(c, 1200) else { break };
        for token in &sent.tokens {
            if let Token::Stream { id, .. } = token {
                order.push(*id);
            }
        }
    }
    order.dedup();
    order
}

#[test]
fn a_higher_priority_goes_first_whatever_came_first() {
    let (mut c, _) = pair(&config(true));
    let ids = streams(&mut c, 4, 5000);
    for (id, priority) in ids.iter().zip([0, 5, -3, 5]) {
        c.set_priority(*id, priority).unwrap();
        assert_eq!(c.priority(*id), Ok(priority));
    }
    assert_eq!(order(&mut c, 100), [ids[1], ids[3], ids[0], ids[2]]);
}

#[test]
fn a_priority_may_change_in_the_middle_and_back() {
    let (mut c, _) = pair(&config(true));
    let ids = streams(&mut c, 2, 9000);
    assert_eq!(order(&mut c, 2), [ids[0]]);
    c.set_priority(ids[1], 1).unwrap();
    assert_eq!(order(&mut c, 2), [ids[1]]);
    for priority in [2, 1, 0] {
        c.set_priority(ids[1], priority).unwrap();
    }
    assert_eq!(order(&mut c, 100), [ids[0], ids[1]]);
    assert!(!c.wants_data());
}

#[test]
fn streams_of_a_priority_take_turns_of_a_burst() {
    let (mut c, _) = pair(&config(true));
    let ids = streams(&mut c, 3, 60_000);
    let turns = order(&mut c, 1000);
    assert_eq!(turns[..6], [ids[0], ids[1], ids[2], ids[0], ids[1], ids[2]]);
    assert_eq!(turns.len(), 12, "60 kB in turns of 16 KiB");
}

#[test]
fn shares_are_equal_while_all_have_something() {
    let (mut c, _) = pair(&config(true));
    let ids = streams(&mut c, 8, 100_000);
    let mut bytes = vec![0_u64; 8];
    for _ in 0..400 {
        for token in packet(&mut c, 1200).unwrap().tokens {
            if let Token::Stream { id, len, .. } = token {
                bytes[ids.iter().position(|other| *other == id).unwrap()] += u64::from(len);
            }
        }
    }
    let (least, most) = (bytes.iter().min().unwrap(), bytes.iter().max().unwrap());
    assert!(most - least <= (16 << 10) + 2400, "{bytes:?}");
}

#[test]
fn without_fairness_a_stream_goes_on_until_it_has_nothing_left() {
    let (mut c, _) = pair(&config(false));
    let ids = streams(&mut c, 3, 100_000);
    assert_eq!(order(&mut c, 1000), ids);
}

#[test]
fn lost_bytes_go_before_fresh_ones_of_their_priority_and_after_those_above() {
    let (mut c, _) = pair(&config(true));
    let ids = streams(&mut c, 2, 5000);
    let sent = packet(&mut c, 1200).unwrap();
    c.set_priority(ids[1], 1).unwrap();
    let urgent = packet(&mut c, 1200).unwrap();
    lost(&mut c, &sent);
    assert_eq!(order(&mut c, 1), [ids[1]]);
    c.set_priority(ids[1], 0).unwrap();
    lost(&mut c, &urgent);
    let next = packet(&mut c, 1200).unwrap();
    let [Token::Stream { id, offset: 0, .. }, ..] = next.tokens[..] else { panic!("{next:?}") };
    assert_eq!(id, ids[0]);
    // a few bytes of the first are left, because offsets are longer by now
    let next = packet(&mut c, 1200).unwrap();
    assert!(next.tokens.iter().any(|t| matches!(t, Token::Stream { id, offset: 0, .. } if *id == ids[1])));
}

#[test]
fn a_packet_is_shared_by_small_streams() {
    let (mut c, mut s) = pair(&config(true));
    let ids = streams(&mut c, 20, 30);
    let sent = packet(&mut c, 1200).unwrap();
    assert_eq!(sent.tokens.len(), 20);
    deliver(&mut s, at(0), &sent.bytes).unwrap();
    ids.iter().for_each(|id| assert_eq!(drain(&mut s, *id).0.len(), 30));
}

#[test]
fn many_priorities_leave_no_empty_queues_behind() {
    let (mut c, _) = pair(&config(true));
    let id = streams(&mut c, 1, 10)[0];
    for priority in 0..1000 {
        c.set_priority(id, priority).unwrap();
    }
    assert!(c.fresh.held() < 200, "{}", c.fresh.held());
    assert_eq!(order(&mut c, 10), [id]);
    assert!(!c.wants_data());
}

/// With room for all that is written.
fn wide() -> (Streams, Streams) {
    pair(&StreamConfig {
        max_uni: 1000,
        stream_window: 64 << 20,
        connection_window: 64 << 20,
        ..config(true)
    })
}

/// The next packets, before each of which every stream of `bulk` is given all it takes; adds up whose bytes they carry.
fn send_beside(c: &mut Streams, bulk: &[StreamId], packets: usize, bytes: &mut BTreeMap<StreamId, usize>) {
    for _ in 0..packets {
        for id in bulk {
            let _ = c.write_slice(*id, &[1; 100_000]);
        }
        for token in packet(c, 1200).unwrap().tokens {
            if let Token::Stream { id, len, .. } = token {
                *bytes.entry(id).or_default() += len as usize;
            }
        }
    }
}

#[test]
fn who_has_little_goes_before_all_that_have_much_as_often_as_it_comes() {
    let (mut c, _) = wide();
    let bulk = streams(&mut c, 50, 10_000);
    send_beside(&mut c, &bulk, 1000, &mut BTreeMap::new());
    let small = c.open(Dir::Bi).unwrap();
    for _ in 0..20 {
        c.write_slice(small, &[1; 100]).unwrap();
        let mut bytes = BTreeMap::new();
        send_beside(&mut c, &bulk, 1, &mut bytes);
        assert_eq!(bytes.get(&small), Some(&100));
        send_beside(&mut c, &bulk, 30, &mut bytes);
    }
}

#[test]
fn who_comes_back_again_and_again_has_no_more_than_who_stays() {
    let (mut c, _) = wide();
    let bulk = streams(&mut c, 10, 10_000);
    let back = c.open(Dir::Uni).unwrap();
    let mut bytes = BTreeMap::new();
    for _ in 0..800 {
        let _ = c.write_slice(back, &[1; 3000]);
        send_beside(&mut c, &bulk, 3, &mut bytes);
    }
    let (least, most) =
        (bulk.iter().map(|id| bytes[id]).min().unwrap(), bulk.iter().map(|id| bytes[id]).max().unwrap());
    assert!(least > 200_000 && most - least <= 3 * (16 << 10), "{bytes:?}");
    assert!(bytes[&back] <= most + 2 * (16 << 10), "{bytes:?}");
    assert!(bytes[&back] + 2 * (16 << 10) >= least, "{bytes:?}");
}

#[test]
fn new_streams_without_end_leave_something_to_one_that_waits() {
    let (mut c, _) = wide();
    let old = streams(&mut c, 1, 10_000);
    let mut bytes = BTreeMap::new();
    send_beside(&mut c, &old, 30, &mut bytes);
    bytes.clear();
    // As much comes as can be sent, so that it would be all that is sent.
    for _ in 0..80 {
        streams(&mut c, 1, 5000);
        send_beside(&mut c, &old, 4, &mut bytes);
    }
    let all: usize = bytes.values().sum();
    assert!(bytes[&old[0]] >= all / 10, "{} of {all}", bytes[&old[0]]);
}
