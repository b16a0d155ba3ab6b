//! 0-RTT, resumption and versions over loopback.

mod common;

use common::{pattern, run};
use tq::{ClientConfig, Connection, EarlyData, Endpoint, EndpointConfig, ServerConfig, Version, tls};

/// A client and what it needs to meet a server again, and that server.
fn ends(early: bool, versions: &[Version]) -> (Endpoint, Endpoint, tls::ServerConfig) {
    let key = tls::RawIdentity::generate();
    let trust = tls::ClientConfig::pinned_key(key.spki()).alpn(["test"]).early_data(early);
    let settings = tls::ServerConfig::new().raw_key(key).alpn(["test"]).early_data(early);
    let mut config = EndpointConfig::default();
    config.versions = versions.to_vec();
    let addr = "127.0.0.1:0".parse().unwrap();
    let server = ServerConfig::new(settings.clone()).unwrap();
    let server = Endpoint::builder().config(config.clone()).server(server).bind(addr).unwrap();
    let client = ClientConfig::new(trust).unwrap();
    let client = Endpoint::builder().config(config).client(client).bind(addr).unwrap();
    (client, server, settings)
}

/// One connection, at the end of which the client has tickets.
async fn meet(client: &Endpoint, server: &Endpoint) -> Connection {
    let connecting = client.connect(server.local_addr(), "localhost").unwrap();
    let accepting = async { server.accept().await.unwrap().await.unwrap() };
    let (ours, theirs) = tokio::join!(connecting, accepting);
    let ours = ours.unwrap();
    ours.confirmed().await.unwrap();
    // what the server sends after its tickets comes after them
    let mut send = theirs.open_uni().await.unwrap();
    send.write_all(b"x").await.unwrap();
    send.finish().unwrap();
    ours.accept_uni().await.unwrap().read_to_end(1).await.unwrap();
    ours.close(0, b"");
    theirs.closed().await;
    ours
}

#[test]
fn early_data_is_read_before_the_handshake_is_complete() {
    run(async {
        let (client, server, _) = ends(true, &[Version::V1]);
        let (strange, stranger, _) = ends(true, &[Version::V1]);
        let first = strange.connect(stranger.local_addr(), "localhost").unwrap();
        assert!(first.into_early().is_err(), "nobody met this server before");
        meet(&client, &server).await;
        let data = pattern(5000);
        let ours = client.connect(server.local_addr(), "localhost").unwrap().into_early().unwrap();
        assert_eq!(ours.early_data(), EarlyData::Pending);
        let (mut send, mut recv) = ours.open_bi().await.unwrap();
        send.write_all(&data).await.unwrap();
        send.finish().unwrap();
        let theirs = server.accept().await.unwrap().accept().unwrap().into_early().unwrap();
        let (mut back, mut request) = theirs.accept_bi().await.unwrap();
        assert!(request.read_to_end(data.len()).await.unwrap() == data);
        assert!(theirs.early_accepted().await.unwrap());
        back.write_all(b"half a round trip later").await.unwrap();
        back.finish().unwrap();
        assert!(ours.early_accepted().await.unwrap());
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"half a round trip later");
        theirs.connected().await.unwrap();
        assert!(ours.is_resumed() && theirs.is_resumed());
    });
}

#[test]
fn early_data_that_is_not_taken_arrives_all_the_same() {
    run(async {
        let (client, server, settings) = ends(true, &[Version::V1]);
        meet(&client, &server).await;
        // a server that starts anew has no tickets to know anybody by
        server.set_server_config(Some(ServerConfig::new(settings).unwrap()));
        let data = pattern(50_000);
        let ours = client.connect(server.local_addr(), "localhost").unwrap().into_early().unwrap();
        let mut send = ours.open_uni().await.unwrap();
        let writing = async {
            send.write_all(&data).await.unwrap();
            send.finish().unwrap();
            assert!(!ours.early_accepted().await.unwrap());
        };
        let reading = async {
            let theirs = server.accept().await.unwrap().await.unwrap();
            let got = theirs.accept_uni().await.unwrap().read_to_end(data.len()).await.unwrap();
            (theirs, got)
        };
        let ((), (theirs, got)) = tokio::join!(writing, reading);
        assert!(got == data);
        assert_eq!((ours.early_data(), theirs.early_data()), (EarlyData::Rejected, EarlyData::None));
        assert!(!ours.is_resumed());
    });
}

#[test]
fn without_early_data_a_second_connection_resumes() {
    run(async {
        let (client, server, _) = ends(false, &[Version::V1]);
        meet(&client, &server).await;
        let connecting = client.connect(server.local_addr(), "localhost").unwrap();
        let connecting = connecting.into_early().expect_err("not asked for");
        let (ours, theirs) =
            tokio::join!(connecting, async { server.accept().await.unwrap().await.unwrap() });
        assert!(ours.unwrap().is_resumed() && theirs.is_resumed());
    });
}

#[test]
fn a_server_that_prefers_version_two_is_answered_in_it() {
    run(async {
        let (client, server, _) = ends(false, &[Version::V2, Version::V1]);
        let ours = meet(&client, &server).await;
        assert_eq!(ours.version(), Version::V2);
    });
}
