//! A socket and a path for each link.
//!
//! Decides what is opened, kept and taken away; never which path carries what. A link that is gone keeps its socket and its path
//! until there is something better, because it may come back; the transport leaves it alone meanwhile.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use tq::{Connection, Endpoint, Path, PathPolicy, PathStatus, SocketId};
use tq_control::model;
use tq_net::links::matches;
use tq_tunnel::PathTerms;

use super::memory::Key;
use crate::clock;
use crate::config::{self, Begins, Cost, Link, Match, Rate, Terms};

/// A link that failed is tried again after this, then after twice as long, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// What a watcher of interfaces tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEvent {
    /// The network device.
    pub device: String,
    /// Its number: a new device of the same name has another.
    pub index: u32,
    /// Whether it carries anything.
    pub up: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// A guess of what its bytes cost.
    pub cost: Cost,
}

/// Where a link comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Listed,
    Command,
    /// An interface that was found to be one.
    Found,
}

/// A link, and what there is of it.
struct Entry {
    link: Link,
    /// In use, or off by command.
    on: bool,
    origin: Origin,
    socket: Option<SocketId>,
    /// What the watcher said last; `None` if it never did.
    seen: Option<LinkEvent>,
    /// A path is being opened.
    opening: bool,
    error: Option<String>,
    failures: u32,
    again: Instant,
}

/// All of them.
pub(crate) struct Links {
    endpoint: Endpoint,
    /// Which that are found are used, and how.
    finds: Finds,
    entries: Vec<Entry>,
}

/// Which interfaces are links though none is listed so.
struct Finds {
    /// Nothing is said about links: all.
    all: bool,
    matches: Vec<Match>,
}

impl Finds {
    fn new(role: &config::Router) -> Self {
        Self { all: role.links.is_empty() && role.matches.is_empty(), matches: role.matches.clone() }
    }

    /// How this one is to be used, if it is.
    fn terms(&self, device: &str) -> Option<Terms> {
        let found = self.matches.iter().find(|found| matches(&found.pattern, device));
        found.map(|found| found.terms.clone()).or(self.all.then(Terms::default))
    }
}

/// Something a command asked for cannot be.
pub(crate) struct Refused(pub(crate) u16, pub(crate) String);

impl Links {
    pub(crate) fn new(endpoint: Endpoint, role: &config::Router) -> Self {
        let entries = role.links.iter().map(|link| Entry::new(link.clone(), Origin::Listed)).collect();
        Self { endpoint, finds: Finds::new(role), entries }
    }

    /// Keeps what stays the same; links made by command stay, too.
    pub(crate) fn configure(&mut self, role: &config::Router) {
        // Sockets go when their paths have gone.
        self.finds = Finds::new(role);
        let (finds, links) = (&self.finds, &role.links);
        self.entries.retain_mut(|entry| match entry.origin {
            Origin::Command => true,
            Origin::Found => match finds.terms(entry.link.name.as_str()) {
                Some(terms) => {
                    entry.link.terms = terms;
                    true
                }
                None => false,
            },
            Origin::Listed => links.iter().any(|link| link.same(&entry.link)),
        });
        for link in links {
            match self.entries.iter_mut().find(|entry| entry.link.name == link.name) {
                Some(entry) => entry.link = link.clone(),
                None => self.entries.push(Entry::new(link.clone(), Origin::Listed)),
            }
        }
    }

