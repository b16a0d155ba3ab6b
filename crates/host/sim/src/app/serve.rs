//! The server of all scenarios: does what each stream asks (see [`super::Ask`]), takes messages, says what
//! came out to the ledger. It starts nothing by itself and never closes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tq_quic::{Event, ReadError, StreamEvent};
use tq_time::Instant;
use tq_wire::{Dir, StreamId};

use super::datagrams::Train;
use super::flow::{Inflow, Outflow, Progress};
use super::request::{ASK_LEN, Ask, What};
use super::{App, AppContext};
use crate::ledger::Ledger;

/// Code for streams that ask for nothing known.
const NONSENSE: u64 = 1;

/// One stream.
#[derive(Default)]
struct Serving {
    head: Vec<u8>,
    ask: Option<Ask>,
    request: Option<Inflow>,
    reply: Option<Outflow>,
    train: Option<Train>,
    /// When the reply begins or the next message goes.
    due: Option<Instant>,
    begun: bool,
}

/// Serves one connection.
pub struct Serve {
    ledger: Ledger,
    streams: BTreeMap<StreamId, Serving>,
    due: BTreeSet<(Instant, StreamId)>,
}

impl Serve {
    /// A server whose clients keep the same books.
    pub fn new(ledger: &Ledger) -> Self {
        Self { ledger: ledger.clone(), streams: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// Streams being served.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    fn on_stream(&mut self, cx: &mut AppContext<'_>, event: StreamEvent) {
        match event {
            StreamEvent::Opened(Dir::Bi) => {
                while let Some(id) = cx.connection().accept(Dir::Bi) {
                    self.streams.insert(id, Serving::default());
                    self.turn(cx, id);
                }
            }
            StreamEvent::Opened(Dir::Uni) => {
                while let Some(id) = cx.connection().accept(Dir::Uni) {
                    // nothing is asked on such a stream; that it is over already is fine
                    let _ = cx.connection().stop(id, NONSENSE);
                }
            }
            StreamEvent::Readable(id) | StreamEvent::Writable(id) => self.turn(cx, id),
            StreamEvent::Stopped { id, .. } => {
                if let Some(serving) = self.streams.get_mut(&id) {
                    serving.stopped(cx.now(), &self.ledger);
                }
                self.turn(cx, id);
            }
            StreamEvent::Finished(_) | StreamEvent::Available(_) => {}
        }
    }

    /// Takes one stream as far as it goes.
    fn turn(&mut self, cx: &mut AppContext<'_>, id: StreamId) {
        let Some(serving) = self.streams.get_mut(&id) else { return };
        let before = serving.due;
        let over = !serving.advance(cx, &self.ledger, id);
        let due = serving.due.filter(|_| !over);
        if before != due {
            before.map(|at| self.due.remove(&(at, id)));
            due.map(|at| self.due.insert((at, id)));
        }
        if over {
            self.streams.remove(&id);
        }
    }
}

impl Serving {
    /// Reads, begins and goes on; `false` when the stream is over.
    fn advance(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger, id: StreamId) -> bool {
        let ask = match self.ask.map_or_else(|| self.read_head(cx, id), |ask| Ok(Some(ask))) {
            Ok(Some(ask)) => ask,
            Ok(None) => return true,
            Err(()) => {
                // either half may be over already
                let _ = cx.connection().stop(id, NONSENSE);
                let _ = cx.connection().reset(id, NONSENSE);
                return false;
            }
        };
        self.request.get_or_insert_with(|| Inflow::new(id, ask.flow));
        let asked = self.read(cx, ledger, &ask);
        if !self.begun && (ask.at_once || asked) {
            self.begun = true;
            self.due = Some(if ask.what == What::Bytes { cx.now() + ask.pause } else { cx.now() });
        }
        if self.due.is_some_and(|at| at <= cx.now()) {
            self.due = None;
            self.go_on(cx, ledger, id, &ask);
        }
        if let Some(reply) = &mut self.reply {
            reply.pump(cx, ledger);
        }
        let replied = self.reply.as_ref().is_some_and(|reply| reply.state() != Progress::More);
        !(asked && self.begun && replied)
    }

    /// The reply begins, or the next message goes.
    fn go_on(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger, id: StreamId, ask: &Ask) {
        let total = match ask.what {
            What::Bytes => ask.ask,
            What::Messages => {
                let train =
                    self.train.get_or_insert_with(|| Train::new(ask.reply(), ask.give, ask.pause, ask.ask));
                self.due = train.run(cx, ledger);
                0
            }
        };
        // the stream of a train ends with it
        if self.due.is_none() && self.reply.is_none() {
            self.reply = Some(Outflow::new(ledger, id, ask.reply(), Bytes::new(), total));
        }
    }

    /// Reads the request; says whether it is over.
    fn read(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger, ask: &Ask) -> bool {
        let Some(request) = &mut self.request else { return false };
        if request.state() != Progress::More {
            return true;
        }
        match request.drain(cx, ledger) {
            Progress::More => return false,
            Progress::Done => ledger.ended(cx.now(), ask.flow),
            Progress::Gone => ledger.abandon(cx.now(), ask.flow),
        }
        true
    }

    /// The head, if all of it has come. An error: it never will, or it is none.
    fn read_head(&mut self, cx: &mut AppContext<'_>, id: StreamId) -> Result<Option<Ask>, ()> {
        while self.head.len() < ASK_LEN {
            match cx.connection().read(id, ASK_LEN - self.head.len()) {
                Ok(Some(bytes)) => self.head.extend_from_slice(&bytes),
                Err(ReadError::Blocked) => return Ok(None),
                Ok(None) | Err(_) => return Err(()),
            }
        }
        self.ask = self.head.first_chunk().and_then(Ask::decode);
        self.head = Vec::new();
        self.ask.map(Some).ok_or(())
    }

    /// The client wants no more of the reply.
    fn stopped(&mut self, now: Instant, ledger: &Ledger) {
        let Some(ask) = self.ask else { return };
        self.train = None;
        (self.begun, self.due) = (true, None);
        let gone = || Outflow::new(ledger, StreamId(0), ask.reply(), Bytes::new(), 1);
        self.reply.get_or_insert_with(gone).abandon(now, ledger);
    }
}

impl App for Serve {
    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        match event {
            Event::Stream(event) => self.on_stream(cx, *event),
            Event::DatagramReceived => {
                while let Some(bytes) = cx.connection().read_datagram() {
                    self.ledger.message_out(cx.now(), &bytes);
                }
            }
            Event::Closed(_) => {
                self.streams.clear();
                self.due.clear();
            }
            _ => {}
        }
        cx.wake_at(self.due.first().map(|(at, _)| *at));
    }

    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        while let Some((_, id)) = self.due.first().copied().filter(|(at, _)| *at <= cx.now()) {
            self.turn(cx, id);
            // a stream that is due is served or gone, never the same again at this moment
            self.due.remove(&(cx.now(), id));
        }
        cx.wake_at(self.due.first().map(|(at, _)| *at));
    }
}
