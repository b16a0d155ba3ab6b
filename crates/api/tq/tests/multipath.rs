//! Connections over several sockets: paths that come, carry, and go.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{Pair, configs, run, transfer, until};
use tokio::time::{sleep, timeout};
use tq::{
    Bytes, Connection, ConnectionError, Endpoint, OpenPathError, Path, PathEvent, PathId, PathState,
    PathStatus, RemoveSocketError, SchedulerError, SendDatagramError, SocketId, TransportConfig, quic,
};

/// Address of a client's link, which loopback has without asking.
fn link(host: u8) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 0, host), 0).into()
}

fn paths(count: u32) -> impl Fn(&mut TransportConfig) {
    move |transport| {
        transport.max_paths = Some(count);
        transport.scheduler = quic::sched::Kind::RoundRobin;
    }
}

/// A connection between a wildcard server and a client with `links` sockets, a path over each.
struct Rig {
    pair: Pair,
    client: Connection,
    server: Connection,
    sockets: Vec<SocketId>,
}

impl Rig {
    async fn new(links: u8) -> Self {
        Self::with(links, paths(links.into())).await
    }

    async fn with(links: u8, transport: impl Fn(&mut TransportConfig)) -> Self {
        let mut rig = Self::single(transport).await;
        for host in 2..=links {
            let socket = rig.pair.client.add_socket(None, link(host)).unwrap();
            rig.sockets.push(socket);
            let path = rig.client.open_path(socket).await.unwrap();
            until(|| rig.server.path(path.id()).state() == PathState::Active).await;
        }
        rig
    }

    /// With one link.
    async fn single(transport: impl Fn(&mut TransportConfig)) -> Self {
        let (client_config, server_config) = configs(transport);
        let server = Endpoint::server(server_config, "0.0.0.0:0".parse().unwrap()).unwrap();
        let client = Endpoint::client(link(1)).unwrap();
        client.set_client_config(client_config);
        let pair = Pair { server, client };
        let connecting = pair.client.connect(at(&pair.server, 1), "localhost").unwrap();
        let accepting = async { pair.server.accept().await.unwrap().await.unwrap() };
        let (client, server) = tokio::join!(connecting, accepting);
        let sockets = vec![pair.client.sockets()[0].id];
        Self { client: client.unwrap(), server, sockets, pair }
    }
}

/// A wildcard server's address on this host.
fn at(server: &Endpoint, host: u8) -> SocketAddr {
    SocketAddr::new(link(host).ip(), server.local_addr().port())
}

fn states(paths: &[Path]) -> Vec<PathState> {
    paths.iter().map(Path::state).collect()
}

#[test]
fn two_and_three_paths_carry_a_transfer_each_way() {
    for links in [2, 3] {
        run(async move {
            let rig = Rig::new(links).await;
            assert_eq!(states(&rig.client.paths()), vec![PathState::Active; links.into()]);
            transfer(&rig.server, &rig.client, 16 << 20, async || ()).await;
            transfer(&rig.client, &rig.server, 16 << 20, async || ()).await;
            assert_eq!(rig.server.paths().len(), usize::from(links));
            for (path, socket) in rig.client.paths().iter().zip(&rig.sockets) {
                let stats = path.stats().unwrap();
                let least = (16 << 20) / u64::from(links) / 8;
                assert!(stats.bytes_received > least && stats.bytes_sent > least, "{path:?} {stats:?}");
                assert_eq!(path.socket(), Some(*socket));
                assert_eq!(path.local_address(), rig.pair.client.socket_addr(*socket));
                assert_eq!(path.remote_address(), Some(at(&rig.pair.server, 1)));
            }
        });
    }
}

