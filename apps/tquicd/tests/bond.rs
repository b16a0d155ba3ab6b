//! Programs through a bond, end to end.

mod common;
mod flood;

use std::time::Duration;

use common::{Bond, Folder, comes_back, echo, id, run, socks, start_server, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tq_control::{Method, model};
use tq_tunnel::{PathTerms, ToServer};
use tquicd::router::links::LinkEvent;

#[test]
fn a_program_reaches_its_target_over_all_links() {
    run(async {
        let target = echo("127.0.0.1:0").await;
        let bond = Bond::new(3, &[target]).await;
        let tcp = socks(bond.socks, &target.to_string()).await.unwrap();
        assert!(comes_back(tcp, 24 << 20).await);
        let paths: model::Paths = bond.at_router.get("paths").await.unwrap();
        let mut links: Vec<_> = paths.paths.iter().map(|path| path.link.clone().unwrap()).collect();
        links.sort();
        assert_eq!(links, ["wan0", "wan1", "wan2"]);
        let carried = paths.paths.iter().filter(|path| path.bytes_sent > 100_000).count();
        assert!(carried >= 2, "a bond uses more than one link: {:?}", paths.paths);
        let status: model::Status = bond.at_router.get("status").await.unwrap();
        assert_eq!((status.traffic.bytes_up, status.traffic.bytes_down), (24 << 20, 24 << 20));
        let status: model::Status = bond.at_server.get("status").await.unwrap();
        let peer = &status.sessions[0];
        assert_eq!((peer.tenant.as_str(), peer.device.as_str(), peer.paths), ("acme", "van", 3));
    });
}

#[test]
fn http_connect_and_names_that_the_far_side_resolves() {
    run(async {
        let target = echo("127.0.0.1:0").await;
        let bond = Bond::new(1, &[target]).await;
        let mut tcp = TcpStream::connect(bond.http).await.unwrap();
        let ask = format!("CONNECT localhost:{} HTTP/1.1\r\nHost: x\r\n\r\n", target.port());
        tcp.write_all(ask.as_bytes()).await.unwrap();
        let mut told = [0; 39];
        tcp.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 200 Connection established\r\n\r\n");
        assert!(comes_back(tcp, 100_000).await);
        let code = socks(bond.socks, "no-such-name.invalid:80").await.unwrap_err();
        assert_eq!(code, 4);
    });
}

#[test]
fn ipv6_targets() {
    run(async {
        if TcpListener::bind("[::1]:0").await.is_err() {
            eprintln!("skipped: no IPv6 here");
            return;
        }
        let target = echo("[::1]:0").await;
        let bond = Bond::new(1, &[target]).await;
        assert!(comes_back(socks(bond.socks, &target.to_string()).await.unwrap(), 100_000).await);
    });
}

#[test]
fn failures_arrive_as_what_they_are() {
    run(async {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = closed.local_addr().unwrap();
        drop(closed);
        let forbidden = echo("127.0.0.1:0").await;
        let bond = Bond::new(1, &[refused]).await;
        assert_eq!(socks(bond.socks, &refused.to_string()).await.unwrap_err(), 5);
        for target in [
            forbidden.to_string(),
            format!("localhost:{}", forbidden.port()),
            format!("[::ffff:127.0.0.1]:{}", forbidden.port()),
            format!("0x7f000001:{}", forbidden.port()),
            "169.254.169.254:80".into(),
        ] {
            assert_eq!(socks(bond.socks, &target).await.unwrap_err(), 2, "{target}");
        }
        let stats: model::Stats = bond.at_server.get("stats").await.unwrap();
        assert_eq!((stats.counters["flow_refused"], stats.counters["flow_denied"]), (1, 5));
        assert!(stats.counters.len() >= 37, "{}", stats.counters.len());
    });
}

#[test]
fn a_reset_passes_through_both_ways() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bond = Bond::new(1, &[listener.local_addr().unwrap()]).await;
        let target = listener.local_addr().unwrap().to_string();
        // The target resets: so does the program's connection.
        let mut near = socks(bond.socks, &target).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        near.write_all(b"hello").await.unwrap();
        far.read_exact(&mut [0; 5]).await.unwrap();
        far.set_zero_linger().unwrap();
        drop(far);
        let error = near.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        // The program resets: so does the target's connection.
        let near = socks(bond.socks, &target).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        far.write_all(b"hello").await.unwrap();
        near.set_zero_linger().unwrap();
        drop(near);
        let error = far.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn one_direction_may_end_before_the_other() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bond = Bond::new(2, &[listener.local_addr().unwrap()]).await;
        let mut near = socks(bond.socks, &listener.local_addr().unwrap().to_string()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
        near.write_all(&vec![7; 300_000]).await.unwrap();
        near.shutdown().await.unwrap();
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, vec![7; 300_000]);
        until("the flow is over", || async {
            let status: model::Status = bond.at_router.get("status").await.unwrap();
            (status.traffic.open == 0).then_some(())
        })
        .await;
    });
}

