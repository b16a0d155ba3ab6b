//! Messages at a constant rate, like a call or a sensor: how many are lost, how long each takes, how they are
//! reordered. A message carries its number and the moment it was handed in.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tq_quic::Event;
use tq_time::Instant;

use super::exchange::Exchange;
use super::flow::Progress;
use super::gate::{Gate, Turn};
use super::request::{Ask, ENDLESS, What};
use super::{App, AppContext, Direction, Life, Shared, When};
use crate::ledger::{Ledger, MessageMeter, Meter, SharedMessageMeter};

/// Shortest time between messages, so that no time at all does not hold up virtual time.
const SHORTEST: Duration = Duration::from_micros(1);

/// Messages leaving one after another.
pub(super) struct Train {
    flow: u64,
    size: usize,
    interval: Duration,
    left: u64,
    next: Option<Instant>,
}

impl Train {
    pub(super) fn new(flow: u64, size: u64, interval: Duration, count: u64) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(65_535);
        Self { flow, size, interval: interval.max(SHORTEST), left: count, next: None }
    }

    /// Sends what is due; when the next is, or `None` if that was the last.
    pub(super) fn run(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger) -> Option<Instant> {
        let now = cx.now();
        let mut next = self.next.unwrap_or(now);
        while self.left > 0 && next <= now {
            let message = ledger.message(now, self.flow, self.size);
            let taken = cx.connection().send_datagram(message).is_ok();
            ledger.message_in(now, self.flow, taken);
            self.left -= u64::from(self.left != ENDLESS);
            next += self.interval;
        }
        self.next = Some(next);
        self.next.filter(|_| self.left > 0)
    }
}

/// What to send.
#[derive(Clone, Debug)]
pub struct DatagramsSpec {
    /// Which way.
    pub direction: Direction,
    /// Bytes of each, at least [`crate::ledger::MIN_MESSAGE`]. Default 1000.
    pub size: usize,
    /// From one to the next. Default 20 ms.
    pub interval: Duration,
    /// How many each way; `None`: until stopped.
    pub count: Option<u64>,
    /// When. The stop ends what has no count.
    pub when: When,
}

impl Default for DatagramsSpec {
    fn default() -> Self {
        Self {
            direction: Direction::Up,
            size: 1000,
            interval: Duration::from_millis(20),
            count: None,
            when: When::default(),
        }
    }
}

/// What came of it. A message that was sent and did not come is lost, or still under way when the run ended.
#[derive(Clone, Debug)]
pub struct DatagramsReport {
    /// The connection.
    pub life: Life,
    /// From the client.
    pub up: SharedMessageMeter,
    /// To the client.
    pub down: SharedMessageMeter,
}

/// The client's program.
pub struct Datagrams {
    spec: DatagramsSpec,
    ledger: Ledger,
    gate: Gate,
    train: Option<Train>,
    next: Option<Instant>,
    asked: Option<Exchange>,
    ended: bool,
    report: Shared<DatagramsReport>,
}

impl Datagrams {
    /// The program and where its report will be.
    pub fn new(spec: DatagramsSpec, ledger: &Ledger) -> (Self, Shared<DatagramsReport>) {
        let report = Rc::new(RefCell::new(DatagramsReport {
            life: Life::default(),
            up: MessageMeter::shared(),
            down: MessageMeter::shared(),
        }));
        let program = Self {
            gate: Gate::new(spec.when),
            spec,
            ledger: ledger.clone(),
            train: None,
            next: None,
            asked: None,
            ended: false,
            report: Rc::clone(&report),
        };
        (program, report)
    }

    fn begin(&mut self, cx: &mut AppContext<'_>) {
        let count = self.spec.count.unwrap_or(ENDLESS);
        let flow = self.ledger.numbers(3);
        if self.spec.direction.up() {
            self.ledger.open_messages(flow + 2, Some(Rc::clone(&self.report.borrow().up)));
            self.train = Some(Train::new(flow + 2, self.spec.size as u64, self.spec.interval, count));
            self.next = Some(cx.now());
        }
        if self.spec.direction.down() {
            self.ledger.open_messages(flow + 1, Some(Rc::clone(&self.report.borrow().down)));
            let ask = Ask {
                what: What::Messages,
                flow,
                give: self.spec.size as u64,
                ask: count,
                pause: self.spec.interval,
                at_once: true,
            };
            // the stream carries no bytes that would be measured
            let (up, down) = (Meter::shared(Duration::ZERO), Meter::shared(Duration::ZERO));
            self.asked = Exchange::begin(cx, &self.ledger, ask, &up, &down);
            self.ended |= self.asked.is_none();
        }
    }

    fn work(&mut self, cx: &mut AppContext<'_>) {
        while let Some(turn) = self.gate.turn(cx.now()) {
            match turn {
                Turn::Begin => self.begin(cx),
                Turn::Stop => self.stop(cx),
            }
        }
        if self.gate.is_open()
            && self.next.is_some_and(|at| at <= cx.now())
            && let Some(train) = &mut self.train
        {
            self.next = train.run(cx, &self.ledger);
        }
        let begun = self.train.is_some() || self.asked.is_some() || self.ended;
        if begun && self.next.is_none() && (self.asked.is_none() || self.ended) {
            self.gate.done(cx, &mut self.report.borrow_mut().life);
        }
        let next = [self.next, self.gate.next()].into_iter().flatten().min();
        cx.wake_at(next);
    }

    fn stop(&mut self, cx: &mut AppContext<'_>) {
        self.next = None;
        if let Some(asked) = &mut self.asked {
            self.ended |= asked.stop(cx, &self.ledger) != Progress::More;
        }
    }
}

impl App for Datagrams {
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        self.report.borrow_mut().life.started = Some(cx.now());
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        self.gate.note(event);
        self.report.borrow_mut().life.note(cx.now(), event);
        match event {
            Event::DatagramReceived => {
                while let Some(bytes) = cx.connection().read_datagram() {
                    let bytes: Bytes = bytes;
                    self.ledger.message_out(cx.now(), &bytes);
                }
            }
            Event::Stream(event) => {
                if let Some(asked) = &mut self.asked {
                    self.ended |= asked.on_event(cx, &self.ledger, *event) != Progress::More;
                }
            }
            Event::Closed(_) => self.next = None,
            _ => {}
        }
        self.work(cx);
    }

    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        self.work(cx);
    }
}
