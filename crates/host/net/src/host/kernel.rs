//! Rules, routes and sysctls: what there is, made and unmade.
//!
//! Decides what is already as it should be, and who else uses what is ours. Unmaking what is not there is success.

use std::io;
use std::path::Path;

use super::plan::{Own, is_name};
use super::step::{LAST, MASK, Route, Rule, Step, To, Undo};
use super::{SetupError, nft};
use crate::netlink::talk::Talk;
use crate::netlink::{Request, attributes_after, u32_at};
use crate::sys;

// From `linux/fib_rules.h`.
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FR_ACT_TO_TBL: u8 = 1;
/// Bytes of `fib_rule_hdr` and of `rtmsg`.
const HEADER: usize = 12;

/// The kernel of this network namespace.
#[derive(Debug)]
pub(super) struct Kernel {
    talk: Talk,
}

/// A rule of the machine, as far as it concerns us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SeenRule {
    priority: u32,
    mark: u32,
    mask: u32,
    table: u32,
    no_default: bool,
}

impl SeenRule {
    fn is(&self, rule: &Rule) -> bool {
        let &Rule { v6: _, priority, mark, table, no_default } = rule;
        *self == Self { priority, mark, mask: MASK, table, no_default }
    }

    /// Whether it speaks of a mark or table of ours.
    fn touches(&self, own: &Own) -> bool {
        let [(proxy, tunnel), tables] = [(own.proxy.0, own.tunnel.0), (own.proxy.1, own.tunnel.1)];
        let marked = |mark: u32| self.mask & MASK != 0 && (self.mark ^ mark) & self.mask & MASK == 0;
        marked(proxy) || marked(tunnel) || self.table == tables.0 || self.table == tables.1
    }
}

impl Kernel {
    pub(super) fn new() -> Result<Self, SetupError> {
        let talk = Talk::new().map_err(|error| SetupError::system("open a netlink socket", error))?;
        Ok(Self { talk })
    }

    /// A number of this network namespace; 0 where the kernel has none (before Linux 5.14).
    pub(super) fn namespace(&self) -> Result<u64, SetupError> {
        Ok(self.talk.namespace().unwrap_or(0))
    }

    /// The steps whose change is not there yet.
    ///
    /// # Errors
    /// Somebody else uses marks or tables of ours.
    pub(super) fn missing(&mut self, steps: Vec<Step>, own: &Own) -> Result<Vec<Step>, SetupError> {
        let (mut there, mut rules_of, mut routes_of) = (Vec::new(), Vec::new(), Vec::new());
        for v6 in [false, true] {
            rules_of.push((v6, self.rules(v6)?));
            routes_of.push((v6, self.routes(v6, own)?));
        }
        for (v6, rules) in rules_of {
            for seen in rules {
                let ours = steps.iter().find(|step| match step {
                    Step::Rule(rule) => rule.v6 == v6 && seen.is(rule),
                    _ => false,
                });
                match ours {
                    Some(step) => there.push(step.clone()),
                    None if seen.touches(own) => {
                        let SeenRule { priority, mark, mask, table, .. } = seen;
                        let text = format!("rule {priority} (fwmark {mark:#x}/{mask:#x}, table {table})");
                        return Err(SetupError::Conflict(text));
                    }
                    None => {}
                }
            }
        }
        for (v6, routes) in routes_of {
            for (table, seen) in routes {
                let ours = steps.iter().find(|step| match step {
                    Step::Route(route) => {
                        route.v6 == v6 && route.table == table && Some(&route.to) == seen.as_ref()
                    }
                    _ => false,
                });
                match ours {
                    Some(step) => there.push(step.clone()),
                    None => return Err(SetupError::Conflict(format!("a route in table {table}"))),
                }
            }
        }
        Ok(steps.into_iter().filter(|step| !there.contains(step)).collect())
    }