/// Of 100 connections one end writes, the target if `down`, and the other never reads: another connection goes on.
async fn another_goes_on_beside_stuck_ones(down: bool) {
    const STUCK: usize = 100;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (target, fine) = (listener.local_addr().unwrap(), echo("127.0.0.1:0").await);
    let bond = Bond::new(2, &[target, fine]).await;
    let mut held = Vec::new();
    for _ in 0..STUCK {
        let near = socks(bond.socks, &target.to_string()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let (mut writer, silent) = if down { (far, near) } else { (near, far) };
        // More than all the buffers between there and here hold.
        let flood = tokio::spawn(async move {
            let block = vec![1; 1 << 20];
            while writer.write_all(&block).await.is_ok() {}
        });
        held.push((silent, flood));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..4 {
        assert!(comes_back(socks(bond.socks, &fine.to_string()).await.unwrap(), 4 << 20).await);
    }
    held.iter().for_each(|(_, flood)| flood.abort());
}

#[test]
fn who_does_not_read_holds_up_nobody_else() {
    // Before, four whose windows had grown held all of a session, then 24 at times.
    run(another_goes_on_beside_stuck_ones(true));
}

#[test]
fn a_target_that_does_not_read_holds_up_nobody_elses_uploads() {
    // Before, 64 whose windows were a mebibyte held all of a session, and a few whose windows had grown.
    run(another_goes_on_beside_stuck_ones(false));
}

#[test]
fn a_link_that_goes_and_comes_back_breaks_nothing() {
    run(async {
        let target = echo("127.0.0.1:0").await;
        let bond = Bond::new(2, &[target]).await;
        let mut tcp = socks(bond.socks, &target.to_string()).await.unwrap();
        let event = |up| LinkEvent {
            device: "lo".into(),
            index: 1,
            up,
            addresses: vec!["127.0.0.2".parse().unwrap()],
            cost: tquicd::config::Cost::Flat,
        };
        let router = bond.router.router().unwrap();
        for up in [false, true] {
            router.on_link(&event(up));
            bond.wait_for_paths(if up { 2 } else { 1 }).await;
            tcp.write_all(b"still here").await.unwrap();
            let mut back = [0; 10];
            tcp.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"still here");
        }
    });
}

#[test]
fn all_links_may_go_for_a_while() {
    run(async {
        let target = echo("127.0.0.1:0").await;
        let bond = Bond::new(2, &[target]).await;
        let mut tcp = socks(bond.socks, &target.to_string()).await.unwrap();
        let set = async |up| {
            for link in ["links/wan0", "links/wan1"] {
                let change = model::SetLink { up: Some(up), ..Default::default() };
                let _: model::Done = bond.at_router.ask(Method::Patch, link, &change).await.unwrap();
            }
        };
        set(false).await;
        tcp.write_all(b"wait for me").await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        set(true).await;
        let mut back = [0; 11];
        tcp.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"wait for me");
        let status: model::Status = bond.at_router.get("status").await.unwrap();
        assert_eq!(status.session.unwrap().sessions, 1, "it is the same session");
    });
}

