//! Errnos become advice; segmentation that fails is given up for good.

use std::io;

use super::{SendError, Transmit};
use crate::{Ecn, Options, RecvBatch, Socket, sys};

fn socket() -> Socket {
    Socket::bind("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap()
}

/// Stride and length of everything that has arrived.
fn shapes(socket: &Socket) -> Vec<(usize, usize)> {
    let mut batch = RecvBatch::new();
    let mut shapes = Vec::new();
    // Loopback delivers within the sender's call.
    while socket.recv(&mut batch).is_ok() {
        shapes.extend(batch.trains().map(|train| (train.stride, train.data.len())));
    }
    shapes
}

fn train<'a>(to: &Socket, segment: u16, contents: &'a [u8]) -> Transmit<'a> {
    let remote = to.local_addr().unwrap();
    Transmit { remote, local_ip: None, ecn: Ecn::NotEct, segment: Some(segment), contents }
}

#[test]
fn a_socket_that_cannot_segment_sends_one_by_one_from_then_on() {
    let (from, to) = (socket(), socket());
    // The kernel refuses to segment on sockets without checksums.
    sys::set(&from, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    assert!(from.max_segments() >= 64);
    from.send(&train(&to, 100, &[7; 950])).unwrap();
    assert_eq!(from.max_segments(), 1);
    let mut expected = vec![(100, 100); 9];
    expected.push((50, 50));
    assert_eq!(shapes(&to), expected);
    from.send(&train(&to, 100, &[7; 300])).unwrap();
    assert_eq!(shapes(&to), [(100, 100); 3]);
}

#[test]
fn a_source_that_is_not_ours_is_not_blamed_on_segmentation() {
    let (from, to) = (socket(), socket());
    let transmit = Transmit { local_ip: Some("192.0.2.77".parse().unwrap()), ..train(&to, 100, &[0; 1000]) };
    let result = from.send(&transmit);
    assert!(matches!(result, Err(SendError::BadSource(_))), "{result:?}");
    assert!(from.max_segments() >= 64);
}

#[test]
fn errnos_are_sorted_by_what_to_do() {
    let to = socket();
    let ours = Transmit { local_ip: Some("127.0.0.1".parse().unwrap()), ..train(&to, 100, &[]) };
    let of = |errno| SendError::classify(io::Error::from_raw_os_error(errno), 2904, &ours, &to);
    assert!(matches!(of(libc::EAGAIN), SendError::WouldBlock { sent: 2904 }));
    assert!(matches!(of(libc::EMSGSIZE), SendError::TooBig));
    for errno in [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::ENETDOWN, libc::ENODEV, libc::EADDRNOTAVAIL] {
        assert!(matches!(of(errno), SendError::Unreachable(_)));
    }
    assert!(matches!(of(libc::EPERM), SendError::Denied(_)));
    assert!(matches!(of(libc::ENOBUFS), SendError::NoBuffers(_)));
    for errno in [libc::EBADF, libc::EINVAL] {
        assert!(matches!(of(errno), SendError::Other(_)));
    }
    let foreign = Transmit { local_ip: Some("192.0.2.77".parse().unwrap()), ..ours };
    for errno in [libc::EINVAL, libc::EADDRNOTAVAIL, libc::ENETUNREACH] {
        let error = SendError::classify(io::Error::from_raw_os_error(errno), 0, &foreign, &to);
        assert!(matches!(error, SendError::BadSource(_)));
    }
}

#[test]
fn a_send_error_is_an_io_error_of_the_same_kind() {
    let blocked = io::Error::from(SendError::WouldBlock { sent: 0 });
    assert_eq!(blocked.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(io::Error::from(SendError::TooBig).raw_os_error(), Some(libc::EMSGSIZE));
}
