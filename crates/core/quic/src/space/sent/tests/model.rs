//! Random histories against a model that looks at every packet every time.

use proptest::prelude::*;
use tq_buf::mem::{BTreeMap, BTreeSet};

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Out,
    Lost,
    Acked,
    Void,
}

#[derive(Clone, Debug)]
struct Packet {
    at: Instant,
    size: u16,
    eliciting: bool,
    in_flight: bool,
    probe: bool,
    state: State,
    /// Spurious losses there had been when it was lost.
    epoch: u64,
}

/// The appendix of RFC 9002, word by word.
#[derive(Default)]
struct Model {
    packets: BTreeMap<u64, Packet>,
    largest_acked: Option<u64>,
    first_rtt: Option<Instant>,
    threshold: u64,
    calm: u64,
    patience: u32,
    epoch: u64,
    loss_time: Option<Instant>,
}

#[derive(Debug, Default, PartialEq)]
struct Sums {
    bytes: u64,
    packets: u64,
    spurious: u64,
    largest: Option<(u64, Instant)>,
    new_largest: bool,
    eliciting: bool,
    numbers: Vec<u64>,
    newest: Option<u64>,
    span: Option<Duration>,
    tokens: BTreeSet<u64>,
}

impl Model {
    fn flight(&self, what: impl Fn(&Packet) -> u64) -> u64 {
        self.packets.values().filter(|p| p.state == State::Out).map(what).sum()
    }

    fn on_ack(&mut self, now: Instant, pns: &BTreeSet<u64>) -> Sums {
        let mut sums = Sums::default();
        let flight = self.flight(|p| u64::from(p.eliciting));
        let before = self.largest_acked;
        for pn in pns {
            let packet = self.packets.get_mut(pn).expect("acknowledged packets were sent");
            let was = packet.state;
            if matches!(was, State::Acked | State::Void) {
                continue;
            }
            packet.state = State::Acked;
            sums.largest = Some((*pn, packet.at));
            sums.eliciting |= packet.eliciting;
            if was == State::Lost {
                sums.spurious += 1;
                self.epoch += 1;
                self.calm = 0;
                let distance = before.unwrap().saturating_sub(*pn);
                self.threshold = self.threshold.max((distance + 1).min(flight / 2));
            } else {
                sums.packets += 1;
                sums.bytes += if packet.in_flight { u64::from(packet.size) } else { 0 };
                sums.tokens.insert(*pn);
            }
        }
        if sums.spurious > 0 {
            self.patience = (self.patience + 1).min(8);
        }
        let top = *pns.last().unwrap();
        if before.is_none_or(|largest| top > largest) {
            self.largest_acked = Some(top);
            sums.new_largest = sums.largest.is_some_and(|(pn, _)| pn == top);
        }
        if sums.new_largest && sums.eliciting {
            self.first_rtt.get_or_insert(now);
        }
        sums
    }

    fn detect(&mut self, now: Instant) -> Sums {
        let mut sums = Sums::default();
        self.loss_time = None;
        let Some(largest) = self.largest_acked else { return sums };
        let mut stuck = largest;
        let delay = DELAY + DELAY * self.patience / 8;
        for (pn, packet) in self.packets.range_mut(..largest) {
            let counts = packet.eliciting || packet.in_flight;
            if packet.state != State::Out || !counts {
                continue;
            }
            if *pn + self.threshold <= largest || packet.at + delay <= now {
                packet.state = State::Lost;
                packet.epoch = self.epoch;
                sums.numbers.push(*pn);
                sums.tokens.insert(*pn);
                if !packet.probe {
                    sums.packets += 1;
                    sums.bytes += if packet.in_flight { u64::from(packet.size) } else { 0 };
                    sums.newest = Some(*pn);
                }
            } else {
                self.loss_time = Some(self.loss_time.map_or(packet.at + delay, |t| t.min(packet.at + delay)));
                stuck = stuck.min(*pn);
            }
        }
        // ACKs before the first packet still waited for are forgotten.
        for packet in self.packets.range_mut(..stuck).map(|(_, packet)| packet) {
            if packet.state == State::Out {
                packet.state = State::Void;
            }
        }
        if sums.packets > 0 && (self.threshold > 3 || self.patience > 0) {
            self.calm += 1;
            if self.calm == 16 {
                self.calm = 0;
                self.threshold = (self.threshold / 2).max(3);
                self.patience /= 2;
            }
        }
        sums.span = self.span(&sums.numbers);
        sums
    }