#[test]
fn links_and_paths_change_by_command() {
    run(async {
        let bond = Bond::new(2, &[]).await;
        let mut events = bond.at_router.events().await.unwrap();
        let add = model::AddLink { address: Some("127.0.0.9".into()), backup: true, ..Default::default() };
        let _: model::Done = bond.at_router.ask(Method::Post, "links/extra", &add).await.unwrap();
        bond.wait_for_paths(3).await;
        let standby = || async {
            let paths: model::Paths = bond.at_router.get("paths").await.unwrap();
            let extra = paths.paths.into_iter().find(|path| path.link.as_deref() == Some("extra"));
            extra.filter(|path| path.status == "standby").map(|path| path.id)
        };
        let id = until("a backup", standby).await;
        let change = model::SetPath { status: "available".into() };
        let _: model::Done =
            bond.at_router.ask(Method::Patch, &format!("paths/{id}"), &change).await.unwrap();
        let _: model::Done = bond.at_router.ask(Method::Delete, "links/extra", &()).await.unwrap();
        until("no extra path", || async {
            let paths: model::Paths = bond.at_router.get("paths").await.unwrap();
            (paths.paths.len() == 2).then_some(())
        })
        .await;
        let mut heard = Vec::new();
        while let Ok(Ok(Some(event))) = tokio::time::timeout(Duration::from_millis(200), events.next()).await
        {
            heard.push(format!("{} {}", event.object, event.event));
        }
        assert!(
            heard.contains(&"link added".to_owned()) && heard.contains(&"path up".to_owned()),
            "{heard:?}"
        );
        for (method, what) in
            [(Method::Delete, "links/none"), (Method::Delete, "paths/77"), (Method::Get, "x")]
        {
            assert!(bond.at_router.ask::<model::Done>(method, what, &()).await.is_err(), "{what}");
        }
    });
}

#[test]
fn terms_of_links_reach_both_ends() {
    run(async {
        let target = echo("127.0.0.1:0").await;
        let bond = Bond::new(2, &[target]).await;
        let set = async |link: &str, change: model::SetLink| {
            bond.at_router.ask::<model::Done>(Method::Patch, &format!("links/{link}"), &change).await
        };
        let both = |wish: fn(&model::Path) -> bool| {
            let clients = [&bond.at_router, &bond.at_server];
            until("both ends keep to it", move || async move {
                for client in clients {
                    let paths: model::Paths = client.get("paths").await.unwrap();
                    if paths.paths.iter().filter(|path| wish(path)).count() != 1 {
                        return None;
                    }
                }
                Some(())
            })
        };
        let change = model::SetLink {
            cost: Some("metered".into()),
            cap: Some("4 Mbit/s".into()),
            weight: Some(7),
            priority: Some(2),
            ..Default::default()
        };
        set("wan1", change).await.unwrap();
        both(|path| path.cost == 12 && path.weight == Some(7) && path.max_rate == Some(500_000)).await;
        // Alone, it carries no more than that, either way.
        set("wan0", model::SetLink { up: Some(false), ..Default::default() }).await.unwrap();
        bond.wait_for_paths(1).await;
        let start = tokio::time::Instant::now();
        assert!(comes_back(socks(bond.socks, &target.to_string()).await.unwrap(), 1_000_000).await);
        assert!(start.elapsed() > Duration::from_millis(1200), "{:?}", start.elapsed());
        set("wan0", model::SetLink { up: Some(true), ..Default::default() }).await.unwrap();
        // What cannot be changes nothing, and says what can.
        for (cap, weight, priority, says) in [
            (Some("fast"), None, None, "20 Mbit/s"),
            (None, Some(5000), None, "1 to 1000"),
            (Some("9 Mbit/s"), None, Some(10), "0 (first) to 9"),
        ] {
            let change = model::SetLink { cap: cap.map(Into::into), weight, priority, ..Default::default() };
            let error = set("wan1", change).await.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let change = model::SetLink { cap: Some("none".into()), weight: Some(0), ..Default::default() };
        set("wan1", change).await.unwrap();
        both(|path| path.cost == 12 && path.weight.is_none() && path.max_rate.is_none()).await;
    });
}

#[test]
fn what_a_device_says_of_paths_concerns_its_own_only() {
    run(async {
        let folder = Folder::new();
        let (_daemon, server, at_server) = start_server(&folder, &[]).await;
        let mut devices = Vec::new();
        for name in ["acme/one", "acme/two"] {
            devices.push(flood::join(&server.invite(&id(name), None, false).unwrap()).await);
        }
        let terms = |path| PathTerms { path, cost: 200, weight: Some(0), max_rate: Some(0) };
        // One that is not there, one that is, and far too many.
        let paths: Vec<_> = [77, 0].into_iter().chain(1..40).map(terms).collect();
        let message = ToServer::Policy { paths };
        tq_tunnel::write_message(&mut devices[0].control.0, &message).await.unwrap();
        until("it is obeyed", || async {
            let paths: model::Paths = at_server.get("paths").await.unwrap();
            let mut costs: Vec<_> = paths.paths.iter().map(|path| path.cost).collect();
            costs.sort_unstable();
            (costs == [0, 200]).then_some(())
        })
        .await;
        assert_eq!(devices[0].connection.close_reason(), None);
    });
}
