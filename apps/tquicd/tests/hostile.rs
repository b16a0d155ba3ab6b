//! A device that means harm: it has a token, and keeps to nothing else.

mod common;

use std::time::Duration;

use common::{Folder, echo, id, run, start_server, until};
use tq::{ClientConfig, Connection, Endpoint, tls};
use tq_control::model;
use tq_identity::{Secret, Token};
use tq_tunnel::{Open, Target, ToRouter, ToServer, read_message, write_message};

/// A connection that has said nothing yet.
async fn connect(token: &Token, key: tls::RawIdentity) -> Connection {
    let pin = tls::ed25519_spki(&token.server_key);
    let trust = tls::ClientConfig::pinned_key(&pin).raw_key(key).alpn([tq_tunnel::ALPN]);
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = (token.addresses[0], token.port).into();
    let name = token.secret.server_name();
    endpoint.connect_with(&ClientConfig::new(trust).unwrap(), to, &name).unwrap().await.unwrap()
}

fn hello() -> ToServer {
    ToServer::Hello { version: 1, software: "x\u{1b}[31m".repeat(100) }
}

/// A connection that has joined as it should.
async fn join(token: &Token) -> (Connection, tq::SendStream, tq::RecvStream) {
    let connection = connect(token, token.secret.join_key()).await;
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    write_message(&mut send, &hello()).await.unwrap();
    let welcome = read_message(&mut recv).await.unwrap();
    assert!(matches!(welcome, ToRouter::Welcome { enrol: true, .. }));
    let key = Secret::generate().join_key().spki().to_vec();
    write_message(&mut send, &ToServer::Enrol { key }).await.unwrap();
    assert_eq!(read_message::<ToRouter>(&mut recv).await.unwrap(), ToRouter::Enrolled);
    (connection, send, recv)
}

#[test]
fn nothing_is_served_before_a_key_is_enrolled() {
    run(async {
        let folder = Folder::new();
        let target = echo("127.0.0.1:0").await;
        let (_daemon, server, at_server) = start_server(&folder, &[target]).await;
        let token = server.invite(&id("acme/van"), None, false).unwrap();
        let connection = connect(&token, token.secret.join_key()).await;
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        write_message(&mut send, &hello()).await.unwrap();
        let _: ToRouter = read_message(&mut recv).await.unwrap();
        let (mut open, mut answer) = connection.open_bi().await.unwrap();
        open.write_all(&Open::tcp(Target::Addr(target)).encode()).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_millis(300), answer.read(&mut [0; 1])).await;
        assert!(heard.is_err(), "{heard:?}");
        let status: model::Status = at_server.get("status").await.unwrap();
        assert!(status.sessions.is_empty() && status.traffic.opened == 0);
    });
}

#[test]
fn nonsense_on_the_control_stream_ends_the_connection() {
    run(async {
        let folder = Folder::new();
        let (_daemon, server, _) = start_server(&folder, &[]).await;
        let enrol = |key: &[u8]| ToServer::Enrol { key: key.to_vec() };
        let framed = |message: &ToServer| {
            let body = serde_json::to_vec(message).unwrap();
            [&(body.len() as u16).to_be_bytes()[..], &body].concat()
        };
        let attacks = [
            vec![0, 3, b'{', b'a', b'}'],
            vec![0xff, 0xff],
            vec![0, 0],
            [b"\x00\x02[]".to_vec(), vec![0; 100]].concat(),
            framed(&enrol(&[1; 44])),
            [framed(&hello()), framed(&enrol(&[1; 44]))].concat(),
            [framed(&hello()), framed(&enrol(&[]))].concat(),
            [framed(&hello()), framed(&enrol(&[7; 4000]))].concat(),
        ];
        for (i, attack) in attacks.iter().enumerate() {
            let token = server.invite(&id(&format!("acme/d{i}")), None, false).unwrap();
            let connection = connect(&token, token.secret.join_key()).await;
            let (mut send, _recv) = connection.open_bi().await.unwrap();
            send.write_all(attack).await.unwrap();
            let why = connection.closed().await;
            assert!(matches!(why, tq::ConnectionError::PeerApplication { code: 0x13, .. }), "{i}: {why:?}");
        }
    });
}