    /// Every pair of lost packets of which the second was lost just now.
    fn span(&self, now_lost: &[u64]) -> Option<Duration> {
        let ends = |packet: &Packet| {
            packet.state == State::Lost
                && packet.eliciting
                && !packet.probe
                && packet.epoch == self.epoch
                && self.first_rtt.is_some_and(|first| packet.at > first)
        };
        let mut longest = None;
        for to in now_lost.iter().filter(|pn| ends(&self.packets[*pn])) {
            for (_, from) in self.packets.range(..*to).rev().take_while(|(_, p)| p.state != State::Acked) {
                if ends(from) {
                    longest = longest.max(Some(self.packets[to].at - from.at));
                }
            }
        }
        longest
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// Kind of packet, numbers to skip before it.
    Send(u8, u64),
    Burst(u8),
    Wait(u64),
    /// How far below the newest number the frame begins, and which numbers below are in it.
    Ack(u8, u64),
    /// Everything up to a number this far below the newest, but not the given one.
    AckAllBut(u8, u8),
    Detect,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..5u8, prop_oneof![9 => Just(0u64), 1 => 1..3u64]).prop_map(|(kind, skip)| Op::Send(kind, skip)),
        3 => (1..20u8).prop_map(Op::Burst),
        3 => prop_oneof![4 => 0..6u64, 1 => 30..60u64].prop_map(Op::Wait),
        3 => (0..8u8, any::<u64>()).prop_map(|(below, bits)| Op::Ack(below, bits)),
        3 => (0..8u8, 0..30u8).prop_map(|(below, but)| Op::AckAllBut(below, but)),
        1 => Just(Op::Detect),
    ];
    proptest::collection::vec(op, 1..120).prop_map(|ops| ops.into_iter().collect())
}

/// Ranges of an ACK frame, highest first.
fn ranges(pns: &BTreeSet<u64>) -> Vec<RangeInclusive<u64>> {
    let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
    for pn in pns.iter().rev() {
        match ranges.last_mut() {
            Some(last) if *last.start() == pn + 1 => *last = *pn..=*last.end(),
            _ => ranges.push(*pn..=*pn),
        }
    }
    ranges
}

fn pns(tokens: &[Token]) -> BTreeSet<u64> {
    let mut pns = BTreeSet::new();
    for token in tokens {
        let pn = match token {
            Token::Stream { offset, .. } => offset / 1200,
            Token::Ack { largest, .. } => *largest,
            other => panic!("{other:?}"),
        };
        assert!(pns.insert(pn), "{pn} came back twice");
    }
    pns
}

struct Run {
    bench: Bench,
    model: Model,
    now: Instant,
    next: u64,
}

impl Run {
    fn send(&mut self, kind: u8, skip: u64) {
        let pn = self.next + skip;
        self.next = pn + 1;
        let mut packet = data(self.now, pn);
        match kind {
            0 => {
                packet = ack_only(self.now);
                packet.tokens = smallvec![Token::Ack { path: None, largest: pn }];
            }
            1 => packet.mtu_probe = true,
            2 => packet.eliciting = false,
            _ => packet.size += u16::from(kind),
        }
        let SentPacket { at, size, eliciting, in_flight, mtu_probe, .. } = packet;
        let state = State::Out;
        self.model
            .packets
            .insert(pn, Packet { at, size, eliciting, in_flight, probe: mtu_probe, state, epoch: 0 });
        self.bench.sent.record(pn, packet);
    }

