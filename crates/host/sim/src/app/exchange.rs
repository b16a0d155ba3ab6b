//! A request and its reply on one bidirectional stream, as a client sees it. Knows the request format, not what the
//! exchange is good for.

use bytes::Bytes;
use tq_quic::StreamEvent;
use tq_time::Instant;
use tq_wire::{Dir, StreamId};

use super::AppContext;
use super::flow::{Inflow, Outflow, Progress};
use super::request::{Ask, What};
use crate::ledger::{Ledger, SharedMeter};

/// A request under way.
pub(super) struct Exchange {
    pub(super) id: StreamId,
    ask: Ask,
    out: Outflow,
    reply: Inflow,
    /// The first byte of the reply came.
    pub(super) first: Option<Instant>,
    told: bool,
    /// The peer has all of the request.
    arrived: bool,
}

impl Exchange {
    /// Opens a stream and asks; `None` while the peer allows no more streams.
    pub(super) fn begin(
        cx: &mut AppContext<'_>,
        ledger: &Ledger,
        ask: Ask,
        up: &SharedMeter,
        down: &SharedMeter,
    ) -> Option<Self> {
        let id = cx.connection().open(Dir::Bi)?;
        let now = cx.now();
        let bytes = ask.what == What::Bytes;
        let give = if bytes { ask.give } else { 0 };
        // also an empty flow has an end that must come
        ledger.open(now, ask.flow, bytes.then(|| up.clone()).filter(|_| give > 0));
        if bytes {
            ledger.open(now, ask.reply(), (ask.ask > 0).then(|| down.clone()));
        }
        let head = Bytes::copy_from_slice(&ask.encode());
        let mut exchange = Self {
            id,
            ask,
            out: Outflow::new(ledger, id, ask.flow, head, give),
            reply: Inflow::new(id, ask.reply()),
            first: None,
            told: false,
            arrived: false,
        };
        exchange.out.pump(cx, ledger);
        Some(exchange)
    }

    /// Bytes of the reply so far.
    pub(super) const fn received(&self) -> u64 {
        self.reply.at()
    }

    /// Takes what a stream event says; `Done` or `Gone` when the exchange is over.
    pub(super) fn on_event(
        &mut self,
        cx: &mut AppContext<'_>,
        ledger: &Ledger,
        event: StreamEvent,
    ) -> Progress {
        match event {
            StreamEvent::Writable(id) if id == self.id => _ = self.out.pump(cx, ledger),
            StreamEvent::Stopped { id, .. } if id == self.id => self.out.abandon(cx.now(), ledger),
            StreamEvent::Readable(id) if id == self.id => self.read(cx, ledger),
            StreamEvent::Finished(id) if id == self.id => self.arrived = true,
            _ => {}
        }
        self.progress()
    }

    /// A reply that was given up says nothing of the request, which still has to arrive.
    fn progress(&self) -> Progress {
        match self.reply.state() {
            Progress::Gone if self.out.state() != Progress::Gone && !self.arrived => Progress::More,
            state => state,
        }
    }

    fn read(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger) {
        let (before, now) = (self.reply.at(), cx.now());
        let progress = self.reply.drain(cx, ledger);
        if before == 0 && self.reply.at() > 0 {
            self.first = Some(now);
        }
        if progress != Progress::More && !std::mem::replace(&mut self.told, true) {
            match (self.ask.what, progress) {
                (What::Messages, _) => {}
                (What::Bytes, Progress::Done) => ledger.ended(now, self.ask.reply()),
                (What::Bytes, _) => ledger.abandon(now, self.ask.reply()),
            }
        }
    }

    /// Ends what has no end of its own: an upload is finished where it is, a reply is stopped.
    pub(super) fn stop(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger) -> Progress {
        if self.out.state() == Progress::More && self.ask.give == super::request::ENDLESS {
            self.out.stop(cx, ledger);
        }
        if self.ask.ask == super::request::ENDLESS && self.reply.state() == Progress::More {
            let now = cx.now();
            self.told = true;
            if self.ask.what == What::Bytes {
                ledger.abandon(now, self.ask.reply());
            }
            // an error would mean that it is over, which is what is wanted
            let _ = cx.connection().stop(self.id, 0);
            self.reply.give_up();
        }
        self.progress()
    }
}
