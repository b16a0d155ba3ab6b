//! Nothing that can be written makes the parser panic, and what is printed is read as the same value.

use proptest::prelude::*;
use tq_time::Duration;

use crate::{Loss, QueueSize, Size, Speed, Time, parse};

const SAMPLE: &str = "name = \"x\"\nseed = 7\ntime = \"60s\"\nbars = [\"use >= 0.9\", \"gap.p99(a) <= 1s\"]\n\
    [[bottleneck]]\nname = \"cell\"\nrate = \"60Mbit/s\"\nqueue = \"100ms\"\n\
    [[link]]\nname = \"a\"\npreset = \"lte\"\nshares = \"cell\"\nnat = { timeout = \"30s\", ports = \"1..9\" }\n\
    [[link]]\nname = \"b\"\nrate = \"50Mbit/s\"\nrtt = \"20ms\"\nqueue = \"1.5bdp\"\nloss = \"0.5%\"\n\
    generator = { kind = \"leo\", outage = \"60ms..150ms\" }\nup = { delay = \"3ms\", mtu = \"1280B\" }\n\
    [[event]]\nat = \"5s\"\nwhat = \"pause\"\nlinks = [\"a\", \"b\"]\nfor = \"30ms..200ms\"\npoisson = \"1s\"\n\
    [[event]]\nat = \"6s\"\nwhat = \"silent\"\nlink = \"b\"\nfor = \"1s\"\nevery = \"5s\"\nuntil = \"40s\"\n\
    [[traffic]]\nkind = \"bulk\"\nbytes = \"1GiB\"\nstreams = 4\norder = \"sequential\"\n\
    [[traffic]]\nkind = \"datagrams\"\nsize = \"200B..1kB\"\nrate = \"1Mbit/s\"\n\
    [measure]\nwarm = { from = \"5s\", for = \"30s\" }\nfigures = [\"goodput\", \"gap\"]\n";

/// Reads a text and, if it is a scenario, asks for everything in it.
fn use_all(text: &str) {
    let Ok(scenario) = parse("x.toml", text) else { return };
    // Long scenarios of frequent events are big, not wrong.
    let _ = scenario.acts();
    for i in 0..scenario.links.len() {
        let _ = (scenario.link_config(i, 3), scenario.links[i].summary(), scenario.links[i].nominal());
        let _ = scenario.usable(i, tq_linkmodel::Direction::Up, 3, Duration::ZERO, scenario.time);
    }
    let _ = scenario.bottleneck_configs();
}

#[test]
fn the_sample_is_a_scenario() {
    if let Err(errors) = parse("x.toml", SAMPLE) {
        panic!("{errors}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        use_all(&text);
    }

    #[test]
    fn a_scenario_with_a_hole_is_read_or_refused(from in 0..SAMPLE.len(), length in 0..60usize, fill in "[ -~]{0,6}") {
        let to = (from + length).min(SAMPLE.len());
        use_all(&format!("{}{fill}{}", &SAMPLE[..from], &SAMPLE[to..]));
    }

    #[test]
    fn any_value_is_read_or_refused(line in 0..40usize, digits in "[0-9]{1,22}", unit in "(ns|s|h|weeks|B|GiB|Gbit/s|bit/s|%|ppm|bdp|packets| waiting|\\.\\.9h|)") {
        let lines = SAMPLE.lines().enumerate().map(|(at, text)| match text.split_once(" = ") {
            Some((field, _)) if at == line => format!("{field} = \"{digits}{unit}\"\n"),
            _ => format!("{text}\n"),
        });
        use_all(&lines.collect::<String>());
    }

    #[test]
    fn a_time_is_read_as_it_was_printed(nanos: u64) {
        let time = Time(Duration::from_nanos(nanos));
        prop_assert_eq!(time.to_string().parse(), Ok(time));
    }

    #[test]
    fn a_rate_is_read_as_it_was_printed(rate: u64) {
        let rate = Speed(rate);
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
    }

    #[test]
    fn a_size_is_read_as_it_was_printed(bytes: u64, shift in 0..64u32) {
        let size = Size(bytes >> shift << (shift / 2));
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn a_part_is_read_as_it_was_printed(ppm in 0..=1_000_000u32) {
        prop_assert_eq!(Loss(ppm).to_string().parse(), Ok(Loss(ppm)));
    }

    #[test]
    fn a_queue_is_read_as_it_was_printed(number: u32, kind in 0..6u8) {
        let time = Duration::from_nanos(u64::from(number) * 1000);
        let queue = match kind {
            0 => QueueSize::Bytes(number.into()),
            1 => QueueSize::Packets(number),
            2 => QueueSize::Time(time),
            3 => QueueSize::Waiting(time),
            4 => QueueSize::Bdp(number.into()),
            _ => QueueSize::Unlimited,
        };
        prop_assert_eq!(queue.to_string().parse(), Ok(queue));
    }
}
