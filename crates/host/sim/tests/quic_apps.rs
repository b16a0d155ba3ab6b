//! What the programs of a scenario measure, on a wire whose delay is known and which loses nothing.

mod quic_loop;

use std::time::Duration;

use quic_loop::{DELAY, Parts, World, seconds};
use tq_sim::app::{
    App, Bulk, BulkSpec, Datagrams, DatagramsSpec, Direction, Many, Order, Requests, RequestsSpec, Web,
    WebSpec, When,
};
use tq_sim::entropy::Quantiles;
use tq_sim::ledger::{Kind, Ledger, Limits};
use tq_time::Instant;

const RTT: Duration = Duration::from_millis(20);

fn balanced(world: &World) {
    assert_eq!(world.ledger.first(), None);
    assert_eq!(world.ledger.open_flows(), []);
}

/// The wire has no rate; the window keeps endless transfers at bay.
fn narrow() -> Parts {
    let mut parts = Parts::default();
    parts.transport.stream.max_stream_window = 100_000;
    parts.transport.stream.max_connection_window = 100_000;
    parts.transport.stream.stream_window = 100_000;
    parts.transport.stream.connection_window = 100_000;
    parts
}

#[test]
fn a_request_takes_one_round_trip_and_the_servers_time() {
    let spec = RequestsSpec {
        reply: Quantiles::constant(1000),
        service: Quantiles::constant(7_000),
        think: Quantiles::constant(50_000),
        count: Some(5),
        ..RequestsSpec::default()
    };
    let (mut world, report) = Parts::default().with(|ledger| Requests::new(spec, ledger));
    world.wire.run(seconds(10.0));
    balanced(&world);
    let report = report.borrow();
    let latency: Vec<Duration> = report.records.iter().map(|record| record.latency()).collect();
    assert_eq!(latency, [RTT + Duration::from_millis(7); 5]);
    let asked: Vec<Instant> = report.records.iter().map(|record| record.asked).collect();
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] == RTT + Duration::from_millis(57)));
    assert_eq!(asked[0], Instant::ZERO + 2 * DELAY);
    assert!(report.records.iter().all(|record| record.whole && record.bytes == 1000));
    assert!(report.records.iter().all(|record| record.first == Some(record.done)));
    assert_eq!(report.up.borrow().bytes, 5 * 200);
    assert_eq!(report.life.done, Some(report.records[4].done));
}

#[test]
fn lanes_are_never_more_than_asked_for_and_a_stop_ends_them() {
    let when = When { start: seconds(1.0), stop: Some(seconds(2.0)), close: true };
    let spec =
        RequestsSpec { reply: Quantiles::constant(10), outstanding: 4, when, ..RequestsSpec::default() };
    let (mut world, report) = Parts::default().with(|ledger| Requests::new(spec, ledger));
    world.wire.run(seconds(10.0));
    balanced(&world);
    let report = report.borrow();
    assert_eq!(report.records.len(), 4 * 50);
    assert!(report.records.iter().all(|record| record.latency() == RTT && record.asked < seconds(2.0)));
    assert_eq!(report.records.iter().filter(|record| record.asked == seconds(1.0)).count(), 4);
    assert_eq!(report.life.done, Some(seconds(2.0)));
    assert!(report.life.closed.is_some());
}

#[test]
fn an_upload_is_done_when_the_server_has_all_of_it() {
    let spec = BulkSpec { direction: Direction::Up, bytes: Some(5000), ..BulkSpec::default() };
    let (mut world, report) = Parts::default().with(|ledger| Bulk::new(spec, ledger));
    world.wire.run(seconds(5.0));
    balanced(&world);
    let report = report.borrow();
    // connected after one round trip, half of one for the bytes, half of one for the answer
    let up = report.up.borrow();
    assert_eq!((up.first, up.ended), (Some(Instant::ZERO + 3 * DELAY), Some(Instant::ZERO + 3 * DELAY)));
    assert_eq!(report.life.done, Some(Instant::ZERO + 4 * DELAY));
    assert_eq!(up.series(), (Instant::ZERO, Duration::from_millis(100), &[5000][..]));
}

#[test]
fn streams_go_one_after_another_or_together() {
    let run = |order| {
        let spec = BulkSpec { bytes: Some(500), streams: 4, order, ..BulkSpec::default() };
        let (mut world, report) = Parts::default().with(|ledger| Bulk::new(spec, ledger));
        world.wire.run(seconds(5.0));
        balanced(&world);
        assert_eq!(report.borrow().complete, 4);
        report.borrow().life.done.expect("an end")
    };
    assert_eq!(run(Order::Parallel), Instant::ZERO + RTT + RTT);
    assert_eq!(run(Order::Serial), Instant::ZERO + RTT + 4 * RTT);
}

