use super::fate::{Fate, Verdict};
use super::*;

fn impairment(loss: f64, corrupt: f64, burst: u32) -> Impairment {
    Impairment { loss, corrupt, burst, seed: 7 }
}

fn clean() -> Network {
    Network::impaired(impairment(0.0, 0.0, 1))
}

fn verdicts(impairment: Impairment, stream: u64, count: usize) -> Vec<Verdict> {
    let mut fate = Fate::new(impairment, stream);
    (0..count).map(|_| fate.decide(&mut [0x40; 100])).collect()
}

#[test]
fn the_same_seed_decides_the_same() {
    let some = impairment(0.3, 0.3, 3);
    assert_eq!(verdicts(some, 1, 1000), verdicts(some, 1, 1000));
    assert_ne!(verdicts(some, 1, 1000), verdicts(some, 2, 1000), "each direction has dice of its own");
}

#[test]
fn rates_are_met() {
    let count = |verdicts: &[Verdict], what| verdicts.iter().filter(|v| **v == what).count();
    let all = verdicts(impairment(0.02, 0.02, 3), 1, 50_000);
    assert!((900..1100).contains(&count(&all, Verdict::Lose)));
    assert!((880..1080).contains(&count(&all, Verdict::Corrupt)));
    let none = verdicts(impairment(0.0, 0.0, 3), 1, 1000);
    assert_eq!(count(&none, Verdict::Pass), 1000);
}

#[test]
fn a_run_of_losses_ends_at_the_limit() {
    let all = verdicts(impairment(1.0, 0.0, 3), 1, 8);
    let expected: Vec<Verdict> =
        (0..8).map(|n| if n % 4 == 3 { Verdict::Pass } else { Verdict::Lose }).collect();
    assert_eq!(all, expected);
}

#[test]
fn corruption_changes_one_byte_near_the_start() {
    let mut fate = Fate::new(impairment(0.0, 1.0, u32::MAX), 1);
    for len in [1, 20, 50, 1200] {
        for _ in 0..200 {
            let mut datagram = vec![0x40; len];
            assert_eq!(fate.decide(&mut datagram), Verdict::Corrupt);
            let changed: Vec<usize> = (0..len).filter(|&i| datagram[i] != 0x40).collect();
            assert_eq!(changed.len(), 1);
            assert!(changed[0] < CORRUPTIBLE);
        }
    }
}

#[test]
fn version_negotiation_is_never_corrupted() {
    let mut fate = Fate::new(impairment(0.0, 1.0, u32::MAX), 1);
    let mut packet = [0x80, 0, 0, 0, 0, 1, 2, 3];
    assert_eq!(fate.decide(&mut packet), Verdict::Pass);
    assert_eq!(packet, [0x80, 0, 0, 0, 0, 1, 2, 3]);
    assert_eq!(fate.decide(&mut []), Verdict::Pass, "nothing to change in a datagram of no bytes");
}

#[tokio::test]
async fn clients_are_told_apart_by_their_address() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::bind("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap(), clean());
    let relay = relay.await.unwrap();
    let (address, counts) = (relay.local_addr().unwrap(), relay.counts());
    tokio::spawn(relay.run());
    let mut clients = Vec::new();
    for name in [b"one", b"two"] {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(name, address).await.unwrap();
        clients.push((client, name));
    }
    let mut buffer = [0; 10];
    for _ in 0..2 {
        let (len, from) = server.recv_from(&mut buffer).await.unwrap();
        server.send_to(&buffer[..len], from).await.unwrap();
    }
    for (client, name) in clients {
        let (len, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..len], from), (&name[..], address));
    }
    let passed = [&counts.up, &counts.down].map(|seen| seen.passed.load(Ordering::Relaxed));
    assert_eq!((passed, counts.clients.load(Ordering::Relaxed)), ([2, 2], 2));
}