#[test]
fn a_server_takes_paths_on_any_of_its_addresses() {
    run(async {
        let rig = Rig::with(1, paths(3)).await;
        let second = rig.pair.client.add_socket(None, link(2)).unwrap();
        let path = rig.client.open_path_to(second, at(&rig.pair.server, 7)).await.unwrap();
        until(|| rig.server.path(path.id()).state() == PathState::Active).await;
        transfer(&rig.server, &rig.client, 16 << 20, async || ()).await;
        assert_eq!(path.remote_address(), Some(at(&rig.pair.server, 7)));
        assert!(path.stats().unwrap().bytes_received > 1 << 20, "{:?}", path.stats());
        let there = rig.server.path(path.id());
        assert_eq!(there.local_address(), path.remote_address());
        assert_eq!(there.remote_address(), rig.pair.client.socket_addr(second));
    });
}

#[test]
fn a_server_has_a_socket_for_each_family_and_clients_of_both_on_one_connection() {
    run(async {
        let (client_config, server_config) = configs(paths(2));
        let server = Endpoint::server(server_config, link(1)).unwrap();
        let Ok(other) = server.add_socket(None, "[::1]:0".parse().unwrap()) else { return };
        let v6 = server.socket_addr(other).unwrap();
        let client = Endpoint::client(link(1)).unwrap();
        let second = client.add_socket(None, "[::1]:0".parse().unwrap()).unwrap();
        client.set_client_config(client_config);
        let pair = Pair { server, client };
        let (client, server) = pair.connect().await;
        let path = client.open_path_to(second, v6).await.unwrap();
        until(|| server.path(path.id()).state() == PathState::Active).await;
        transfer(&server, &client, 16 << 20, async || ()).await;
        assert!(path.stats().unwrap().bytes_received > 1 << 20, "{:?}", path.stats());
        assert_eq!(server.path(path.id()).local_address(), Some(v6));
    });
}

#[test]
fn a_path_closed_by_either_end_in_the_middle_of_a_transfer_loses_nothing() {
    run(async {
        let rig = Rig::new(3).await;
        let [first, second, third] = &rig.client.paths()[..] else { panic!("three were opened") };
        let mut events = rig.server.path_events();
        transfer(&rig.server, &rig.client, 16 << 20, async || second.close(77).unwrap()).await;
        let Ok(PathEvent::Abandoned { path, code, local }) = events.next().await else { panic!("no event") };
        assert_eq!((path, code, local), (second.id(), 77, false));
        assert_eq!(second.close(1), Err(tq::ClosePathError::Unknown));
        // The first one may go like any other, and the server may say so.
        transfer(&rig.server, &rig.client, 16 << 20, async || rig.server.path(first.id()).close(5).unwrap())
            .await;
        until(|| rig.client.paths().len() == 1).await;
        assert_eq!(third.close(1), Err(tq::ClosePathError::LastPath));
        transfer(&rig.client, &rig.server, 1 << 20, async || ()).await;
        // What has gone makes room.
        let again = rig.client.open_path(rig.sockets[1]).await.unwrap();
        assert!(again.id() > third.id());
        until(|| second.info().is_none()).await;
        assert_eq!((second.state(), second.status(), second.socket()), (PathState::Failed, None, None));
    });
}

#[test]
fn a_socket_removed_in_the_middle_of_a_transfer_costs_its_path_only() {
    run(async {
        let rig = Rig::new(3).await;
        let endpoint = &rig.pair.client;
        for gone in [rig.sockets[1], rig.sockets[0]] {
            transfer(&rig.server, &rig.client, 16 << 20, async || {
                assert_eq!(endpoint.remove_socket(gone).unwrap(), 1);
            })
            .await;
            assert_eq!(endpoint.remove_socket(gone), Err(RemoveSocketError::Unknown));
            assert_eq!(endpoint.socket_addr(gone), None);
        }
        let left = endpoint.sockets();
        assert!(left.len() == 1 && left[0].first && left[0].id == rig.sockets[2], "{left:?}");
        assert_eq!(endpoint.local_addr(), left[0].addr);
        assert_eq!(rig.client.paths().len(), 1);
        assert_eq!(endpoint.remove_socket(rig.sockets[2]), Err(RemoveSocketError::Last));
        assert_eq!(rig.client.open_path(rig.sockets[1]).await.unwrap_err(), OpenPathError::UnknownSocket);
        // A number is not used again.
        let fresh = endpoint.add_socket(None, link(2)).unwrap();
        assert!(!rig.sockets.contains(&fresh));
        rig.client.open_path(fresh).await.unwrap();
        transfer(&rig.client, &rig.server, 4 << 20, async || ()).await;
    });
}

