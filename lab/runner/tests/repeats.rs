//! A seed is a run: the same packets at the same nanoseconds and the same logs, byte by byte; another seed is another
//! run. And what `run` tells of a scenario holds together.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use tq_runner::report::Verdict;
use tq_runner::run::tell::Runs;
use tq_runner::run::{self, Outcome, Plan, tell};
use tq_scenario::Scenario;
use tq_sim::qlog::Qlog;

/// Bytes that outlive their writer.
#[derive(Clone, Default)]
struct Tape(Rc<RefCell<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn parse(text: &str) -> Scenario {
    tq_scenario::parse("test.toml", text).expect("a scenario")
}

/// All kinds of traffic over a link with all kinds of weather, an outage, a rebinding translator.
const ALL: &str = r#"
name = "all"
time = "30s"

[[link]]
name = "wan"
rate = "20Mbit/s"
rtt = "40ms"
queue = "50ms"
jitter = "4ms"
loss = "0.5%"
burst = { enter = "0.1%", leave = "30%" }
corrupt = "0.1%"
duplicate = "0.2%"
reorder = true
nat = { timeout = "1s" }

[[event]]
at = "2s"
what = "silent"
link = "wan"
for = "300ms"

[[event]]
at = "3s"
what = "rebind"
link = "wan"

[[traffic]]
kind = "bulk"
bytes = "3MB"

[[traffic]]
kind = "requests"
response = "1kB..20kB"
count = 40

[[traffic]]
kind = "web"
size = "1kB..50kB"
objects = 8
pages = 3

[[traffic]]
kind = "datagrams"
size = "200B"
interval = "10ms"
direction = "both"
count = 200

[[traffic]]
kind = "competing"
link = "wan"
bytes = "1MB"
start = "1s"

[measure]
cold = true
figures = ["goodput", "completion", "latency", "gap", "loss", "queue-delay", "fairness"]
"#;

/// Logs with their names, in the order in which connections began.
type Logged = Vec<(String, Vec<u8>)>;

fn recorded(scenario: &Scenario, seed: u64) -> (Outcome, Vec<u8>, Logged) {
    let (tape, (qlog, logs)) = (Tape::default(), Qlog::memory("test"));
    let mut plan = Plan::new(scenario, 0, seed);
    plan.pcap.push(Box::new(tape.clone()));
    plan.qlog = Some(qlog);
    let outcome = run::run(plan).expect("a run");
    let packets = tape.0.borrow().clone();
    (outcome, packets, logs.all().into_iter().map(|(id, bytes)| (id.file_name(), bytes)).collect())
}

#[test]
fn the_same_seed_gives_the_same_packets_and_logs_and_another_one_does_not() {
    let scenario = parse(ALL);
    let (one, packets, logs) = recorded(&scenario, 7);
    let (_, again, logs_again) = recorded(&scenario, 7);
    assert!(packets == again, "captures differ");
    assert!(logs == logs_again, "logs differ");
    assert!(packets.len() > 1_000_000, "{} bytes of packets", packets.len());
    assert_eq!(logs.len(), 4, "two connections with two ends each");
    assert_eq!(one.violations, Vec::<String>::new());
    let (_, other, other_logs) = recorded(&scenario, 8);
    assert!(packets != other && logs != other_logs, "the seed does not matter");
}

#[test]
fn every_kind_of_traffic_is_done_and_every_byte_is_in_place() {
    let scenario = parse(ALL);
    let outcome = run::run(Plan::new(&scenario, 0, 7)).expect("a run");
    assert_eq!(outcome.violations, Vec::<String>::new());
    assert_eq!(outcome.errors, Vec::<String>::new());
    assert_eq!(outcome.left_out, Vec::<String>::new());
    let names: Vec<&str> = outcome.flows.iter().map(|flow| flow.name.as_str()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    for flow in &outcome.flows {
        assert!(flow.done.is_some(), "{} is not done", flow.name);
        assert!(flow.down.bytes > 0, "{} got nothing", flow.name);
    }
    assert_eq!(outcome.handshakes, 2);
    let entry = tell::entry(&scenario, &Runs::single(vec![outcome]));
    assert_eq!(entry.verdict, Verdict::Report);
    let missing: Vec<_> = entry.figures.iter().filter(|figure| figure.value.is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_link_has_the_same_weather_alone_as_among_others() {
    let link = |name: &str| format!("[[link]]\nname = \"{name}\"\npreset = \"leo\"\nloss = \"1%\"\n");
    let rest = "[[traffic]]\nkind = \"bulk\"\nbytes = \"1MB\"\n";
    let head = "name = \"a\"\ntime = \"20s\"\n";
    let alone = parse(&format!("{head}{}{rest}", link("b")));
    let among = parse(&format!("{head}{}{}{rest}", link("a"), link("b")));
    let alone = run::run(Plan::new(&alone, 0, 5)).expect("a run");
    let among = run::run(Plan::new(&among, 1, 5)).expect("a run");
    assert_eq!(alone.completion(), among.completion());
    assert_eq!(alone.lanes[0].counters, among.lanes[0].counters);
}

#[test]
fn a_bar_that_is_missed_fails_and_one_that_is_met_passes() {
    let text = |bar: &str| {
        format!(
            "name = \"a\"\ntime = \"9s\"\nbars = \"{bar}\"\n[[link]]\nname = \"a\"\nrate = \"8Mbit/s\"\nrtt = \"20ms\"\n\
             [[traffic]]\nkind = \"bulk\"\nbytes = \"1MB\"\n"
        )
    };
    for (bar, verdict) in [
        ("completion <= 1.3s", Verdict::Pass),
        ("completion <= 1s", Verdict::Fail),
        ("use >= 0.8", Verdict::Pass),
        ("first-byte <= 50ms", Verdict::Pass),
        ("handshakes == 1", Verdict::Pass),
        ("gap.max <= 1ms", Verdict::Fail),
    ] {
        let scenario = parse(&text(bar));
        let outcome = run::run(Plan::new(&scenario, 0, 1)).expect("a run");
        let entry = tell::entry(&scenario, &Runs::single(vec![outcome]));
        assert_eq!(entry.verdict, verdict, "{bar}: {:?}", entry.bars);
    }
}
