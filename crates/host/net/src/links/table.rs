//! What is known about interfaces, and how links follow from it. No I/O.
//!
//! Decides when a link is up, changed or down: [`Table::apply`] takes what the kernel said, [`Table::changes`] tells
//! what that did. Before everything is told anew, [`Table::forget`]; who is still there then has not changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::fact::{Address, Fact, Interface, Route};
use super::{Change, Kind, Link, LinkEvent, Select};

#[cfg(test)]
pub(crate) mod tests;

/// What is known about interfaces.
#[derive(Clone, Debug, Default)]
pub struct Table {
    select: Select,
    entries: BTreeMap<u32, Entry>,
    /// Links as they were last told.
    told: BTreeMap<u32, Link>,
}

/// What was said of one interface. Addresses and routes may come before the interface itself.
#[derive(Clone, Debug, Default)]
struct Entry {
    interface: Option<Interface>,
    addresses: Vec<Address>,
    routes: BTreeSet<Route>,
}

impl Table {
    /// An empty table that takes for links what `select` allows.
    pub fn new(select: Select) -> Self {
        Self { select, ..Self::default() }
    }

    /// Takes a fact. Answers whether routes may have gone without a word, so that they are to be asked for: the kernel
    /// does not tell when they go with their address or next hop.
    pub fn apply(&mut self, fact: Fact) -> bool {
        match fact {
            Fact::Interface(interface) => {
                let down = !interface.up;
                let entry = self.entries.entry(interface.index).or_default();
                entry.interface = Some(interface);
                if down {
                    entry.routes.retain(|route| route.v6);
                }
            }
            Fact::InterfaceGone(index) => {
                self.entries.remove(&index);
            }
            Fact::Address(index, address) => {
                let addresses = &mut self.entries.entry(index).or_default().addresses;
                match addresses.iter_mut().find(|known| known.ip == address.ip) {
                    Some(known) => *known = address,
                    None => addresses.push(address),
                }
            }
            Fact::AddressGone(index, ip) => {
                let Some(entry) = self.entries.get_mut(&index) else { return false };
                entry.addresses.retain(|address| address.ip != ip);
                entry.routes.retain(|route| route.source != Some(ip));
                return ip.is_ipv4();
            }
            Fact::Route(index, route) => {
                self.entries.entry(index).or_default().routes.insert(route);
            }
            Fact::NextHopGone => return true,
            Fact::RoutesReplaced { v6, table, metric } => {
                let stays = |route: &Route| (route.v6, route.table, route.metric) != (v6, table, metric);
                for entry in self.entries.values_mut() {
                    entry.routes.retain(stays);
                }
            }
            Fact::RouteGone(index, route) => {
                if let Some(entry) = self.entries.get_mut(&index) {
                    entry.routes.remove(&route);
                }
            }
        }
        false
    }

    /// Forgets what was said, not what was told: everything is about to be said anew.
    pub fn forget(&mut self) {
        self.entries.clear();
    }

    /// Other rules for what is a link, from the next [`Table::changes`] on.
    pub fn set_select(&mut self, select: Select) {
        self.select = select;
    }

    /// What is different from the last call: first what is down.
    pub fn changes(&mut self) -> Vec<LinkEvent> {
        let now: BTreeMap<u32, Link> = self
            .entries
            .iter()
            .filter_map(|(index, entry)| Some((*index, entry.link(&self.select)?)))
            .collect();
        let mut events = Vec::new();
        let mut tell = |change, link: &Link| events.push(LinkEvent { change, link: link.clone() });
        // An interface with a new name is another link: sockets are tied to names.
        let same = |a: &Link, b: &Link| a.device == b.device;
        for (index, old) in &self.told {
            if !now.get(index).is_some_and(|new| same(old, new)) {
                tell(Change::Down, old);
            }
        }
        for (index, new) in &now {
            match self.told.get(index).filter(|old| same(old, new)) {
                None => tell(Change::Up, new),
                Some(old) if old != new => tell(Change::Changed, new),
                Some(_) => {}
            }
        }
        self.told = now;
        events
    }

    /// The links as they were last told.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.told.values()
    }
}

impl Entry {
    /// The link that this interface is, if it is one.
    fn link(&self, select: &Select) -> Option<Link> {
        let interface = self.interface.as_ref().filter(|interface| interface.up && interface.carrier)?;
        let kind: Kind = interface.marks.kind(&interface.device);
        if !select.takes(&interface.device, kind) {
            return None;
        }
        let (mut addresses, mut gateways, mut metric) = (Vec::new(), Vec::new(), u32::MAX);
        for v6 in [false, true] {
            let sources = self.sources(v6);
            // The set is sorted by metric.
            let Some(best) = self.routes.iter().find(|route| route.v6 == v6) else { continue };
            if sources.is_empty() {
                continue;
            }
            addresses.extend(sources);
            gateways.extend(best.gateway);
            metric = metric.min(best.metric);
        }
        (!addresses.is_empty()).then(|| Link {
            device: interface.device.clone(),
            index: interface.index,
            addresses,
            gateways,
            metric,
            kind,
            cost: kind.cost(),
        })
    }

    /// Addresses of a protocol to send from, in a fixed order.
    fn sources(&self, v6: bool) -> Vec<IpAddr> {
        let usable = |address: &&Address| address.usable && address.ip.is_ipv6() == v6;
        let fresh: Vec<&Address> = self.addresses.iter().filter(usable).filter(|a| !a.deprecated).collect();
        let any = || self.addresses.iter().filter(usable).collect();
        let mut chosen: Vec<IpAddr> =
            if fresh.is_empty() { any() } else { fresh }.iter().map(|address| address.ip).collect();
        chosen.sort_unstable();
        chosen
    }
}
