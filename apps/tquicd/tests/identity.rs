//! Who comes in, who does not, and what strangers can tell.

mod common;

use std::time::Duration;

use common::{Bond, Folder, echo, id, run, socks, start_server, until};
use tokio::io::AsyncReadExt;
use tq::{ClientConfig, ConnectionError, Endpoint, tls};
use tq_control::{Method, model};
use tq_identity::{Secret, Token};
use tquicd::server::Server;

/// What a client of this token hears when it comes with this key and name.
async fn knock(token: &Token, key: tls::RawIdentity, name: &str) -> Result<(), ConnectionError> {
    let pin = tls::ed25519_spki(&token.server_key);
    let trust = tls::ClientConfig::pinned_key(&pin).raw_key(key).alpn([tq_tunnel::ALPN]);
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = (token.addresses[0], token.port).into();
    let connection = endpoint.connect_with(&ClientConfig::new(trust).unwrap(), to, name).unwrap().await?;
    connection.confirmed().await
}

/// One device that may come in, and one that may not any more.
fn invited(server: &Server) -> (Token, Token) {
    let good = server.invite(&id("acme/good"), None, false).unwrap();
    let revoked = server.invite(&id("acme/revoked"), None, false).unwrap();
    server.revoke(&revoked.tenant, Some(&revoked.device)).unwrap();
    (good, revoked)
}

#[test]
fn unknown_wrong_revoked_and_expired_hear_the_same() {
    run(async {
        let folder = Folder::new();
        let (_daemon, server, _) = start_server(&folder, &[]).await;
        let (good, revoked) = invited(&server);
        let expired = server.invite(&id("acme/expired"), Some(0), false).unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let name = good.secret.server_name();
        assert_eq!(knock(&good, good.secret.join_key(), &name).await, Ok(()));
        let stranger = Secret::generate();
        let heard = [
            knock(&good, stranger.join_key(), &stranger.server_name()).await,
            knock(&good, stranger.join_key(), &name).await,
            knock(&good, good.secret.join_key(), &stranger.server_name()).await,
            knock(&good, revoked.secret.join_key(), &revoked.secret.server_name()).await,
            knock(&good, expired.secret.join_key(), &expired.secret.server_name()).await,
            knock(&good, good.secret.join_key(), "localhost").await,
        ];
        assert!(matches!(heard[0], Err(ConnectionError::PeerTransport { .. })), "{:?}", heard[0]);
        for other in &heard[1..] {
            assert_eq!(*other, heard[0]);
        }
    });
}

