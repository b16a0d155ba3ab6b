use tq_crypto::Suite;
use tq_quic::handshake::{ClientTls, KeyChange, Level, PeerIdentity, ServerTls, Session, TlsError};
use tq_wire::{PathId, Version};

use super::{SeededTls, Sizes, TlsConfig};

/// Keys of each end, as they came.
type Ends = [Vec<KeyChange>; 2];

struct Pair {
    ends: [Box<dyn Session>; 2],
    levels: [Level; 2],
    keys: Ends,
    /// Bytes sent by level, client's then server's.
    sent: [[usize; 3]; 2],
}

impl Pair {
    fn new(client: TlsConfig, server: TlsConfig, seeds: [u64; 2]) -> Self {
        let client = SeededTls::new(seeds[0], client);
        let server = SeededTls::new(seeds[1], server);
        let client = ClientTls::start(&client, Version::V1, "a.example", b"client params").expect("a name");
        let server = ServerTls::start(&server, Version::V1, b"server params").expect("a session");
        Self {
            ends: [client, server],
            levels: [Level::Initial; 2],
            keys: [Vec::new(), Vec::new()],
            sent: [[0; 3]; 2],
        }
    }

    /// Carries messages in pieces of `piece` bytes until both are silent.
    fn run(&mut self, piece: usize) -> Result<(), TlsError> {
        loop {
            let mut moved = false;
            for from in 0..2 {
                loop {
                    let mut out = Vec::new();
                    let change = self.ends[from].write(&mut out);
                    let level = self.levels[from];
                    self.sent[from][level as usize] += out.len();
                    for piece in out.chunks(piece) {
                        self.ends[1 - from].read(level, piece)?;
                    }
                    let silent = out.is_empty() && change.is_none();
                    if let Some(change) = change {
                        self.levels[from] = match change {
                            KeyChange::Handshake(_) => Level::Handshake,
                            KeyChange::OneRtt(_) => Level::OneRtt,
                        };
                        self.keys[from].push(change);
                    }
                    if silent {
                        break;
                    }
                    moved = true;
                }
            }
            if !moved {
                return Ok(());
            }
        }
    }

    fn done(seeds: [u64; 2]) -> Self {
        let mut pair = Self::new(TlsConfig::default(), TlsConfig::default(), seeds);
        pair.run(100).expect("a handshake");
        pair
    }
}

fn sealed(change: &KeyChange) -> Vec<u8> {
    let (KeyChange::Handshake(keys) | KeyChange::OneRtt(keys)) = change;
    let mut packet = vec![0; 40];
    keys.local.packet.seal(PathId::ZERO, 1, 4, &mut packet);
    packet
}

#[test]
fn both_ends_come_to_the_same_keys_and_know_each_other() {
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
        let mut pair = Pair::new(TlsConfig::default(), TlsConfig { suite, ..TlsConfig::default() }, [1, 2]);
        pair.run(7).expect("a handshake");
        for (client, server) in pair.keys[0].iter().zip(&pair.keys[1]) {
            let mut packet = sealed(client);
            let (KeyChange::Handshake(keys) | KeyChange::OneRtt(keys)) = server;
            let (header, body) = packet.split_at_mut(4);
            assert_eq!(keys.remote.packet.open(PathId::ZERO, 1, header, body), Ok(20));
        }
        let [client, server] = &pair.ends;
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(client.peer_params(), Some(&b"server params"[..]));
        assert_eq!(server.peer_params(), Some(&b"client params"[..]));
        assert_eq!((client.alpn(), server.alpn()), (Some(&b"sim"[..]), Some(&b"sim"[..])));
        assert_eq!((client.suite(), server.suite()), (Some(suite), Some(suite)));
        assert_eq!((client.server_name(), server.server_name()), (None, Some("a.example")));
        assert!(matches!(client.peer(), PeerIdentity::Certificates(_)));
        assert_eq!(server.peer(), PeerIdentity::Anonymous);
        let export = |session: &dyn Session| {
            let mut out = [0; 50];
            session.export(&mut out, b"label", b"context").map(|()| out)
        };
        assert_eq!(export(&**client), export(&**server));
        assert_ne!(export(&**client), Ok([0; 50]));
    }
}

