use std::string::ToString;

use proptest::prelude::*;

use super::*;
use crate::testing::{any_demand, any_paths, bulk, path};
use crate::{Class, Feedback, Outstanding};

/// Decisions as they were recorded.
const RECORDED: [&str; 8] = [
    "aggregate now=5;path id=0 validated=1 srtt=20000000 cwnd=14720;demand backlog=9000;pick send 0",
    // The fast path is full and the backlog does not pay for the satellite.
    "aggregate now=5;path id=0 validated=1 min_rtt=20000000 srtt=20000000 rel_owd=10000000 capacity=6250000 \
     capacity_state=measured r_measured=6250000 cwnd=150000 in_flight=150000;path id=1 validated=1 \
     min_rtt=600000000 srtt=600000000 rel_owd=300000000 capacity=2500000 capacity_state=measured \
     r_measured=2500000 cwnd=1500000;demand backlog=1800000;pick nothing",
    // Three megabytes do.
    "aggregate now=5;path id=0 validated=1 min_rtt=20000000 srtt=20000000 rel_owd=10000000 capacity=6250000 \
     capacity_state=measured r_measured=6250000 cwnd=150000 in_flight=150000;path id=1 validated=1 \
     min_rtt=600000000 srtt=600000000 rel_owd=300000000 capacity=2500000 capacity_state=measured \
     r_measured=2500000 cwnd=1500000;demand backlog=3000000;pick send 1",
    // A tail held by a path that fell silent is copied.
    "aggregate now=200000000;path id=0 health=suspect validated=1 min_rtt=40000000 srtt=40000000 rel_owd=20000000 \
     cwnd=90000 in_flight=60000;path id=1 validated=1 min_rtt=50000000 srtt=50000000 rel_owd=25000000 \
     capacity=1000000 capacity_state=measured cwnd=50000;\
     demand blocking=0/100000000/1200 resend_budget=100000;pick reinject 1 0",
    "minrtt now=5;path id=0 validated=1 srtt=30000000 cwnd=14720;path id=3 validated=1 srtt=20000000 cwnd=14720;\
     demand backlog=1;pick send 3",
    "roundrobin now=5 cursor=1;path id=0 validated=1 cwnd=14720;path id=1 validated=1 cwnd=14720;\
     demand backlog=1;pick send 1",
    "weighted now=5 cursor=0 memory=0:-1,1:1400;path id=0 validated=1 cwnd=14720;\
     path id=1 validated=1 cwnd=14720;demand backlog=1;pick send 1",
    "aggregate now=5;path id=0 validated=1 cwnd=14720;path id=1 link=1 validated=1 rel_owd=7 cwnd=14720;\
     demand backlog=160 packet=160 class=realtime;pick duplicate 0 1",
];

#[test]
fn recorded_decisions_are_made_again() {
    for line in RECORDED {
        let decision: Decision = line.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(decision.replay(), decision.pick, "{line}");
        assert_eq!(decision.to_string().parse(), Ok(decision));
    }
}

#[test]
fn a_record_starts_from_what_the_scheduler_remembered() {
    let mut scheduler = Scheduler::new(Kind::Aggregate);
    scheduler.on_feedback(Feedback::Blocked(1));
    let views = [path(0, 20, 1_000_000), path(1, 100, 1_000_000)];
    let taken = Decision::take(&mut scheduler, Instant::from_nanos(9), &views, &bulk(77));
    assert_eq!(taken.memory.of(1, 0), 50);
    assert_eq!(taken.views(), views);
    assert_eq!(taken.replay(), taken.pick);
}

#[test]
fn what_is_no_record_is_refused_with_the_part_at_fault() {
    let cases = [
        ("", "scheduler", 0),
        ("fastest now=1", "scheduler", 0),
        ("minrtt", "scheduler", 0),
        ("minrtt now=1;minrtt now=2", "scheduler", 1),
        ("minrtt now=1;path id=-1", "path", 1),
        ("minrtt now=1;path colour=7", "path", 1),
        ("minrtt now=1;path id=1;demand backlog", "demand", 2),
        ("minrtt now=1;pick send", "pick", 1),
        ("minrtt now=1;pick send 1 2", "pick", 1),
        ("minrtt now=1;pick duplicate 1 1", "pick", 1),
        ("path id=1", "scheduler", 0),
    ];
    for (line, part, index) in cases {
        assert_eq!(line.parse::<Decision>(), Err(BadRecord { part, index }), "{line}");
    }
    let many = std::format!("minrtt now=1{}", ";path id=1".repeat(MAX_PATHS + 1));
    assert_eq!(many.parse::<Decision>(), Err(BadRecord { part: "path", index: MAX_PATHS + 1 }));
    assert_eq!(BadRecord { part: "path", index: 3 }.to_string(), "part 3 of the record is no valid path");
}

proptest! {
    #[test]
    fn every_record_survives_its_text_and_replays(
        views in any_paths(), demand in any_demand(), kind in prop::sample::select(Kind::ALL.to_vec()),
        sent in prop::collection::vec((0..8u32, 0..70_000u64), 0..20), now in any::<u64>(),
        held in prop::option::of((0..8u32, any::<u64>(), any::<u64>())),
    ) {
        let mut scheduler = Scheduler::new(kind);
        for (id, bytes) in sent {
            scheduler.on_sent(id, bytes);
            scheduler.on_feedback(Feedback::Blocked(id));
        }
        let blocking = held.map(|(path, at, bytes)| Outstanding { path, sent_at: Instant::from_nanos(at), bytes });
        let deadline = blocking.map(|held| held.sent_at);
        let demand = Demand { blocking, deadline, resend_budget: 1 << 40, ..demand };
        let decision = Decision::take(&mut scheduler, Instant::from_nanos(now), &views, &demand);
        prop_assert_eq!(decision.replay(), decision.pick);
        prop_assert_eq!(decision.to_string().parse::<Decision>(), Ok(decision));
    }
}

#[test]
fn classes_have_names() {
    let demand = Demand { class: Class::Background, ..bulk(1) };
    let decision = Decision::take(&mut Scheduler::default(), Instant::ZERO, &[], &demand);
    assert_eq!(decision.to_string(), "aggregate now=0;demand backlog=1 class=background;pick nothing");
}