/// How much more often than by chance one sample is slower than the other, in standard deviations (Mann and Whitney).
fn slower(one: &[Duration], other: &[Duration]) -> f64 {
    let wins = |a: &Duration| {
        let of = |b: &Duration| if a > b { 1.0 } else { f64::from(u8::from(a == b)) / 2.0 };
        other.iter().map(of).sum::<f64>()
    };
    let (n, m) = (one.len() as f64, other.len() as f64);
    (one.iter().map(wins).sum::<f64>() - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

#[test]
fn unknown_wrong_and_revoked_take_as_long() {
    const ROUNDS: usize = 200;
    run(async {
        let folder = Folder::new();
        let (_daemon, server, _) = start_server(&folder, &[]).await;
        let (good, revoked) = invited(&server);
        let stranger = Secret::generate();
        let who = [
            (&stranger, stranger.server_name()),
            (&stranger, good.secret.server_name()),
            (&revoked.secret, revoked.secret.server_name()),
        ];
        let mut times = [const { Vec::new() }; 3];
        for round in 0..ROUNDS + 10 {
            // In turn, and each as often first.
            for at in (0..3).map(|at| (at + round) % 3) {
                let (secret, name) = &who[at];
                let start = tokio::time::Instant::now();
                assert!(knock(&good, secret.join_key(), name).await.is_err());
                if round >= 10 {
                    times[at].push(start.elapsed());
                }
            }
        }
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let by = slower(&times[one], &times[other]);
            // By chance once in two million.
            assert!(by.abs() < 5.0, "{one} against {other}: {by:.1}");
        }
    });
}

#[test]
fn another_server_is_not_believed() {
    run(async {
        let folder = Folder::new();
        let (_daemon, server, _) = start_server(&folder, &[]).await;
        let mut token = server.invite(&id("acme/van"), None, false).unwrap();
        token.server_key = Secret::generate().join_key().public_key();
        let heard = knock(&token, token.secret.join_key(), &token.secret.server_name()).await;
        assert!(matches!(heard, Err(ConnectionError::Violation(_))), "{heard:?}");
    });
}

#[test]
fn a_token_is_used_up_by_the_first_to_join() {
    run(async {
        let bond = Bond::new(1, &[]).await;
        let text = std::fs::read_to_string(bond.folder.0.join("token")).unwrap();
        let token: Token = text.parse().unwrap();
        let heard = knock(&token, token.secret.join_key(), &token.secret.server_name()).await;
        assert!(matches!(heard, Err(ConnectionError::PeerTransport { .. })), "{heard:?}");
        let tenants: model::Tenants = bond.at_server.get("tenants").await.unwrap();
        assert_eq!((tenants.devices[0].standing.as_str(), tenants.devices[0].online), ("joined", true));
    });
}

#[test]
fn revoking_ends_what_runs_and_rotating_lets_in_again() {
    run(async {
        let target = echo("127.0.0.1:0").await;
        let bond = Bond::new(2, &[target]).await;
        let mut tcp = socks(bond.socks, &target.to_string()).await.unwrap();
        let revoked: model::Revoked =
            bond.at_server.ask(Method::Delete, "tenants/acme/van", &()).await.unwrap();
        assert_eq!((revoked.revoked, revoked.sessions_ended), (vec!["acme/van".to_owned()], 1));
        assert!(tcp.read(&mut [0; 1]).await.is_err(), "its connections are reset");
        until("the router is told no", || async {
            let status: model::Status = bond.at_router.get("status").await.unwrap();
            let error = status.session.unwrap().error.unwrap_or_default();
            error.contains("does not let this device in").then_some(())
        })
        .await;
        let again: model::NewToken = bond
            .at_server
            .ask(Method::Post, "tenants/acme/van/rotate", &serde_json::json!({}))
            .await
            .unwrap();
        bond.router.stop().await;
        let config = bond.folder.router(&again.token, 2);
        let router = tquicd::Daemon::start(tquicd::Config::load(&config).unwrap()).await.unwrap();
        let mut session = router.router().unwrap().session();
        session.wait_for(Option::is_some).await.unwrap();
    });
}

#[test]
fn tenants_are_managed_and_nothing_secret_is_told() {
    run(async {
        let bond = Bond::new(1, &[]).await;
        let ask = serde_json::json!({"expires_in_s": 600});
        let made: model::NewToken = bond.at_server.ask(Method::Post, "tenants/acme/two", &ask).await.unwrap();
        let token: Token = made.token.parse().unwrap();
        assert_eq!((token.expires, token.tenant.as_str()), (made.expires, "acme"));
        let twice = bond.at_server.ask::<model::NewToken>(Method::Post, "tenants/acme/two", &ask).await;
        assert!(twice.err().unwrap().to_string().contains("acme/two exists"));
        for bad in ["tenants/a%20b/c", "tenants/acme/.x"] {
            assert!(bond.at_server.ask::<model::NewToken>(Method::Post, bad, &ask).await.is_err(), "{bad}");
        }
        let mut told = String::new();
        for what in ["status", "tenants", "connections", "paths", "stats"] {
            told += &bond.at_server.get::<serde_json::Value>(what).await.unwrap().to_string();
        }
        for what in ["status", "links", "connections", "paths", "stats"] {
            told += &bond.at_router.get::<serde_json::Value>(what).await.unwrap().to_string();
        }
        let first: Token = std::fs::read_to_string(bond.folder.0.join("token")).unwrap().parse().unwrap();
        for secret in ["tquic://", &first.secret.server_name(), &token.secret.server_name(), "secret", "seed"]
        {
            assert!(!told.contains(secret), "{secret}");
        }
    });
}
