//! What the programs and the ledger do when something is wrong: nonsense from a client, damage on the wire, an end that
//! comes too early.

mod quic_loop;

use bytes::Bytes;
use quic_loop::{Parts, seconds};
use tq_quic::Event;
use tq_sim::app::{ASK_LEN, App, AppContext, Ask, Bulk, BulkSpec, Direction, ENDLESS, What};
use tq_sim::ledger::{Kind, Limits};
use tq_wire::Dir;

/// Opens streams with these bytes and ends them.
struct Nonsense(Vec<Vec<u8>>, Dir);

impl App for Nonsense {
    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        if *event == Event::Connected {
            for bytes in self.0.drain(..) {
                let id = cx.connection().open(self.1).expect("a stream");
                let _ = cx.connection().write(id, &mut Bytes::from(bytes));
                let _ = cx.connection().finish(id);
            }
            let _ = cx.connection().send_datagram(Bytes::from_static(b"no message of ours"));
        }
    }
}

#[test]
fn a_server_ends_streams_that_ask_for_nothing_known() {
    let ask = Ask {
        what: What::Bytes,
        flow: 77,
        give: 0,
        ask: 10,
        pause: std::time::Duration::ZERO,
        at_once: false,
    };
    let mut unknown = ask.encode();
    unknown[0] = 9;
    assert_eq!(Ask::decode(&ask.encode()), Some(ask));
    let bytes = vec![Vec::new(), vec![1; ASK_LEN - 1], unknown.to_vec(), vec![0xff; 5000]];
    let (mut world, ()) = Parts::default().with(|_| (Nonsense(bytes.clone(), Dir::Bi), ()));
    world.wire.run(seconds(5.0));
    let report = world.server.borrow().report();
    assert_eq!(report.connections[0].error, None);
    assert_eq!(report.connections[0].stats.streams, 0);
    // the message is the one thing the books mind
    assert_eq!(world.ledger.totals().violations, 1);
    let (mut world, ()) = Parts::default().with(|_| (Nonsense(bytes, Dir::Uni), ()));
    world.wire.run(seconds(5.0));
    let report = world.server.borrow().report();
    assert_eq!((report.connections[0].error.clone(), report.connections[0].stats.streams), (None, 0));
}

#[test]
fn a_server_bounds_what_it_is_asked_for() {
    let ask = Ask {
        what: What::Messages,
        flow: 5,
        give: ENDLESS,
        ask: 1000,
        pause: std::time::Duration::ZERO,
        at_once: true,
    };
    let (mut world, ()) = Parts::default().with(|_| (Nonsense(vec![ask.encode().to_vec()], Dir::Bi), ()));
    world.wire.run(seconds(5.0));
    // none of them fits into a packet, and a microsecond lies between them at least
    assert_eq!(world.server.borrow().report().connections[0].stats.counters.messages_sent, 0);
}

#[test]
fn damage_on_the_wire_is_repaired_before_the_ledger_sees_it() {
    let mut parts = Parts::default();
    parts.transport.stream.max_connection_window = 100_000;
    parts.transport.stream.connection_window = 100_000;
    let spec = BulkSpec { direction: Direction::Both, bytes: Some(1_000_000), ..BulkSpec::default() };
    let (mut world, report) = parts.with(|ledger| Bulk::new(spec, ledger));
    let mut number = 0usize;
    world.wire.filter = Some(Box::new(move |_, _, bytes| {
        number += 1;
        if number.is_multiple_of(29) {
            let at = number % bytes.len();
            bytes[at] ^= 0x10;
        }
        !number.is_multiple_of(31)
    }));
    world.wire.run(seconds(60.0));
    assert_eq!(report.borrow().complete, 1);
    assert_eq!((world.ledger.first(), world.ledger.totals().complete), (None, 2));
}

#[test]
fn a_connection_that_dies_leaves_its_flows_open() {
    let spec = BulkSpec { direction: Direction::Down, bytes: Some(1_000_000), ..BulkSpec::default() };
    let (mut world, report) = Parts::default().with(|ledger| Bulk::new(spec, ledger));
    world.wire.filter = Some(Box::new(|now, _, _| now < seconds(0.07)));
    world.wire.run(seconds(200.0));
    assert_eq!(world.ledger.first(), None);
    assert_eq!((world.client.borrow().open(), world.server.borrow().open()), (0, 0));
    assert!(report.borrow().life.done.is_none());
    let limits = Limits { nothing_open: true, finished_by: Some(seconds(10.0)), ..Limits::default() };
    let breaches = limits.audit(&world.ledger, world.wire.now);
    assert_eq!(breaches.len(), 1, "{breaches:?}");
    assert!(matches!(breaches[0].what, Kind::Open(_)));
    let down = report.borrow().down.borrow().clone();
    let breaches = limits.check("download", &down, world.wire.now);
    assert_eq!(breaches[0].to_string(), "download at 10.000000 s: was not finished");
}