#[test]
fn endless_transfers_stop_when_told_and_leave_nothing_open() {
    for direction in [Direction::Up, Direction::Down, Direction::Both] {
        let when = When { stop: Some(seconds(1.0)), close: true, ..When::default() };
        let spec = BulkSpec { direction, when, ..BulkSpec::default() };
        let (mut world, report) = narrow().with(|ledger| Bulk::new(spec, ledger));
        world.wire.run(seconds(5.0));
        assert_eq!(world.ledger.first(), None, "{direction:?}");
        assert_eq!(world.ledger.open_flows(), [], "{direction:?}");
        let report = report.borrow();
        assert!(report.life.done.is_some_and(|at| at < seconds(1.5)), "{direction:?}: {:?}", report.life);
        let bytes = report.up.borrow().bytes + report.down.borrow().bytes;
        assert!(bytes > 1_000_000, "{direction:?}: {bytes}");
    }
}

#[test]
fn messages_are_counted_and_timed_both_ways() {
    let when = When { start: seconds(0.5), close: false, stop: None };
    let spec =
        DatagramsSpec { direction: Direction::Both, count: Some(100), when, ..DatagramsSpec::default() };
    let (mut world, report) = Parts::default().with(|ledger| Datagrams::new(spec, ledger));
    world.wire.run(seconds(5.0));
    balanced(&world);
    let report = report.borrow();
    for meter in [report.up.borrow(), report.down.borrow()] {
        assert_eq!((meter.sent, meter.received, meter.refused, meter.reordered), (100, 100, 0, 0));
        assert_eq!((meter.missing(), meter.bytes), (0, 100_000));
        assert!(meter.arrivals.iter().all(|arrival| arrival.delay == DELAY));
        assert_eq!(meter.delay(500), Some(DELAY));
        let first = meter.first_sent.expect("a message");
        assert_eq!(meter.last_sent, Some(first + 99 * Duration::from_millis(20)));
    }
    assert_eq!(report.up.borrow().first_sent, Some(seconds(0.5)));
    assert_eq!(report.down.borrow().first_sent, Some(seconds(0.51)));
    assert!(report.life.done.is_some());
}

#[test]
fn lost_messages_are_missing_and_late_ones_reordered() {
    let when = When { start: seconds(0.5), ..When::default() };
    let spec = DatagramsSpec { count: Some(100), when, ..DatagramsSpec::default() };
    let (mut world, report) = Parts::default().with(|ledger| Datagrams::new(spec, ledger));
    let mut number = 0;
    world.wire.filter = Some(Box::new(move |now, meta, bytes| {
        let message =
            now > seconds(0.5) && meta.local.port() == 443 && bytes.len() > 900 && bytes.len() < 1100;
        number += u32::from(message);
        !message || number % 10 != 0
    }));
    world.wire.run(seconds(5.0));
    assert_eq!(world.ledger.first(), None);
    let up = report.borrow().up.borrow().clone();
    assert_eq!((up.sent, up.received, up.missing()), (100, 90, 10));
}

#[test]
fn endless_messages_stop_when_told() {
    let when = When { start: seconds(0.5), stop: Some(seconds(1.5)), close: false };
    let spec = DatagramsSpec { direction: Direction::Both, when, ..DatagramsSpec::default() };
    let (mut world, report) = Parts::default().with(|ledger| Datagrams::new(spec, ledger));
    world.wire.run(seconds(5.0));
    balanced(&world);
    let report = report.borrow();
    assert_eq!(report.up.borrow().sent, 50);
    assert!(report.down.borrow().sent.abs_diff(50) <= 1);
    assert_eq!(report.life.done, Some(seconds(1.5)));
}