    fn rules(&mut self, v6: bool) -> Result<Vec<SeenRule>, SetupError> {
        let mut found = Vec::new();
        let request = Request::new(libc::RTM_GETRULE, libc::NLM_F_DUMP, &header(v6, 0, 0, 0));
        let listed = self.talk.list(request, |kind, body| {
            if kind == libc::RTM_NEWRULE && body.len() >= HEADER {
                found.push(seen_rule(body));
            }
        });
        ignore(listed, &ABSENT).map_err(|error| SetupError::system("list rules", error))?;
        Ok(found)
    }

    /// What the instance's tables have: a route of ours, or something else.
    fn routes(&mut self, v6: bool, own: &Own) -> Result<Vec<(u32, Option<To>)>, SetupError> {
        let mut found = Vec::new();
        let request = Request::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &header(v6, 0, 0, 0));
        let listed = self.talk.list(request, |kind, body| {
            if kind == libc::RTM_NEWROUTE && body.len() >= HEADER {
                found.extend(seen_route(body));
            }
        });
        ignore(listed, &ABSENT).map_err(|error| SetupError::system("list routes", error))?;
        found.retain(|(table, _)| [own.proxy.1, own.tunnel.1].contains(table));
        Ok(found)
    }

    /// Makes a change that is not nft's.
    pub(super) fn make(&mut self, step: &Step) -> Result<(), SetupError> {
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL | libc::NLM_F_ACK;
        let there = [libc::EEXIST];
        let made = match step {
            Step::Rule(rule) => ignore(self.talk.ask(rule_request(libc::RTM_NEWRULE, create, rule)), &there),
            Step::Route(route) => route_request(libc::RTM_NEWROUTE, create, route)
                .and_then(|request| ignore(self.talk.ask(request), &there)),
            Step::Sysctl { key, now, .. } => write(key, now),
            Step::Keep { .. } | Step::Nft { .. } => Ok(()),
        };
        made.map_err(|error| SetupError::system(step.to_string(), error))
    }

    /// Undoes a change.
    pub(super) fn undo(&mut self, undo: &Undo, program: Option<&Path>) -> Result<(), SetupError> {
        let gone = [libc::ENOENT, libc::ESRCH, libc::ENODEV, libc::EAFNOSUPPORT];
        let undone = match undo {
            Undo::Rule(rule) => {
                ignore(self.talk.ask(rule_request(libc::RTM_DELRULE, libc::NLM_F_ACK, rule)), &gone)
            }
            Undo::Route(route) => {
                let request = route_request(libc::RTM_DELROUTE, libc::NLM_F_ACK, route);
                ignore(request.and_then(|request| self.talk.ask(request)), &gone)
            }
            Undo::Nft(table) => return nft::remove(program, table),
            Undo::Sysctl { key, was, now } if sysctl(key).as_ref() == Some(now) => {
                ignore(write(key, was), &gone)
            }
            // It is gone, or somebody else has changed it since.
            Undo::Sysctl { .. } => Ok(()),
        };
        undone.map_err(|error| SetupError::system(format!("undo {undo}"), error))
    }
}

/// What kernels without the protocol say.
const ABSENT: [i32; 2] = [libc::EAFNOSUPPORT, libc::EOPNOTSUPP];

/// Takes some errors for success.
fn ignore(result: io::Result<()>, fine: &[i32]) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error().is_some_and(|code| fine.contains(&code)) => Ok(()),
        other => other,
    }
}

/// An `rtmsg`, or a `fib_rule_hdr`, whose bytes mean the same up to the table.
fn header(v6: bool, table: u32, scope: u8, kind: u8) -> [u8; HEADER] {
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    // Our tables and main are below 256.
    let table = u8::try_from(table).unwrap_or(libc::RT_TABLE_UNSPEC);
    [family, 0, 0, 0, table, 0, scope, kind, 0, 0, 0, 0]
}

