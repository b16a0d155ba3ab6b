//! Numbers with units: times, rates, sizes, parts and queues.
//!
//! Decides how they are written and read; what is printed is read as the same value again. Rates are decimal
//! (Mbit/s = 10^6 bit/s), sizes are both (kB = 1000, KiB = 1024). Integers only.

use std::fmt;
use std::str::FromStr;

use tq_time::Duration;

/// Why a text is no value of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    /// What is wrong with it.
    pub what: String,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.allowed)
    }
}

impl std::error::Error for UnitError {}

/// A unit's names and what one of it is.
type Units = &'static [(&'static str, u128)];

const TIMES: Units = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("weeks", 604_800_000_000_000),
];
/// In bit/s.
const RATES: Units = &[
    ("bit/s", 1),
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
    ("B/s", 8),
    ("kB/s", 8_000),
    ("MB/s", 8_000_000),
    ("GB/s", 8_000_000_000),
];
const SIZES: Units = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
const PARTS: Units = &[("%", 10_000), ("ppm", 1)];
/// In thousandths.
const BDPS: Units = &[("bdp", 1_000), ("BDP", 1_000)];
const PACKETS: Units = &[("packets", 1), ("packet", 1)];

const TIME_HINT: &str = "write a time such as \"20ms\", \"1.5s\", \"2min\" (ns, us, ms, s, min, h, d, weeks)";
const RATE_HINT: &str =
    "write a rate such as \"300Mbit/s\" (bit/s, kbit/s, Mbit/s, Gbit/s, B/s, kB/s, MB/s, GB/s)";
const SIZE_HINT: &str = "write a size such as \"64KiB\" (B, kB, MB, GB, KiB, MiB, GiB)";
const PART_HINT: &str = "write a part from \"0%\" to \"100%\" such as \"0.5%\" (%, ppm)";
const QUEUE_HINT: &str = "write a queue such as \"64KiB\", \"100packets\", \"30ms\" (at the rate), \"1bdp\", \
                          \"30ms waiting\" or \"unlimited\"";

/// A time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A rate in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed(pub u64);

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Parts per million, at most a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss(pub u32);

/// What a queue holds at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueSize {
    /// The file does not say: one bandwidth-delay product, but at least ten packets of 1500 bytes.
    #[default]
    Default,
    /// No bound but the link model's.
    Unlimited,
    /// Bytes.
    Bytes(u64),
    /// Packets.
    Packets(u32),
    /// The bytes that the nominal rate carries in this time.
    Time(Duration),
    /// Waiting time: what would wait longer is dropped.
    Waiting(Duration),
    /// Thousandths of rate times round trip.
    Bdp(u64),
}

impl QueueSize {
    /// The least that the default gives, in bytes.
    pub const LEAST: u64 = 15_000;
}

/// `value` over 10^`digits`, exactly, without needless zeros.
pub(crate) fn decimal(value: u128, digits: usize) -> String {
    let unit = 10u128.pow(digits as u32);
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{}", format!("{rest:0digits$}").trim_end_matches('0'))
}

/// A decimal number: digits and how many of them stand behind the point.
fn number(text: &str) -> Option<(u128, u32)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !plain(whole) || !plain(part) || text.len() > 24 {
        return None;
    }
    let part = part.trim_end_matches('0');
    Some((format!("{whole}{part}").parse().ok()?, part.len() as u32))
}

/// The value of `text` in the smallest of `units`, rounded down.
fn value(text: &str, units: Units, hint: &str) -> Result<u128, UnitError> {
    let wrong = |what: String| UnitError { what, allowed: hint.to_owned() };
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    let (digits, unit) = (&text[..split], text[split..].trim_start());
    if digits.starts_with('-') {
        return Err(wrong(format!("\"{text}\" is negative")));
    }
    if digits.is_empty() {
        return Err(wrong(format!("\"{text}\" does not begin with a number")));
    }
    let Some((mantissa, scale)) = number(digits) else {
        return Err(wrong(format!("\"{digits}\" is not a number of at most 24 digits")));
    };
    if unit.is_empty() {
        return Err(wrong(format!("\"{text}\" has no unit")));
    }
    let Some((_, one)) = units.iter().find(|(name, _)| *name == unit) else {
        let near = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let near = near.map(|(name, _)| format!(" (did you mean \"{name}\"?)")).unwrap_or_default();
        return Err(wrong(format!("\"{unit}\" is not a unit that fits here{near}")));
    };
    let product = mantissa.checked_mul(*one).ok_or_else(|| wrong(format!("\"{text}\" is too much")))?;
    Ok(product / 10u128.pow(scale))
}

