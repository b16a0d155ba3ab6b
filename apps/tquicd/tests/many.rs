//! A hundred devices of one server, at once.

mod common;

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