#[test]
fn a_page_is_a_document_and_then_its_objects() {
    let mut spec = WebSpec { pages: Some(3), ..WebSpec::default() };
    let small = Quantiles::constant(800);
    (spec.mix.document, spec.mix.object, spec.mix.objects) = (small.clone(), small, Quantiles::constant(5));
    spec.mix.document_service = Quantiles::constant(30_000);
    spec.mix.object_service = Quantiles::constant(1_000);
    spec.mix.think = Quantiles::constant(2_000_000);
    let (mut world, report) = Parts::default().with(|ledger| Web::new(spec, ledger));
    world.wire.run(seconds(20.0));
    balanced(&world);
    let report = report.borrow();
    assert_eq!(report.pages.len(), 3);
    for page in &report.pages {
        assert_eq!(page.document - page.begun, RTT + Duration::from_millis(30));
        assert_eq!(page.load_time(), 2 * RTT + Duration::from_millis(31));
        assert_eq!((page.objects, page.bytes, page.whole), (5, 6 * 800, true));
    }
    assert_eq!(report.pages[1].begun, report.pages[0].done + Duration::from_secs(2));
    assert_eq!(report.life.done, Some(report.pages[2].done));
}

#[test]
fn the_default_mix_loads_and_repeats() {
    let run = |seed| {
        let spec = WebSpec { pages: Some(4), seed, ..WebSpec::default() };
        let (mut world, report) = Parts::default().with(|ledger| Web::new(spec, ledger));
        world.wire.run(seconds(400.0));
        balanced(&world);
        let pages = report.borrow().pages.clone();
        assert_eq!(pages.len(), 4);
        pages
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn programs_share_a_connection() {
    let (mut world, (bulk, requests)) = narrow().with(|ledger| {
        let stop = When { stop: Some(seconds(2.0)), ..When::default() };
        let (bulk, bulk_report) = Bulk::new(BulkSpec { when: stop, ..BulkSpec::default() }, ledger);
        let think = Quantiles::constant(100_000);
        let spec = RequestsSpec { think, when: stop, ..RequestsSpec::default() };
        let (requests, requests_report) = Requests::new(spec, ledger);
        (Many::new().and(bulk).and(requests), (bulk_report, requests_report))
    });
    world.wire.run(seconds(5.0));
    balanced(&world);
    assert!(bulk.borrow().down.borrow().bytes > 1_000_000);
    assert!(requests.borrow().records.len() >= 12);
}

#[test]
fn an_outage_shows_as_a_gap_and_breaks_a_limit() {
    let when = When { stop: Some(seconds(3.0)), ..When::default() };
    let spec = BulkSpec { when, ..BulkSpec::default() };
    let (mut world, report) = narrow().with(|ledger| Bulk::new(spec, ledger));
    world.wire.filter = Some(Box::new(|now, _, _| now < seconds(1.0) || now > seconds(1.5)));
    world.wire.run(seconds(5.0));
    balanced(&world);
    let down = report.borrow().down.borrow().clone();
    let (since, gap) = down.longest_gap(world.wire.now).expect("a gap");
    assert!(since > seconds(0.95) && since <= seconds(1.0), "{since:?}");
    assert!(gap >= Duration::from_millis(500) && gap < Duration::from_millis(1500), "{gap:?}");
    let (_, _, bins) = down.series();
    assert!(bins[11..15].iter().all(|bytes| *bytes == 0) && bins[8] > 0);
    let limits = Limits { longest_gap: Some(Duration::from_millis(400)), ..Limits::default() };
    let breaches = limits.check("download", &down, world.wire.now);
    assert!(matches!(breaches[..], [ref breach] if breach.what == Kind::Gap(gap)), "{breaches:?}");
    let limits = Limits { longest_gap: Some(gap), finished_by: Some(seconds(3.1)), ..Limits::default() };
    assert_eq!(limits.check("download", &down, world.wire.now), []);
}

#[test]
fn a_thousand_connections_are_served_by_one_host() {
    let ledger = Ledger::new(9);
    let mut apps: Vec<Box<dyn App>> = Vec::new();
    let mut reports = Vec::new();
    for n in 0..1000u32 {
        let when = When { start: seconds(0.001 * f64::from(n)), stop: None, close: n % 2 == 0 };
        let spec = RequestsSpec { count: Some(2), when, seed: u64::from(n), ..RequestsSpec::default() };
        let (app, report) = Requests::new(spec, &ledger);
        apps.push(Box::new(app));
        reports.push(report);
    }
    let mut world = Parts::default().with_all(ledger, apps);
    world.wire.run(seconds(60.0));
    balanced(&world);
    assert!(reports.iter().all(|report| report.borrow().records.len() == 2));
    assert_eq!(world.ledger.totals().complete, 4000);
    assert_eq!(world.server.borrow().report().connections.len(), 1000);
    assert_eq!((world.client.borrow().open(), world.server.borrow().open()), (0, 0));
}
