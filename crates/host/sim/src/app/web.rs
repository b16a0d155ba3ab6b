//! A reader of web pages: a document, then all it refers to, many objects in parallel with sizes of a heavy tail, then
//! a pause to read. It has the shape of the web, not its content: one server, no cache, nothing refers to anything
//! but the document. The numbers of the default mix are round and our own; only the same mix compares.

use std::cell::RefCell;
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

/// What pages are like.
#[derive(Clone, Debug)]
pub struct WebMix {
    /// Bytes of a document. Default: median 30 KB, one in a hundred above 300 KB.
    pub document: Quantiles,
    /// Objects a document refers to. Default: median 60, up to 400.
    pub objects: Quantiles,
    /// Bytes of an object. Default: median 9 KB, one in ten above 75 KB, one in a hundred above 600 KB, up to 5 MB; the
    /// mean is about 70 KB, so that most objects are small and most bytes are in large ones.
    pub object: Quantiles,
    /// Bytes of a request beyond its head. Default: median 450.
    pub request: Quantiles,
    /// Microseconds the server takes for a document. Default: median 60 ms, up to 600 ms.
    pub document_service: Quantiles,
    /// Microseconds it takes for an object. Default: median 3 ms, up to 100 ms.
    pub object_service: Quantiles,
    /// Microseconds from a page to the next. Default: median 8 s, up to 25 s, which is less than the idle
    /// timeout of a connection by default.
    pub think: Quantiles,
}

impl Default for WebMix {
    fn default() -> Self {
        Self {
            document: Quantiles::new(&[
                (0, 2_000),
                (50_000, 30_000),
                (90_000, 100_000),
                (99_000, 300_000),
                (100_000, 1_000_000),
            ]),
            objects: Quantiles::new(&[(0, 1), (10_000, 12), (50_000, 60), (90_000, 150), (100_000, 400)]),
            object: Quantiles::new(&[
                (0, 35),
                (10_000, 400),
                (25_000, 1_500),
                (50_000, 9_000),
                (75_000, 28_000),
                (90_000, 75_000),
                (99_000, 600_000),
                (100_000, 5_000_000),
            ]),
            request: Quantiles::new(&[(0, 100), (50_000, 450), (100_000, 1_500)]),
            document_service: Quantiles::new(&[(0, 10_000), (50_000, 60_000), (100_000, 600_000)]),
            object_service: Quantiles::new(&[(0, 500), (50_000, 3_000), (100_000, 100_000)]),
            think: Quantiles::new(&[(0, 1_000_000), (50_000, 8_000_000), (100_000, 25_000_000)]),
        }
    }
}

/// How much is read.
#[derive(Clone, Debug)]
pub struct WebSpec {
    /// What pages are like.
    pub mix: WebMix,
    /// Objects under way at a time. Default 100.
    pub parallel: usize,
    /// Pages; `None`: until stopped.
    pub pages: Option<u64>,
    /// When. A page that was begun before the stop is loaded to its end.
    pub when: When,
    /// Of the time series. Default 100 ms.
    pub bin: Duration,
    /// Pages follow from it.
    pub seed: u64,
}

impl Default for WebSpec {
    fn default() -> Self {
        Self {
            mix: WebMix::default(),
            parallel: 100,
            pages: None,
            when: When::default(),
            bin: Duration::from_millis(100),
            seed: 0,
        }
    }
}

/// One page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRecord {
    /// When its document was asked for.
    pub begun: Instant,
    /// When the first byte of the document came.
    pub first: Option<Instant>,
    /// When the document was there.
    pub document: Instant,
    /// When all was there.
    pub done: Instant,
    /// Objects besides the document.
    pub objects: u64,
    /// Bytes of all.
    pub bytes: u64,
    /// Whether all replies were whole.
    pub whole: bool,
}