/// As [`value`], cut to a type.
fn narrow<T: TryFrom<u128>>(value: u128, text: &str, hint: &str) -> Result<T, UnitError> {
    let wrong = || UnitError { what: format!("\"{text}\" is too much"), allowed: hint.to_owned() };
    T::try_from(value).map_err(|_| wrong())
}

impl Time {
    /// The number and the unit.
    pub(crate) fn parts(self) -> (String, &'static str) {
        let nanos = self.0.as_nanos();
        match nanos {
            1_000_000_000.. | 0 => (decimal(nanos, 9), "s"),
            1_000_000.. => (decimal(nanos, 6), "ms"),
            1_000.. => (decimal(nanos, 3), "us"),
            _ => (nanos.to_string(), "ns"),
        }
    }
}

impl FromStr for Time {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let nanos = value(text, TIMES, TIME_HINT)?;
        Ok(Self(Duration::from_nanos(narrow(nanos, text, TIME_HINT)?)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = self.parts();
        write!(f, "{value}{unit}")
    }
}

impl Speed {
    /// The number and the unit.
    pub(crate) fn parts(self) -> (String, &'static str) {
        let bits = u128::from(self.0) * 8;
        match bits {
            1_000_000.. => (decimal(bits, 6), "Mbit/s"),
            1_000.. => (decimal(bits, 3), "kbit/s"),
            _ => (bits.to_string(), "bit/s"),
        }
    }
}

impl FromStr for Speed {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bits = value(text, RATES, RATE_HINT)?;
        Ok(Self(narrow(bits / 8, text, RATE_HINT)?))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = self.parts();
        write!(f, "{value}{unit}")
    }
}

impl FromStr for Size {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        Ok(Self(narrow(value(text, SIZES, SIZE_HINT)?, text, SIZE_HINT)?))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units =
            [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1_000_000_000, "GB"), (1_000_000, "MB")];
        let units = units.into_iter().chain([(1_000, "kB"), (1, "B")]);
        for (one, unit) in units {
            if self.0 >= one && self.0.is_multiple_of(one) {
                return write!(f, "{}{unit}", self.0 / one);
            }
        }
        f.write_str("0B")
    }
}

impl FromStr for Loss {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        match value(text, PARTS, PART_HINT)? {
            ppm @ 0..=1_000_000 => Ok(Self(ppm as u32)),
            _ => Err(UnitError {
                what: format!("\"{text}\" is more than 100 %"),
                allowed: PART_HINT.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", decimal(self.0.into(), 4))
    }
}

impl FromStr for QueueSize {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        let hinted = |mut error: UnitError| {
            error.allowed = QUEUE_HINT.to_owned();
            error
        };
        let ends = |units: Units| units.iter().any(|(name, _)| text.ends_with(name));
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        if let Some(time) = text.strip_suffix("waiting") {
            return time.parse::<Time>().map(|time| Self::Waiting(time.0)).map_err(hinted);
        }
        if ends(PACKETS) {
            let packets = value(text, PACKETS, QUEUE_HINT)?;
            return narrow(packets, text, QUEUE_HINT).map(Self::Packets);
        }
        if ends(BDPS) {
            let bdp = value(text, BDPS, QUEUE_HINT)?;
            return narrow(bdp, text, QUEUE_HINT).map(Self::Bdp);
        }
        if ends(SIZES) {
            return text.parse::<Size>().map(|size| Self::Bytes(size.0)).map_err(hinted);
        }
        text.parse::<Time>().map(|time| Self::Time(time.0)).map_err(hinted)
    }
}

impl fmt::Display for QueueSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Unlimited => f.write_str("unlimited"),
            Self::Bytes(bytes) => Size(*bytes).fmt(f),
            Self::Packets(packets) => write!(f, "{packets}packets"),
            Self::Time(time) => Time(*time).fmt(f),
            Self::Waiting(time) => write!(f, "{} waiting", Time(*time)),
            Self::Bdp(thousandths) => write!(f, "{}bdp", decimal((*thousandths).into(), 3)),
        }
    }
}
