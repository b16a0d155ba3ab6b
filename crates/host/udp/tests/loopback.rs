//! Datagrams over 127.0.0.1 and ::1: trains, codepoints, addresses, limits.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use common::{at, bind, datagram, poll, receive, receive_one};
use tq_udp::{Clock, Ecn, MAX_TRAIN, Options, RecvBatch, SendError, Socket, Transmit};

const ECN: [Ecn; 4] = [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce];

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7) as u8).collect()
}

#[test]
fn a_train_of_44_arrives_as_one() {
    for ip in ["127.0.0.1", "::1"] {
        let any = std::net::SocketAddr::new(ip.parse().unwrap(), 0).to_string();
        let (from, to) = (bind(&any), bind(&any));
        // The last datagram is shorter.
        let contents = numbered(43 * 1452 + 700);
        let before = Clock::now();
        let segment = Some(1452);
        from.send(&Transmit { segment, ..datagram(to.local_addr().unwrap(), &contents) }).unwrap();
        assert!(poll(&to, libc::POLLIN, 5000));
        let mut batch = RecvBatch::new();
        assert_eq!(to.recv(&mut batch).unwrap(), 1);
        assert_eq!((batch.len(), batch.is_empty()), (1, false));
        let mut train = batch.trains().next().unwrap();
        assert_eq!(train.remote, from.local_addr().unwrap());
        assert_eq!(train.stride, 1452);
        assert!(train.received_at >= before && train.received_at <= Clock::now());
        assert!(*train.data == contents[..]);
        assert_eq!(train.datagrams().len(), 44);
        assert_eq!(train.datagrams().map(|d| d.len()).min(), Some(700));
    }
}

#[test]
fn more_than_one_call_can_carry_is_cut() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    for (segment, count) in [(100, 300), (1452, 50), (9000, 30)] {
        let contents = numbered(segment * count);
        let segment = u16::try_from(segment).unwrap();
        from.send(&Transmit { segment: Some(segment), ..datagram(to.local_addr().unwrap(), &contents) })
            .unwrap();
        let seen = receive(&to);
        assert!(seen.len() > 1);
        assert!(seen.iter().all(|train| train.stride == usize::from(segment)));
        let joined: Vec<u8> = seen.into_iter().flat_map(|train| train.data).collect();
        assert!(joined == contents);
    }
}

#[test]
fn a_single_datagram_has_its_own_length_as_stride() {
    let (from, to) = (bind("[::1]:0"), bind("[::1]:0"));
    for segment in [None, Some(0), Some(500), Some(501), Some(u16::MAX)] {
        from.send(&Transmit { segment, ..datagram(to.local_addr().unwrap(), &[1; 500]) }).unwrap();
        let seen = receive_one(&to);
        assert_eq!((seen.stride, seen.data.len()), (500, 500));
    }
}

#[test]
fn codepoints_arrive_on_sockets_of_each_family() {
    for (from, to) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("127.0.0.1", "::")] {
        let to_socket = bind(&std::net::SocketAddr::new(to.parse().unwrap(), 0).to_string());
        let from_socket = bind(&std::net::SocketAddr::new(from.parse().unwrap(), 0).to_string());
        let remote = at(if to == "::" { "127.0.0.1" } else { to }, &to_socket);
        for ecn in ECN {
            for segment in [None, Some(300)] {
                from_socket.send(&Transmit { ecn, segment, ..datagram(remote, &[9; 1000]) }).unwrap();
                let seen = receive_one(&to_socket);
                assert_eq!((seen.ecn, seen.data.len()), (ecn, 1000), "{from} to {to}");
            }
        }
    }
}

#[test]
fn trains_of_different_codepoints_stay_apart() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    for ecn in ECN {
        let segment = Some(100);
        from.send(&Transmit { ecn, segment, ..datagram(to.local_addr().unwrap(), &[9; 1000]) }).unwrap();
    }
    let mut batch = RecvBatch::new();
    assert!(poll(&to, libc::POLLIN, 5000));
    assert_eq!(to.recv(&mut batch).unwrap(), RecvBatch::TRAINS);
    assert_eq!(batch.trains().map(|train| train.ecn).collect::<Vec<_>>(), ECN);
}