    fn ack(&mut self, pns_acked: BTreeSet<u64>) {
        let pns_acked: BTreeSet<_> =
            pns_acked.into_iter().filter(|pn| self.model.packets.contains_key(pn)).collect();
        if pns_acked.is_empty() {
            return;
        }
        let expected = self.model.on_ack(self.now, &pns_acked);
        self.bench.ack(self.now, &ranges(&pns_acked)).unwrap();
        let acked = &self.bench.acked;
        let got = Sums {
            bytes: acked.bytes,
            packets: acked.packets,
            spurious: acked.spurious,
            largest: acked.largest,
            new_largest: acked.new_largest,
            eliciting: acked.any_eliciting,
            tokens: pns(&acked.tokens),
            ..Sums::default()
        };
        assert_eq!(got, expected);
        self.detect();
    }

    fn detect(&mut self) {
        let expected = self.model.detect(self.now);
        self.bench.detect(self.now);
        let lost = &self.bench.lost;
        let got = Sums {
            bytes: lost.bytes,
            packets: lost.packets,
            numbers: lost.numbers.clone(),
            newest: lost.newest.map(|(pn, _)| pn),
            span: lost.span.map(|(from, to)| to - from),
            tokens: pns(&lost.tokens),
            ..Sums::default()
        };
        assert_eq!(got, expected);
        let mut open = self.model.packets.iter().filter(|(_, p)| matches!(p.state, State::Out | State::Lost));
        let oldest = open.next().map_or(self.next, |(pn, _)| *pn);
        assert_eq!(self.bench.sent.base, oldest, "nothing is kept below the oldest open packet");
    }

    fn step(&mut self, op: &Op) {
        let newest = self.next.saturating_sub(1);
        match *op {
            Op::Send(kind, skip) => self.send(kind, skip),
            Op::Burst(count) => (0..count).for_each(|_| self.send(4, 0)),
            // Lost packets are forgotten a second after they were sent; the model forgets nothing.
            Op::Wait(millis) if self.now < at(900) => self.now += Duration::from_millis(millis),
            Op::Wait(_) => {}
            Op::Ack(below, bits) => {
                let top = newest.saturating_sub(u64::from(below));
                self.ack(
                    (0..64).filter(|bit| bits >> bit & 1 == 1).filter_map(|n| top.checked_sub(n)).collect(),
                );
            }
            Op::AckAllBut(below, but) => {
                let top = newest.saturating_sub(u64::from(below));
                self.ack((0..=top).filter(|pn| top - pn != u64::from(but)).collect());
            }
            Op::Detect => self.detect(),
        }
        let (sent, model) = (&self.bench.sent, &self.model);
        let size = |p: &Packet| if p.in_flight { u64::from(p.size) } else { 0 };
        assert_eq!(sent.bytes_in_flight(), model.flight(size));
        assert_eq!(sent.eliciting_in_flight(), model.flight(|p| u64::from(p.eliciting)));
        assert_eq!(sent.loss_time(), model.loss_time);
        assert_eq!(sent.largest_acked(), model.largest_acked);
        let waits = |p: &&Packet| p.state == State::Out && p.eliciting && !p.probe;
        assert_eq!(sent.oldest_waiting(), model.packets.values().find(waits).map(|p| p.at));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_agrees_with_the_model(ops in ops()) {
        let model = Model { threshold: 3, ..Model::default() };
        let mut run = Run { bench: Bench::new(), model, now: at(0), next: 0 };
        for op in &ops {
            run.step(op);
        }
    }

    #[test]
    fn an_ack_of_a_number_never_sent_is_refused(skips in proptest::collection::btree_set(0..200u64, 1..40), lo in 0..220u64, len in 0..40u64) {
        let mut bench = Bench::new();
        for pn in (0..=200).filter(|pn| !skips.contains(pn)) {
            bench.sent.record(pn, data(at(0), pn));
        }
        let hi = lo + len;
        let verdict = if hi > 200 {
            Err(BadAck::Unsent)
        } else if skips.range(lo..=hi).next().is_some() {
            Err(BadAck::Skipped)
        } else {
            Ok(())
        };
        prop_assert_eq!(bench.ack(at(80), &[lo..=hi]), verdict);
    }
}
