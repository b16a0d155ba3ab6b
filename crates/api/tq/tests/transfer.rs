//! Bytes and datagrams over loopback.

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{Pair, pattern, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tq::{Bytes, Connection, ReadToEndError, SendDatagramError};

/// Sends back what every bidirectional stream brings.
async fn echo(connection: Connection) {
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        tokio::spawn(async move {
            while let Some(chunk) = recv.read_chunk(usize::MAX).await.unwrap() {
                send.write_chunk(chunk).await.unwrap();
            }
            send.finish().unwrap();
        });
    }
}

#[test]
fn ten_megabytes_go_up_and_down() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        tokio::spawn(echo(server));
        let data = Bytes::from(pattern(10_000_000));
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        let sent = data.clone();
        let sending = tokio::spawn(async move {
            send.write_chunk(sent).await.unwrap();
            send.finish().unwrap();
            send.stopped().await.unwrap()
        });
        let back = recv.read_to_end(data.len()).await.unwrap();
        assert!(back == data, "the bytes are the same");
        assert_eq!(sending.await.unwrap(), None, "all of it was acknowledged");
        let stats = client.stats();
        assert!(stats.counters.bytes_sent >= 10_000_000);
        assert!(stats.paths[0].srtt < Duration::from_secs(1));
    });
}

#[test]
fn ipv6_works_the_same() {
    run(async {
        let pair = Pair::on("[::1]:0", |_| {});
        let (client, server) = pair.connect().await;
        assert_eq!(client.remote_address(), pair.server.local_addr());
        let mut send = client.open_uni().await.unwrap();
        send.write_all(&pattern(100_000)).await.unwrap();
        drop(send);
        let mut recv = server.accept_uni().await.unwrap();
        assert!(recv.read_to_end(100_000).await.unwrap() == pattern(100_000), "dropping finishes");
    });
}

#[test]
fn a_hundred_streams_at_once() {
    run(async {
        let pair = Pair::with(|transport| transport.stream.max_bidi = 30);
        let (client, server) = pair.connect().await;
        tokio::spawn(echo(server));
        let mut streams = JoinSet::new();
        for number in 0..100usize {
            let client = client.clone();
            streams.spawn(async move {
                let data = pattern(20_000 + number);
                let (mut send, mut recv) = client.open_bi().await.unwrap();
                send.write_all(&data).await.unwrap();
                send.finish().unwrap();
                assert!(recv.read_to_end(data.len()).await.unwrap() == data);
            });
        }
        assert_eq!(streams.join_all().await.len(), 100);
    });
}

#[test]
fn tokio_can_copy_streams() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        tokio::spawn(async move {
            let (mut send, mut recv) = server.accept_bi().await.unwrap();
            tokio::io::copy(&mut recv, &mut send).await.unwrap();
            send.shutdown().await.unwrap();
            send.stopped().await.unwrap();
        });
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        AsyncWriteExt::write_all(&mut send, b"through tokio").await.unwrap();
        send.shutdown().await.unwrap();
        send.shutdown().await.expect("twice is no mistake");
        let mut text = String::new();
        recv.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "through tokio");
    });
}

#[test]
fn small_windows_only_make_it_slower() {
    run(async {
        let pair = Pair::with(|transport| {
            let stream = &mut transport.stream;
            (stream.stream_window, stream.max_stream_window) = (4096, 4096);
            (stream.connection_window, stream.max_connection_window) = (6000, 6000);
            stream.send_buffer = 8192;
        });
        let (client, server) = pair.connect().await;
        tokio::spawn(echo(server));
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        let sending = tokio::spawn(async move {
            send.write_all(&pattern(200_000)).await.unwrap();
            send.finish().unwrap();
        });
        assert!(recv.read_to_end(200_000).await.unwrap() == pattern(200_000));
        sending.await.unwrap();
    });
}

#[test]
fn reading_to_the_end_keeps_to_its_limit() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let mut send = client.open_uni().await.unwrap();
        send.write_all(&pattern(5000)).await.unwrap();
        let mut recv = server.accept_uni().await.unwrap();
        let result = recv.read_to_end(4000).await;
        assert_eq!(result.unwrap_err(), ReadToEndError::TooLong { limit: 4000 });
        assert_eq!(send.stopped().await.unwrap(), Some(0), "and the sender hears that it may stop");
    });
}

#[test]
fn datagrams_come_whole_or_not_at_all() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let max = client.max_datagram_size().expect("both take datagrams");
        for number in 0..100u8 {
            client.send_datagram_wait(Bytes::from(vec![number; 500])).await.unwrap();
        }
        let mut seen = HashSet::new();
        while seen.len() < 100
            && let Ok(datagram) = timeout(Duration::from_secs(1), server.read_datagram()).await
        {
            let datagram = datagram.unwrap();
            assert!(datagram.len() == 500 && datagram.iter().all(|byte| *byte == datagram[0]));
            assert!(seen.insert(datagram[0]), "no datagram comes twice");
        }
        assert!(seen.len() >= 90, "loopback loses next to nothing: {}", seen.len());
        let too_large = client.send_datagram(Bytes::from(vec![0; 3000])).unwrap_err();
        assert!(
            matches!(too_large, SendDatagramError::TooLarge { len: 3000, max: fits } if fits >= max),
            "{too_large}"
        );
    });
}

#[test]
fn a_peer_that_takes_no_datagrams_gets_none() {
    run(async {
        let pair = Pair::with(|transport| transport.datagram_receive_buffer = 0);
        let (client, _server) = pair.connect().await;
        assert_eq!(client.max_datagram_size(), None);
        assert_eq!(client.send_datagram(Bytes::from_static(b"x")), Err(SendDatagramError::Unsupported));
    });
}

#[test]
fn a_full_datagram_buffer_is_said_or_waited_for() {
    run(async {
        let pair = Pair::with(|transport| transport.datagram_send_buffer = 2000);
        let (client, server) = pair.connect().await;
        let mut full = false;
        for _ in 0..10_000 {
            full |= client.send_datagram(Bytes::from_static(&[1; 900])) == Err(SendDatagramError::Full);
        }
        assert!(full, "2000 bytes are soon full");
        client.send_datagram_wait(Bytes::from_static(b"last")).await.unwrap();
        while &server.read_datagram().await.unwrap()[..] != b"last" {}
    });
}

#[test]
fn keys_can_be_updated_while_data_flows() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        tokio::spawn(echo(server));
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        let mut updates = 0;
        for _ in 0..200 {
            send.write_all(&[3; 1000]).await.unwrap();
            recv.read_exact(&mut [0; 1000]).await.unwrap();
            updates += u32::from(client.update_keys());
        }
        assert!(updates >= 1, "the first is possible as soon as the handshake is confirmed");
        assert_eq!(client.stats().key_generation, u64::from(updates));
    });
}

#[test]
fn both_ends_export_the_same_keying_material() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let (mut one, mut two) = ([0; 32], [0; 32]);
        client.export_keying_material(&mut one, b"EXPORTER-test", b"context").unwrap();
        server.export_keying_material(&mut two, b"EXPORTER-test", b"context").unwrap();
        assert_eq!(one, two);
        assert_ne!(one, [0; 32]);
        assert_eq!(client.alpn().as_deref(), Some(&b"test"[..]));
        assert_eq!(server.server_name().as_deref(), Some("localhost"));
    });
}