impl PageRecord {
    /// Page load time.
    pub fn load_time(&self) -> Duration {
        self.done - self.begun
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct WebReport {
    /// The connection.
    pub life: Life,
    /// Bytes of requests, measured at the server.
    pub up: SharedMeter,
    /// Bytes of replies.
    pub down: SharedMeter,
    /// Pages loaded.
    pub pages: Vec<PageRecord>,
    /// Pages begun.
    pub begun: u64,
}

/// A page that is being loaded.
struct Page {
    record: PageRecord,
    /// The document is there.
    parsed: bool,
    /// Objects yet to be asked for.
    left: u64,
    open: Vec<Exchange>,
    /// Sizes and services of this page, whatever the order in which things happen.
    random: Random,
}

/// The client's program.
pub struct Web {
    spec: WebSpec,
    ledger: Ledger,
    gate: Gate,
    random: Random,
    page: Option<Page>,
    /// When the next page begins.
    next: Option<Instant>,
    begun: bool,
    report: Shared<WebReport>,
}

impl Web {
    /// The program and where its report will be.
    pub fn new(spec: WebSpec, ledger: &Ledger) -> (Self, Shared<WebReport>) {
        let report = Rc::new(RefCell::new(WebReport {
            life: Life::default(),
            up: Meter::shared(spec.bin),
            down: Meter::shared(spec.bin),
            pages: Vec::new(),
            begun: 0,
        }));
        let program = Self {
            gate: Gate::new(spec.when),
            random: Random::new(spec.seed),
            spec,
            ledger: ledger.clone(),
            page: None,
            next: None,
            begun: false,
            report: Rc::clone(&report),
        };
        (program, report)
    }

    fn has_more(&self) -> bool {
        self.gate.is_open() && self.spec.pages.is_none_or(|pages| self.report.borrow().begun < pages)
    }

    fn begin_page(&mut self, now: Instant) {
        let mut random = Random::new(self.random.next());
        let left = random.draw(&self.spec.mix.objects);
        let record = PageRecord {
            begun: now,
            first: None,
            document: now,
            done: now,
            objects: left,
            bytes: 0,
            whole: true,
        };
        self.page = Some(Page { record, parsed: false, left, open: Vec::new(), random });
        self.report.borrow_mut().begun += 1;
    }

    /// Asks for what may be asked for now.
    fn fetch(&mut self, cx: &mut AppContext<'_>) {
        let (up, down) = {
            let report = self.report.borrow();
            (Rc::clone(&report.up), Rc::clone(&report.down))
        };
        let Some(page) = &mut self.page else { return };
        let mix = &self.spec.mix;
        loop {
            let (size, service) = match page.parsed {
                false if page.open.is_empty() => (&mix.document, &mix.document_service),
                true if page.left > 0 && page.open.len() < self.spec.parallel.max(1) => {
                    (&mix.object, &mix.object_service)
                }
                _ => return,
            };
            let mut random = page.random.clone();
            let ask = Ask {
                what: What::Bytes,
                flow: self.ledger.numbers(2),
                give: random.draw(&mix.request),
                ask: random.draw(size),
                pause: random.pause(service),
                at_once: false,
            };
            let Some(exchange) = Exchange::begin(cx, &self.ledger, ask, &up, &down) else { return };
            page.random = random;
            page.left -= u64::from(page.parsed);
            page.open.push(exchange);
        }
    }

    fn work(&mut self, cx: &mut AppContext<'_>) {
        let now = cx.now();
        while let Some(turn) = self.gate.turn(now) {
            match turn {
                Turn::Begin => (self.begun, self.next) = (true, Some(now)),
                Turn::Stop => self.next = None,
            }
        }
        if self.page.is_none() && self.next.is_some_and(|at| at <= now) {
            self.next = None;
            if self.has_more() {
                self.begin_page(now);
            }
        }
        self.fetch(cx);
        if self.begun && self.page.is_none() && self.next.is_none() {
            self.gate.done(cx, &mut self.report.borrow_mut().life);
        }
        cx.wake_at(self.next.into_iter().chain(self.gate.next()).min());
    }

    fn on_stream(&mut self, cx: &mut AppContext<'_>, event: StreamEvent) {
        let now = cx.now();
        let Some(page) = &mut self.page else { return };
        let (mut open, record) = (std::mem::take(&mut page.open), &mut page.record);
        let before = open.len();
        open.retain_mut(|exchange| {
            let progress = exchange.on_event(cx, &self.ledger, event);
            if !page.parsed {
                record.first = exchange.first;
            }
            if progress != Progress::More {
                record.bytes += exchange.received();
                record.whole &= progress == Progress::Done;
            }
            progress == Progress::More
        });
        let ended = open.len() < before;
        page.open = open;
        if ended && !std::mem::replace(&mut page.parsed, true) {
            page.record.document = now;
        }
        if ended && page.open.is_empty() && page.left == 0 {
            page.record.done = now;
            self.report.borrow_mut().pages.push(page.record);
            self.page = None;
            self.next = Some(now + self.random.pause(&self.spec.mix.think)).filter(|_| self.has_more());
        }
    }
}

impl App for Web {
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        self.report.borrow_mut().life.started = Some(cx.now());
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        self.gate.note(event);
        self.report.borrow_mut().life.note(cx.now(), event);
        match event {
            Event::Stream(event) => self.on_stream(cx, *event),
            Event::Closed(_) => (self.page, self.next) = (None, None),
            _ => {}
        }
        self.work(cx);
    }

    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        self.work(cx);
    }
}
