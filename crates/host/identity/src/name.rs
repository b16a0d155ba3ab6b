//! Names of tenants and devices: short, and harmless wherever they are printed or put into a path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 1 to 64 of the characters `A-Z a-z 0-9 . _ -`, not beginning with a dot or a dash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Longest name, bytes.
    pub const MAX: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fits = (1..=Self::MAX).contains(&text.len()) && !text.starts_with(['.', '-']);
        if fits && text.chars().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(Self::MAX + 1).collect();
        Err(format!(
            "{shown:?} is no name: 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter, digit or _"
        ))
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
