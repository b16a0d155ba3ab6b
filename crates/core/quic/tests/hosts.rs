//! What a host tells a connection: sockets that take nothing.

mod pair;

use pair::flow::Flow;
use pair::multi::{connected, pair as paths_pair};
use tq_quic::PathState;
use tq_quic::time::Duration;
use tq_quic::wire::Side;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_path_whose_socket_is_full_gets_nothing_and_others_go_on() {
    for full in [0, 1] {
        let mut pair = paths_pair(2);
        let ends = connected(&mut pair);
        pair.pass(SECOND);
        let sent = |pair: &mut pair::Pair, socket: u32| -> u64 {
            let connection = pair.client(ends.0);
            let path = connection.paths().find(|path| path.socket == socket).expect("a path");
            assert_eq!(path.state, PathState::Active);
            connection.path_stats(path.id).expect("its numbers").bytes_sent
        };
        pair.client(ends.0).set_writable(full, false);
        pair.client(ends.0).set_writable(full, false);
        let (before, others) = (sent(&mut pair, full), sent(&mut pair, 1 - full));
        let mut flow = Flow::over(&mut pair, ends, Side::Client, 4 << 20);
        flow.run(&mut pair, 20 * SECOND);
        assert_eq!(sent(&mut pair, full), before);
        assert!(sent(&mut pair, 1 - full) > others + (4 << 20));
        pair.client(ends.0).set_writable(full, true);
        let mut flow = Flow::over(&mut pair, ends, Side::Client, 8 << 20);
        flow.run(&mut pair, 20 * SECOND);
        // it starts slowly beside one whose window has grown to megabytes
        assert!(sent(&mut pair, full) > before + 10_000);
    }
}
