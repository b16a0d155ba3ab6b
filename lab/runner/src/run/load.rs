//! Traffic of a scenario as programs of the simulator, and what they report as a [`Flow`].

use tq_scenario::{Flow as Way, Kind, Sizes, Traffic};
use tq_sim::app::{
    App, Bulk, BulkReport, BulkSpec, Datagrams, DatagramsReport, DatagramsSpec, Direction, Life, Order,
    Requests, RequestsReport, RequestsSpec, Shared, Web, WebMix, WebReport, WebSpec, When,
};
use tq_sim::entropy::{Quantiles, derive};
use tq_sim::ledger::{Ledger, Limits, MIN_MESSAGE};
use tq_time::{Duration, Instant};

use super::outcome::{Curve, Flow};

/// A program's report, while it runs.
pub(super) enum Watch {
    Bulk(Shared<BulkReport>, u32),
    Requests(Shared<RequestsReport>),
    Web(Shared<WebReport>),
    Datagrams(Shared<DatagramsReport>),
}

/// One traffic that runs.
pub(super) struct Running {
    name: String,
    traffic: usize,
    competing: bool,
    pub(super) finite: bool,
    watch: Watch,
}

const fn way(flow: Way) -> Direction {
    match flow {
        Way::Up => Direction::Up,
        Way::Down => Direction::Down,
        Way::Both => Direction::Both,
    }
}

fn spread(sizes: Sizes) -> Quantiles {
    Quantiles::new(&[(0, sizes.low), (Quantiles::WHOLE, sizes.high)])
}

fn micros(time: Duration) -> Quantiles {
    Quantiles::constant(time.as_micros() as u64)
}

/// The grain of what is measured: a millisecond, more only in runs of days.
pub(super) fn grain(time: Duration) -> Duration {
    Duration::from_millis(1).max(time / 1_000_000)
}

/// Programs for a traffic, one for each of its connections; one unless it competes.
pub(super) fn programs(
    traffic: &Traffic,
    index: usize,
    bin: Duration,
    seed: u64,
    ledger: &Ledger,
    rests: Vec<(Instant, Instant)>,
) -> Vec<(Box<dyn App>, Running)> {
    let start = Instant::ZERO + traffic.start;
    let stop = traffic.stop.map(|stop| Instant::ZERO + stop);
    let when = When { start, stop, close: false };
    let direction = way(traffic.direction);
    let seed = derive(seed, 1000 + index as u64);
    let running = |name: String, finite, watch| {
        let competing = matches!(traffic.kind, Kind::Competing { .. });
        Running { name, traffic: index, competing, finite, watch }
    };
    let name = traffic.name.clone();
    match &traffic.kind {
        Kind::Bulk { bytes, streams, sequential } => {
            let order = if *sequential { Order::Serial } else { Order::Parallel };
            let spec = BulkSpec { direction, bytes: *bytes, streams: *streams, order, when, bin, rests };
            let (app, report) = Bulk::new(spec, ledger);
            vec![(Box::new(app), running(name, bytes.is_some(), Watch::Bulk(report, *streams)))]
        }
        Kind::Competing { bytes, connections, .. } => (0..*connections)
            .map(|number| {
                let spec = BulkSpec { direction, bytes: *bytes, when, bin, ..BulkSpec::default() };
                let (app, report) = Bulk::new(spec, ledger);
                let name = if *connections > 1 { format!("{name}-{}", number + 1) } else { name.clone() };
                let app: Box<dyn App> = Box::new(app);
                (app, running(name, bytes.is_some(), Watch::Bulk(report, 1)))
            })
            .collect(),
        Kind::Requests { count, request, response, outstanding, think } => {
            let (request, reply) = match direction {
                Direction::Down => (*request, *response),
                Direction::Up => (*response, *request),
                Direction::Both => (*response, *response),
            };
            let spec = RequestsSpec {
                request: spread(request),
                reply: spread(reply),
                service: Quantiles::constant(0),
                think: micros(*think),
                outstanding: *outstanding,
                count: *count,
                when,
                bin,
                seed,
            };
            let (app, report) = Requests::new(spec, ledger);
            vec![(Box::new(app), running(name, count.is_some(), Watch::Requests(report)))]
        }
        Kind::Web { pages, objects, size, outstanding, think, mixed } => {
            let even = || WebMix {
                document: spread(*size),
                objects: Quantiles::constant(u64::from(objects.saturating_sub(1))),
                object: spread(*size),
                request: Quantiles::constant(100),
                document_service: Quantiles::constant(0),
                object_service: Quantiles::constant(0),
                think: micros(*think),
            };
            let mix = if *mixed { WebMix { think: micros(*think), ..WebMix::default() } } else { even() };
            let spec = WebSpec { mix, parallel: *outstanding as usize, pages: *pages, when, bin, seed };
            let (app, report) = Web::new(spec, ledger);
            vec![(Box::new(app), running(name, pages.is_some(), Watch::Web(report)))]
        }
        Kind::Datagrams { size, interval, count } => {
            let size = (usize::midpoint(size.low as usize, size.high as usize)).max(MIN_MESSAGE);
            let spec = DatagramsSpec { direction, size, interval: *interval, count: *count, when };
            let (app, report) = Datagrams::new(spec, ledger);
            vec![(Box::new(app), running(name, count.is_some(), Watch::Datagrams(report)))]
        }
    }
}