    /// A watcher's word. Down: the transport is told and nothing is closed. Another device of the same name, or none of the
    /// addresses: the socket is of no use any more.
    pub(crate) fn on_event(&mut self, event: &LinkEvent) {
        let begins = Begins::Device(event.device.clone());
        let known = self.entries.iter().any(|entry| entry.link.begins == begins);
        if let (false, true, Some(terms), Ok(name)) =
            (known, event.up, self.finds.terms(&event.device), event.device.parse())
        {
            self.entries.push(Entry::new(Link { name, begins, terms }, Origin::Found));
        }
        let endpoint = &self.endpoint;
        for entry in self.entries.iter_mut().filter(|entry| entry.concerns(event)) {
            let stale = entry.seen.as_ref().is_some_and(|seen| seen.index != event.index && event.up);
            match entry.socket {
                Some(socket) if !event.up => endpoint.link_down(socket),
                Some(socket) if stale => {
                    endpoint.link_down(socket);
                    // Its path rests where it is until another is there.
                    entry.socket = None;
                }
                Some(socket) => endpoint.link_up(socket),
                None => {}
            }
            entry.seen = Some(event.clone());
            entry.again = clock::now();
            entry.failures = 0;
        }
    }

    /// Opens sockets for links that have none; returns those that may be used, the flat-rate ones and those that are no
    /// backup first.
    pub(crate) fn sockets(&mut self) -> Vec<SocketId> {
        let now = clock::now();
        for at in 0..self.entries.len() {
            self.open_socket(at, now);
        }
        let mut usable: Vec<_> = self.entries.iter().filter(|entry| entry.is_usable()).collect();
        usable.sort_by_key(|entry| (entry.link.terms.backup, entry.policy().cost));
        usable.iter().filter_map(|entry| entry.socket).collect()
    }

    fn open_socket(&mut self, at: usize, now: Instant) {
        let entry = &mut self.entries[at];
        if entry.socket.is_some() || !entry.on || entry.again > now || entry.is_down() {
            return;
        }
        let (device, addrs) = entry.link.begins.bound();
        let mut opened = Err(std::io::Error::from(std::io::ErrorKind::AddrNotAvailable));
        for addr in addrs {
            opened = self.endpoint.add_socket(device, addr);
            if opened.is_ok() {
                break;
            }
        }
        match opened {
            Ok(socket) => {
                entry.socket = Some(socket);
                entry.error = None;
            }
            Err(error) => entry.failed(now, error.to_string()),
        }
    }

