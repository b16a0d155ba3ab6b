//! The tables `[[link]]` and `[[bottleneck]]`.
//!
//! Decides how presets, overrides and directions are laid over each other, and which numbers make no link.

use std::sync::Arc;

use tq_linkmodel::{
    BottleneckConfig, CoDel, Direction, GilbertElliott, Jitter, Leo, Lte, Mtu, Policer, Preset, Queue, Trace,
};
use tq_time::Duration;

use super::ReadFile;
use super::read::Reader;
use crate::link::{Cost, Link, NatOptions, Shared, Vary, Way};
use crate::unit::QueueSize;

pub(super) const LINK: &[&str] = &[
    "name",
    "preset",
    "steady",
    "rtt",
    "shares",
    "nat",
    "cost",
    "standby",
    "up",
    "down",
    "rate",
    "delay",
    "queue",
    "loss",
    "burst",
    "jitter",
    "jitter_shape",
    "reorder",
    "corrupt",
    "duplicate",
    "mtu",
    "icmp",
    "mark",
    "codel",
    "policer",
    "trace",
    "trace_offset",
    "generator",
];
/// What each direction may say for itself: all of these from `rate` on.
pub(super) const WAY: &[&str] = LINK.split_at(10).1;
pub(super) const BURST: &[&str] = &["enter", "leave", "bad", "good"];
pub(super) const CODEL: &[&str] = &["target", "interval", "ecn"];
pub(super) const POLICER: &[&str] = &["rate", "burst"];
pub(super) const GENERATOR: &[&str] =
    &["kind", "time", "pauses", "pause", "slots", "slot", "outage", "rtt_spread", "loss"];
pub(super) const NAT: &[&str] = &["timeout", "inbound_refreshes", "symmetric", "ports"];
pub(super) const BOTTLENECK: &[&str] = &["name", "rate", "queue", "codel", "mark", "air", "up", "down"];
pub(super) const BOTTLENECK_WAY: &[&str] = &["rate", "queue", "codel", "mark"];

/// All links; those with problems are there too, so that what refers to them is no further problem.
pub(super) fn links(top: &Reader<'_>, shared: &[Shared], read: ReadFile<'_>) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for table in top.tables("link", LINK) {
        let known: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
        let name = table.own_name(&known).unwrap_or_default();
        links.push(link(&table, name, shared, read));
    }
    if links.is_empty() && !top.has("link") {
        top.missing("link", "write at least one [[link]]");
    }
    links
}

fn link(table: &Reader<'_>, name: String, shared: &[Shared], read: ReadFile<'_>) -> Link {
    let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
    let preset = table.choice("preset", &names).map(|index| Preset::ALL[index]);
    let steady = table.flag("steady").unwrap_or(false);
    if table.has("steady") && !table.has("preset") {
        table.wrong("steady", "is out of place", "it takes the variation from a preset");
    }
    let (mut up, mut down) = preset.map_or_else(Default::default, |preset| ways(preset, steady));
    let mut way = Layer { delays: preset.is_some(), rates: preset.is_some() };
    if table.at_most_one(&["rtt", "delay"])
        && let Some(rtt) = table.time("rtt")
    {
        (up.delay, down.delay) = (rtt / 2, rtt - rtt / 2);
    }
    way.delays |= table.has("rtt") || table.has("delay");
    lay(table, &mut [&mut up, &mut down], read);
    way.rates |= table.has("rate") || table.has("trace");
    let shares = shares(table, shared, [&mut up, &mut down]);
    for (field, direction) in [("up", &mut up), ("down", &mut down)] {
        let below = table.table(field, WAY);
        if let Some(below) = &below {
            lay(below, &mut [direction], read);
        }
        let has = |field: &str| below.as_ref().is_some_and(|below| below.has(field));
        if !(way.rates || shares || has("rate") || has("trace")) {
            let allowed = "write rate = \"…\" (or \"unlimited\"), a preset, a trace, or shares = \"…\"";
            table.wrong("rate", format!("is missing for the way {field}"), allowed);
        }
        if !(way.delays || has("delay")) {
            let allowed = "write delay = \"…\" (one way), rtt = \"…\" (both together) or a preset";
            table.wrong("delay", format!("is missing for the way {field}"), allowed);
        }
    }
    let cost = table.choice("cost", &["flat", "metered"]).unwrap_or(0);
    let cost = if cost == 1 { Cost::Metered } else { Cost::Flat };
    let standby = table.flag("standby").unwrap_or(false);
    let link = Link { name, preset, up, down, nat: nat(table), cost, standby };
    queues(table, &link);
    link
}

