//! The books themselves: one entry per flow while it is open, sums for the rest.

use std::collections::BTreeMap;

use bytes::Bytes;
use tq_time::Instant;

use super::meter::{Arrival, SharedMessageMeter, SharedMeter};
use super::pattern::Pattern;
use super::{MessageInfo, OpenFlow, Totals, Violation, Wrong};
use crate::entropy::{derive, mix};

/// Violations kept.
const KEPT: usize = 1000;
/// Flow, number, time, proof of the three and the length.
pub(super) const MESSAGE_HEADER: usize = 32;

struct Flow {
    pattern: Pattern,
    meter: Option<SharedMeter>,
    handed_in: u64,
    came_out: u64,
    finished: bool,
    broken: bool,
}

#[derive(Default)]
struct Messages {
    meter: Option<SharedMessageMeter>,
    sent: u64,
    received: u64,
    highest: Option<u64>,
    /// A bit per number.
    seen: Vec<u64>,
}

pub(super) struct Book {
    pub(super) seed: u64,
    next: u64,
    flows: BTreeMap<u64, Flow>,
    abandoned: std::collections::BTreeSet<u64>,
    messages: BTreeMap<u64, Messages>,
    pub(super) violations: Vec<Violation>,
    pub(super) totals: Totals,
}

impl Book {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            next: 1,
            flows: BTreeMap::new(),
            abandoned: std::collections::BTreeSet::new(),
            messages: BTreeMap::new(),
            violations: Vec::new(),
            totals: Totals::default(),
        }
    }

    pub(super) fn numbers(&mut self, count: u64) -> u64 {
        let first = self.next;
        self.next += count;
        first
    }

    fn complain(&mut self, at: Instant, flow: u64, offset: u64, wrong: Wrong) {
        self.totals.violations += 1;
        if self.violations.len() < KEPT {
            self.violations.push(Violation { at, flow, offset, wrong });
        }
    }

    pub(super) fn open(&mut self, now: Instant, flow: u64, meter: Option<SharedMeter>) {
        if let Some(meter) = &meter {
            meter.borrow_mut().begin(now);
        }
        let pattern = Pattern::new(self.seed, flow);
        let fresh = Flow { pattern, meter, handed_in: 0, came_out: 0, finished: false, broken: false };
        self.flows.insert(flow, fresh);
    }

    pub(super) fn handed_in(&mut self, flow: u64, offset: u64, len: u64) {
        // An end that does not know yet that the other gave up goes on for a while.
        if let Some(known) = self.flows.get_mut(&flow) {
            known.handed_in = known.handed_in.max(offset + len);
            self.totals.handed_in += len;
        }
    }

    pub(super) fn finished(&mut self, flow: u64) {
        if let Some(known) = self.flows.get_mut(&flow) {
            known.finished = true;
        }
    }

    pub(super) fn came_out(&mut self, now: Instant, flow: u64, offset: u64, bytes: &[u8]) {
        let Some(known) = self.flows.get_mut(&flow) else {
            if !self.abandoned.contains(&flow) {
                self.complain(now, flow, offset, Wrong::Invented);
            }
            return;
        };
        self.totals.came_out += bytes.len() as u64;
        if let Some(meter) = &known.meter {
            meter.borrow_mut().deliver(now, bytes.len() as u64);
        }
        let expected = known.came_out;
        known.came_out = known.came_out.max(offset + bytes.len() as u64);
        if known.broken {
            return;
        }
        if let Some((offset, wrong)) = known.judge(expected, offset, bytes) {
            known.broken = true;
            self.complain(now, flow, offset, wrong);
        }
    }

    pub(super) fn ended(&mut self, now: Instant, flow: u64) {
        let Some(known) = self.flows.remove(&flow) else {
            if !self.abandoned.contains(&flow) {
                self.complain(now, flow, 0, Wrong::Invented);
            }
            return;
        };
        if let Some(meter) = &known.meter {
            meter.borrow_mut().end(now);
        }
        if known.came_out < known.handed_in {
            self.complain(now, flow, known.came_out, Wrong::Lost);
        } else if !known.finished {
            // an end nobody declared
            self.complain(now, flow, known.came_out, Wrong::Invented);
        } else if !known.broken {
            self.totals.complete += 1;
        }
    }

    pub(super) fn abandon(&mut self, now: Instant, flow: u64) {
        if let Some(known) = self.flows.remove(&flow) {
            if let Some(meter) = &known.meter {
                meter.borrow_mut().end(now);
            }
            self.abandoned.insert(flow);
            self.totals.abandoned += 1;
        }
    }

    pub(super) fn open_flows(&self) -> Vec<OpenFlow> {
        let open = |(flow, known): (&u64, &Flow)| OpenFlow {
            flow: *flow,
            handed_in: known.handed_in,
            came_out: known.came_out,
            finished: known.finished,
        };
        self.flows.iter().map(open).collect()
    }

    pub(super) fn open_messages(&mut self, flow: u64, meter: Option<SharedMessageMeter>) {
        self.messages.insert(flow, Messages { meter, ..Messages::default() });
    }

    pub(super) fn message(&self, now: Instant, flow: u64, size: usize) -> Bytes {
        let number = self.messages.get(&flow).map_or(0, |known| known.sent);
        let mut out = vec![0; size.max(MESSAGE_HEADER)];
        let info = MessageInfo { flow, number, handed_in: now };
        let (header, body) = out.split_at_mut(MESSAGE_HEADER);
        header.copy_from_slice(&self.header(&info, body.len()));
        self.content(&info).fill(0, body);
        out.into()
    }

    fn header(&self, info: &MessageInfo, body: usize) -> [u8; MESSAGE_HEADER] {
        let words = [info.flow, info.number, info.handed_in.as_nanos()];
        let proof = words.iter().fold(derive(self.seed, body as u64), |sum, word| mix(sum ^ mix(*word)));
        let mut out = [0; MESSAGE_HEADER];
        for (chunk, word) in out.chunks_mut(8).zip(words.into_iter().chain([proof])) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        out
    }

    fn content(&self, info: &MessageInfo) -> Pattern {
        Pattern::new(derive(self.seed, info.flow), info.number)
    }

    pub(super) fn message_in(&mut self, now: Instant, flow: u64, taken: bool) {
        let Some(known) = self.messages.get_mut(&flow) else { return };
        known.sent += u64::from(taken);
        self.totals.messages_in += u64::from(taken);
        if let Some(meter) = &known.meter {
            let mut meter = meter.borrow_mut();
            meter.sent += u64::from(taken);
            meter.refused += u64::from(!taken);
            if taken {
                meter.first_sent.get_or_insert(now);
                meter.last_sent = Some(now);
            }
        }
    }

    pub(super) fn message_out(&mut self, now: Instant, bytes: &[u8]) -> Option<MessageInfo> {
        let Some((info, known)) = self.recognize(bytes) else {
            self.complain(now, u64::MAX, 0, Wrong::Altered);
            return None;
        };
        let wrong = self.messages.get_mut(&info.flow).and_then(|messages| messages.note(now, &info, bytes));
        self.totals.messages_out += u64::from(known);
        let wrong = if known { wrong } else { Some(Wrong::Invented) };
        let body = &bytes[MESSAGE_HEADER..];
        let altered = self.content(&info).check(0, body).map(|_| Wrong::Altered);
        if let Some(wrong) = wrong.or(altered) {
            self.complain(now, info.flow, info.number, wrong);
        }
        Some(info)
    }

    /// Reads a message's header; says whether it was handed in.
    fn recognize(&self, bytes: &[u8]) -> Option<(MessageInfo, bool)> {
        let (header, body) = bytes.split_first_chunk::<MESSAGE_HEADER>()?;
        let (words, _) = header.as_chunks::<8>();
        let word = |ix: usize| u64::from_be_bytes(words[ix]);
        let info = MessageInfo { flow: word(0), number: word(1), handed_in: Instant::from_nanos(word(2)) };
        if self.header(&info, body.len()) != *header {
            return None;
        }
        let known = self.messages.get(&info.flow).is_some_and(|known| info.number < known.sent);
        Some((info, known))
    }
}