#[test]
fn a_wildcard_socket_tells_the_address_and_can_answer_from_it() {
    let peer = bind("127.0.0.1:0");
    for wildcard in ["0.0.0.0:0", "[::]:0"] {
        let server = bind(wildcard);
        for ip in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
            peer.send(&datagram(at(ip, &server), b"ask")).unwrap();
            let seen = receive_one(&server);
            assert_eq!(seen.local_ip, Some(ip.parse().unwrap()));
            assert_eq!(seen.remote, peer.local_addr().unwrap());
            let local_ip = seen.local_ip;
            server.send(&Transmit { local_ip, ..datagram(seen.remote, b"answer") }).unwrap();
            assert_eq!(receive_one(&peer).remote, at(ip, &server));
        }
    }
}

#[test]
fn a_wildcard_socket_tells_ipv6_addresses_too() {
    let (peer, server) = (bind("[::1]:0"), bind("[::]:0"));
    peer.send(&datagram(at("::1", &server), b"ask")).unwrap();
    let seen = receive_one(&server);
    assert_eq!(seen.local_ip, Some("::1".parse().unwrap()));
    let local_ip = seen.local_ip;
    let segment = Some(2);
    server.send(&Transmit { local_ip, segment, ..datagram(seen.remote, b"answer") }).unwrap();
    let seen = receive_one(&peer);
    assert_eq!((seen.remote, seen.stride), (at("::1", &server), 2));
}

#[test]
fn mapped_addresses_never_come_out_and_may_go_in() {
    let (v4, dual) = (bind("127.0.0.1:0"), bind("[::]:0"));
    v4.send(&datagram(at("127.0.0.1", &dual), b"x")).unwrap();
    let seen = receive_one(&dual);
    assert_eq!(seen.remote, v4.local_addr().unwrap());
    assert_eq!(seen.local_ip, Some(IpAddr::from([127, 0, 0, 1])));
    let remote = at("::ffff:127.0.0.1", &v4);
    let local_ip = Some("::ffff:127.0.0.9".parse().unwrap());
    dual.send(&Transmit { local_ip, ..datagram(remote, b"y") }).unwrap();
    assert_eq!(receive_one(&v4).remote, at("127.0.0.9", &dual));
    let mapped = bind("[::ffff:127.0.0.1]:0");
    assert!(mapped.local_addr().unwrap().is_ipv4());
}

#[test]
fn what_cannot_fit_is_too_big_and_does_not_end_segmentation() {
    for (ip, largest) in [("127.0.0.1", 65_507), ("::1", 65_527)] {
        let any = std::net::SocketAddr::new(ip.parse().unwrap(), 0).to_string();
        let (from, to) = (bind(&any), bind(&any));
        let contents = vec![0; largest + 1];
        let remote = to.local_addr().unwrap();
        assert!(matches!(from.send(&datagram(remote, &contents)), Err(SendError::TooBig)));
        let segment = Some(u16::MAX);
        let huge = vec![0; 100_000];
        let result = from.send(&Transmit { segment, ..datagram(remote, &huge) });
        assert!(matches!(result, Err(SendError::TooBig)), "{result:?}");
        assert!(from.max_segments() >= 64);
        // The largest probe that fits on loopback's MTU of 65536.
        from.send(&datagram(remote, &contents[..MAX_TRAIN - 20])).unwrap();
        assert_eq!(receive_one(&to).data.len(), MAX_TRAIN - 20);
    }
}

#[test]
fn an_ipv6_peer_is_unreachable_from_an_ipv4_socket() {
    let from = bind("127.0.0.1:0");
    let result = from.send(&datagram("[::1]:9".parse().unwrap(), b"x"));
    assert!(matches!(result, Err(SendError::Unreachable(_))), "{result:?}");
}

#[test]
fn a_source_of_the_wrong_family_or_not_ours_is_refused() {
    let dual = bind("[::]:0");
    for ip in ["::1", "192.0.2.1"] {
        let local_ip = Some(ip.parse().unwrap());
        let result = dual.send(&Transmit { local_ip, ..datagram("127.0.0.1:9".parse().unwrap(), b"x") });
        assert!(matches!(result, Err(SendError::BadSource(_))), "{ip}: {result:?}");
    }
    let local_ip = Some("2001:db8::1".parse().unwrap());
    let result = dual.send(&Transmit { local_ip, ..datagram("[::1]:9".parse().unwrap(), b"x") });
    assert!(matches!(result, Err(SendError::BadSource(_))), "{result:?}");
}

