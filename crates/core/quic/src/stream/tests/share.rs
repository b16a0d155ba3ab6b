//! What a slower path may carry: long streams, nothing that was lost, or copies alone.

use super::super::Share;
use super::*;

/// Ids of the streams whose data fills packets of this share, in order, and how many bytes.
fn drain(from: &mut Streams, share: Share, packets: usize) -> (Vec<StreamId>, usize) {
    let (mut ids, mut bytes) = (Vec::new(), 0);
    for _ in 0..packets {
        let mut room = vec![0; 1200];
        let mut payload = Payload::new(&mut room);
        from.write_data(share, &mut payload);
        if payload.tokens.is_empty() {
            break;
        }
        for token in &payload.tokens {
            if let Token::Stream { id, len, .. } = token {
                ids.push(*id);
                bytes += *len as usize;
            }
        }
    }
    ids.dedup();
    (ids, bytes)
}

fn opened(c: &mut Streams, lens: &[usize]) -> Vec<StreamId> {
    let write = |len: &usize| {
        let id = c.open(Dir::Uni).unwrap();
        assert_eq!(c.write_slice(id, &vec![1; *len]), Ok(*len));
        id
    };
    lens.iter().map(write).collect()
}

#[test]
fn a_slower_path_serves_the_stream_that_is_long_enough_until_it_is_not() {
    let (mut c, _) = pair(&StreamConfig::default());
    let ids = opened(&mut c, &[2_000, 90_000, 3_000]);
    assert_eq!(c.longest_backlog(), 95_000);
    let share = Share::Over(50_000);
    assert!(c.wants_share(share));
    let (served, bytes) = drain(&mut c, share, 1000);
    assert_eq!(served, [ids[1]]);
    assert!((45_000..47_000).contains(&bytes), "{bytes}");
    assert!(!c.wants_share(share));
    let (served, rest) = drain(&mut c, Share::All, 1000);
    assert!(ids.iter().all(|id| served.contains(id)));
    assert_eq!(bytes + rest, 95_000);
}

#[test]
fn a_slower_path_serves_streams_that_are_long_together_because_they_take_turns() {
    let (mut c, _) = pair(&StreamConfig::default());
    let ids = opened(&mut c, &[5_000; 20]);
    assert_eq!(c.longest_backlog(), 100_000);
    let (served, bytes) = drain(&mut c, Share::Over(60_000), 1000);
    assert!(served.iter().all(|id| ids.contains(id)));
    assert!((30_000..42_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_short_stream_beside_a_long_one_stays_off_a_slower_path() {
    let (mut c, _) = pair(&StreamConfig::default());
    let ids = opened(&mut c, &[5_000, 200_000]);
    assert_eq!(drain(&mut c, Share::Over(60_000), 20).0, [ids[1]]);
}

#[test]
fn copies_are_what_was_lost_and_a_slower_path_takes_none_of_a_short_stream() {
    let (mut c, _) = pair(&StreamConfig::default());
    opened(&mut c, &[5_000]);
    let sent = packet(&mut c, 1200).expect("data");
    assert!(!c.wants_share(Share::Copies));
    assert_eq!(drain(&mut c, Share::Copies, 10).1, 0);
    sent.tokens.iter().for_each(|token| c.on_lost(token));
    assert!(c.wants_share(Share::Copies));
    let lost = c.lost_bytes();
    assert_eq!(drain(&mut c, Share::Over(10_000), 3).1, 0, "it waits for the fastest");
    assert_eq!(drain(&mut c, Share::Copies, 10).1 as u64, lost);
    assert_eq!(c.lost_bytes(), 0);
}

#[test]
fn of_a_long_stream_a_slower_path_takes_fresh_bytes_and_leaves_those_that_were_lost() {
    let (mut c, mut s) = pair(&StreamConfig::default());
    let ids = opened(&mut c, &[90_000]);
    let sent = packet(&mut c, 1200).expect("data");
    lost(&mut c, &sent);
    let missing = c.lost_bytes();
    let slower = core::iter::from_fn(|| {
        let mut room = vec![0; 1200];
        let mut payload = Payload::new(&mut room);
        c.write_data(Share::Over(50_000), &mut payload);
        let (len, tokens) = (payload.out.len(), core::mem::take(&mut payload.tokens));
        room.truncate(len);
        (len > 0).then_some(Packet { bytes: room, tokens })
    });
    let slower: Vec<_> = slower.collect();
    assert!((25..40).contains(&slower.len()), "{}", slower.len());
    assert_eq!(c.lost_bytes(), missing, "they wait for a faster path");
    let faster = packet(&mut c, 1200).expect("data");
    assert!(matches!(frames(&faster)[0], Frame::Stream(f) if f.offset == 0));
    // more of it than a faster path would send meanwhile goes anywhere
    slower.iter().for_each(|packet| lost(&mut c, packet));
    assert!(c.wants_share(Share::Over(20_000)));
    lost(&mut c, &faster);
    c.finish(ids[0]).unwrap();
    flush(&mut c, &mut s, at(1));
    assert_eq!(super::drain(&mut s, ids[0]), (vec![1; 90_000], Ok(None)));
}

#[test]
fn data_beyond_the_credit_is_no_backlog_for_a_slower_path() {
    let (mut c, _) = pair(&StreamConfig { connection_window: 10_000, ..StreamConfig::default() });
    opened(&mut c, &[50_000]);
    assert_eq!((c.backlog(), c.sendable(), c.longest_backlog()), (50_000, 10_000, 10_000));
    assert!(!c.wants_share(Share::Over(10_000)) && c.wants_share(Share::Over(9_999)));
}

#[test]
fn a_writer_may_have_ahead_what_the_slowest_path_needs() {
    let (mut c, mut s) = pair(&StreamConfig {
        stream_window: 64 << 20,
        connection_window: 64 << 20,
        ..StreamConfig::default()
    });
    let id = c.open(Dir::Uni).unwrap();
    let data = vec![1; 32 << 20];
    assert_eq!(c.write_slice(id, &data), Ok(1 << 20));
    assert_eq!(c.write_slice(id, &data), Err(WriteError::Blocked));
    c.set_low_water(8 << 20);
    assert!(core::iter::from_fn(|| c.poll_event()).any(|event| event == StreamEvent::Writable(id)));
    assert_eq!(c.write_slice(id, &data), Ok(9 << 20), "1.25 times as much");
    flush(&mut c, &mut s, at(1));
}
