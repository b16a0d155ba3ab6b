//! A hundred devices of one server, at once.

mod common;
mod flood;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Folder, comes_back, echo, id, run, socks, start_server, until};
use tq_control::model;
use tquicd::{Config, Daemon, config::Role};

const DEVICES: usize = 100;

#[test]
fn a_hundred_devices_share_a_server() {
    run(async {
        let folder = Folder::new();
        let target = echo("127.0.0.1:0").await;
        let (_daemon, server, at_server) = start_server(&folder, &[target]).await;
        let mut routers = Vec::new();
        for i in 0..DEVICES {
            let token = server.invite(&id(&format!("t{}/d{i}", i % 7)), None, false).unwrap();
            let own = Folder::new();
            let config = Config::load(&own.router(&token.to_string(), 1)).unwrap();
            let Role::Router(role) = &config.role else { panic!("a router") };
            let front = role.socks5[0];
            routers.push((Daemon::start(config).await.unwrap(), front, own));
        }
        until("all have a session", || async {
            let status: model::Status = at_server.get("status").await.unwrap();
            (status.sessions.len() == DEVICES).then_some(())
        })
        .await;
        let asks = routers.iter().map(|(_, front, _)| {
            let (front, target) = (*front, target.to_string());
            tokio::spawn(async move { comes_back(socks(front, &target).await.unwrap(), 200_000).await })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert!(ask.await.unwrap());
        }
        let status: model::Status = at_server.get("status").await.unwrap();
        assert_eq!(status.traffic.bytes_up, 200_000 * DEVICES as u64);
        // One goes, and only its session ends.
        let first = id("t0/d0");
        server.revoke(&first.tenant, Some(&first.device)).unwrap();
        until("one is gone", || async {
            let status: model::Status = at_server.get("status").await.unwrap();
            (status.sessions.len() == DEVICES - 1).then_some(())
        })
        .await;
    });
}

/// Loosely, beside everything else this machine does; the bar is `cargo run --release -p tquicd --example many`.
#[test]
fn one_that_floods_leaves_the_others_their_share() {
    const RATE: u64 = 16 * 1024;
    run(async {
        let folder = Folder::new();
        // Two: what is shared is to be the server.
        let (target, other) = (flood::target().await, flood::target().await);
        let (_daemon, server, _) = start_server(&folder, &[target, other]).await;
        let invite = |i: usize| server.invite(&id(&format!("many/d{i}")), None, false).unwrap();
        let mut devices = Vec::new();
        for i in 0..DEVICES {
            devices.push(flood::join(&invite(i)).await);
        }
        for (i, kind) in [flood::Flood::Opens, flood::Flood::Tiny].into_iter().enumerate() {
            let flooder = tokio::spawn(flood::flood(kind, invite(DEVICES + i), other));
            let counts: Vec<_> = devices.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
            let downloads = devices.iter().zip(&counts).map(|(device, count)| {
                let (connection, count) = (device.connection.clone(), Arc::clone(count));
                tokio::spawn(flood::download(connection, target, Some(RATE), count))
            });
            let downloads: Vec<_> = downloads.collect();
            tokio::time::sleep(Duration::from_secs(3)).await;
            let mut got: Vec<_> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
            downloads.iter().for_each(tokio::task::JoinHandle::abort);
            flooder.abort();
            got.sort_unstable();
            assert!(got[DEVICES / 10] >= 3 * RATE / 2, "{kind:?}: {got:?}");
        }
    });
}
