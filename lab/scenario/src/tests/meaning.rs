//! What is written means this for the link model and the runner.

use tq_linkmodel::{Change, Direction, GilbertElliott, Jitter, Mtu, Preset, Queue, Rate, State};
use tq_time::{Duration, Instant};

use crate::*;

const TRAFFIC: &str = "[[traffic]]\nkind = \"bulk\"\nbytes = \"1MB\"\n";
const WAN: &str = "[[link]]\nname = \"wan\"\nrate = \"80Mbit/s\"\nrtt = \"20ms\"\n";

fn scenario(body: &str) -> Scenario {
    let text = format!("name = \"x\"\ntime = \"60s\"\n{body}{TRAFFIC}");
    parse("x.toml", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn event(lines: &str) -> Scenario {
    scenario(&format!("{WAN}[[event]]\n{lines}\n"))
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + ms(millis)
}

#[test]
fn a_plain_link_means_rate_half_the_round_trip_and_one_product_of_queue() {
    let down = scenario(WAN).link_config(0, 1).down;
    assert_eq!(down.rate, Rate::Fixed(10_000_000));
    assert_eq!(down.delay, ms(10));
    assert_eq!(down.queue, Queue::Bytes(200_000));
}

#[test]
fn every_unit_of_a_queue_has_its_meaning() {
    let queue = |text: &str| scenario(&format!("{WAN}queue = \"{text}\"\n")).link_config(0, 1).up.queue;
    assert_eq!(queue("64KiB"), Queue::Bytes(65_536));
    assert_eq!(queue("100packets"), Queue::Packets(100));
    assert_eq!(queue("30ms"), Queue::Bytes(300_000));
    assert_eq!(queue("0.2bdp"), Queue::Bytes(40_000));
    assert_eq!(queue("30ms waiting"), Queue::Time(ms(30)));
    assert_eq!(queue("unlimited"), Queue::default());
}

#[test]
fn all_impairments_reach_the_link_model() {
    let all = "loss = \"0.5%\"\nburst = { enter = \"0.1%\", leave = \"10%\" }\njitter = \"5ms\"\n\
               jitter_shape = \"bell\"\nreorder = true\ncorrupt = \"1%\"\nduplicate = \"2%\"\nmtu = \"1280B\"\n\
               icmp = false\nmark = \"1ms\"\ncodel = true\npolicer = { rate = \"8Mbit/s\", burst = \"1kB\" }\n";
    let way = scenario(&format!("{WAN}{all}")).link_config(0, 1).down;
    assert_eq!((way.loss_ppm, way.corrupt_ppm, way.duplicate_ppm), (5_000, 10_000, 20_000));
    let burst =
        GilbertElliott { to_bad_ppm: 1_000, to_good_ppm: 100_000, loss_good_ppm: 0, loss_bad_ppm: 1_000_000 };
    assert_eq!(way.burst, Some(burst));
    assert_eq!((way.jitter, way.reorder), (Jitter::Bell(ms(5)), true));
    assert_eq!(way.mtu, Some(Mtu { bytes: 1280, icmp: false }));
    assert_eq!((way.mark_above, way.codel), (Some(ms(1)), Some(tq_linkmodel::CoDel::default())));
    assert_eq!(way.policer, Some(tq_linkmodel::Policer { rate: 1_000_000, burst: 1_000 }));
}

#[test]
fn a_preset_is_the_link_models_but_for_the_seed() {
    for preset in Preset::ALL {
        let body = format!("[[link]]\nname = \"wan\"\npreset = \"{}\"\n", preset.name());
        let (ours, theirs) = (scenario(&body).link_config(0, 1), preset.config(1));
        for (ours, theirs) in [(ours.up, theirs.up), (ours.down, theirs.down)] {
            match (&ours.rate, &theirs.rate) {
                (Rate::Profile { profile: a, .. }, Rate::Profile { profile: b, .. }) => {
                    let (a, b) = (a.mean_rate(), b.mean_rate());
                    assert!(a.abs_diff(b) < b / 5, "{}", preset.name());
                }
                (a, b) => assert_eq!(a, b),
            }
            let rate = theirs.rate.clone();
            assert_eq!(tq_linkmodel::DirectionConfig { rate, ..ours }, theirs, "{}", preset.name());
        }
    }
}

#[test]
fn directions_override_links_and_links_override_presets() {
    let body = "[[link]]\nname = \"wan\"\npreset = \"dsl\"\nrate = \"20Mbit/s\"\nup = { rate = \"2Mbit/s\", delay = \"1ms\" }\n";
    let scenario = scenario(body);
    let config = scenario.link_config(0, 1);
    assert_eq!((config.up.rate, config.down.rate), (Rate::Fixed(250_000), Rate::Fixed(2_500_000)));
    assert_eq!((config.up.delay, config.down.delay), (ms(1), ms(10)));
    // The preset's queue is 100 ms, at whatever rate.
    assert_eq!((config.up.queue, config.down.queue), (Queue::Bytes(25_000), Queue::Bytes(250_000)));
    assert_eq!(scenario.links[0].summary(), "wan 20/2 Mbit/s 11 ms");
    let nominal = scenario.links[0].nominal();
    assert_eq!(nominal, Nominal { up: Some(250_000), down: Some(2_500_000), rtt: ms(11) });
}

#[test]
fn a_shared_queue_has_one_id_for_each_direction_or_one_for_both() {
    let body = |air: bool| {
        let link = "[[link]]\nname = \"wan\"\nrate = \"unlimited\"\ndelay = \"1ms\"\nshares = \"cell\"\n";
        scenario(&format!(
            "[[bottleneck]]\nname = \"cell\"\nrate = \"8Mbit/s\"\nqueue = \"100ms\"\nair = {air}\n{link}"
        ))
    };
    let (two, one) = (body(false), body(true));
    assert_eq!((two.bottleneck_configs().len(), one.bottleneck_configs().len()), (2, 1));
    assert_eq!(two.bottleneck_configs()[0].1.queue, Queue::Bytes(100_000));
    let ids = |scenario: &Scenario| {
        let config = scenario.link_config(0, 1);
        (config.up.bottleneck, config.down.bottleneck)
    };
    assert_eq!((ids(&two), ids(&one)), ((Some(0), Some(1)), (Some(0), Some(0))));
}

#[test]
fn what_ends_is_undone_in_both_directions() {
    let changes = event("at = \"5s\"\nwhat = \"silent\"\nlink = \"wan\"\nfor = \"2s\"").changes();
    let told: Vec<_> =
        changes.iter().map(|timed| (timed.at, timed.direction, timed.change.clone())).collect();
    let (silent, up) = (Change::State(State::Silent), Change::State(State::Up));
    assert_eq!(
        told,
        [
            (at(5_000), Direction::Up, silent.clone()),
            (at(5_000), Direction::Down, silent),
            (at(7_000), Direction::Up, up.clone()),
            (at(7_000), Direction::Down, up),
        ]
    );
}

#[test]
fn what_ends_goes_back_to_what_an_earlier_event_left() {
    let second = "[[event]]\nat = \"5s\"\nwhat = \"rate\"\nlink = \"wan\"\nto = \"8Mbit/s\"\nfor = \"1s\"\ndirection = \"up\"";
    let scenario =
        event(&format!("at = \"2s\"\nwhat = \"rate\"\nlink = \"wan\"\nto = \"16Mbit/s\"\n{second}"));
    let up: Vec<_> =
        scenario.changes().into_iter().filter(|timed| timed.direction == Direction::Up).collect();
    let rates: Vec<_> = up.into_iter().map(|timed| timed.change).collect();
    let rate = |rate| Change::Rate(Rate::Fixed(rate));
    assert_eq!(rates, [rate(2_000_000), rate(1_000_000), rate(2_000_000)]);
}

#[test]
fn what_comes_again_does_so_until_the_count_or_the_moment() {
    let times = |more: &str| {
        let event =
            event(&format!("at = \"1s\"\nwhat = \"rebind\"\nlink = \"wan\"\nevery = \"10s\"\n{more}"));
        event.acts().into_iter().map(|act| act.at).collect::<Vec<_>>()
    };
    assert_eq!(times("").len(), 6);
    assert_eq!(times("count = 2"), [at(1_000), at(11_000)]);
    assert_eq!(times("until = \"21s\""), [at(1_000), at(11_000)]);
}

#[test]
fn chance_is_the_same_for_a_seed_and_comes_about_as_often_as_asked() {
    let event =
        event("at = \"0s\"\nwhat = \"pause\"\nlink = \"wan\"\nfor = \"30ms..200ms\"\npoisson = \"500ms\"");
    assert_eq!(event.changes(), event.changes());
    assert_ne!(event.changes_with(1), event.changes_with(2));
    let begun = |seed| {
        let up = event.changes_with(seed).into_iter().filter(|timed| timed.direction == Direction::Up);
        up.filter(|timed| timed.change == Change::Rate(Rate::Fixed(0))).count()
    };
    // 60 s of one pause in 615 ms on average are 97.6 each.
    let all: usize = (0..100).map(begun).sum();
    assert!((9_400..10_100).contains(&all), "{all}");
}

#[test]
fn pauses_by_chance_do_not_overlap() {
    let event =
        event("at = \"0s\"\nwhat = \"pause\"\nlink = \"wan\"\nfor = \"30ms..200ms\"\npoisson = \"20ms\"");
    let up: Vec<_> = event.changes().into_iter().filter(|timed| timed.direction == Direction::Up).collect();
    for (index, timed) in up.iter().enumerate() {
        let paused = timed.change == Change::Rate(Rate::Fixed(0));
        assert_eq!(paused, index % 2 == 0);
    }
    assert!(up.is_sorted_by_key(|timed| timed.at));
}

#[test]
fn what_a_link_could_carry_leaves_out_outages_and_pauses() {
    let body = "at = \"10s\"\nwhat = \"down\"\nlink = \"wan\"\nfor = \"5s\"\n[[event]]\nat = \"20s\"\nwhat = \"rate\"\n\
                link = \"wan\"\nto = \"40Mbit/s\"\nfor = \"10s\"\ndirection = \"down\"";
    let scenario = event(body);
    let whole = |direction| scenario.usable(0, direction, 1, Duration::ZERO, Duration::from_secs(60));
    assert_eq!(whole(Direction::Up), Some(550_000_000));
    assert_eq!(whole(Direction::Down), Some(500_000_000));
    let part = scenario.usable(0, Direction::Up, 1, Duration::from_secs(14), Duration::from_secs(16));
    assert_eq!(part, Some(10_000_000));
    assert_eq!(scenario.works(0, Direction::Up, 1, Duration::ZERO, scenario.time), Duration::from_secs(55));
}

#[test]
fn what_a_varying_link_could_carry_is_its_profile_or_trace() {
    let lte = scenario("[[link]]\nname = \"wan\"\npreset = \"lte\"\n");
    let round = Duration::from_secs(1_000_000);
    let mean = lte.usable(0, Direction::Down, 1, Duration::ZERO, round).expect("a limit") / round.as_secs();
    assert!(mean.abs_diff(10_000_000) < 110_000, "{mean}");
    let text = format!(
        "name = \"x\"\ntime = \"9s\"\n[[link]]\nname = \"w\"\ntrace = \"t\"\ndelay = \"0s\"\n{TRAFFIC}"
    );
    let trace = parse_with("x.toml", &text, &mut |_| Ok("5\n5\n10\n".to_owned())).expect("a trace");
    assert_eq!(trace.links[0].nominal().up, Some(450_000));
    assert_eq!(trace.usable(0, Direction::Up, 1, Duration::ZERO, ms(7)), Some(3_000));
    assert_eq!(trace.usable(0, Direction::Up, 1, ms(7), ms(107)), Some(45_000));
}

#[test]
fn a_link_is_the_same_alone_and_among_others() {
    let lte = "[[link]]\nname = \"lte\"\npreset = \"lte\"\n";
    let (alone, second) = (scenario(lte), scenario(&format!("{WAN}{lte}")));
    assert_eq!(alone.link_config(0, 9), second.link_config(1, 9));
    assert_eq!(alone.link_seed(0, 9), second.link_seed(1, 9));
    assert_ne!(alone.link_config(0, 9), alone.link_config(0, 10));
}

#[test]
fn both_directions_of_a_satellite_change_hands_at_once() {
    let config = scenario("[[link]]\nname = \"leo\"\npreset = \"leo\"\n").link_config(0, 3);
    let (Rate::Profile { profile: up, .. }, Rate::Profile { profile: down, .. }) =
        (config.up.rate, config.down.rate)
    else {
        panic!("profiles")
    };
    let times =
        |profile: &tq_linkmodel::Profile| profile.segments().iter().map(|s| s.time).collect::<Vec<_>>();
    assert_eq!(times(&up), times(&down));
}

#[test]
fn bars_are_typed_and_compare() {
    let scenario =
        scenario(&format!("bars = [\"gap.p95(wan) <= 100ms\", \"benefit > -0.05\", \"loss < 0.5%\"]\n{WAN}"));
    let [gap, benefit, loss] = &scenario.bars[..] else { panic!("three") };
    assert_eq!(
        (gap.metric, gap.percentile, gap.target),
        (Metric::Gap, Some(Percentile(950)), Some(Target::Link(0)))
    );
    assert!(gap.holds(Value::Time(ms(100))) && !gap.holds(Value::Time(ms(101))));
    assert!(!gap.holds(Value::Count(0)), "another kind never holds");
    assert_eq!((benefit.value, loss.value), (Value::Ratio(-50_000), Value::Ratio(5_000)));
    assert_eq!((benefit.value.to_string(), gap.value.to_string()), ("-0.05".to_owned(), "100ms".to_owned()));
}

#[test]
fn each_end_has_the_common_options_and_its_own() {
    let body = format!("{WAN}[host]\ncc = \"bbr\"\nstream_window = \"1MiB\"\n[host.server]\ncc = \"reno\"\n");
    let hosts = scenario(&body).hosts;
    assert_eq!((hosts.client.cc, hosts.server.cc), (Cc::Bbr, Cc::Reno));
    assert_eq!(hosts.server.stream_window, Some(1 << 20));
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let errors = load("no/such.toml").expect_err("it is not there");
    assert!(errors.to_string().starts_with("no/such.toml:1:1: cannot be read: "), "{errors}");
}