fn rule_request(kind: u16, flags: i32, rule: &Rule) -> Request {
    let header = header(rule.v6, rule.table, 0, FR_ACT_TO_TBL);
    let request = Request::new(kind, flags, &header)
        .with_u32(FRA_PRIORITY, rule.priority)
        .with_u32(FRA_FWMARK, rule.mark)
        .with_u32(FRA_FWMASK, MASK)
        .with_u32(FRA_TABLE, rule.table);
    if rule.no_default { request.with_u32(FRA_SUPPRESS_PREFIXLEN, 0) } else { request }
}

/// Fails if the interface is not there.
fn route_request(kind: u16, flags: i32, route: &Route) -> io::Result<Request> {
    let (scope, to, device) = match &route.to {
        To::Local => (libc::RT_SCOPE_HOST, libc::RTN_LOCAL, Some("lo")),
        To::Device(device) => (libc::RT_SCOPE_LINK, libc::RTN_UNICAST, Some(device.as_str())),
        To::Nowhere => (libc::RT_SCOPE_UNIVERSE, libc::RTN_UNREACHABLE, None),
    };
    let mut header = header(route.v6, route.table, if route.v6 { 0 } else { scope }, to);
    header[5] = libc::RTPROT_STATIC;
    let request = Request::new(kind, flags, &header);
    Ok(match device {
        Some(device) => request.with_u32(libc::RTA_OIF, sys::index(device)?),
        None => request.with_u32(libc::RTA_PRIORITY, LAST),
    })
}

fn seen_rule(body: &[u8]) -> SeenRule {
    let mut rule = SeenRule { table: body[4].into(), ..SeenRule::default() };
    let mut masked = false;
    for (kind, value) in attributes_after(body, HEADER) {
        let number = u32_at(value, 0).unwrap_or(0);
        match kind {
            FRA_PRIORITY => rule.priority = number,
            FRA_FWMARK => rule.mark = number,
            FRA_FWMASK => (rule.mask, masked) = (number, true),
            FRA_TABLE => rule.table = number,
            FRA_SUPPRESS_PREFIXLEN => rule.no_default = number == 0,
            _ => {}
        }
    }
    if !masked && rule.mark != 0 {
        rule.mask = u32::MAX;
    }
    rule
}

/// The table of a route and, if it is as ours are, where it leads.
fn seen_route(body: &[u8]) -> Option<(u32, Option<To>)> {
    if u32_at(body, 8)? & libc::RTM_F_CLONED != 0 {
        return None;
    }
    let (mut table, mut device) = (u32::from(body[4]), None);
    for (kind, value) in attributes_after(body, HEADER) {
        match kind {
            libc::RTA_TABLE => table = u32_at(value, 0)?,
            libc::RTA_OIF => device = u32_at(value, 0),
            _ => {}
        }
    }
    let to = match body[7] {
        _ if body[1] != 0 => None,
        libc::RTN_LOCAL => Some(To::Local),
        libc::RTN_UNREACHABLE => Some(To::Nowhere),
        libc::RTN_UNICAST => device.and_then(name).map(To::Device),
        _ => None,
    };
    Some((table, to))
}

/// The name of an interface.
fn name(index: u32) -> Option<String> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").ok()?;
    let mut names = table.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    names.find(|name| sys::index(name).is_ok_and(|found| found == index)).map(str::to_owned)
}

/// A setting below `/proc/sys`; for a folder, the names in it.
pub(super) fn sysctl(key: &str) -> Option<String> {
    let path = Path::new("/proc/sys").join(key);
    if path.is_dir() {
        let entries = std::fs::read_dir(path).ok()?.filter_map(Result::ok);
        let names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        return Some(names.into_iter().filter(|name| is_name(name)).collect::<Vec<_>>().join(" "));
    }
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

pub(crate) fn write(key: &str, value: &str) -> io::Result<()> {
    // Never makes a file: what is not there is no setting.
    let file = std::fs::OpenOptions::new().write(true).open(Path::new("/proc/sys").join(key));
    io::Write::write_all(&mut file?, value.as_bytes())
}
