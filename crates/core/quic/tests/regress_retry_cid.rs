//! A server whose connection ids are shorter than 8 bytes asks for a token, and serves who brings it: the id in a Retry is
//! the server's choice, and only a client's first choice must have 8 bytes (RFC 9000 §7.2, §17.2.5.2).

mod pair;

use pair::{Pair, Policy};
use tq_quic::{EndpointConfig, TransportConfig};

#[test]
fn a_server_with_short_ids_serves_clients_that_it_asked_to_retry() {
    for cid_len in 4..=8 {
        let mut short = EndpointConfig::default();
        short.cid_len = cid_len;
        let transport = TransportConfig::default();
        let mut pair = Pair::with(transport.clone(), transport, EndpointConfig::default(), short);
        pair.server.policy = |_| Policy::Retry;
        pair.connected();
        assert_eq!(pair.server.endpoint.connections(), 1);
    }
}
