//! How connections, streams and endpoints end, well or badly.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Pair, configs, run};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tq::quic::cc::Algorithm;
use tq::{
    ClientConfig, Code, ConnectError, ConnectionError, Endpoint, PeerIdentity, ReadError, StoppedError,
    WriteError, qlog, tls,
};

#[test]
fn a_close_reaches_everybody_with_its_reason() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        send.write_all(b"x").await.unwrap();
        let (_send, _recv) = server.accept_bi().await.unwrap();
        let reading = tokio::spawn(async move { recv.read(&mut [0; 10]).await });
        let accepting = {
            let client = client.clone();
            tokio::spawn(async move { client.accept_uni().await.map(drop) })
        };
        server.close(77, b"enough");
        let expected = ConnectionError::PeerApplication { code: 77, reason: b"enough".to_vec() };
        assert_eq!(client.closed().await, expected);
        assert_eq!(reading.await.unwrap(), Err(ReadError::ConnectionLost(expected.clone())));
        assert_eq!(accepting.await.unwrap(), Err(expected.clone()));
        assert_eq!(send.write(b"x").await, Err(WriteError::ConnectionLost(expected.clone())));
        assert_eq!(send.stopped().await, Err(StoppedError::ConnectionLost(expected.clone())));
        assert_eq!(client.open_bi().await.map(drop), Err(expected));
        assert_eq!(server.closed().await, ConnectionError::LocallyClosed);
        pair.client.wait_idle().await;
        pair.server.wait_idle().await;
        assert_eq!(pair.client.stats().open, 0);
    });
}

#[test]
fn dropping_the_last_handle_closes_with_code_zero() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let copy = client.clone();
        let stream = client.open_uni().await.unwrap();
        drop((client, copy));
        assert_eq!(server.close_reason(), None, "a stream still holds it");
        drop(stream);
        assert_eq!(server.closed().await, ConnectionError::PeerApplication { code: 0, reason: Vec::new() });
    });
}

#[test]
fn resets_and_stops_carry_their_codes() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        send.write_all(b"some").await.unwrap();
        let (mut their_send, mut their_recv) = server.accept_bi().await.unwrap();
        assert_eq!(their_recv.read_chunk(10).await.unwrap().as_deref(), Some(&b"some"[..]));

        send.reset(11).unwrap();
        assert!(send.finish().is_err(), "it is over");
        assert_eq!(their_recv.read(&mut [0; 1]).await, Err(ReadError::Reset(11)));
        assert_eq!(their_recv.read(&mut [0; 1]).await, Err(ReadError::Reset(11)), "as often as asked");

        recv.stop(12).unwrap();
        assert_eq!(recv.read(&mut [0; 1]).await, Err(ReadError::ClosedStream));
        assert_eq!(their_send.stopped().await.unwrap(), Some(12));
        assert_eq!(their_send.write(b"x").await, Err(WriteError::Stopped(12)));
    });
}

#[test]
fn dropping_a_receiver_stops_the_sender() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"x").await.unwrap();
        drop(server.accept_uni().await.unwrap());
        assert_eq!(send.stopped().await.unwrap(), Some(0));
    });
}

#[test]
fn what_arrived_before_the_end_can_still_be_read() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"last words").await.unwrap();
        send.finish().unwrap();
        assert_eq!(send.stopped().await.unwrap(), None);
        client.close(0, b"");
        server.closed().await;
        let mut recv = server.accept_uni().await.expect("it was opened before");
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"last words");
    });
}

#[test]
fn a_handshake_with_nobody_can_be_given_up() {
    run(async {
        let (mut config, _) = configs(|_| {});
        config.transport(|transport| transport.initial_rtt = Duration::from_millis(20));
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = client.connect_with(&config, silent.local_addr().unwrap(), "localhost").unwrap();
        assert!(
            timeout(Duration::from_millis(300), connecting).await.is_err(),
            "the core would wait for 30 s"
        );
        client.wait_idle().await;
        let (mut datagrams, mut buffer) = (0, [0; 2000]);
        while silent.try_recv(&mut buffer).is_ok() {
            datagrams += 1;
        }
        assert!(datagrams >= 3, "it tried again and said goodbye: {datagrams}");
    });
}

