use tq_time::Instant;
use tq_wire::Ecn;

use super::*;

fn datagram(port: u16, len: usize) -> Transmit {
    Transmit {
        remote: ([127, 0, 0, 1], port).into(),
        local_ip: None,
        socket: 0,
        ecn: Ecn::NotEct,
        len,
        segment: None,
        depart_at: Instant::ZERO,
    }
}

/// Of a connection that has nothing else to send.
fn join(together: &mut Together, transmit: &Transmit, byte: u8) -> bool {
    together.join(transmit, &vec![byte; transmit.len], u32::from(byte), 4)
}

/// What leaves, train by train: how long each datagram is and what it is filled with.
fn leave(together: &mut Together) -> Vec<Vec<(usize, u8)>> {
    let mut trains = Vec::new();
    while let Some((train, bytes)) = together.train() {
        assert_eq!(train.len, bytes.len());
        let datagrams = bytes.chunks(train.segment.unwrap_or(train.len));
        trains.push(datagrams.map(|datagram| (datagram.len(), datagram[0])).collect());
        together.left(train.len);
    }
    trains
}

#[test]
fn equal_datagrams_to_one_peer_leave_as_a_train_and_a_shorter_one_ends_it() {
    let mut together = Together::default();
    assert!(together.train().is_none());
    assert!(join(&mut together, &datagram(1, 1200), 1));
    assert_eq!(together.train().unwrap().0, datagram(1, 1200));
    assert!(join(&mut together, &datagram(1, 1200), 2));
    assert!(join(&mut together, &datagram(1, 50), 3));
    together.close(4);
    assert_eq!(leave(&mut together), [[(1200, 1), (1200, 2), (50, 3)]]);
}

#[test]
fn datagrams_of_two_sizes_wait_side_by_side() {
    let mut together = Together::default();
    for (byte, len) in [(1, 60), (2, 1200), (3, 60), (4, 1200)] {
        assert!(join(&mut together, &datagram(1, len), byte));
    }
    assert!(!join(&mut together, &datagram(1, 1201), 5));
    together.close(4);
    assert_eq!(leave(&mut together), [vec![(60, 1), (60, 3)], vec![(1200, 2), (1200, 4)]]);
}

#[test]
fn a_short_one_that_is_alone_ends_the_train_beside_it() {
    let mut together = Together::default();
    assert!(join(&mut together, &datagram(1, 60), 1));
    assert!(join(&mut together, &datagram(1, 1200), 2));
    together.close(4);
    assert_eq!(leave(&mut together), [[(1200, 2), (60, 1)]]);

    assert!(join(&mut together, &datagram(1, 1200), 1));
    assert!(join(&mut together, &datagram(1, 60), 1));
    together.close(4);
    assert_eq!(leave(&mut together), [[(1200, 1), (60, 1)]]);

    assert!(join(&mut together, &datagram(1, 60), 1));
    assert!(join(&mut together, &datagram(2, 1200), 2), "somebody else's");
    together.close(4);
    assert_eq!(leave(&mut together), [[(60, 1)], [(1200, 2)]]);
}

#[test]
fn what_one_connection_sends_stays_in_order() {
    let mut together = Together::default();
    assert!(join(&mut together, &datagram(1, 60), 1));
    assert!(join(&mut together, &datagram(1, 1200), 2));
    assert!(join(&mut together, &datagram(1, 60), 2), "behind its longer one, not with those before");
    assert!(!join(&mut together, &datagram(1, 60), 2), "nothing may follow a shorter one");
    assert_eq!(leave(&mut together), [vec![(60, 1)], vec![(1200, 2), (60, 2)]]);

    assert!(join(&mut together, &datagram(1, 60), 1));
    assert!(join(&mut together, &datagram(1, 1200), 1));
    together.close(4);
    assert_eq!(leave(&mut together), [[(60, 1)], [(1200, 1)]]);
}

#[test]
fn what_differs_in_anything_else_goes_alone() {
    let first = datagram(1, 100);
    let others = [
        datagram(2, 100),
        datagram(1, 101),
        Transmit { socket: 1, ..first },
        Transmit { ecn: Ecn::Ect0, ..first },
        Transmit { local_ip: Some([127, 0, 0, 1].into()), ..first },
    ];
    for other in others {
        let mut together = Together::default();
        assert!(join(&mut together, &first, 1));
        assert!(join(&mut together, &other, 2));
        assert_eq!(together.train().unwrap().0, first, "{other:?}");
        assert!(!join(&mut together, &datagram(3, 100), 3), "there is room for two trains");
    }
    assert!(!join(&mut Together::default(), &datagram(1, 0), 1));
    assert!(Together::suits(&datagram(1, 1200)));
    assert!(!Together::suits(&datagram(1, 1201)));
    assert!(!Together::suits(&Transmit { segment: Some(100), ..datagram(1, 1000) }));
}

#[test]
fn a_train_is_no_longer_than_the_socket_takes() {
    let mut together = Together::default();
    assert!((0..8).all(|byte| join(&mut together, &datagram(1, 100), byte)));
    assert!(!join(&mut together, &datagram(1, 100), 9));
    assert_eq!(leave(&mut together).iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);

    let joined = (0..200).take_while(|own| together.join(&datagram(1, 1200), &[0; 1200], *own, 1000)).count();
    assert_eq!(joined, 2 * (MAX_TRAIN / 1200));
}

#[test]
fn what_the_socket_did_not_take_stays() {
    let mut together = Together::default();
    assert!((0..3).all(|byte| join(&mut together, &datagram(1, 100), byte)));
    together.left(200);
    let (train, bytes) = together.train().unwrap();
    assert_eq!((train.len, bytes), (100, &[2; 100][..]));
    together.left(100);
    assert!(together.train().is_none());
    assert!(join(&mut together, &datagram(2, 60), 7), "there is room for others");
    assert_eq!(together.train().unwrap().0, datagram(2, 60));
}
