//! What one end seals the other opens, in every suite, on every path and in every key phase.

use tq_crypto::{DirectionalKeys, PacketKey, Suite, TAG_LEN, protect, schedule, unprotect};
use tq_wire::{Cid, PathId, Side};

use super::*;

const PATHS: [PathId; 3] = [PathId(0), PathId(3), PathId(u32::MAX)];

fn sealed(key: &dyn PacketKey, path: PathId, pn: u64, header: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut packet = [header, plain, &[0; TAG_LEN]].concat();
    key.seal(path, pn, header.len(), &mut packet);
    packet
}

/// Seals at one end, opens at the other, and expects that only path and number together open it.
fn agree(local: &dyn PacketKey, remote: &dyn PacketKey) {
    let (header, plain) = (b"header", b"a few bytes of plaintext");
    for path in PATHS {
        let packet = sealed(local, path, 77, header, plain);
        let open = |path, pn, header: &[u8]| {
            let mut payload = packet[6..].to_vec();
            remote.open(path, pn, header, &mut payload).map(|len| payload[..len].to_vec())
        };
        assert_eq!(open(path, 77, header).as_deref(), Ok(&plain[..]));
        assert!(open(path, 78, header).is_err());
        assert!(open(PathId(path.0 ^ 1), 77, header).is_err());
        assert!(open(path, 77, b"Header").is_err());
        assert!(remote.open(path, 77, header, &mut [0; TAG_LEN - 1]).is_err());
    }
}

fn mask_agrees(local: &DirectionalKeys, remote: &DirectionalKeys) {
    for first in [0xc1, 0x43] {
        let mut packet: Vec<u8> = (0..64).collect();
        packet[0] = first;
        let pn_len = usize::from(first & 3) + 1;
        let before = packet.clone();
        protect(&*local.header, &mut packet, 9, pn_len);
        assert_ne!(packet, before);
        let unprotected = unprotect(&*remote.header, &mut packet, 9).expect("long enough");
        assert_eq!((unprotected.first, unprotected.pn_len), (first, pn_len));
        assert_eq!(packet, before);
    }
}

#[test]
fn one_end_opens_what_the_other_seals_in_every_suite_and_version() {
    for version in [Version::V1, Version::V2] {
        for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
            let (ours, theirs) = x509();
            let (client, server) = connect(&*client(ours), &*server(theirs.suites(&[suite])), version);
            for (ours, theirs) in [
                (client.handshake.as_ref(), server.handshake.as_ref()),
                (client.one_rtt.as_ref(), server.one_rtt.as_ref()),
            ] {
                let (ours, theirs) = (ours.expect("keys"), theirs.expect("keys"));
                agree(&*ours.local.packet, &*theirs.remote.packet);
                agree(&*theirs.local.packet, &*ours.remote.packet);
                mask_agrees(&ours.local, &theirs.remote);
                mask_agrees(&theirs.local, &ours.remote);
            }
        }
    }
}

#[test]
fn a_batch_seals_as_single_calls_do() {
    let keys = schedule::initial_keys(&AwsLc, Version::V1, &Cid::EMPTY, Side::Client);
    let job = |start: usize, pn| tq_crypto::Seal { packet: start..start + 40, header_len: 5, pn_len: 2, pn };
    let mut buffer: Vec<u8> = (0..120).collect();
    let mut single = buffer.clone();
    let jobs = [job(0, 4), job(40, 5), job(80, 6)];
    keys.local.packet.seal_batch(PathId(2), &jobs, &mut buffer);
    for job in &jobs {
        keys.local.packet.seal(PathId(2), job.pn, job.header_len, &mut single[job.packet.clone()]);
    }
    assert_eq!(buffer, single);
}

#[test]
fn key_updates_agree_and_each_is_another_key() {
    for version in [Version::V1, Version::V2] {
        let (ours, theirs) = raw();
        let (mut client, mut server) = connect(&*client(ours), &*server(theirs), version);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let ours = client.tls.next_keys().expect("1-RTT keys exist");
            let theirs = server.tls.next_keys().expect("1-RTT keys exist");
            agree(&*ours.local, &*theirs.remote);
            agree(&*theirs.local, &*ours.remote);
            let sample = sealed(&*ours.local, PathId::ZERO, 0, b"h", b"same plaintext");
            assert!(!seen.contains(&sample), "a phase repeats");
            seen.push(sample);
        }
    }
}

#[test]
fn there_are_no_next_keys_before_1_rtt() {
    let (ours, theirs) = raw();
    let (mut client, mut server) = start(&*client(ours), &*server(theirs), Version::V1);
    assert!(client.tls.next_keys().is_none() && server.tls.next_keys().is_none());
    assert!(client.tls.early_keys().is_none() && server.tls.early_keys().is_none());
    assert!(client.tls.suite().is_none() && server.tls.suite().is_none());
}

#[test]
fn exporters_agree_once_the_handshake_is_complete() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours), server(theirs));
    let (client, server) = connect(&*ours, &*theirs, Version::V1);
    let export = |end: &End, label: &[u8], context: &[u8]| {
        let mut out = [0; 32];
        end.tls.export(&mut out, label, context).map(|()| out)
    };
    let one = export(&client, b"EXPORTER-test", b"context").expect("complete");
    assert_eq!(export(&server, b"EXPORTER-test", b"context"), Ok(one));
    assert_ne!(export(&server, b"EXPORTER-test", b"other"), Ok(one));
    assert_ne!(export(&server, b"EXPORTER-other", b"context"), Ok(one));
    assert!(client.tls.export(&mut [0; 255 * 48 + 1], b"label", b"").is_err());
    assert!(client.tls.export(&mut [], b"label", b"").is_err());

    let (client, server) = start(&*ours, &*theirs, Version::V1);
    assert!(export(&client, b"l", b"").is_err() && export(&server, b"l", b"").is_err());
}