#[test]
fn keys_follow_from_both_seeds_and_differ_from_connection_to_connection() {
    let key = |seeds| sealed(&Pair::done(seeds).keys[0][1]);
    assert_eq!(key([1, 2]), key([1, 2]));
    assert_ne!(key([1, 2]), key([1, 3]));
    assert_ne!(key([1, 2]), key([4, 2]));
    let tls = SeededTls::new(1, TlsConfig::default());
    let hello = || {
        let mut out = Vec::new();
        ClientTls::start(&tls, Version::V1, "a", b"").expect("a name").write(&mut out);
        out
    };
    assert_ne!(hello(), hello());
}

#[test]
fn key_updates_agree_and_go_on() {
    let mut pair = Pair::done([1, 2]);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let client = pair.ends[0].next_keys().expect("keys");
        let server = pair.ends[1].next_keys().expect("keys");
        let mut packet = vec![0; 40];
        client.local.seal(PathId::ZERO, 9, 4, &mut packet);
        assert!(!seen.contains(&packet));
        seen.push(packet.clone());
        let (header, body) = packet.split_at_mut(4);
        assert_eq!(server.remote.open(PathId::ZERO, 9, header, body), Ok(20));
    }
    let fresh = SeededTls::new(1, TlsConfig::default());
    assert!(ServerTls::start(&fresh, Version::V1, b"").expect("a session").next_keys().is_none());
}

#[test]
fn messages_have_the_sizes_asked_for() {
    let pair = Pair::done([1, 2]);
    assert_eq!(pair.sent[0], [300, 36, 0]);
    assert_eq!(pair.sent[1][0], 122);
    assert!((2800..2900).contains(&pair.sent[1][1]), "{:?}", pair.sent);
    assert_eq!(pair.sent[1][2], 2 * 240);
    let sizes = Sizes { chain: 0, ..Sizes::post_quantum() };
    let config = TlsConfig { sizes, tickets: 0, ..TlsConfig::default() };
    let mut pair = Pair::new(config.clone(), config, [1, 2]);
    pair.run(1000).expect("a handshake");
    assert_eq!((pair.sent[0][0], pair.sent[1][0], pair.sent[1][2]), (1800, 1210, 0));
}

#[test]
fn what_does_not_fit_ends_with_its_alert() {
    let named = |names: &[&str]| TlsConfig {
        names: names.iter().map(ToString::to_string).collect(),
        ..TlsConfig::default()
    };
    let outcome = |client, server| Pair::new(client, server, [1, 2]).run(100).map_err(|error| error.alert);
    assert_eq!(outcome(TlsConfig::default(), named(&["b.example", "c"])), Err(42));
    assert_eq!(outcome(TlsConfig::default(), named(&["b.example", "a.example"])), Ok(()));
    let other = TlsConfig { alpn: vec![b"other".to_vec()], ..TlsConfig::default() };
    assert_eq!(outcome(other, TlsConfig::default()), Err(120));
    let tls = SeededTls::new(1, TlsConfig::default());
    assert!(ClientTls::start(&tls, Version::V1, "", b"").is_err());
    assert!(ClientTls::start(&tls, Version::V1, &"a".repeat(254), b"").is_err());
    for wrong in [&[1, 0, 0, 1, 0][..], &[2, 0, 0, 0], &[1, 0, 0, 4, 0, 9, 9, 9], &[1, 255, 255, 255]] {
        let mut server = ServerTls::start(&tls, Version::V1, b"").expect("a session");
        assert!(server.read(Level::Initial, wrong).is_err(), "{wrong:?}");
    }
}
