//! Rates as people write them: `20 Mbit/s`.

use std::fmt;
use std::str::FromStr;

/// Bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// The least there is: below, a link is as good as off.
    const LEAST: u64 = 64_000;

    /// Bytes per second.
    pub fn bytes(self) -> u64 {
        self.0 / 8
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate, expected one such as \"20 Mbit/s\", at least 64 kbit/s");
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let times = match unit.strip_suffix("/s").or(unit.strip_suffix("ps")).unwrap_or(&unit) {
            "bit" => 1.0,
            "kbit" => 1e3,
            "mbit" => 1e6,
            "gbit" => 1e9,
            _ => return Err(wrong()),
        };
        let bits = number.parse::<f64>().map_err(|_| wrong())? * times;
        match bits >= Self::LEAST as f64 && bits <= 1e12 {
            true => Ok(Self(bits.round() as u64)),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            0..1_000_000 => (self.0 as f64 / 1e3, "kbit/s"),
            1_000_000..1_000_000_000 => (self.0 as f64 / 1e6, "Mbit/s"),
            _ => (self.0 as f64 / 1e9, "Gbit/s"),
        };
        write!(f, "{value} {unit}")
    }
}