#[test]
fn silence_ends_a_connection_unless_it_is_kept_alive() {
    run(async {
        for (keep_alive, alive) in [(None, false), (Some(Duration::from_millis(100)), true)] {
            let pair = Pair::with(|transport| {
                transport.idle_timeout = Duration::from_millis(400);
                transport.keep_alive = keep_alive;
            });
            let (client, server) = pair.connect().await;
            tokio::time::sleep(Duration::from_millis(1200)).await;
            assert_eq!(client.close_reason().is_none(), alive);
            assert_eq!(server.close_reason().is_none(), alive);
            if !alive {
                assert_eq!(client.closed().await, ConnectionError::IdleTimeout);
            }
        }
    });
}

#[test]
fn a_wrong_pin_is_told_to_both() {
    run(async {
        let pair = Pair::new();
        let stranger = tls::RawIdentity::generate();
        let wrong = tls::ClientConfig::pinned_key(stranger.spki()).alpn(["test"]);
        let config = ClientConfig::new(wrong).unwrap();
        let connecting = pair.client.connect_with(&config, pair.server.local_addr(), "localhost").unwrap();
        let accepting = async { pair.server.accept().await.unwrap().await };
        let (client, server) = tokio::join!(connecting, accepting);
        let Err(ConnectionError::Violation(error)) = client else { panic!("{client:?}") };
        assert!(error.code.alert().is_some() && error.reason.contains("key"), "{error}");
        let Err(ConnectionError::PeerTransport { code, .. }) = server else { panic!("{server:?}") };
        assert_eq!(code, error.code);
    });
}

#[test]
fn no_protocol_in_common_fails_with_its_alert() {
    run(async {
        let key = tls::RawIdentity::generate();
        let other = tls::ClientConfig::pinned_key(key.spki()).alpn(["other"]);
        let show = tls::ServerConfig::new().raw_key(key).alpn(["test"]);
        let server =
            Endpoint::server(tq::ServerConfig::new(show).unwrap(), "127.0.0.1:0".parse().unwrap()).unwrap();
        let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = ClientConfig::new(other).unwrap();
        let connecting = client.connect_with(&config, server.local_addr(), "localhost").unwrap();
        let (client, _) = tokio::join!(connecting, async { server.accept().await.unwrap().await.map(drop) });
        let Err(ConnectionError::PeerTransport { code, .. }) = client else { panic!("{client:?}") };
        assert_eq!(code, Code::crypto(120), "no_application_protocol");
    });
}

#[test]
fn both_ends_know_each_other_by_raw_key() {
    run(async {
        let (server_key, client_key) = (tls::RawIdentity::generate(), tls::RawIdentity::generate());
        let known = client_key.spki().to_vec();
        let show = tls::ServerConfig::new()
            .raw_key(server_key.clone())
            .clients(tls::ClientAuth::raw_keys(move |spki| spki == known))
            .alpn(["test"]);
        let trust =
            tls::ClientConfig::pinned_key(server_key.spki()).raw_key(client_key.clone()).alpn(["test"]);
        let any = "127.0.0.1:0".parse().unwrap();
        let pair = Pair {
            server: Endpoint::server(tq::ServerConfig::new(show).unwrap(), any).unwrap(),
            client: Endpoint::client(any).unwrap(),
        };
        pair.client.set_client_config(ClientConfig::new(trust).unwrap());
        let (client, server) = pair.connect().await;
        assert_eq!(client.peer(), PeerIdentity::RawKey(server_key.spki().to_vec()));
        assert_eq!(server.peer(), PeerIdentity::RawKey(client_key.spki().to_vec()));
    });
}

#[test]
fn an_attempt_can_be_refused_or_sent_for_proof() {
    run(async {
        let pair = Pair::new();
        let connect = || pair.client.connect(pair.server.local_addr(), "localhost").unwrap();
        let (client, ()) = tokio::join!(connect(), async { pair.server.accept().await.unwrap().refuse() });
        let Err(ConnectionError::PeerTransport { code, .. }) = client else { panic!("{client:?}") };
        assert_eq!(code, Code::CONNECTION_REFUSED);

        let proven = async {
            let first = pair.server.accept().await.unwrap();
            assert!(!first.address_validated());
            first.retry().expect("the first time");
            let second = pair.server.accept().await.unwrap();
            assert!(second.address_validated());
            let second = second.retry().expect_err("once is enough").into_incoming();
            second.await.unwrap()
        };
        let (client, server) = tokio::join!(connect(), proven);
        let mut send = client.unwrap().open_uni().await.unwrap();
        send.write_all(b"proven").await.unwrap();
        send.finish().unwrap();
        assert_eq!(server.accept_uni().await.unwrap().read_to_end(10).await.unwrap(), b"proven");
    });
}

