//! What a router knows of its links when it starts again: what was measured of them, and the server's tokens.
//!
//! One file of at most 64 KiB, `NAME.known` beside the device's, replaced as a whole and readable by nobody else. A file that cannot
//! be read costs a warning and nothing else: everything in it is measured again. A link is known by its name, its networks
//! and the server's address; in another network it is another link.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;
use tq::{Profile, ServerToken, Version};
use tq_identity::{FileError, read_secret, write_secret};

use crate::{clock, warn};

#[cfg(test)]
mod tests;

const HEAD: &str = "tquic-known 1";
/// A file is no longer.
const LONGEST: u64 = 64 << 10;
const LINKS: usize = 64;
const TOKENS: usize = 8;
/// Networks that tell a link from others, at most.
const NETWORKS: usize = 4;
/// Nothing that is older is kept, seconds.
const OLD: u64 = 24 * 3600;
/// How often the file is written at most.
const WRITE: Duration = Duration::from_secs(600);

/// Names a link in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    name: String,
    networks: String,
    server: IpAddr,
}

impl Key {
    /// The link `name`, which has these addresses, towards a server.
    pub(super) fn new(name: &str, addresses: &[IpAddr], server: IpAddr) -> Self {
        let name = name.chars().filter(|char| char.is_ascii_graphic()).collect();
        let networks: BTreeSet<String> = addresses.iter().filter_map(|ip| network(*ip)).collect();
        let networks: Vec<String> = networks.into_iter().take(NETWORKS).collect();
        let networks = if networks.is_empty() { "-".into() } else { networks.join("+") };
        Self { name, networks, server: server.to_canonical() }
    }
}

/// The network an address belongs to: a /24, or a /64; of link-local ones, none.
fn network(ip: IpAddr) -> Option<String> {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_link_local() => None,
        IpAddr::V4(ip) => Some(Ipv4Addr::from_bits(ip.to_bits() & !0xff).to_string()),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => None,
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).to_string()),
    }
}

/// What was measured of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    key: Key,
    profile: Profile,
    /// When, seconds since 1970.
    at: u64,
}

/// All of it.
pub(super) struct Memory {
    file: PathBuf,
    links: Vec<Kept>,
    tokens: Vec<ServerToken>,
    written: Option<Instant>,
    /// What is in the file.
    text: String,
}

impl Memory {
    /// What is in `file`, if there is one that can be read.
    pub(super) fn load(file: PathBuf) -> Self {
        let mut memory =
            Self { file, links: Vec::new(), tokens: Vec::new(), written: None, text: String::new() };
        let long = std::fs::metadata(&memory.file).is_ok_and(|meta| meta.len() > LONGEST);
        let why = match read_secret(&memory.file) {
            _ if long => format!("more than {LONGEST} bytes"),
            Ok(text) if memory.take(&text).is_some() => {
                memory.text = text;
                return memory;
            }
            Ok(_) => format!("{}: not what tquicd writes", memory.file.display()),
            Err(FileError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                return memory;
            }
            Err(error) => error.to_string(),
        };
        warn!("what was known of links is measured again: {why}");
        (memory.links, memory.tokens) = (Vec::new(), Vec::new());
        memory
    }

    fn take(&mut self, text: &str) -> Option<()> {
        let mut lines = text.lines();
        (lines.next()? == HEAD).then_some(())?;
        for line in lines {
            let mut words = line.split(' ');
            match words.next()? {
                "link" if self.links.len() < LINKS => {
                    let mut next = || words.next();
                    let key =
                        Key { name: next()?.into(), networks: next()?.into(), server: next()?.parse().ok()? };
                    let min_rtt = Duration::from_micros(next()?.parse().ok()?);
                    let (rate, at) = (next()?.parse().ok()?, next()?.parse().ok()?);
                    self.links.push(Kept { key, profile: Profile { min_rtt, rate }, at });
                }
                "token" if self.tokens.len() < TOKENS => {
                    let version = Version(words.next()?.parse().ok()?);
                    let server = words.next()?.into();
                    let token = unhex(words.next()?)?;
                    self.tokens.push(ServerToken { version, server, token });
                }
                _ => return None,
            }
            words.next().is_none().then_some(())?;
        }
        Some(())
    }

    /// Tokens to begin with.
    pub(super) fn tokens(&self) -> &[ServerToken] {
        &self.tokens
    }

    /// What is known of a link, and how old it is.
    pub(super) fn find(&self, key: &Key) -> Option<(Profile, Duration)> {
        let kept = self.links.iter().find(|kept| kept.key == *key)?;
        // From the future: the clock was set, and its age is anybody's guess.
        let age = clock::unix_now().checked_sub(kept.at)?;
        (age < OLD).then_some((kept.profile, Duration::from_secs(age)))
    }

    /// A link was measured. What is the same as before was not measured again.
    pub(super) fn learn(&mut self, key: Key, profile: Profile) {
        if self.links.iter().any(|kept| kept.key == key && kept.profile == profile) {
            return;
        }
        self.links.retain(|kept| kept.key != key);
        if self.links.len() >= LINKS {
            self.links.remove(0);
        }
        self.links.push(Kept { key, profile, at: clock::unix_now() });
    }

    /// Writes the file if something changed, and not for ten minutes after it was written unless it is `urgent`.
    pub(super) fn keep(&mut self, tokens: Vec<ServerToken>, urgent: bool) {
        let now = clock::now();
        if !urgent && self.written.is_some_and(|at| now - at < WRITE) {
            return;
        }
        self.tokens = tokens;
        let text = self.text();
        if text == self.text {
            return;
        }
        self.written = Some(now);
        match write_secret(&self.file, &text) {
            Ok(()) => self.text = text,
            Err(error) => warn!("what is known of links is not kept: {error}"),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        let now = clock::unix_now();
        for Kept { key, profile, at } in self.links.iter().filter(|kept| now.saturating_sub(kept.at) < OLD) {
            let (micros, rate) = (profile.min_rtt.as_micros(), profile.rate);
            let _ = writeln!(text, "link {} {} {} {micros} {rate} {at}", key.name, key.networks, key.server);
        }
        for ServerToken { version, server, token } in self.tokens.iter().take(TOKENS) {
            let _ = write!(text, "token {} {server} ", version.0);
            for byte in token {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|char| char.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}