#[test]
fn an_empty_socket_would_block() {
    let mut batch = RecvBatch::new();
    let socket = bind("127.0.0.1:0");
    assert_eq!(socket.recv(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(batch.is_empty());
    assert_eq!(batch.trains().len(), 0);
}

#[test]
fn datagrams_of_no_bytes_are_taken_away_one_by_one() {
    let socket = bind("127.0.0.1:0");
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut batch = RecvBatch::new();
    let (mut calls, mut trains) = (0, 0);
    for _ in 0..20 {
        for _ in 0..1000 {
            peer.send_to(&[], socket.local_addr().unwrap()).unwrap();
        }
        while let Ok(count) = socket.recv(&mut batch) {
            calls += 1;
            trains += count;
            for mut train in batch.trains() {
                assert!(train.data.is_empty());
                assert_eq!((train.stride, train.datagrams().len()), (1, 0));
            }
        }
    }
    // A busy kernel may lose a few of a thousand in its own backlog, before the socket.
    assert!((19_000..=20_000).contains(&trains), "{trains} arrived");
    assert!(calls <= trains, "{calls} calls for {trains} datagrams");
}

#[test]
fn an_empty_datagram_can_be_sent() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    from.send(&Transmit { segment: Some(100), ..datagram(to.local_addr().unwrap(), &[]) }).unwrap();
    assert!(receive_one(&to).data.is_empty());
}

#[test]
fn a_full_receive_buffer_is_counted() {
    let options = Options { recv_buffer: 4096, ..Options::default() };
    let socket = Socket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let from = bind("127.0.0.1:0");
    for _ in 0..100 {
        from.send(&datagram(socket.local_addr().unwrap(), &[0; 1000])).unwrap();
    }
    let arrived = receive(&socket).len();
    assert!(arrived < 100);
    assert_eq!(socket.dropped().unwrap() as usize, 100 - arrived);
}

#[test]
fn buffers_are_as_large_as_asked() {
    let options = Options { recv_buffer: 100_000, send_buffer: 50_000, ..Options::default() };
    let socket = Socket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let (recv, send) = socket.buffers().unwrap();
    assert!(recv >= 100_000 && send >= 50_000, "{recv} {send}");
}

#[test]
fn a_port_is_shared_only_on_request() {
    let shared = Options { reuse_port: true, ..Options::default() };
    let first = Socket::bind("127.0.0.1:0".parse().unwrap(), &shared).unwrap();
    let addr = first.local_addr().unwrap();
    Socket::bind(addr, &shared).unwrap();
    assert_eq!(Socket::bind(addr, &Options::default()).unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn an_ipv6_socket_can_be_kept_off_ipv4() {
    let options = Options { only_v6: true, ..Options::default() };
    let socket = Socket::bind("[::]:0".parse().unwrap(), &options).unwrap();
    let result = socket.send(&datagram("127.0.0.1:9".parse().unwrap(), b"x"));
    assert!(matches!(result, Err(SendError::Unreachable(_))), "{result:?}");
}

#[test]
fn a_socket_can_be_tied_to_a_device() {
    let lo = Options { device: Some("lo".into()), ..Options::default() };
    let (from, to) = (bind("127.0.0.1:0"), Socket::bind("127.0.0.1:0".parse().unwrap(), &lo).unwrap());
    from.send(&datagram(to.local_addr().unwrap(), b"x")).unwrap();
    assert_eq!(receive_one(&to).data, b"x");
    let none = Options { device: Some("no-such-device".into()), ..Options::default() };
    assert!(Socket::bind("127.0.0.1:0".parse().unwrap(), &none).is_err());
}

#[test]
fn a_waiting_reader_is_woken() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let remote = to.local_addr().unwrap();
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        from.send(&datagram(remote, b"late")).unwrap();
    });
    assert_eq!(receive_one(&to).data, b"late");
    sender.join().unwrap();
}

/// An option of the kernel that is one number.
fn option(socket: &impl std::os::fd::AsFd, level: i32, name: i32) -> i32 {
    use std::os::fd::AsRawFd;
    let (mut value, mut len) = (-1_i32, size_of::<i32>() as libc::socklen_t);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open; the kernel writes at most `len` bytes, the size of `value`.
    let result = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut len) };
    assert_eq!(result, 0, "getsockopt");
    value
}

// With "probe" the kernel sets DF, never fragments, and takes no path MTU from ICMP messages, up or down.
// MUST 9000-14-2, 9000-14-3, 9000-14.2.1-1, 9000-14.2.1-3
#[test]
fn the_kernel_sets_df_and_ignores_the_path_mtu_of_icmp() {
    let v4 = |socket: &Socket| option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    let v6 = |socket: &Socket| option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
    assert_eq!(v4(&bind("127.0.0.1:0")), libc::IP_PMTUDISC_PROBE);
    let both = bind("[::]:0");
    assert_eq!((v4(&both), v6(&both)), (libc::IP_PMTUDISC_PROBE, libc::IPV6_PMTUDISC_PROBE));
}