/// What the layers so far have said.
struct Layer {
    delays: bool,
    rates: bool,
}

/// The two ways of a preset.
fn ways(preset: Preset, steady: bool) -> (Way, Way) {
    let config = preset.steady();
    let [down, up] = preset.rates();
    let way = |config: tq_linkmodel::DirectionConfig, rate: u64| {
        // The queue is kept as a time, so that it goes with another rate.
        let queue = match config.queue {
            Queue::Bytes(bytes) => {
                let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
                QueueSize::Time(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
            }
            Queue::Packets(packets) => QueueSize::Packets(packets),
            Queue::Time(time) => QueueSize::Waiting(time),
        };
        let lte = Lte::new(rate);
        let vary = match preset {
            _ if steady => Vary::Steady,
            Preset::Lte => Vary::Lte(lte),
            Preset::FiveG => {
                let pause = (Duration::from_millis(10), Duration::from_millis(100));
                Vary::Lte(Lte { pauses_per_minute: 8, pause, ..lte })
            }
            Preset::Leo => Vary::Leo(Leo::new(rate, rate)),
            Preset::Fibre | Preset::Dsl | Preset::Cable | Preset::Wifi | Preset::Geo => Vary::Steady,
        };
        Way {
            rate: Some(rate),
            vary,
            queue,
            delay: config.delay,
            jitter: config.jitter,
            loss_ppm: config.loss_ppm,
            burst: config.burst,
            ..Way::default()
        }
    };
    (way(config.up, up), way(config.down, down))
}

/// Lays the fields of a table over one or both ways.
fn lay(table: &Reader<'_>, ways: &mut [&mut Way], read: ReadFile<'_>) {
    fn set<T: Clone>(ways: &mut [&mut Way], value: Option<T>, put: impl Fn(&mut Way, T)) {
        if let Some(value) = value {
            ways.iter_mut().for_each(|way| put(way, value.clone()));
        }
    }
    lay_rate(table, ways, read);
    set(ways, table.time("delay"), |way, delay| way.delay = delay);
    set(ways, queue(table), |way, queue| way.queue = queue);
    set(ways, table.part("loss"), |way, loss| way.loss_ppm = loss);
    set(ways, burst(table), |way, burst| way.burst = Some(burst));
    set(ways, jitter(table), |way, jitter| way.jitter = jitter);
    set(ways, table.flag("reorder"), |way, reorder| way.reorder = reorder);
    set(ways, table.part("corrupt"), |way, corrupt| way.corrupt_ppm = corrupt);
    set(ways, table.part("duplicate"), |way, duplicate| way.duplicate_ppm = duplicate);
    set(ways, mtu(table, "mtu"), |way, mtu| way.mtu = Some(mtu));
    set(ways, table.some_time("mark"), |way, mark| way.mark_above = Some(mark));
    set(ways, codel(table), |way, codel| way.codel = codel);
    set(ways, policer(table), |way, policer| way.policer = Some(policer));
}

/// Rate, trace and generator.
fn lay_rate(table: &Reader<'_>, ways: &mut [&mut Way], read: ReadFile<'_>) {
    if table.at_most_one(&["rate", "trace"]) && table.at_most_one(&["trace", "generator"]) {
        if table.has("rate") {
            let unlimited = table.text_is("rate", "unlimited");
            let rate = if unlimited { None } else { table.some_speed("rate") };
            for way in ways.iter_mut().filter(|_| unlimited || rate.is_some()) {
                way.rate = rate;
                if unlimited || matches!(way.vary, Vary::Trace { .. }) {
                    way.vary = Vary::Steady;
                }
                if unlimited && !matches!(way.queue, QueueSize::Bytes(_) | QueueSize::Packets(_)) {
                    way.queue = QueueSize::Unlimited;
                }
            }
        }
        if let Some(vary) = trace(table, read) {
            let rate = if let Vary::Trace { trace, .. } = &vary { trace.mean_rate().max(1) } else { 1 };
            for way in ways.iter_mut() {
                (way.rate, way.vary) = (Some(rate), vary.clone());
            }
        }
    }
    if table.has("trace_offset") && !table.has("trace") {
        table.wrong("trace_offset", "is out of place", "it goes with a trace");
    }
    let Some(vary) = generator(table) else { return };
    for way in ways.iter_mut() {
        way.vary = vary.clone();
        if way.rate.is_none() {
            table.wrong("generator", "has no rate to vary around", "write rate = \"…\" beside it");
        }
    }
}

fn trace(table: &Reader<'_>, read: ReadFile<'_>) -> Option<Vary> {
    let offset = table.time("trace_offset").unwrap_or_default();
    let file = table.text("trace")?;
    let allowed = "write the path of a Mahimahi trace, beside this file";
    match read(file).map(|text| Trace::parse(&text)) {
        Ok(Ok(trace)) => Some(Vary::Trace { trace: Arc::new(trace), file: file.to_owned(), offset }),
        Ok(Err(error)) => {
            table.wrong("trace", format!("\"{file}\" is no trace: {error}"), allowed);
            None
        }
        Err(error) => {
            table.wrong("trace", format!("\"{file}\" cannot be read: {error}"), allowed);
            None
        }
    }
}

fn generator(table: &Reader<'_>) -> Option<Vary> {
    let table = table.table("generator", GENERATOR)?;
    if !table.has("kind") {
        table.missing("kind", "one of \"lte\", \"leo\"");
    }
    let range = |field: &str, default| table.span(field).map_or(default, |span| (span.low, span.high));
    if table.choice("kind", &["lte", "leo"])? == 0 {
        table.out_of_place(&["slots", "slot", "outage", "rtt_spread", "loss"], "it goes with kind = \"leo\"");
        let default = Lte::new(0);
        let time = table.time("time");
        if time.is_some_and(|time| time.as_secs() == 0 || time.as_secs() > 86_400) {
            table.wrong("time", "is out of range", "write a time from \"1s\" to \"24h\"");
        }
        let seconds = time.map_or(default.seconds, |time| time.as_secs().clamp(1, 86_400) as u32);
        let pauses_per_minute = table.small("pauses", 0..=600).unwrap_or(default.pauses_per_minute);
        let pause = range("pause", default.pause);
        return Some(Vary::Lte(Lte { seconds, pauses_per_minute, pause, ..default }));
    }
    table.out_of_place(&["time", "pauses", "pause"], "it goes with kind = \"lte\"");
    let default = Leo::new(0, 0);
    Some(Vary::Leo(Leo {
        slots: table.small("slots", 1..=10_000).unwrap_or(default.slots),
        slot: table.some_time("slot").unwrap_or(default.slot),
        outage: range("outage", default.outage),
        rtt_spread: table.time("rtt_spread").unwrap_or(default.rtt_spread),
        loss_ppm: table.part("loss").unwrap_or(default.loss_ppm),
        ..default
    }))
}

fn queue(table: &Reader<'_>) -> Option<QueueSize> {
    let queue = table.unit::<QueueSize>("queue")?;
    let zero = matches!(queue, QueueSize::Bytes(0) | QueueSize::Packets(0) | QueueSize::Bdp(0))
        || matches!(queue, QueueSize::Time(time) | QueueSize::Waiting(time) if time.is_zero());
    if zero {
        table.wrong("queue", "holds nothing", "write at least one packet");
        return None;
    }
    Some(queue)
}

/// What only shows when all layers are there.
fn queues(table: &Reader<'_>, link: &Link) {
    for (field, way) in [("up", &link.up), ("down", &link.down)] {
        let needs_rate = matches!(way.queue, QueueSize::Time(_) | QueueSize::Bdp(_));
        if needs_rate && way.rate.is_none() {
            let what = format!("\"{}\" means nothing without a rate (way {field})", way.queue);
            table.wrong("queue", what, "write it in bytes or packets, or give a rate");
        } else if needs_rate && way.queue.resolve(way.rate, link.rtt()) == Queue::Bytes(0) {
            let what = format!("\"{}\" comes to no bytes (way {field})", way.queue);
            table.wrong("queue", what, "write it in bytes or packets, or give a delay");
        }
    }
}

fn burst(table: &Reader<'_>) -> Option<GilbertElliott> {
    let table = table.table("burst", BURST)?;
    for field in ["enter", "leave"] {
        if !table.has(field) {
            table.missing(field, "write a part such as \"0.1%\", per packet");
        } else if table.part(field) == Some(0) {
            table.wrong(field, "is zero", "write more than that, or leave the table out");
        }
    }
    Some(GilbertElliott {
        to_bad_ppm: table.part("enter")?,
        to_good_ppm: table.part("leave")?,
        loss_good_ppm: table.part("good").unwrap_or(0),
        loss_bad_ppm: table.part("bad").unwrap_or(1_000_000),
    })
}

fn jitter(table: &Reader<'_>) -> Option<Jitter> {
    let shape = table.choice("jitter_shape", &["uniform", "bell"]);
    if table.has("jitter_shape") && !table.has("jitter") {
        table.wrong("jitter_shape", "is out of place", "it goes with jitter");
    }
    let most = table.time("jitter")?;
    Some(if shape == Some(1) { Jitter::Bell(most) } else { Jitter::Uniform(most) })
}

/// An MTU, with the `icmp` beside it.
pub(super) fn mtu(table: &Reader<'_>, field: &str) -> Option<Mtu> {
    let icmp = table.flag("icmp");
    if icmp.is_some() && !table.has(field) {
        table.wrong("icmp", "is out of place", format!("it goes with {field}"));
    }
    let bytes = table.some_size(field)?;
    if !(68..=65_535).contains(&bytes) {
        table.wrong(field, "is out of range", "write a size from \"68B\" to \"65535B\", IP header included");
        return None;
    }
    Some(Mtu { bytes: bytes as u32, icmp: icmp.unwrap_or(true) })
}

/// `codel = true`, `false` or a table.
fn codel(table: &Reader<'_>) -> Option<Option<CoDel>> {
    if table.is_flag("codel") {
        return table.flag("codel").map(|on| on.then(CoDel::default));
    }
    let table = table.table("codel", CODEL)?;
    let default = CoDel::default();
    Some(Some(CoDel {
        target: table.some_time("target").unwrap_or(default.target),
        interval: table.some_time("interval").unwrap_or(default.interval),
        ecn: table.flag("ecn").unwrap_or(default.ecn),
    }))
}

fn policer(table: &Reader<'_>) -> Option<Policer> {
    let table = table.table("policer", POLICER)?;
    for field in POLICER {
        if !table.has(field) {
            table.missing(field, "a policer has a rate and a burst");
        }
    }
    Some(Policer { rate: table.some_speed("rate")?, burst: table.some_size("burst")? })
}

fn nat(table: &Reader<'_>) -> Option<NatOptions> {
    let table = table.table("nat", NAT)?;
    let timeout = table.some_time("timeout").unwrap_or(Duration::from_secs(120));
    let ports = match table.text("ports") {
        None => (1024, 65_535),
        Some(text) => {
            let ends =
                text.split_once("..").and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
            ends.filter(|(low, high): &(u16, u16)| *low > 0 && low <= high).unwrap_or_else(|| {
                table.wrong(
                    "ports",
                    format!("\"{text}\" is no range of ports"),
                    "write one such as \"1024..65535\"",
                );
                (1024, 65_535)
            })
        }
    };
    let inbound_refreshes = table.flag("inbound_refreshes").unwrap_or(false);
    Some(NatOptions {
        timeout,
        inbound_refreshes,
        symmetric: table.flag("symmetric").unwrap_or(false),
        ports,
    })
}

/// Puts both ways behind the shared queue that the table names.
fn shares(table: &Reader<'_>, shared: &[Shared], ways: [&mut Way; 2]) -> bool {
    let names: Vec<&str> = shared.iter().map(|shared| shared.name.as_str()).collect();
    let Some(index) = table.reference("shares", &names, "the bottlenecks are") else {
        return table.has("shares");
    };
    for (way, direction) in ways.into_iter().zip(Direction::BOTH) {
        way.bottleneck = Some(shared[index].id(direction));
    }
    true
}

/// All shared queues.
pub(super) fn bottlenecks(top: &Reader<'_>) -> Vec<Shared> {
    let mut all: Vec<Shared> = Vec::new();
    for (index, table) in (0u32..).zip(top.tables("bottleneck", BOTTLENECK)) {
        let known: Vec<&str> = all.iter().map(|shared| shared.name.as_str()).collect();
        let name = table.own_name(&known).unwrap_or_default();
        let mut both = Half::default();
        both.lay(&table);
        let air = table.flag("air").unwrap_or(false);
        if air {
            table.out_of_place(&["up", "down"], "with air = true both directions wait in one queue");
        }
        let half = |field: &str| {
            let mut half = both;
            if let Some(below) = table.table(field, BOTTLENECK_WAY) {
                half.lay(&below);
            }
            half.config(&table, field)
        };
        let (up, down) = (half("up"), half("down"));
        all.push(Shared { name, up: (2 * index, up), down: (2 * index + u32::from(!air), down) });
    }
    all
}

/// A shared queue as far as it is known.
#[derive(Clone, Copy, Default)]
struct Half {
    rate: Option<u64>,
    queue: QueueSize,
    codel: Option<CoDel>,
    mark: Option<Duration>,
}

impl Half {
    fn lay(&mut self, table: &Reader<'_>) {
        self.rate = table.some_speed("rate").or(self.rate);
        self.queue = queue(table).unwrap_or(self.queue);
        self.codel = codel(table).unwrap_or(self.codel);
        self.mark = table.some_time("mark").or(self.mark);
        if matches!(self.queue, QueueSize::Bdp(_)) {
            table.wrong(
                "queue",
                "a shared queue has no round trip",
                "write it as a time, in bytes or in packets",
            );
            self.queue = QueueSize::Default;
        }
    }

    fn config(self, table: &Reader<'_>, field: &str) -> BottleneckConfig {
        if self.rate.is_none() && !table.has("rate") {
            table.wrong("rate", format!("is missing for the way {field}"), "write rate = \"…\"");
        }
        // 100 ms where the file does not say.
        let queue = match self.queue {
            QueueSize::Default => QueueSize::Time(Duration::from_millis(100)),
            other => other,
        };
        BottleneckConfig {
            rate: tq_linkmodel::Rate::Fixed(self.rate.unwrap_or(1)),
            queue: queue.resolve(self.rate, Duration::ZERO),
            codel: self.codel,
            mark_above: self.mark,
        }
    }
}
