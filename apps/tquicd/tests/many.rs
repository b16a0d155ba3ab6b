//! A hundred devices of one server, at once.

mod common;
mod flood;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Folder, comes_back, echo, free_port, id, run, socks, start_server, until};
use tq_control::model;
use tquicd::{Config, Daemon, config::Role};

const DEVICES: usize = 100;
/// What each asks for, bytes a second, and for how long.
const RATE: u64 = 16 * 1024;
const WHILE: Duration = Duration::from_secs(2);

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

/// What devices get of `RATE` in a while, least first.
async fn load(devices: &[flood::Joined], target: SocketAddr) -> Vec<u64> {
    let start = |device: &flood::Joined| {
        let count = Arc::new(AtomicU64::new(0));
        let work = flood::download(device.connection.clone(), target, Some(RATE), Arc::clone(&count));
        (tokio::spawn(work), count)
    };
    let running: Vec<_> = devices.iter().map(start).collect();
    tokio::time::sleep(WHILE).await;
    let mut got: Vec<_> = running.iter().map(|(_, count)| count.load(Ordering::Relaxed)).collect();
    running.iter().for_each(|(task, _)| task.abort());
    got.sort_unstable();
    got
}

/// Loosely, beside everything else this machine does; the bar is `cargo run --release -p tquicd --example many`.
#[test]
fn one_that_floods_leaves_the_others_their_share() {
    run(async {
        let folder = Folder::new();
        // Two: what is shared is to be the server.
        let (target, other) = (flood::target().await, free_port());
        let other = ([127, 0, 0, 1], other).into();
        let (_daemon, server, _) = start_server(&folder, &[target, other]).await;
        let invite = |i: usize| server.invite(&id(&format!("many/d{i}")), None, false).unwrap();
        let mut devices = Vec::new();
        for i in 0..DEVICES {
            devices.push(flood::join(&invite(i)).await);
        }
        let calm = load(&devices, target).await[DEVICES / 2];
        for (i, kind) in [flood::Flood::Opens, flood::Flood::Tiny].into_iter().enumerate() {
            // With a thread of its own, so that it takes from the others nothing but what the server gives it.
            let (token, (end, ended)) = (invite(DEVICES + i), tokio::sync::oneshot::channel::<()>());
            let flooder = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    flood::target_at(other).await;
                    tokio::select! { () = flood::flood(kind, token, other) => {}, _ = ended => {} }
                });
            });
            let got = load(&devices, target).await;
            drop(end);
            flooder.join().unwrap();
            assert!(got[DEVICES / 2] >= calm / 2, "{kind:?}: {calm} without, {got:?}");
        }
    });
}
