//! Random histories against plain sets.

use proptest::prelude::*;
use tq_buf::mem::BTreeSet;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    /// The next number but `skip`, eliciting or not.
    Next(u64, bool),
    /// A number this far back.
    Late(u64, bool),
    Wait(u64),
    /// An ACK with this much room.
    Write(usize),
    /// An ACK written earlier is acknowledged.
    Heard(prop::sample::Index),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => (prop_oneof![4 => Just(0u64), 1 => 1..4u64], prop::bool::weighted(0.8))
            .prop_map(|(skip, eliciting)| Op::Next(skip, eliciting)),
        2 => (0..40u64, prop::bool::weighted(0.8)).prop_map(|(back, eliciting)| Op::Late(back, eliciting)),
        1 => (0..4u64).prop_map(Op::Wait),
        2 => prop_oneof![3 => Just(1200usize), 1 => 0..40usize].prop_map(Op::Write),
        1 => any::<prop::sample::Index>().prop_map(Op::Heard),
    ];
    proptest::collection::vec(op, 1..150)
}

#[derive(Default)]
struct Model {
    received: BTreeSet<u64>,
    eliciting: BTreeSet<u64>,
    /// In at least one ACK.
    reported: BTreeSet<u64>,
    /// Largest of each ACK written.
    acks: Vec<u64>,
}

struct Run {
    owed: Owed,
    model: Model,
    now: Instant,
}

impl Run {
    fn receive(&mut self, pn: u64, eliciting: bool) {
        assert_eq!(self.owed.is_duplicate(pn), self.model.received.contains(&pn), "{pn}");
        self.owed.on_packet(self.now, pn, eliciting, Ecn::NotEct);
        if self.model.received.insert(pn) && eliciting {
            self.model.eliciting.insert(pn);
            assert!(self.owed.pending());
            assert!(self.owed.deadline().unwrap() <= self.now + Duration::from_millis(5));
        }
    }

    fn write(&mut self, room: usize) {
        let Some(ranges) = written(&mut self.owed, self.now, room) else {
            assert!(self.model.received.is_empty() || room < 40);
            return;
        };
        assert_eq!(Some(ranges[0].end()), self.model.received.last());
        for pn in ranges.iter().cloned().flatten() {
            assert!(self.model.received.contains(&pn), "{pn} was never received");
            self.model.reported.insert(pn);
        }
        self.model.acks.push(*ranges[0].end());
        assert!(!self.owed.wants(self.now));
        if !self.owed.pending() {
            let unreported: Vec<_> = self.model.eliciting.difference(&self.model.reported).collect();
            assert!(unreported.is_empty(), "{unreported:?} wait for nothing");
        }
    }

    fn step(&mut self, op: &Op) {
        let next = self.owed.expected();
        match op {
            Op::Next(skip, eliciting) => self.receive(next + skip, *eliciting),
            Op::Late(back, eliciting) => {
                if let Some(pn) = next.checked_sub(1 + back) {
                    self.receive(pn, *eliciting);
                }
            }
            Op::Wait(millis) => self.now += Duration::from_millis(*millis),
            Op::Write(room) => self.write(*room),
            Op::Heard(index) => {
                if !self.model.acks.is_empty() {
                    self.owed.on_ack_acked(*index.get(&self.model.acks));
                }
            }
        }
        assert_eq!(self.owed.largest(), self.model.received.last().copied());
        if self.owed.wants(self.now) {
            assert!(self.owed.pending(), "an ACK is due for something");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_elicits_is_acknowledged_and_duplicates_are_known(ops in ops()) {
        let mut run = Run { owed: owed(), model: Model::default(), now: at(0) };
        for op in &ops {
            run.step(op);
        }
        run.write(1200);
        prop_assert!(run.model.eliciting.is_subset(&run.model.reported));
        for pn in 0..run.owed.expected() + 10 {
            prop_assert_eq!(run.owed.is_duplicate(pn), run.model.received.contains(&pn));
        }
    }
}
