//! What cannot be reached from outside in a lifetime.

use core::time::Duration;

use tq_buf::mem::{Arc, vec};
use tq_crypto::Entropy;
use tq_time::Instant;
use tq_tls::AwsLc;
use tq_wire::{Cid, Ecn, Side, VARINT_MAX, Version};

use crate::config::{EndpointConfig, TransportConfig};
use crate::connection::handshaking::Handshaking;
use crate::connection::{Connection, Event, Init, SpaceId};
use crate::path::Tuple;
use crate::shared::Shared;
use crate::{ConnectionError, TRANSMIT_BUFFER};

struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
    }
}

fn connection(now: Instant) -> Connection {
    let id = Cid::new(b"any name").expect("short");
    let remote = "192.0.2.1:4000".parse().expect("an address");
    let shared = Shared::new(&EndpointConfig::default(), Arc::new(AwsLc), Arc::new(Zeros));
    let init = Init {
        side: Side::Server,
        version: Version::V1,
        config: Arc::new(TransportConfig::default()),
        shared: Arc::new(shared),
        tuple: Tuple { remote, local_ip: None, socket: 0 },
        local_cid: id,
        peer_cid: id,
        hs: Handshaking::new(id, id, Version::V1),
    };
    Connection::new(now, init)
}

// MUST 9000-12.3-3
#[test]
fn a_connection_without_packet_numbers_ends_in_silence() {
    let now = Instant::ZERO + Duration::from_secs(1);
    let mut buf = vec![0; TRANSMIT_BUFFER];
    let mut connection = connection(now);
    connection.paths[0].space.numbers.jump(VARINT_MAX - 1);
    assert!(connection.transmit(now, &mut buf, 1).is_none());
    assert!(!connection.is_closed(), "one is left");
    assert_eq!(connection.next_pn(SpaceId::App(0)), Some((VARINT_MAX - 1, 4)));
    connection.paths[0].space.numbers.take(10);
    assert_eq!(connection.next_pn(SpaceId::App(0)), None);
    assert!(connection.transmit(now, &mut buf, 1).is_none());
    assert!(connection.is_drained(), "without CONNECTION_CLOSE");
    assert!(matches!(connection.poll_event(), Some(Event::Closed(ConnectionError::Violation(_)))));
    assert!(connection.transmit(now, &mut buf, 1).is_none());
}

#[test]
fn acknowledgements_cost_the_pacer_nothing_unless_a_rate_was_asked_for() {
    let now = Instant::ZERO + Duration::from_secs(1);
    let waits = |paced: usize, max_rate: Option<u64>| {
        let mut connection = connection(now);
        connection.paths[0].policy.max_rate = max_rate;
        connection.account(now, 0, (100_000, paced), None, Ecn::NotEct);
        let path = &connection.paths[0];
        path.pacer.earliest(now, path.pacing_rate()) > now
    };
    assert!(waits(100_000, None));
    assert!(!waits(0, None));
    assert!(waits(0, Some(1_000_000)));
}
