//! Bulk transfer: so many bytes, or as many as go, up, down or both, over one or several streams.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tq_quic::{Event, StreamEvent};
use tq_time::Instant;

use super::exchange::Exchange;
use super::flow::Progress;
use super::gate::{Gate, Turn};
use super::request::{Ask, ENDLESS, What};
use super::{App, AppContext, Direction, Life, Shared, When};
use crate::ledger::{Ledger, Meter, SharedMeter};

/// In which order streams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// All at the same time.
    Parallel,
    /// Each when the one before is over.
    Serial,
}

/// What to transfer.
#[derive(Clone, Debug)]
pub struct BulkSpec {
    /// Which way. Default down.
    pub direction: Direction,
    /// Bytes on each stream each way; `None`: until stopped. Default none.
    pub bytes: Option<u64>,
    /// Streams. Default 1.
    pub streams: u32,
    /// Their order. Default parallel.
    pub order: Order,
    /// When. At the stop an endless upload ends where it is (what was handed in still arrives), an endless download is
    /// stopped at once; what has an end goes on to it, what has not begun does not begin.
    pub when: When,
    /// Of the time series. Default 100 ms.
    pub bin: Duration,
    /// From when to when the client does not read what comes down, in order. Default never.
    pub rests: Vec<(Instant, Instant)>,
}

impl Default for BulkSpec {
    fn default() -> Self {
        Self {
            direction: Direction::Down,
            bytes: None,
            streams: 1,
            order: Order::Parallel,
            when: When::default(),
            bin: Duration::from_millis(100),
            rests: Vec::new(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct BulkReport {
    /// The connection.
    pub life: Life,
    /// What the server got, measured there.
    pub up: SharedMeter,
    /// What the client got.
    pub down: SharedMeter,
    /// Streams that came to their end.
    pub complete: u32,
}

/// The client's program.
pub struct Bulk {
    spec: BulkSpec,
    ledger: Ledger,
    gate: Gate,
    /// Streams yet to begin.
    left: u32,
    open: Vec<Exchange>,
    begun: bool,
    report: Shared<BulkReport>,
}

impl Bulk {
    /// The program and where its report will be.
    pub fn new(spec: BulkSpec, ledger: &Ledger) -> (Self, Shared<BulkReport>) {
        let report = Rc::new(RefCell::new(BulkReport {
            life: Life::default(),
            up: Meter::shared(spec.bin),
            down: Meter::shared(spec.bin),
            complete: 0,
        }));
        let program = Self {
            gate: Gate::new(spec.when),
            left: spec.streams,
            spec,
            ledger: ledger.clone(),
            open: Vec::new(),
            begun: false,
            report: Rc::clone(&report),
        };
        (program, report)
    }

    fn begin_streams(&mut self, cx: &mut AppContext<'_>) {
        let most = match self.spec.order {
            Order::Parallel => usize::MAX,
            Order::Serial => 1,
        };
        let bytes = self.spec.bytes.unwrap_or(ENDLESS);
        let (up, down) = {
            let report = self.report.borrow();
            (Rc::clone(&report.up), Rc::clone(&report.down))
        };
        while self.gate.is_open() && self.left > 0 && self.open.len() < most {
            let ask = Ask {
                what: What::Bytes,
                flow: self.ledger.numbers(2),
                give: if self.spec.direction.up() { bytes } else { 0 },
                ask: if self.spec.direction.down() { bytes } else { 0 },
                pause: Duration::ZERO,
                at_once: self.spec.direction.down(),
            };
            let Some(exchange) = Exchange::begin(cx, &self.ledger, ask, &up, &down) else { break };
            self.open.push(exchange);
            self.left -= 1;
        }
    }

    fn work(&mut self, cx: &mut AppContext<'_>) {
        while let Some(turn) = self.gate.turn(cx.now()) {
            match turn {
                Turn::Begin => self.begun = true,
                Turn::Stop => {
                    self.left = 0;
                    self.open.retain_mut(|exchange| exchange.stop(cx, &self.ledger) == Progress::More);
                }
            }
        }
        self.begin_streams(cx);
        if self.begun && self.left == 0 && self.open.is_empty() {
            self.gate.done(cx, &mut self.report.borrow_mut().life);
        }
        let now = cx.now();
        let resumes = self.spec.rests.iter().map(|(_, to)| *to).find(|to| *to > now);
        cx.wake_at(self.gate.next().into_iter().chain(resumes.filter(|_| self.begun)).min());
    }

    /// Tells the exchanges of an event, and counts those that are over.
    fn tell(&mut self, cx: &mut AppContext<'_>, event: impl Fn(&Exchange) -> StreamEvent) {
        let (ledger, report) = (&self.ledger, &self.report);
        self.open.retain_mut(|exchange| {
            let progress = exchange.on_event(cx, ledger, event(exchange));
            report.borrow_mut().complete += u32::from(progress == Progress::Done);
            progress == Progress::More
        });
    }

    fn rests(&self, now: Instant) -> bool {
        self.spec.rests.iter().any(|(from, to)| (*from..*to).contains(&now))
    }
}

impl App for Bulk {
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        self.report.borrow_mut().life.started = Some(cx.now());
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        self.gate.note(event);
        self.report.borrow_mut().life.note(cx.now(), event);
        if let Event::Stream(event) = event
            && !(matches!(event, StreamEvent::Readable(_)) && self.rests(cx.now()))
        {
            self.tell(cx, |_| *event);
        }
        self.work(cx);
    }

    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        if self.spec.rests.iter().any(|(_, to)| *to == cx.now()) {
            self.tell(cx, |exchange| StreamEvent::Readable(exchange.id));
        }
        self.work(cx);
    }
}