    /// Links that want a path of `connection`, taken note of: each must be answered by [`Links::opened`].
    pub(crate) fn wanted(&mut self, connection: &Connection) -> Vec<SocketId> {
        let now = clock::now();
        let used: Vec<_> = connection.paths().iter().filter_map(Path::socket).collect();
        let mut wanted = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.is_usable() && !entry.opening) {
            let Some(socket) = entry.socket.filter(|socket| !used.contains(socket)) else { continue };
            if entry.again <= now {
                entry.opening = true;
                wanted.push(socket);
            }
        }
        wanted
    }

    /// What became of a path that was wanted.
    pub(crate) fn opened(&mut self, socket: SocketId, result: Result<(), String>) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.socket == Some(socket)) else { return };
        entry.opening = false;
        match result {
            Ok(()) => {
                entry.error = None;
                entry.failures = 0;
            }
            Err(error) => entry.failed(clock::now(), error),
        }
    }

    /// A session is over: what was being opened is not any more.
    pub(crate) fn forget(&mut self) {
        let now = clock::now();
        for entry in &mut self.entries {
            entry.opening = false;
            entry.failures = 0;
            entry.again = now;
        }
    }

    /// Makes paths what their links should be: backups or not, on their terms, and gone if the link is off or its socket was
    /// replaced. Returns the terms of each that is usable, for the server.
    pub(crate) fn settle(&mut self, connection: &Connection) -> Vec<PathTerms> {
        let paths = connection.paths();
        let mut told = Vec::new();
        for path in &paths {
            let Some(socket) = path.socket() else { continue };
            let entry = self.entries.iter().find(|entry| entry.socket == Some(socket));
            match entry {
                Some(entry) if entry.on => {
                    let backup = entry.link.terms.backup;
                    let wish = if backup { PathStatus::Backup } else { PathStatus::Available };
                    if !path.state().is_usable() {
                        continue;
                    }
                    if path.status().is_some_and(|(local, _)| local != wish) {
                        let _ = path.set_status(wish);
                    }
                    let policy = entry.policy();
                    if path.policy() != Some(policy) {
                        let _ = path.set_policy(policy);
                    }
                    let PathPolicy { cost, weight, max_rate, .. } = policy;
                    told.push(PathTerms { path: path.id().0, cost, weight, max_rate });
                }
                // Only when another is there does it leave; the last one stays, for it may come back.
                _ if paths.iter().any(|other| other.id() != path.id() && other.state().is_usable()) => {
                    let _ = path.close(0);
                }
                _ => {}
            }
        }
        // What was found and has gone is forgotten when its path is.
        let used = |socket| paths.iter().any(|path| path.socket() == socket);
        self.entries.retain(|entry| entry.origin != Origin::Found || !entry.is_down() || used(entry.socket));
        self.sweep(&paths);
        told
    }

    /// Closes sockets that no link and no path has any more.
    fn sweep(&self, paths: &[Path]) {
        let first = self.endpoint.sockets().first().map(|first| first.id);
        for socket in self.endpoint.sockets() {
            let linked = self.entries.iter().any(|entry| entry.socket == Some(socket.id));
            let used = paths.iter().any(|path| path.socket() == Some(socket.id));
            if !linked && !used && Some(socket.id) != first {
                let _ = self.endpoint.remove_socket(socket.id);
            }
        }
    }

    /// What tells the link behind a socket from others, where networks and servers change.
    pub(super) fn key(&self, socket: SocketId, server: IpAddr) -> Option<Key> {
        let entry = self.entries.iter().find(|entry| entry.socket == Some(socket))?;
        let seen = entry.seen.as_ref().map_or(&[][..], |seen| &seen.addresses);
        let addresses = match &entry.link.begins {
            Begins::Address(address) => std::slice::from_ref(address),
            Begins::Device(_) => seen,
        };
        Some(Key::new(entry.link.name.as_str(), addresses, server))
    }

    /// The link of a path.
    pub(crate) fn of(&self, path: &Path) -> Option<String> {
        let socket = path.socket()?;
        self.entries
            .iter()
            .find(|entry| entry.socket == Some(socket))
            .map(|entry| entry.link.name.to_string())
    }

    /// Makes a link.
    pub(crate) fn add(&mut self, link: Link) -> Result<(), Refused> {
        if self.entries.iter().any(|entry| entry.link.same(&link) || entry.link.name == link.name) {
            return Err(Refused(
                409,
                format!("there is a link {} already, or one that begins there", link.name),
            ));
        }
        self.entries.push(Entry::new(link, Origin::Command));
        Ok(())
    }

    /// Takes a link away.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Refused> {
        let at = self.entries.iter().position(|entry| entry.link.name.as_str() == name);
        let at = at.ok_or_else(|| Refused(404, format!("there is no link {name}")))?;
        if self.entries.len() == 1 {
            return Err(Refused(409, format!("{name} is the last link: add another before, or stop tquicd")));
        }
        // Its socket goes when its path has gone.
        self.entries.remove(at);
        Ok(())
    }

    /// Changes a link.
    pub(crate) fn set(&mut self, name: &str, change: &model::SetLink) -> Result<(), Refused> {
        let entry = self.entries.iter_mut().find(|entry| entry.link.name.as_str() == name);
        let entry = entry.ok_or_else(|| Refused(404, format!("there is no link {name}")))?;
        // All of it or nothing.
        entry.link.terms = changed(&entry.link.terms, change).map_err(|why| Refused(400, why))?;
        if let Some(up) = change.up.filter(|up| *up != entry.on) {
            entry.on = up;
            entry.again = clock::now();
            match entry.socket {
                Some(socket) if up => self.endpoint.link_up(socket),
                Some(socket) => self.endpoint.link_down(socket),
                None => {}
            }
        }
        Ok(())
    }

    /// For status.
    pub(crate) fn list(&self, connection: Option<&Connection>) -> Vec<model::Link> {
        let paths = connection.map(Connection::paths).unwrap_or_default();
        let link = |entry: &Entry| {
            let path = paths.iter().find(|path| entry.socket.is_some() && path.socket() == entry.socket);
            let works = path.is_some_and(|path| path.state().is_usable());
            let silent = path.and_then(Path::info).is_some_and(|info| info.silent);
            let state = match (entry.on, entry.is_down() || entry.socket.is_none()) {
                (false, _) => "off",
                (_, true) => "down",
                _ if works && silent => "silent",
                _ if works => "up",
                _ => "opening",
            };
            let (device, address) = match &entry.link.begins {
                Begins::Device(device) => (Some(device.clone()), None),
                Begins::Address(address) => (None, Some(address.to_string())),
            };
            model::Link {
                name: entry.link.name.to_string(),
                device,
                address,
                state: state.into(),
                cost: entry.cost().as_str().into(),
                priority: entry.link.terms.priority.into(),
                weight: entry.link.terms.weight.map(Into::into),
                max_rate: entry.link.terms.cap.map(Rate::bytes),
                backup: entry.link.terms.backup,
                path: path.map(|path| path.id().0.into()),
                error: entry.error.clone().filter(|_| !works),
            }
        };
        self.entries.iter().map(link).collect()
    }
}

