//! What holds for every link, whatever its configuration and whatever is done to it.

use proptest::prelude::*;

use super::*;

fn rates() -> impl Strategy<Value = Rate> {
    let segment =
        (1u64..50, 0u64..20_000_000, 0u64..20, 0u32..100_000).prop_map(|(time, rate, delay, loss_ppm)| {
            Segment { time: millis(time), rate, delay: millis(delay), loss_ppm }
        });
    let profile = proptest::collection::vec(segment, 1..6)
        .prop_filter_map("carries nothing", |segments| Profile::new(segments).ok().map(Rate::profile));
    let trace = proptest::collection::vec(1u64..100, 1..20).prop_filter_map("is no trace", |mut times| {
        times.sort_unstable();
        let text: Vec<_> = times.iter().map(std::string::ToString::to_string).collect();
        Trace::parse(&text.join("\n")).ok().map(Rate::trace)
    });
    prop_oneof![
        Just(Rate::Unlimited),
        (0u64..50_000_000).prop_map(Rate::Fixed),
        any::<u64>().prop_map(Rate::Fixed),
        profile,
        trace,
    ]
}

fn queues() -> impl Strategy<Value = Queue> {
    prop_oneof![
        (0u64..100_000).prop_map(Queue::Bytes),
        (0u32..100).prop_map(Queue::Packets),
        (0u64..300).prop_map(|time| Queue::Time(millis(time))),
        Just(Queue::default()),
    ]
}

fn odds() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0), 2 => 0u32..300_000, 1 => any::<u32>()]
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![4 => (0u64..100_000_000).prop_map(Duration::from_nanos), 1 => any::<u64>().prop_map(Duration::from_nanos)]
}

fn jitters() -> impl Strategy<Value = Jitter> {
    prop_oneof![Just(Jitter::NONE), durations().prop_map(Jitter::Uniform), durations().prop_map(Jitter::Bell)]
}

fn bursts() -> impl Strategy<Value = GilbertElliott> {
    (odds(), odds(), odds(), odds()).prop_map(|(to_bad_ppm, to_good_ppm, loss_good_ppm, loss_bad_ppm)| {
        GilbertElliott { to_bad_ppm, to_good_ppm, loss_good_ppm, loss_bad_ppm }
    })
}

fn configs() -> impl Strategy<Value = DirectionConfig> {
    let some = |value: u64| (value > 0).then_some(value);
    let queueing = (rates(), queues(), any::<Option<bool>>(), (0u64..30).prop_map(some));
    let wire =
        (durations(), jitters(), any::<bool>(), odds(), proptest::option::of(bursts()), odds(), odds());
    let limits = (
        proptest::option::of((0u32..2000, any::<bool>())),
        proptest::option::of((0u64..10_000_000, 0u64..100_000)),
        proptest::option::of(0u32..3),
    );
    (queueing, wire, limits).prop_map(|((rate, queue, codel, mark), wire, (mtu, policer, bottleneck))| {
        let (delay, jitter, reorder, loss_ppm, burst, corrupt_ppm, duplicate_ppm) = wire;
        DirectionConfig {
            rate,
            queue,
            codel: codel.map(|ecn| CoDel { ecn, ..CoDel::default() }),
            mark_above: mark.map(millis),
            delay,
            jitter,
            reorder,
            loss_ppm,
            burst,
            corrupt_ppm,
            duplicate_ppm,
            mtu: mtu.map(|(bytes, icmp)| Mtu { bytes, icmp }),
            policer: policer.map(|(rate, burst)| Policer { rate, burst }),
            bottleneck,
        }
    })
}

#[derive(Clone, Debug)]
enum Step {
    Offer { wait: u64, packet: Packet },
    Set { ahead: u64, change: Change },
    Cell { ahead: u64, rate: Rate },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = prop_oneof![
        rates().prop_map(Change::Rate),
        durations().prop_map(Change::Delay),
        odds().prop_map(Change::Loss),
        proptest::option::of((0u32..2000, any::<bool>()))
            .prop_map(|mtu| Change::Mtu(mtu.map(|(bytes, icmp)| Mtu { bytes, icmp }))),
        prop_oneof![2 => Just(State::Up), 1 => Just(State::Down), 1 => Just(State::Silent)]
            .prop_map(Change::State),
    ];
    let waits = || prop_oneof![20 => 0u64..3_000_000, 2 => 0u64..1_000_000_000, 1 => 0..u64::MAX / 500];
    let lens = prop_oneof![10 => 0u32..1600, 1 => any::<u32>()];
    let offer = (waits(), lens, 0u8..4, 0u64..3).prop_map(|(wait, len, ecn, flow)| Step::Offer {
        wait,
        packet: Packet { len, ecn: Ecn::from_bits(ecn), flow },
    });
    let step = prop_oneof![
        20 => offer,
        2 => (waits(), change).prop_map(|(ahead, change)| Step::Set { ahead, change }),
        1 => (waits(), rates()).prop_map(|(ahead, rate)| Step::Cell { ahead, rate }),
    ];
    proptest::collection::vec(step, 0..300)
}

fn cells() -> Bottlenecks {
    let mut shared = Bottlenecks::new();
    // Id 2 is named by some links and exists nowhere.
    for (id, rate) in [(0, 1_000_000), (1, 20_000_000)] {
        let config =
            BottleneckConfig { rate: Rate::Fixed(rate), queue: Queue::Bytes(50_000), ..Default::default() };
        shared.add(id, &config);
    }
    shared
}

