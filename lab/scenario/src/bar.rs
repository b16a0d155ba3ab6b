//! Bars: what must hold, as typed comparisons such as `completion <= 1.06s`.
//!
//! Decides the names of figures, their units and the comparison; measuring is the runner's business.

use std::fmt;

use tq_time::Duration;

use crate::unit::{Size, Speed, Time, decimal};

/// What kind of value a figure has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// A plain number or a percentage.
    Ratio,
    /// A time.
    Time,
    /// A rate.
    Rate,
    /// Bytes.
    Bytes,
    /// A whole number.
    Count,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $dimension:ident;)*) => {
        /// A figure that a bar can be about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $($(#[$doc])* $name,)* }

        impl Metric {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in scenario files.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What kind of value it has.
            pub const fn dimension(self) -> Dimension {
                match self { $(Self::$name => Dimension::$dimension,)* }
            }
        }
    };
}

metrics! {
    /// Goodput over the payload that the links could have carried in the window.
    Use = "use", Ratio;
    /// Goodput over that of the best link alone (η₁).
    Gain = "gain", Ratio;
    /// Aggregation benefit (Kaspar's Ben): 0 is the best link, 1 the sum; below 0 worse than the best.
    Benefit = "benefit", Ratio;
    /// In-order payload per time.
    Goodput = "goodput", Rate;
    /// From the first packet to the last byte.
    Completion = "completion", Time;
    /// From the start (or heal) to the first byte.
    FirstByte = "first-byte", Time;
    /// The longest time without in-order progress.
    Gap = "gap", Time;
    /// The time from being sent to being handed on; the 50th percentile unless one is named.
    Latency = "latency", Time;
    /// The time packets wait in queues; the 50th percentile unless one is named.
    QueueDelay = "queue-delay", Time;
    /// The difference in one-way delay, queues included, between the slowest and the fastest link.
    Spread = "spread", Time;
    /// Lost per sent.
    Loss = "loss", Ratio;
    /// Delivered per sent, for datagrams.
    Delivered = "delivered", Ratio;
    /// Payload received twice, per payload.
    Duplicates = "duplicates", Ratio;
    /// Jain's index over competing flows.
    Fairness = "fairness", Ratio;
    /// The share of all payload that the named link carried.
    Share = "share", Ratio;
    /// The bytes that the named link carried.
    Bytes = "bytes", Bytes;
    /// Paths open at the end.
    Paths = "paths", Count;
    /// Paths given up.
    Abandons = "abandons", Count;
    /// Times a path was declared out.
    Outs = "outs", Count;
    /// Times a path was suspected of being silent that then spoke.
    Suspects = "suspects", Count;
    /// When paths were first found to share a bottleneck, from the start of the run.
    Grouped = "grouped", Time;
    /// Times a path was found to share a bottleneck, or to share it no more.
    Groups = "groups", Count;
    /// Handshakes completed.
    Handshakes = "handshakes", Count;
    /// Runs that completed, per run.
    Completed = "completed", Ratio;
}

/// A percentile in tenths: 999 is p99.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentile(pub u16);

/// What a bar is about, if not about everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A link, by index.
    Link(usize),
    /// A traffic, by index.
    Traffic(usize),
}

/// How a figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

impl Comparison {
    /// All of them with how they are written.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("<", Self::Less),
        (">", Self::More),
    ];
}

/// What a figure is compared with, or is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// In millionths; may be negative.
    Ratio(i64),
    /// A time.
    Time(Duration),
    /// Bytes per second.
    Rate(u64),
    /// Bytes.
    Bytes(u64),
    /// A whole number.
    Count(u64),
}

impl Value {
    /// For comparing; `None` if kinds differ.
    fn compare(self, other: Self) -> Option<std::cmp::Ordering> {
        Some(match (self, other) {
            (Self::Ratio(a), Self::Ratio(b)) => a.cmp(&b),
            (Self::Time(a), Self::Time(b)) => a.cmp(&b),
            (Self::Rate(a), Self::Rate(b))
            | (Self::Bytes(a), Self::Bytes(b))
            | (Self::Count(a), Self::Count(b)) => a.cmp(&b),
            _ => return None,
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(value) => {
                let sign = if *value < 0 { "-" } else { "" };
                write!(f, "{sign}{}", decimal(value.unsigned_abs().into(), 6))
            }
            Self::Time(time) => Time(*time).fmt(f),
            Self::Rate(rate) => Speed(*rate).fmt(f),
            Self::Bytes(bytes) => Size(*bytes).fmt(f),
            Self::Count(count) => count.fmt(f),
        }
    }
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The figure.
    pub metric: Metric,
    /// Which percentile of it, if it has several values.
    pub percentile: Option<Percentile>,
    /// Of what.
    pub target: Option<Target>,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what; its kind is the metric's.
    pub value: Value,
    /// As written in the file.
    pub text: String,
}

impl Bar {
    /// Whether the bar holds for a measured value. One of another kind never does.
    pub fn holds(&self, measured: Value) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let Some(order) = measured.compare(self.value) else { return false };
        match self.comparison {
            Comparison::Less => order == Less,
            Comparison::AtMost => order != Greater,
            Comparison::Equal => order == Equal,
            Comparison::AtLeast => order != Less,
            Comparison::More => order == Greater,
        }
    }
}