#[test]
fn a_connection_whose_only_socket_is_removed_goes_on_at_another() {
    for max in [1, 4] {
        run(async move {
            let rig = Rig::single(|transport| transport.max_paths = (max > 1).then_some(max)).await;
            rig.client.confirmed().await.unwrap();
            let endpoint = &rig.pair.client;
            let second = endpoint.add_socket(None, link(2)).unwrap();
            if max > 1 {
                // Ids for a second path have come.
                let path = rig.client.open_path(second).await.unwrap();
                path.close(0).unwrap();
            }
            let remove = async || assert_eq!(endpoint.remove_socket(rig.sockets[0]).unwrap(), 1);
            transfer(&rig.server, &rig.client, 8 << 20, remove).await;
            transfer(&rig.client, &rig.server, 1 << 20, async || ()).await;
            let there = endpoint.socket_addr(second);
            assert!(rig.server.paths().iter().any(|path| path.remote_address() == there));
        });
    }
}

#[test]
fn a_backup_rests_until_it_is_needed() {
    run(async {
        let rig = Rig::new(2).await;
        let [first, second] = &rig.client.paths()[..] else { panic!("two were opened") };
        let mut events = rig.server.path_events();
        second.set_status(PathStatus::Backup).unwrap();
        let told = loop {
            match events.next().await.unwrap() {
                PathEvent::Bond(_) => {}
                other => break other,
            }
        };
        assert_eq!(told, PathEvent::Status { path: second.id(), status: PathStatus::Backup });
        let there = rig.server.path(second.id());
        assert_eq!(there.status(), Some((PathStatus::Available, PathStatus::Backup)));
        let before = there.stats().unwrap().bytes_sent;
        transfer(&rig.server, &rig.client, 8 << 20, async || ()).await;
        assert!(there.stats().unwrap().bytes_sent - before < 100_000, "{:?}", there.stats());
        transfer(&rig.server, &rig.client, 8 << 20, async || first.close(0).unwrap()).await;
        assert!(there.stats().unwrap().bytes_sent - before > 1 << 20, "{:?}", there.stats());
        second.set_status(PathStatus::Available).unwrap();
        assert_eq!(second.state(), PathState::Active);
    });
}

#[test]
fn a_policy_holds_a_path_back() {
    run(async {
        let rig = Rig::new(2).await;
        let second = rig.server.path(PathId(1));
        let mut policy = second.policy().unwrap();
        policy.max_rate = Some(10_000);
        second.set_policy(policy).unwrap();
        let before = second.stats().unwrap().bytes_sent;
        transfer(&rig.server, &rig.client, 8 << 20, async || ()).await;
        assert!(second.stats().unwrap().bytes_sent - before < 1 << 20, "{:?}", second.stats());
    });
}

#[test]
fn a_ping_is_answered_on_its_path() {
    run(async {
        let rig = Rig::new(2).await;
        for (one, other) in [(&rig.client, &rig.server), (&rig.server, &rig.client)] {
            sleep(Duration::from_millis(100)).await;
            let path = one.path(PathId(1));
            let before = (path.stats().unwrap(), other.path(PathId(1)).stats().unwrap());
            path.ping().unwrap();
            until(|| path.stats().unwrap().bytes_received > before.0.bytes_received).await;
            assert!(other.path(PathId(1)).stats().unwrap().bytes_received > before.1.bytes_received);
        }
        assert_eq!(rig.client.path(PathId(9)).ping(), Err(tq::ClosePathError::Unknown));
    });
}

