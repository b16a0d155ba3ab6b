//! One path over the link types of `lab/scenarios/single`: an empty link is used, two connections share it evenly,
//! and no queue is longer than the link's. Each figure is printed beside what theory asks for
//! (`cargo test -p tq-scenarios --test links -- --nocapture`).
//!
//! Runs are shorter than the files say, so that all of them take less than a minute: what is measured begins when slow
//! start is over.

use std::path::Path;

use tq_linkmodel::{Jitter, Queue};
use tq_runner::fair::{self, Pipe, Watch};
use tq_runner::fluid;
use tq_runner::run::{self, Outcome, Plan, figures, stream_share};
use tq_scenario::{Cc, Scenario, Vary, Way, Window};
use tq_time::Duration;

fn load(name: &str) -> Scenario {
    let file = format!("../scenarios/single/{name}.toml");
    tq_scenario::load(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a scenario")
}

/// Measured from `from` for `length` seconds.
fn window(scenario: &mut Scenario, from: f64, length: f64) {
    let seconds = Duration::from_secs_f64;
    scenario.measure.window = Window::Warm { from: seconds(from), length: seconds(length) };
    scenario.time = seconds(from + length);
}

fn run_one(scenario: &Scenario) -> Outcome {
    let outcome = run::run(Plan::new(scenario, 0, scenario.seed).with_cc(Some(Cc::Cubic))).expect("a run");
    assert_eq!(outcome.violations, Vec::<String>::new());
    assert_eq!(outcome.errors, Vec::<String>::new());
    outcome
}

/// The share of an empty link that CUBIC can use by theory.
fn theory(scenario: &Scenario) -> f64 {
    let way = &scenario.links[0].down;
    let (rate, rtt) = (way.rate.expect("a rate") as f64, scenario.links[0].rtt().as_secs_f64());
    let payload = rate * stream_share(1452);
    // A burst is one event for a controller: bursts strike as often as their bad states begin. Where packets
    // may not overtake, the slowest of those before counts: jitter lengthens each way by nearly its most.
    let burst = way.burst.map_or(0.0, |burst| f64::from(burst.to_bad_ppm) / 1e6);
    let p = f64::from(way.loss_ppm) / 1e6 + burst;
    let rtt = rtt + jitter(&scenario.links[0].up) + jitter(way);
    let bound = fluid::loss_bound(payload, rtt, p, 1419.0).map_or(1.0, |bound| bound.cubic / payload);
    bound * queue_share(scenario, rate * rtt)
}

/// Seconds that jitter adds where packets keep their order.
fn jitter(way: &Way) -> f64 {
    let (Jitter::Uniform(most) | Jitter::Bell(most)) = way.jitter;
    if way.reorder { most.as_secs_f64() / 2.0 } else { most.as_secs_f64() }
}

/// What a queue shorter than the bandwidth-delay product leaves: after a loss the window is 0.7 of `full` = product and
/// queue and returns as W(t) = C(t − K)³ + full (RFC 9438 §4.2); the mean over the way back of what fits the link.
fn queue_share(scenario: &Scenario, product: f64) -> f64 {
    let Queue::Bytes(queue) = scenario.link_config(0, scenario.seed).down.queue else { return 1.0 };
    let full = 1.0 + queue as f64 / product;
    let steps = 1000;
    let at = |step| full * (1.0 - 0.3 * (1.0 - f64::from(step) / f64::from(steps)).powi(3));
    (0..steps).map(|step| at(step).min(1.0)).sum::<f64>() / f64::from(steps)
}

/// Use of an empty link, and the longest queue beside the link's own.
fn used(name: &str, from: f64, length: f64, least: f64) {
    let mut scenario = load(name);
    window(&mut scenario, from, length);
    let outcome = run_one(&scenario);
    let capacity = figures::capacity(&scenario, &outcome).expect("a limit");
    let used = figures::goodput(&scenario, &outcome, None) / capacity;
    let theory = theory(&scenario);
    let longest = outcome.lanes[0].counters[1].longest;
    let (bound, unit, found) = match scenario.link_config(0, scenario.seed).down.queue {
        Queue::Bytes(most) => (most, "B", longest.bytes),
        Queue::Packets(most) => (u64::from(most), "packets", u64::from(longest.packets)),
        Queue::Time(most) => (most.as_micros() as u64, "us", longest.delay.as_micros() as u64),
    };
    println!(
        "{name}: use {used:.3} (theory {theory:.3}, at least {least}), queue {found} of {bound} {unit}, {} packets",
        outcome.packets
    );
    assert!(used >= least, "{name}: use {used:.3} is below {least}; theory has {theory:.3}");
    // A queue that drains within the window adds what came before it.
    assert!(used <= 1.0 + 0.3 / length, "{name}: use {used:.3} is more than the link carries");
    assert!(found <= bound, "{name}: a queue of {found} {unit}; the link's holds {bound}");
    assert!(found > 0, "{name}: the queue was never used");
}

/// Two connections: in all cycles that are watched the second has 0.8 to 1.25 of the first, or, where there is no time for
/// enough of them, what nine of ten ideal pairs show in as many. It begins a second later; where a cycle is so long that
/// this test would see none, with the first. `tq-scenarios fair` watches longer; docs/simulator.md has its table.
fn fair(name: &str, watch: &Watch, runs: u64) {
    let scenario = load(name);
    let pipe = Pipe::of(&scenario).expect("a rate");
    let &Watch { settle, cycles, .. } = watch;
    let run = |run| fair::ratio(&scenario, watch, scenario.seed + run).expect("a run");
    let ratios: Vec<f64> = (0..runs).map(run).collect();
    let mean = fair::mean(&ratios);
    let ideal = fair::ideal(&pipe, settle, cycles * runs as f64, 200);
    println!(
        "{name}: the second of two has {mean:.2} of the first ({} runs of {cycles} cycles of {:.1} s: {}); an ideal pair \
         {:.2} to {:.2}",
        runs,
        fair::cycle(&pipe),
        ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(" "),
        ideal.low,
        ideal.high
    );
    let bounds = ideal.low.min(0.8)..=ideal.high.max(1.25);
    assert!(bounds.contains(&mean), "{name}: the second of two has {mean:.2} of the first, not {bounds:.2?}");
}

macro_rules! links {
    ($($test:ident $name:literal uses $least:literal from $from:literal for $length:literal,
        shares from $stagger:literal after $settle:literal for $cycles:literal in $runs:literal;)*) => {
        $(mod $test {
            #[test]
            fn an_empty_link_is_used_and_its_queue_kept_within_bounds() {
                super::used($name, $from, $length, $least);
            }

            #[test]
            fn two_connections_share_it_evenly() {
                let watch = super::Watch { stagger: $stagger, settle: $settle, cycles: $cycles };
                super::fair($name, &watch, $runs);
            }
        })*
    };
}

links! {
    mbit10_20 "10mbit-20ms" uses 0.95 from 3.0 for 20.0, shares from 1.0 after 10.0 for 40.0 in 3;
    mbit10_600 "10mbit-600ms" uses 0.95 from 15.0 for 60.0, shares from 1.0 after 10.0 for 40.0 in 1;
    mbit50_40 "50mbit-40ms" uses 0.95 from 3.0 for 10.0, shares from 1.0 after 10.0 for 20.0 in 6;
    mbit100_5 "100mbit-5ms" uses 0.95 from 2.0 for 5.0, shares from 1.0 after 10.0 for 40.0 in 3;
    mbit100_600 "100mbit-600ms" uses 0.95 from 10.0 for 20.0, shares from 0.0 after 1.0 for 4.0 in 1;
    mbit300_30 "300mbit-30ms" uses 0.95 from 1.0 for 3.0, shares from 0.0 after 0.5 for 2.5 in 2;
    mbit1000_10 "1000mbit-10ms" uses 0.95 from 0.5 for 1.0, shares from 0.0 after 0.3 for 1.0 in 1;
    mbit1000_100 "1000mbit-100ms" uses 0.95 from 3.0 for 2.0, shares from 0.0 after 0.1 for 0.4 in 4;
    asymmetric "asymmetric" uses 0.95 from 2.0 for 5.0, shares from 1.0 after 4.0 for 12.0 in 1;
    queue_shallow "queue-shallow" uses 0.88 from 3.0 for 20.0, shares from 1.0 after 4.0 for 14.0 in 1;
    queue_even "queue-even" uses 0.95 from 2.0 for 8.0, shares from 1.0 after 4.0 for 14.0 in 6;
    queue_deep "queue-deep" uses 0.95 from 2.0 for 5.0, shares from 1.0 after 5.0 for 15.0 in 1;
    random_loss "random-loss" uses 0.3 from 3.0 for 30.0, shares from 1.0 after 4.0 for 14.0 in 1;
    jitter "jitter" uses 0.95 from 3.0 for 20.0, shares from 1.0 after 10.0 for 20.0 in 2;
    reordering "reordering" uses 0.95 from 3.0 for 10.0, shares from 1.0 after 10.0 for 20.0 in 6;
    fibre "fibre" uses 0.95 from 1.0 for 3.0, shares from 0.0 after 0.5 for 2.5 in 2;
    dsl "dsl" uses 0.95 from 3.0 for 10.0, shares from 1.0 after 10.0 for 30.0 in 2;
    cable "cable" uses 0.95 from 1.0 for 3.0, shares from 1.0 after 1.5 for 5.0 in 1;
    wifi "wifi" uses 0.8 from 2.0 for 10.0, shares from 1.0 after 2.0 for 8.0 in 1;
    lte "lte" uses 0.9 from 3.0 for 20.0, shares from 1.0 after 4.0 for 10.0 in 1;
    five_g "5g" uses 0.9 from 2.0 for 5.0, shares from 0.0 after 0.5 for 2.5 in 2;
    leo "leo" uses 0.5 from 3.0 for 30.0, shares from 1.0 after 2.5 for 10.0 in 3;
    geo "geo" uses 0.85 from 10.0 for 60.0, shares from 1.0 after 10.0 for 40.0 in 5;
}

#[test]
fn links_that_vary_are_those_of_radio() {
    for (name, varies) in [("dsl", false), ("lte", true), ("leo", true), ("5g", true)] {
        let scenario = load(name);
        assert_eq!(scenario.links[0].down.vary != Vary::Steady, varies, "{name}");
    }
}
