//! Several connections over one endpoint, and what observers see of them.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Pair, configs, run};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tq::{Bytes, Endpoint, qlog};

#[test]
fn a_bulk_transfer_does_not_starve_its_neighbours() {
    run(async {
        let pair = Pair::new();
        let (bulk_client, bulk_server) = pair.connect().await;
        let (client, server) = pair.connect().await;
        let mut bulk = bulk_server.open_uni().await.unwrap();
        let sending = tokio::spawn(async move {
            while bulk.write_chunk(Bytes::from_static(&[7; 1 << 18])).await.is_ok() {}
        });
        let mut receiving = bulk_client.accept_uni().await.unwrap();
        let reading = tokio::spawn(async move {
            let mut bytes = 0;
            while let Ok(Some(chunk)) = receiving.read_chunk(usize::MAX).await {
                bytes += chunk.len();
            }
            bytes
        });
        tokio::spawn(async move {
            while let Ok((mut send, mut recv)) = server.accept_bi().await {
                let request = recv.read_to_end(100).await.unwrap();
                send.write_all(&request).await.unwrap();
            }
        });
        for number in 0..50u8 {
            let exchange = async {
                let (mut send, mut recv) = client.open_bi().await.unwrap();
                send.write_all(&[number; 32]).await.unwrap();
                send.finish().unwrap();
                recv.read_to_end(32).await.unwrap()
            };
            let answer = timeout(Duration::from_secs(2), exchange).await.expect("starved");
            assert_eq!(answer, [number; 32]);
        }
        bulk_client.close(0, b"");
        sending.await.unwrap();
        assert!(reading.await.unwrap() > 0, "and the bulk went on meanwhile");
    });
}

#[test]
fn many_connections_share_two_sockets() {
    run(async {
        let pair = Pair::new();
        let server = pair.server.clone();
        tokio::spawn(async move {
            while let Some(incoming) = server.accept().await {
                tokio::spawn(async move {
                    let connection = incoming.await.unwrap();
                    let mut recv = connection.accept_uni().await.unwrap();
                    let number = recv.read_to_end(100).await.unwrap();
                    connection.close(u64::from(number[0]), b"");
                });
            }
        });
        let mut connections = JoinSet::new();
        for number in 0..100u8 {
            let connecting = pair.client.connect(pair.server.local_addr(), "localhost").unwrap();
            connections.spawn(async move {
                let connection = connecting.await.unwrap();
                let mut send = connection.open_uni().await.unwrap();
                send.write_all(&[number]).await.unwrap();
                send.finish().unwrap();
                let tq::ConnectionError::PeerApplication { code, .. } = connection.closed().await else {
                    panic!()
                };
                assert_eq!(code, u64::from(number));
            });
        }
        assert_eq!(connections.join_all().await.len(), 100);
        pair.client.wait_idle().await;
        let stats = pair.client.stats();
        assert_eq!(stats.open, 0);
        assert!(stats.counters.datagrams_received >= 100, "totals of connections that are gone are kept");
    });
}

#[test]
fn a_connection_leaves_a_log_at_both_ends() {
    let dir = std::env::temp_dir().join(format!("tq-logs-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    run(async {
        let (client_config, server_config) = configs(|_| {});
        let any = "127.0.0.1:0".parse().unwrap();
        let logs = Arc::new(qlog::QlogDir::new(&dir));
        let pair = Pair {
            server: Endpoint::builder().server(server_config).subscribers(logs.clone()).bind(any).unwrap(),
            client: Endpoint::builder().client(client_config).subscribers(logs).bind(any).unwrap(),
        };
        let (client, server) = pair.connect().await;
        client.close(0, b"");
        server.closed().await;
        drop((client, server));
        pair.client.wait_idle().await;
        pair.server.wait_idle().await;
    });
    let mut logs: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.sort();
    let names: Vec<_> = logs.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let (odcid, _) = names[0].split_once('_').unwrap();
    assert_eq!(names, [format!("{odcid}_client.sqlog"), format!("{odcid}_server.sqlog")]);
    for log in &logs {
        let text = std::fs::read_to_string(log).unwrap();
        for event in
            ["quic:connection_started", "quic:packet_sent", "quic:packet_received", "quic:connection_closed"]
        {
            assert!(text.contains(event), "{event} in {}", log.display());
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