#[test]
fn a_datagram_goes_over_the_path_it_was_given_to() {
    run(async {
        let rig = Rig::new(2).await;
        let second = rig.client.path(PathId(1));
        let there = rig.server.path(PathId(1));
        let before = there.stats().unwrap().bytes_received;
        let size = second.max_datagram_size().unwrap();
        let datagram = |i: u8| Bytes::from(vec![i; size]);
        for i in 0..20 {
            rig.client.send_datagram_on(second.id(), datagram(i)).unwrap();
            assert_eq!(rig.server.read_datagram().await.unwrap(), datagram(i));
        }
        assert!(there.stats().unwrap().bytes_received - before > 20 * size as u64);
        let largest = rig.client.send_datagram_on(second.id(), Bytes::from(vec![0; 70_000]));
        assert!(matches!(largest, Err(SendDatagramError::TooLarge { .. })), "{largest:?}");
        assert_eq!(rig.client.send_datagram_on(PathId(5), datagram(0)), Err(SendDatagramError::NoPath));
        second.close(0).unwrap();
        assert_eq!(second.send_datagram(datagram(0)), Err(SendDatagramError::NoPath));
        rig.client.close(0, b"");
        let lost = SendDatagramError::ConnectionLost(ConnectionError::LocallyClosed);
        assert_eq!(rig.client.send_datagram_on(PathId(0), datagram(0)), Err(lost));
    });
}

#[test]
fn with_a_peer_that_knows_no_multipath_there_is_one_path() {
    run(async {
        for which in [0, 1] {
            let (mut client_config, mut server_config) = configs(|_| {});
            match which {
                0 => client_config.max_paths(4),
                _ => {
                    server_config.max_paths(4);
                    &mut client_config
                }
            };
            let server = Endpoint::server(server_config, link(1)).unwrap();
            let client = Endpoint::client(link(1)).unwrap();
            client.set_client_config(client_config);
            let pair = Pair { server, client };
            let (client, server) = pair.connect().await;
            let second = pair.client.add_socket(None, link(2)).unwrap();
            let refused = OpenPathError::Refused(quic::OpenPathError::NotNegotiated);
            assert_eq!(client.open_path(second).await.unwrap_err(), refused);
            assert!(!client.is_multipath() && !server.is_multipath());
            transfer(&server, &client, 1 << 20, async || ()).await;
            assert_eq!((client.paths().len(), server.paths().len()), (1, 1));
            let only = &client.paths()[0];
            assert_eq!(only.close(0), Err(tq::ClosePathError::LastPath));
            assert!(only.stats().unwrap().bytes_received > 1 << 20);
        }
    });
}

#[test]
fn a_path_to_nowhere_fails_and_the_connection_goes_on() {
    run(async {
        let rig = Rig::with(1, paths(2)).await;
        let mut events = rig.client.path_events();
        // Somebody who never answers.
        let deaf = std::net::UdpSocket::bind(link(1)).unwrap();
        let second = rig.pair.client.add_socket(None, link(2)).unwrap();
        let opening = rig.client.open_path_to(second, deaf.local_addr().unwrap());
        assert_eq!(opening.await.unwrap_err(), OpenPathError::NoAnswer);
        let mut heard = Vec::new();
        while !heard.contains(&PathEvent::Failed(PathId(1))) {
            heard.push(events.next().await.unwrap());
        }
        transfer(&rig.client, &rig.server, 1 << 20, async || ()).await;
        let invalid = "[::1]:5".parse().unwrap();
        let result = rig.client.open_path_to(second, invalid).await;
        assert_eq!(result.unwrap_err(), OpenPathError::InvalidRemote(invalid));
        let result = rig.server.open_path(rig.pair.server.sockets()[0].id).await;
        let refused = OpenPathError::Refused(quic::OpenPathError::NotClient);
        assert!(
            matches!(&result, Err(error) if *error == refused || matches!(error, OpenPathError::InvalidRemote(_)))
        );
        // Room again, for a way that works.
        rig.client.open_path(second).await.unwrap();
        let full = rig.client.open_path(rig.sockets[0]).await.unwrap_err();
        assert!(matches!(full, OpenPathError::Refused(_)), "{full:?}");
    });
}

