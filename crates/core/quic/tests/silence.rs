//! A download whose client a NAT forgets: the client owes nothing, so the server would send to a closed door for ever.

mod pair;

use pair::{Pair, flow::Flow};
use tq_quic::TransportConfig;
use tq_quic::time::Duration;
use tq_quic::wire::Side;

/// From now on the client has another port, and nothing reaches the old one.
fn forget(pair: &mut Pair) {
    let new = "192.0.2.1:4999".parse().expect("an address");
    let old = pair.client.address;
    pair.flying.retain(|_, flying| flying.to != old);
    pair.client.address = new;
    pair.link = Box::new(move |flying| flying.to != old);
}

#[test]
fn a_client_that_hears_nothing_in_the_middle_of_a_download_asks() {
    let mut pair = Pair::new(TransportConfig::default(), TransportConfig::default());
    let mut flow = Flow::connect(&mut pair, Side::Server, 4 << 20);
    flow.run_for(&mut pair, Duration::from_millis(100));
    assert!(!flow.done, "it is over before it begins");
    // what the client has sent arrives; then nobody owes anything, and the server's packets are lost
    let server = pair.server.address;
    pair.link = Box::new(move |flying| flying.to == server);
    pair.pass(Duration::from_millis(60));
    forget(&mut pair);
    let seconds = flow.run(&mut pair, Duration::from_secs(20));
    assert!(seconds < 2.0, "stood still: {seconds} s");
}

#[test]
fn a_client_that_waits_for_nothing_stays_quiet() {
    let mut pair = Pair::default();
    let mut flow = Flow::connect(&mut pair, Side::Server, 10_000);
    flow.run(&mut pair, Duration::from_secs(5));
    pair.pass(Duration::from_secs(1));
    let sent = pair.datagrams[0];
    pair.pass(Duration::from_secs(20));
    assert_eq!(pair.datagrams[0], sent);
}