#[test]
fn attempts_beyond_the_limit_are_ignored_and_counted() {
    run(async {
        let (mut config, server) = configs(|_| {});
        config.transport(|transport| transport.initial_rtt = Duration::from_millis(20));
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Endpoint::builder().server(server).incoming_limit(2).bind(any).unwrap();
        let client = Endpoint::client(any).unwrap();
        let connect = || client.connect_with(&config, server.local_addr(), "localhost").unwrap();
        let attempts = [connect(), connect(), connect(), connect()];
        while server.stats().ignored == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(server.stats().waiting, 2);
        // Whoever was ignored tries again and gets in, once there is room.
        let serving = tokio::spawn({
            let server = server.clone();
            async move {
                while let Some(incoming) = server.accept().await {
                    tokio::spawn(async move {
                        if let Ok(connection) = incoming.await {
                            connection.closed().await;
                        }
                    });
                }
            }
        });
        for attempt in attempts {
            attempt.await.unwrap();
        }
        server.close(0, b"");
        serving.await.unwrap();
    });
}

#[test]
fn a_closed_endpoint_says_so() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        pair.server.close(3, b"shutting down");
        assert_eq!(
            client.closed().await,
            ConnectionError::PeerApplication { code: 3, reason: b"shutting down".to_vec() }
        );
        assert_eq!(server.closed().await, ConnectionError::LocallyClosed);
        assert!(pair.server.accept().await.is_none());
        pair.client.close(0, b"");
        let again = pair.client.connect(pair.server.local_addr(), "localhost");
        assert_eq!(again.map(drop), Err(ConnectError::EndpointClosed));
        pair.server.wait_idle().await;
        pair.client.wait_idle().await;
    });
}

#[test]
fn misuse_is_explained_before_any_packet_is_sent() {
    run(async {
        let (config, _) = configs(|_| {});
        let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = |addr: &str| client.connect_with(&config, addr.parse().unwrap(), "localhost").map(drop);
        assert_eq!(
            client.connect("127.0.0.1:1".parse().unwrap(), "x").map(drop),
            Err(ConnectError::NoClientConfig)
        );
        for nowhere in ["127.0.0.1:0", "0.0.0.0:443", "[::1]:443", "224.0.0.1:443"] {
            assert!(matches!(to(nowhere), Err(ConnectError::InvalidRemote(_))), "{nowhere}");
        }
        let name = client.connect_with(&config, "127.0.0.1:1".parse().unwrap(), "no name!").map(drop);
        assert!(matches!(name, Err(ConnectError::Tls { .. })), "{name:?}");
    });
}

#[test]
fn an_endpoint_needs_a_runtime() {
    let error = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[test]
fn a_runtime_that_ends_takes_its_connections_along() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (pair, client, server) = runtime.block_on(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        (pair, client, server)
    });
    drop(runtime);
    for connection in [client, server] {
        assert_eq!(connection.close_reason(), Some(ConnectionError::LocallyClosed));
    }
    assert!(pair.client.connect(pair.server.local_addr(), "localhost").is_err());
}

#[test]
fn every_connection_can_have_a_subscriber() {
    run(async {
        let (mut client_config, server_config) = configs(|_| {});
        client_config.transport(|transport| transport.congestion = Some(Algorithm::NewReno));
        let any = "127.0.0.1:0".parse().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&count);
        let subscribers = move |new: &qlog::NewConnection| {
            assert!(new.side.is_server());
            counting.fetch_add(1, Ordering::Relaxed);
            None
        };
        let pair = Pair {
            server: Endpoint::builder()
                .server(server_config)
                .subscribers(Arc::new(subscribers))
                .bind(any)
                .unwrap(),
            client: Endpoint::client(any).unwrap(),
        };
        pair.client.set_client_config(client_config);
        let one = pair.connect().await;
        let two = pair.connect().await;
        assert_eq!(count.load(Ordering::Relaxed), 2);
        drop((one, two));
    });
}