#[test]
fn events_end_with_the_connection_and_are_not_kept_for_ever() {
    run(async {
        let rig = Rig::new(2).await;
        let mut events = rig.client.path_events();
        let (second, there) = (rig.client.path(PathId(1)), rig.server.path(PathId(1)));
        let mut heard = rig.server.path_events();
        for round in 0..100 {
            let status = if round % 2 == 0 { PathStatus::Backup } else { PathStatus::Available };
            second.set_status(status).unwrap();
            until(|| there.status().unwrap().1 == status).await;
        }
        // Those are the server's to hear of; the oldest are gone.
        let about_status = |event: &PathEvent| matches!(event, PathEvent::Status { .. });
        let (mut last, mut count) = (None, 0);
        while let Ok(Ok(event)) = timeout(Duration::from_millis(50), heard.next()).await {
            last = Some(event).filter(about_status).or(last);
            count += 1;
        }
        assert_eq!(last, Some(PathEvent::Status { path: PathId(1), status: PathStatus::Available }));
        assert!(heard.missed() >= 36 && count <= 64, "{} {count}", heard.missed());
        while let Ok(event) = timeout(Duration::from_millis(50), events.next()).await {
            assert!(!about_status(&event.unwrap()));
        }
        let mut late = rig.server.path_events();
        rig.client.close(3, b"");
        assert_eq!(events.next().await, Err(ConnectionError::LocallyClosed));
        assert!(matches!(late.next().await, Err(ConnectionError::PeerApplication { .. })));
        assert!(matches!(
            rig.server.path_events().next().await,
            Err(ConnectionError::PeerApplication { .. })
        ));
        // With each status the bond changes, too, and that both hear of.
        assert!((1..=200).contains(&events.missed()), "{}", events.missed());
    });
}

#[test]
fn a_scheduler_is_chosen_by_name_before_the_connection_is_made() {
    run(async {
        let (mut client_config, mut server_config) = configs(|_| {});
        let unknown = client_config.scheduler("fastest").map(drop).unwrap_err();
        let text = unknown.to_string();
        assert!(["minrtt", "roundrobin", "aggregate"].iter().all(|name| text.contains(name)), "{text}");
        assert!(server_config.scheduler("").is_err());
        client_config.scheduler("roundrobin").unwrap().max_paths(2);
        server_config.scheduler("blest").unwrap().max_paths(2);
        let server = Endpoint::server(server_config, link(1)).unwrap();
        let client = Endpoint::client(link(1)).unwrap();
        client.set_client_config(client_config);
        let pair = Pair { server, client };
        let (client, server) = pair.connect().await;
        assert_eq!((client.scheduler(), server.scheduler()), ("roundrobin", "blest"));
        assert_eq!(client.set_scheduler("minrtt"), Err(SchedulerError::Connected));
        assert_eq!(server.set_scheduler("minrtt"), Err(SchedulerError::Connected));
        assert_eq!(client.set_scheduler("min"), Err(SchedulerError::Unknown(tq::UnknownScheduler)));
        // One connection may differ from the others while it is being made, at either end.
        let connecting = pair.client.connect(pair.server.local_addr(), "localhost").unwrap();
        assert_eq!(connecting.set_scheduler("e"), Err(tq::UnknownScheduler));
        connecting.set_scheduler("ecf").unwrap();
        let accepting = async {
            let accepted = pair.server.accept().await.unwrap().accept().unwrap();
            accepted.set_scheduler("minrtt").unwrap();
            accepted.await.unwrap()
        };
        let (client, server) = tokio::join!(connecting, accepting);
        assert_eq!((client.unwrap().scheduler(), server.scheduler()), ("ecf", "minrtt"));
    });
}
