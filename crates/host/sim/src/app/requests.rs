//! Requests and replies with pauses between them, several at a time: how long does each take? A lane sends a request,
//! waits for the whole reply, pauses, sends the next.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tq_quic::{Event, StreamEvent};
use tq_time::Instant;

use super::exchange::Exchange;
use super::flow::Progress;
use super::gate::{Gate, Turn};
use super::request::{Ask, What};
use super::{App, AppContext, Life, Shared, When};
use crate::entropy::{Quantiles, Random};
use crate::ledger::{Ledger, Meter, SharedMeter};

/// What to ask for.
#[derive(Clone, Debug)]
pub struct RequestsSpec {
    /// Bytes of a request beyond its head. Default 200.
    pub request: Quantiles,
    /// Bytes of a reply. Default 10 000.
    pub reply: Quantiles,
    /// Microseconds the server takes before it replies. Default 0.
    pub service: Quantiles,
    /// Microseconds from a reply to the lane's next request. Default 0.
    pub think: Quantiles,
    /// Lanes: requests outstanding at a time. Default 1.
    pub outstanding: u32,
    /// Requests in all; `None`: until stopped.
    pub count: Option<u64>,
    /// When. What was asked before the stop is waited for.
    pub when: When,
    /// Of the time series. Default 100 ms.
    pub bin: Duration,
    /// Sizes and pauses follow from it.
    pub seed: u64,
}

impl Default for RequestsSpec {
    fn default() -> Self {
        Self {
            request: Quantiles::constant(200),
            reply: Quantiles::constant(10_000),
            service: Quantiles::constant(0),
            think: Quantiles::constant(0),
            outstanding: 1,
            count: None,
            when: When::default(),
            bin: Duration::from_millis(100),
            seed: 0,
        }
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// When it was handed in.
    pub asked: Instant,
    /// When the first byte of the reply came; `None` if it has none.
    pub first: Option<Instant>,
    /// When the end of the reply came.
    pub done: Instant,
    /// Bytes of the reply.
    pub bytes: u64,
    /// Whether the reply is whole.
    pub whole: bool,
}

impl RequestRecord {
    /// From the request to the end of the reply.
    pub fn latency(&self) -> Duration {
        self.done - self.asked
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct RequestsReport {
    /// The connection.
    pub life: Life,
    /// Bytes of requests, measured at the server.
    pub up: SharedMeter,
    /// Bytes of replies.
    pub down: SharedMeter,
    /// Requests answered, in the order of their ends.
    pub records: Vec<RequestRecord>,
    /// Requests begun.
    pub asked: u64,
}

struct Pending {
    exchange: Exchange,
    asked: Instant,
}

/// The client's program.
pub struct Requests {
    spec: RequestsSpec,
    ledger: Ledger,
    gate: Gate,
    random: Random,
    pending: Vec<Pending>,
    /// When each idle lane goes on; the number keeps equal times apart.
    lanes: BTreeSet<(Instant, u32)>,
    begun: bool,
    report: Shared<RequestsReport>,
}

impl Requests {
    /// The program and where its report will be.
    pub fn new(spec: RequestsSpec, ledger: &Ledger) -> (Self, Shared<RequestsReport>) {
        let report = Rc::new(RefCell::new(RequestsReport {
            life: Life::default(),
            up: Meter::shared(spec.bin),
            down: Meter::shared(spec.bin),
            records: Vec::new(),
            asked: 0,
        }));
        let program = Self {
            gate: Gate::new(spec.when),
            random: Random::new(spec.seed),
            spec,
            ledger: ledger.clone(),
            pending: Vec::new(),
            lanes: BTreeSet::new(),
            begun: false,
            report: Rc::clone(&report),
        };
        (program, report)
    }

    fn has_more(&self) -> bool {
        self.gate.is_open() && self.spec.count.is_none_or(|count| self.report.borrow().asked < count)
    }

    fn ask(&mut self, cx: &mut AppContext<'_>) -> bool {
        let (up, down) = {
            let report = self.report.borrow();
            (Rc::clone(&report.up), Rc::clone(&report.down))
        };
        let mut random = self.random.clone();
        let ask = Ask {
            what: What::Bytes,
            flow: self.ledger.numbers(2),
            give: random.draw(&self.spec.request),
            ask: random.draw(&self.spec.reply),
            pause: random.pause(&self.spec.service),
            at_once: false,
        };
        let Some(exchange) = Exchange::begin(cx, &self.ledger, ask, &up, &down) else { return false };
        self.random = random;
        self.pending.push(Pending { exchange, asked: cx.now() });
        self.report.borrow_mut().asked += 1;
        true
    }

    fn work(&mut self, cx: &mut AppContext<'_>) {
        let now = cx.now();
        while let Some(turn) = self.gate.turn(now) {
            match turn {
                Turn::Begin => {
                    self.begun = true;
                    self.lanes.extend((0..self.spec.outstanding.max(1)).map(|lane| (now, lane)));
                }
                Turn::Stop => self.lanes.clear(),
            }
        }
        while let Some(first) = self.lanes.first().copied().filter(|(at, _)| *at <= now) {
            if !self.has_more() {
                self.lanes.clear();
            } else if self.ask(cx) {
                self.lanes.remove(&first);
            } else {
                break;
            }
        }
        if self.begun && self.pending.is_empty() && (self.lanes.is_empty() || !self.has_more()) {
            self.gate.done(cx, &mut self.report.borrow_mut().life);
        }
        // a lane that waits for the peer to allow streams is woken by that event
        let lane = self.lanes.first().map(|(at, _)| *at).filter(|at| *at > now);
        cx.wake_at(lane.into_iter().chain(self.gate.next()).min());
    }

    fn on_stream(&mut self, cx: &mut AppContext<'_>, event: StreamEvent) {
        let now = cx.now();
        let mut lanes = Vec::new();
        self.pending.retain_mut(|pending| {
            let progress = pending.exchange.on_event(cx, &self.ledger, event);
            if progress == Progress::More {
                return true;
            }
            self.report.borrow_mut().records.push(RequestRecord {
                asked: pending.asked,
                first: pending.exchange.first,
                done: now,
                bytes: pending.exchange.received(),
                whole: progress == Progress::Done,
            });
            lanes.push(now + self.random.pause(&self.spec.think));
            false
        });
        for at in lanes {
            let number = (0..).find(|number| !self.lanes.contains(&(at, *number))).unwrap_or(0);
            self.lanes.insert((at, number));
        }
    }
}

impl App for Requests {
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        self.report.borrow_mut().life.started = Some(cx.now());
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        self.gate.note(event);
        self.report.borrow_mut().life.note(cx.now(), event);
        match event {
            Event::Stream(event) => self.on_stream(cx, *event),
            Event::Closed(_) => {
                self.lanes.clear();
                self.pending.clear();
            }
            _ => {}
        }
        self.work(cx);
    }

    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        self.work(cx);
    }
}