/// Terms, changed as a command says.
fn changed(terms: &Terms, change: &model::SetLink) -> Result<Terms, String> {
    let mut terms = terms.clone();
    if let Some(cost) = &change.cost {
        terms.cost = Some(cost.parse()?);
    }
    match change.cap.as_deref() {
        Some("none") => terms.cap = None,
        Some(cap) => terms.cap = Some(cap.parse()?),
        None => {}
    }
    match change.weight {
        Some(0) => terms.weight = None,
        Some(weight) => terms.set_weight(weight)?,
        None => {}
    }
    change.priority.map_or(Ok(()), |priority| terms.set_priority(priority))?;
    terms.backup = change.backup.unwrap_or(terms.backup);
    Ok(terms)
}

/// Terms a command makes a link with.
pub(crate) fn asked(ask: &model::AddLink) -> Result<Terms, String> {
    let change = model::SetLink {
        cost: ask.cost.clone(),
        cap: ask.cap.clone(),
        weight: ask.weight,
        priority: ask.priority,
        backup: Some(ask.backup),
        ..Default::default()
    };
    changed(&Terms::default(), &change)
}

impl Link {
    /// Whether it is the same link, whatever it costs.
    fn same(&self, other: &Self) -> bool {
        self.name == other.name && self.begins == other.begins
    }
}

impl Entry {
    fn new(link: Link, origin: Origin) -> Self {
        Self {
            link,
            on: true,
            origin,
            socket: None,
            seen: None,
            opening: false,
            error: None,
            failures: 0,
            again: clock::now(),
        }
    }

    /// What it costs: what was said, else what was guessed.
    fn cost(&self) -> Cost {
        let guess = self.seen.as_ref().map_or(Cost::Flat, |seen| seen.cost);
        self.link.terms.cost.unwrap_or(guess)
    }

    fn policy(&self) -> PathPolicy {
        self.link.terms.policy(self.cost())
    }

    fn concerns(&self, event: &LinkEvent) -> bool {
        match &self.link.begins {
            Begins::Device(device) => *device == event.device,
            Begins::Address(address) => {
                let had = self.seen.as_ref().is_some_and(|seen| seen.device == event.device);
                had || event.addresses.contains(address)
            }
        }
    }

    /// Whether the watcher said that it is not there.
    fn is_down(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| match &self.link.begins {
            Begins::Device(_) => !seen.up,
            Begins::Address(address) => !seen.up || !seen.addresses.contains(address),
        })
    }

    fn is_usable(&self) -> bool {
        self.on && self.socket.is_some() && !self.is_down()
    }

    fn failed(&mut self, now: Instant, error: String) {
        let wait = RETRY.0.saturating_mul(1 << self.failures.min(8)).min(RETRY.1);
        self.failures = self.failures.saturating_add(1);
        self.again = now + wait;
        self.error = Some(error);
    }
}
