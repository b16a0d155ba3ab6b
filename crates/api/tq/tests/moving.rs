//! Connections that move between sockets, and a server that starts again.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Pair, configs, run, transfer, until};
use tq::{ConnectionError, Endpoint, EndpointConfig, MigrateError, quic};

const ANY: &str = "127.0.0.1:0";

fn any() -> SocketAddr {
    ANY.parse().unwrap()
}

#[test]
fn a_connection_moves_to_another_socket_in_the_middle_of_a_transfer() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        client.confirmed().await.unwrap();
        let second = pair.client.bind_also(any()).unwrap();
        let there = pair.client.socket_addr(second).unwrap();
        transfer(&server, &client, 8 << 20, async || client.migrate(second).await.unwrap()).await;
        transfer(&client, &server, 1 << 20, async || ()).await;
        assert_eq!(server.remote_address(), there);
    });
}

#[test]
fn an_endpoint_that_is_bound_anew_takes_its_connections_along() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let (other, _other) = pair.connect().await;
        client.confirmed().await.unwrap();
        other.confirmed().await.unwrap();
        let before = pair.client.local_addr();
        transfer(&client, &server, 8 << 20, async || assert_eq!(pair.client.rebind(any()).unwrap(), 2)).await;
        assert_ne!(pair.client.local_addr(), before);
        assert_eq!(server.remote_address(), pair.client.local_addr());
        let (_third, accepted) = pair.connect().await;
        assert_eq!(accepted.remote_address(), pair.client.local_addr());
    });
}

#[test]
fn a_client_follows_to_the_preferred_address_of_a_server() {
    run(async {
        let (client_config, mut server_config) = configs(|_| {});
        let server = Endpoint::builder().bind(any()).unwrap();
        let preferred = server.bind_also(any()).unwrap();
        let preferred = server.socket_addr(preferred).unwrap();
        let SocketAddr::V4(v4) = preferred else { panic!("asked for IPv4") };
        server_config.transport(|transport| transport.preferred_v4 = Some(v4));
        server.set_server_config(Some(server_config));
        let client = Endpoint::client(any()).unwrap();
        client.set_client_config(client_config);
        let pair = Pair { server, client };
        let (client, server) = pair.connect().await;
        transfer(&server, &client, 4 << 20, async || ()).await;
        until(|| client.remote_address() == preferred).await;
        transfer(&server, &client, 1 << 20, async || ()).await;
        transfer(&client, &server, 1 << 20, async || ()).await;
    });
}

#[test]
fn a_connection_that_may_not_move_says_why() {
    run(async {
        let pair = Pair::with(|transport| transport.allow_migration = false);
        let (client, server) = pair.connect().await;
        client.confirmed().await.unwrap();
        let refused = |error| Err(MigrateError::Refused(error));
        let second = pair.client.bind_also(any()).unwrap();
        assert_eq!(client.migrate(second).await, refused(quic::MigrateError::Disabled));
        assert_eq!(pair.client.rebind(any()).unwrap(), 0);
        let second = pair.server.bind_also(any()).unwrap();
        assert_eq!(server.migrate(second).await, refused(quic::MigrateError::Server));
        client.close(0, b"");
        assert_eq!(client.migrate(second).await, refused(quic::MigrateError::Closed));
    });
}

#[test]
fn sockets_have_an_end() {
    run(async {
        let pair = Pair::new();
        let bound = (0..100).take_while(|_| pair.client.bind_also(any()).is_ok()).count();
        assert_eq!(bound, 63);
    });
}

#[test]
fn a_client_learns_that_its_server_has_started_again() {
    let mut keyed = EndpointConfig::default();
    keyed.reset_key = Some([7; 32]);
    let (client_config, server_config) = configs(|_| {});
    // a runtime of its own, which dies with everything on it as a process would
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, addr) = process.block_on(async {
        let server =
            Endpoint::builder().config(keyed.clone()).server(server_config.clone()).bind(any()).unwrap();
        let addr = server.local_addr();
        (server, addr)
    });
    process.spawn(async move {
        let connection = server.accept().await.unwrap().await.unwrap();
        connection.closed().await;
    });
    run(async {
        let client = Endpoint::client(any()).unwrap();
        client.set_client_config(client_config);
        let connection = client.connect(addr, "localhost").unwrap().await.unwrap();
        connection.confirmed().await.unwrap();
        tokio::task::spawn_blocking(move || process.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
        let _server = Endpoint::builder().config(keyed).server(server_config).bind(addr).unwrap();
        let mut send = connection.open_uni().await.unwrap();
        send.write_all(&[1; 100]).await.unwrap();
        assert_eq!(connection.closed().await, ConnectionError::Reset);
    });
}
