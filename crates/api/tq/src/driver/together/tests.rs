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

fn join(together: &mut Together, transmit: &Transmit, byte: u8) -> bool {
    together.join(transmit, &vec![byte; transmit.len], 4)
}

#[test]
fn equal_datagrams_to_one_peer_leave_as_a_train_and_a_shorter_one_ends_it() {
    let mut together = Together::default();
    assert!(together.train().is_none());
    assert!(join(&mut together, &datagram(1, 1200), 1));
    assert_eq!(together.train().unwrap().0, datagram(1, 1200));
    assert!(join(&mut together, &datagram(1, 1200), 2));
    assert!(join(&mut together, &datagram(1, 50), 3));
    assert!(!join(&mut together, &datagram(1, 50), 4), "nothing may follow a shorter one");
    let (train, bytes) = together.train().unwrap();
    assert_eq!((train.len, train.segment), (2450, Some(1200)));
    assert_eq!((bytes[1199], bytes[1200], bytes[2399], bytes[2400], bytes.len()), (1, 2, 2, 3, 2450));
}

#[test]
fn what_differs_in_anything_else_goes_alone() {
    let first = datagram(1, 100);
    let others = [
        datagram(2, 100),
        datagram(1, 101),
        datagram(1, 0),
        Transmit { socket: 1, ..first },
        Transmit { ecn: Ecn::Ect0, ..first },
        Transmit { local_ip: Some([127, 0, 0, 1].into()), ..first },
    ];
    for other in others {
        let mut together = Together::default();
        assert!(join(&mut together, &first, 1));
        assert!(!join(&mut together, &other, 2), "{other:?}");
        assert_eq!(together.train().unwrap().0, first);
    }
    assert!(Together::suits(&datagram(1, 1200)));
    assert!(!Together::suits(&datagram(1, 1201)));
    assert!(!Together::suits(&Transmit { segment: Some(100), ..datagram(1, 1000) }));
}

#[test]
fn a_train_is_no_longer_than_the_socket_takes() {
    let mut together = Together::default();
    assert!((0..4).all(|byte| join(&mut together, &datagram(1, 100), byte)));
    assert!(!join(&mut together, &datagram(1, 100), 9));

    let mut together = Together::default();
    let joined = (0..100).take_while(|_| together.join(&datagram(1, 1200), &[0; 1200], 1000)).count();
    assert_eq!(joined, MAX_TRAIN / 1200);
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