/// Runs the steps; gives every outcome with its packet, and the link.
fn run(config: &DirectionConfig, seed: u64, steps: &[Step]) -> (Vec<(Packet, Outcome)>, Link) {
    let mut link = Link::new(&LinkConfig::symmetric(config.clone()), seed);
    let (mut shared, mut now, mut outcomes) = (cells(), 0u64, Vec::new());
    for step in steps {
        match step {
            Step::Offer { wait, packet } => {
                now = now.saturating_add(*wait);
                outcomes.push((*packet, link.offer_via(&mut shared, at(now), DOWN, *packet)));
                assert!(books(&link).offered == outcomes.len() as u64);
                let depth = link.depth(at(now), DOWN);
                assert!(depth.bytes <= books(&link).longest.bytes);
            }
            Step::Set { ahead, change } => link.set(at(now.saturating_add(*ahead)), change.clone()),
            Step::Cell { ahead, rate } => {
                if let Some(cell) = shared.queue_mut(config.bottleneck.unwrap_or(0)) {
                    cell.set_rate(at(now.saturating_add(*ahead)), rate.clone());
                    assert!(cell.counters().balance());
                }
            }
        }
    }
    (outcomes, link)
}

proptest! {
    #[test]
    fn books_balance_order_holds_and_nothing_arrives_before_it_was_sent(
        config in configs(), seed: u64, steps in steps()
    ) {
        let (outcomes, mut link) = run(&config, seed, &steps);
        let mut newest = Instant::ZERO;
        for (packet, outcome) in &outcomes {
            let Outcome::Delivered(delivery) = outcome else { continue };
            prop_assert!(delivery.offered <= delivery.left && delivery.left <= delivery.at, "{packet:?} {delivery:?}");
            prop_assert!(delivery.duplicate.is_none_or(|second| second >= delivery.at));
            prop_assert!(delivery.corrupt.is_none_or(|hit| hit.offset < packet.len && hit.mask != 0));
            prop_assert!(delivery.ecn == packet.ecn || (delivery.ecn == Ecn::Ce && packet.ecn != Ecn::NotEct));
            if !config.reorder {
                prop_assert!(delivery.at >= newest);
                newest = delivery.duplicate.unwrap_or(delivery.at);
            }
        }
        let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, o)| wanted(o)).count() as u64;
        let counters = books(&link);
        prop_assert_eq!(counters.delivered, count(|o| matches!(o, Outcome::Delivered(_))));
        prop_assert_eq!(counters.dropped(Drop::TooBig), count(|o| matches!(o, Outcome::TooBig { .. })));
        let doubles = outcomes.iter().filter(|(_, o)| o.delivery().is_some_and(|d| d.duplicate.is_some()));
        prop_assert_eq!(counters.duplicated, doubles.count() as u64);
        // Whatever a sudden outage took back, the books still balance.
        for (packet, outcome) in &outcomes {
            if let Outcome::Delivered(delivery) = outcome {
                link.arrives(DOWN, *packet, delivery);
                books(&link);
            }
        }
    }

    #[test]
    fn the_same_seed_has_the_same_outcome(config in configs(), seed: u64, steps in steps()) {
        let (first, link) = run(&config, seed, &steps);
        let (second, other) = run(&config, seed, &steps);
        prop_assert_eq!(first, second);
        prop_assert_eq!(link.counters(DOWN), other.counters(DOWN));
    }

    #[test]
    fn a_queue_in_bytes_or_packets_is_never_longer_than_its_bound(
        config in configs(), bytes in 0u64..50_000, packets in 0u32..50, steps in steps()
    ) {
        let longest = |queue| {
            books(&run(&DirectionConfig { queue, ..config.clone() }, 1, &steps).1).longest
        };
        let most = steps.iter().map(|step| match step {
            Step::Offer { packet, .. } => u64::from(packet.len),
            Step::Set { .. } | Step::Cell { .. } => 0,
        });
        // A single packet may be longer than the bound.
        prop_assert!(longest(Queue::Bytes(bytes)).bytes <= bytes.max(most.max().unwrap_or(0)));
        prop_assert!(longest(Queue::Packets(packets)).packets <= packets.max(1));
    }

    #[test]
    fn impairments_do_not_disturb_each_other(loss_ppm in 0u32..500_000, seed: u64) {
        let plain = DirectionConfig { loss_ppm, ..DirectionConfig::default() };
        let more = DirectionConfig {
            jitter: Jitter::Bell(millis(1)),
            duplicate_ppm: 100_000,
            corrupt_ppm: 100_000,
            ..plain.clone()
        };
        let lost = |config: DirectionConfig| -> Vec<bool> {
            let mut link = Link::new(&LinkConfig::symmetric(config), seed);
            flood(&mut link, 300, 1000).iter().map(|outcome| outcome.delivery().is_none()).collect()
        };
        prop_assert_eq!(lost(plain), lost(more));
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_no_trace_the_link(text in "[0-9\n\r x]{0,60}", len: u32) {
        if let Ok(trace) = Trace::parse(&text) {
            prop_assert_eq!(Trace::parse(&std::format!("{trace}")), Ok(trace.clone()));
            let mut link = link(DirectionConfig { rate: Rate::trace(trace), ..DirectionConfig::default() });
            for now in [0, 1, 7_000_000_000, u64::MAX] {
                link.offer(at(now), DOWN, packet(len));
            }
            books(&link);
        }
    }
}