impl Running {
    /// When it was done with everything, if it was.
    pub(super) fn done(&self) -> Option<Instant> {
        match &self.watch {
            Watch::Bulk(report, streams) => {
                let report = report.borrow();
                report.life.done.filter(|_| report.complete == *streams || !self.finite)
            }
            Watch::Requests(report) => report.borrow().life.done,
            Watch::Web(report) => report.borrow().life.done,
            Watch::Datagrams(report) => report.borrow().life.done,
        }
    }

    fn life(&self) -> Life {
        match &self.watch {
            Watch::Bulk(report, _) => report.borrow().life.clone(),
            Watch::Requests(report) => report.borrow().life.clone(),
            Watch::Web(report) => report.borrow().life.clone(),
            Watch::Datagrams(report) => report.borrow().life.clone(),
        }
    }

    /// Whether the connection under it has ended.
    pub(super) fn closed(&self) -> bool {
        self.life().closed.is_some()
    }

    /// Whether its handshake was complete, and whether it has its connection for itself.
    pub(super) fn connected(&self) -> (bool, bool) {
        (self.life().connected.is_some(), self.competing)
    }

    /// What came of it.
    pub(super) fn flow(&self) -> Flow {
        let mut flow = Flow {
            name: self.name.clone(),
            traffic: self.traffic,
            competing: self.competing,
            finite: self.finite,
            up: Curve::default(),
            down: Curve::default(),
            done: self.done(),
            latencies: Vec::new(),
            messages: (0, 0),
        };
        let curves =
            |flow: &mut Flow, up: &tq_sim::ledger::SharedMeter, down: &tq_sim::ledger::SharedMeter| {
                flow.up = Curve::of(&up.borrow());
                flow.down = Curve::of(&down.borrow());
            };
        match &self.watch {
            Watch::Bulk(report, _) => curves(&mut flow, &report.borrow().up, &report.borrow().down),
            Watch::Requests(report) => {
                let report = report.borrow();
                curves(&mut flow, &report.up, &report.down);
                flow.latencies = report.records.iter().map(|record| record.latency()).collect();
            }
            Watch::Web(report) => {
                let report = report.borrow();
                curves(&mut flow, &report.up, &report.down);
                flow.latencies = report.pages.iter().map(|page| page.load_time()).collect();
            }
            Watch::Datagrams(report) => {
                let report = report.borrow();
                for (meter, curve) in [(&report.up, &mut flow.up), (&report.down, &mut flow.down)] {
                    let meter = meter.borrow();
                    flow.messages.0 += meter.sent;
                    flow.messages.1 += meter.received;
                    flow.latencies.extend(meter.arrivals.iter().map(|arrival| arrival.delay));
                    *curve = messages(&meter);
                }
            }
        }
        flow
    }
}

/// Messages as bytes over time.
fn messages(meter: &tq_sim::ledger::MessageMeter) -> Curve {
    let bin = Duration::from_millis(1);
    let each = meter.bytes.checked_div(meter.received).unwrap_or(0);
    let mut bins = Vec::new();
    for arrival in &meter.arrivals {
        let at = (arrival.at.as_nanos() / 1_000_000) as usize;
        if bins.len() <= at {
            bins.resize(at + 1, 0);
        }
        bins[at] += each;
    }
    let first = meter.arrivals.first().map(|arrival| arrival.at);
    let ended = meter.arrivals.last().map(|arrival| arrival.at);
    Curve { bytes: meter.bytes, first, ended, origin: Instant::ZERO, bin, bins }
}

/// What the books say is wrong.
pub(super) fn violations(ledger: &Ledger, now: Instant) -> Vec<String> {
    Limits::default().audit(ledger, now).iter().map(ToString::to_string).collect()
}