#[test]
fn bad_headers_are_answered_and_harm_nobody() {
    run(async {
        let folder = Folder::new();
        let target = echo("127.0.0.1:0").await;
        let (_daemon, server, _) = start_server(&folder, &[target]).await;
        let token = server.invite(&id("acme/van"), None, false).unwrap();
        let (connection, _send, _recv) = join(&token).await;
        for header in
            [&[0, 0][..], &[0xff, 0xff], &[0, 3, 1, 1, 9], &[0, 4, 9, 9, 9, 9], &[0, 5, 1, 1, 3, 9, b'x']]
        {
            let (mut send, mut recv) = connection.open_bi().await.unwrap();
            send.write_all(header).await.unwrap();
            let _ = send.finish();
            assert_eq!(recv.read_to_end(10).await.unwrap(), [0, 1, 7], "{header:?}");
        }
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&Open::tcp(Target::Addr(target)).encode()).await.unwrap();
        send.write_all(b"hello").await.unwrap();
        send.finish().unwrap();
        assert_eq!(recv.read_to_end(10).await.unwrap(), b"\0\x01\0hello");
    });
}

#[test]
fn a_flood_of_opens_is_bounded() {
    run(async {
        let folder = Folder::new();
        // Accepts nothing: its queue fills, and what is dialled beyond it waits.
        let hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = hole.local_addr().unwrap();
        let (_daemon, server, at_server) = start_server(&folder, &[target]).await;
        let token = server.invite(&id("acme/van"), None, false).unwrap();
        let (connection, _send, _recv) = join(&token).await;
        let mut held = Vec::new();
        // Headers that never end hold an attempt each, up to what a device may have.
        for _ in 0..600 {
            let (mut send, recv) = connection.open_bi().await.unwrap();
            send.write_all(&[0]).await.unwrap();
            held.push((send, recv));
        }
        let busy = until("the rest is told to come back later", || async {
            let stats: model::Stats = at_server.get("stats").await.unwrap();
            Some(stats.counters["flow_busy"]).filter(|busy| *busy >= 600 - 256)
        });
        assert_eq!(busy.await, 600 - 256);
        // Room comes back with their end, and no stream is left behind.
        for (send, _) in &mut held {
            let _ = send.reset(0);
        }
        drop(held);
        until("all streams are over", || async {
            let status: model::Status = at_server.get("status").await.unwrap();
            status.sessions.first().is_some_and(|peer| peer.streams <= 1).then_some(())
        })
        .await;
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&Open::tcp(Target::Addr(target)).encode()).await.unwrap();
        let mut answer = [9; 3];
        recv.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0, 1, 0]);
    });
}

#[test]
fn connections_that_say_nothing_are_bounded() {
    run(async {
        let folder = Folder::new();
        let (_daemon, server, _) = start_server(&folder, &[]).await;
        let token = server.invite(&id("acme/van"), None, false).unwrap();
        let mut silent = Vec::new();
        for _ in 0..40 {
            let connection = connect(&token, token.secret.join_key()).await;
            let _ = connection.confirmed().await;
            silent.push(connection);
        }
        until("those beyond the limit are turned away", || async {
            let open = silent.iter().filter(|connection| connection.close_reason().is_none()).count();
            (open == 16).then_some(())
        })
        .await;
        // Another device is not concerned, and this one is let in when they have gone.
        join(&server.invite(&id("acme/other"), None, false).unwrap()).await;
        silent.iter().for_each(|connection| connection.close(0, b""));
        drop(silent);
        tokio::time::sleep(Duration::from_millis(300)).await;
        join(&token).await;
    });
}