impl Flow {
    /// What is wrong with `bytes` that came at `offset` while `expected` was next: the first offset and why.
    fn judge(&self, expected: u64, offset: u64, bytes: &[u8]) -> Option<(u64, Wrong)> {
        if offset > expected {
            return Some((expected, Wrong::Lost));
        }
        if offset < expected {
            return Some((offset, Wrong::Twice { found: offset }));
        }
        if let Some(at) = self.pattern.check(offset, bytes) {
            let wrong = offset + at as u64;
            return Some((wrong, self.explain(wrong, &bytes[at..])));
        }
        let end = offset + bytes.len() as u64;
        (end > self.handed_in).then_some((self.handed_in.max(offset), Wrong::Invented))
    }

    /// Why `bytes` are not those that belong at `offset`.
    fn explain(&self, offset: u64, bytes: &[u8]) -> Wrong {
        match self.pattern.locate(bytes) {
            // the same words at the right place further on: only some bytes differ
            Some(found) if found < offset => Wrong::Twice { found },
            Some(found) if found > offset && found < self.handed_in => Wrong::OutOfOrder { found },
            _ => Wrong::Altered,
        }
    }
}

impl Messages {
    fn note(&mut self, now: Instant, info: &MessageInfo, bytes: &[u8]) -> Option<Wrong> {
        if info.number >= self.sent {
            return Some(Wrong::Invented);
        }
        let (word, bit) = ((info.number / 64) as usize, 1u64 << (info.number % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            return Some(Wrong::Twice { found: info.number });
        }
        self.seen[word] |= bit;
        self.received += 1;
        let behind = self.highest.map_or(0, |highest| highest.saturating_sub(info.number));
        self.highest = self.highest.max(Some(info.number));
        if let Some(meter) = &self.meter {
            let mut meter = meter.borrow_mut();
            meter.received += 1;
            meter.bytes += bytes.len() as u64;
            meter.reordered += u64::from(behind > 0);
            meter.furthest = meter.furthest.max(behind);
            let delay = now - info.handed_in;
            meter.arrivals.push(Arrival { number: info.number, at: now, delay });
        }
        None
    }
}