#[tokio::test]
async fn a_delay_is_kept() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let slow = Network { delay: Duration::from_millis(30), ..clean() };
    let relay =
        Relay::bind("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap(), slow).await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let start = Instant::now();
    client.send_to(b"x", relay.local_addr().unwrap()).await.unwrap();
    tokio::spawn(relay.run());
    server.recv_from(&mut [0; 10]).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn the_same_seed_loses_the_same_datagrams() {
    let mut arrived = Vec::new();
    for seed in [5, 5, 6] {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let lossy = Network::impaired(Impairment { seed, ..impairment(0.3, 0.0, 3) });
        let relay = Relay::bind("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap(), lossy);
        let relay = relay.await.unwrap();
        let (address, counts) = (relay.local_addr().unwrap(), relay.counts());
        tokio::spawn(relay.run());
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut numbers = Vec::new();
        for number in 0..100_u8 {
            client.send_to(&[number], address).await.unwrap();
        }
        let done = || counts.up.passed.load(Ordering::Relaxed) + counts.up.lost.load(Ordering::Relaxed);
        while done() < 100 {
            tokio::task::yield_now().await;
        }
        let mut buffer = [0; 10];
        for _ in 0..counts.up.passed.load(Ordering::Relaxed) {
            server.recv_from(&mut buffer).await.unwrap();
            numbers.push(buffer[0]);
        }
        assert!((50..90).contains(&numbers.len()), "{numbers:?}");
        arrived.push(numbers);
    }
    assert_eq!(arrived[0], arrived[1]);
    assert_ne!(arrived[1], arrived[2]);
}

/// A relay to a server, and a client of it.
async fn between(network: Network) -> (UdpSocket, UdpSocket, Arc<Counts>) {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::bind("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap(), network);
    let relay = relay.await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(relay.local_addr().unwrap()).await.unwrap();
    let counts = relay.counts();
    tokio::spawn(relay.run());
    (client, server, counts)
}

#[tokio::test]
async fn a_rate_spreads_datagrams_and_its_queue_is_bounded() {
    // 1000 bytes of IP take 8 ms; one is being sent and counts as one of those that wait.
    let slow = Network { rate: Some(1_000_000), queue: Some(4), ..clean() };
    let (client, server, counts) = between(slow).await;
    let start = Instant::now();
    for _ in 0..10 {
        client.send(&[1; 972]).await.unwrap();
    }
    let mut buffer = [0; 2000];
    for _ in 0..4 {
        server.recv_from(&mut buffer).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(32), "{:?}", start.elapsed());
    assert!(counts.up.queue_full.load(Ordering::Relaxed) >= 4, "{}", counts.json());
    assert_eq!(counts.up.lost.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn nothing_arrives_in_an_outage() {
    let outage = Some((Duration::from_millis(50), Duration::from_secs(1)));
    let (client, server, counts) = between(Network { outage, ..clean() }).await;
    client.send(b"in time").await.unwrap();
    server.recv_from(&mut [0; 10]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(80)).await;
    client.send(b"too late").await.unwrap();
    while counts.up.outage.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(counts.up.passed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_moves_and_is_answered_where_it_is() {
    for addr in [false, true] {
        let rebind = Rebind { addr, first: Duration::from_millis(20), every: Duration::from_secs(60) };
        let (client, server, counts) = between(Network { rebind: Some(rebind), ..clean() }).await;
        client.send(b"one").await.unwrap();
        let mut buffer = [0; 10];
        let (_, before) = server.recv_from(&mut buffer).await.unwrap();
        while counts.rebinds.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.send(b"two").await.unwrap();
        let (_, after) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(before.ip() != after.ip(), addr, "{before} {after}");
        assert_ne!(before, after);
        server.send_to(b"late", before).await.unwrap();
        server.send_to(b"found", after).await.unwrap();
        let len = client.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], b"found", "the old address leads nowhere");
        assert_eq!(counts.rebinds_answered.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn numbered_datagrams_of_a_client_are_swallowed() {
    let (client, server, counts) = between(Network { swallow: Some(2..=3), ..clean() }).await;
    for number in 1..=4_u8 {
        client.send(&[number]).await.unwrap();
    }
    let mut buffer = [0; 10];
    for expected in [1, 4] {
        server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(buffer[0], expected);
    }
    assert_eq!(counts.up.swallowed.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_second_door_leads_to_another_server_over_the_same_link() {
    let servers =
        [UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap()];
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let to = servers.each_ref().map(|server| server.local_addr().unwrap());
    // 1000 bytes of IP take 8 ms.
    let relay = Relay::bind(any, to[0], Network { rate: Some(1_000_000), ..clean() }).await.unwrap();
    let relay = relay.also(any, to[1]).await.unwrap();
    let doors = [0, 1].map(|door: usize| relay.doors[door].socket.local_addr().unwrap());
    let counts = relay.counts();
    tokio::spawn(relay.run());
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let start = Instant::now();
    for door in doors {
        client.send_to(&[0x41; 972], door).await.unwrap();
    }
    let mut buffer = [0; 2000];
    for (server, door) in servers.iter().zip(doors) {
        let (len, from) = server.recv_from(&mut buffer).await.unwrap();
        server.send_to(&buffer[..len], from).await.unwrap();
        let (_, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!(from, door, "answers come from where they were asked for");
    }
    assert!(start.elapsed() >= Duration::from_millis(24), "{:?}", start.elapsed());
    assert_eq!(counts.clients.load(Ordering::Relaxed), 2);
    assert!(counts.up.json().contains("\"also\":1,"), "{}", counts.json());
}
