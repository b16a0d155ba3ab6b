//! Building a network: nodes, links, translators, routes, programs.
//!
//! All of it may also be done while the world runs. Decides how each part's own seed comes from the world's.

use std::net::IpAddr;

use tq_linkmodel::{BottleneckConfig, Direction, Link, LinkConfig, Nat, NatConfig};

use super::event::Event;
use super::program::Program;
use super::{NodeTotals, World};
use crate::packet::mix;
use crate::process::Process;
use crate::route::Prefix;
use crate::topology::{End, Line, LinkId, NatId, Node, NodeId, Port, ProcessId};

impl World {
    /// Adds a host: it drops what is not for it.
    pub fn host(&mut self, name: impl Into<String>) -> NodeId {
        self.add_node(name.into(), false)
    }

    /// Adds a router: it passes on what is not for it. Programs may run on it too.
    pub fn router(&mut self, name: impl Into<String>) -> NodeId {
        self.add_node(name.into(), true)
    }

    fn add_node(&mut self, name: String, forwards: bool) -> NodeId {
        self.ways.forget();
        self.nodes.push(Node {
            name,
            forwards,
            ports: Vec::new(),
            routes: Vec::new(),
            sockets: Vec::new(),
            ephemeral: 49152,
            totals: NodeTotals::default(),
        });
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Joins two nodes. [`Direction::Up`] is from `a` to `b`, [`Direction::Down`] from `b` to `a`.
    pub fn link(&mut self, name: impl Into<String>, a: End, b: End, config: &LinkConfig) -> LinkId {
        let seed = self.part_seed(1, self.lines.len() as u32);
        self.link_seeded(name, a, b, config, seed)
    }

    /// As [`World::link`], with a seed of the link's own: the same weather whatever else there is in the world.
    pub fn link_seeded(
        &mut self,
        name: impl Into<String>,
        a: End,
        b: End,
        config: &LinkConfig,
        seed: u64,
    ) -> LinkId {
        self.ways.forget();
        let id = self.lines.len() as u32;
        let mut end = |end: End, direction| {
            let ports = &mut self.nodes[end.node.0 as usize].ports;
            ports.push(Port { link: id, direction, addresses: vec![end.address], nat: None, carrier: true });
            (end.node.0, ports.len() as u32 - 1)
        };
        let ends = [end(a, Direction::Up), end(b, Direction::Down)];
        let link = Link::new(config, seed);
        self.lines.push(Line { name: name.into(), link, ends, arrived: [0; 2] });
        LinkId(id)
    }

    /// Gives a node's end of a link one more address, of either family. Nothing happens if the node is not at that
    /// link.
    pub fn add_address(&mut self, link: LinkId, node: NodeId, address: impl Into<IpAddr>) {
        self.ways.forget();
        let node = &mut self.nodes[node.0 as usize];
        if let Some(port) = node.port_on(link) {
            node.ports[port as usize].addresses.push(address.into());
        }
    }

    /// Adds a queue that links share by naming `id` in their configuration, in place of one with the same id.
    pub fn bottleneck(&mut self, id: u32, config: &BottleneckConfig) {
        self.shared.add(id, config);
    }

    /// Sends what `node` has for `prefix` over a link, whatever the shortest way. A later route for the same prefix
    /// takes the place of an earlier one. Nothing happens if the node is not at that link.
    pub fn route(&mut self, node: NodeId, prefix: impl Into<Prefix>, via: LinkId) {
        self.ways.forget();
        let prefix = prefix.into();
        let node = &mut self.nodes[node.0 as usize];
        if let Some(port) = node.port_on(via) {
            node.routes.retain(|(known, _)| *known != prefix);
            node.routes.push((prefix, port));
            node.routes.sort_by_key(|(prefix, _)| u8::MAX - prefix.length());
        }
    }

    /// Translates addresses where `node` meets a link: what leaves there gets the outside address, what comes in is
    /// let through if a mapping is known. The outside address need not be one of the interface's. Takes the place of
    /// an earlier translator there. `None` if the node is not at that link.
    pub fn nat(&mut self, link: LinkId, node: NodeId, config: NatConfig) -> Option<NatId> {
        self.ways.forget();
        let id = self.nats.len() as u32;
        let port = self.nodes[node.0 as usize].port_on(link)?;
        let nat = Nat::new(config, self.part_seed(2, id));
        self.nodes[node.0 as usize].ports[port as usize].nat = Some(id);
        self.nats.push(nat);
        Some(NatId(id))
    }

    /// Runs a program on a node from now on; it is started when the world next runs.
    pub fn spawn(&mut self, node: NodeId, process: Box<dyn Process>) -> ProcessId {
        assert!((node.0 as usize) < self.nodes.len(), "a node of another world");
        let id = self.programs.len() as u32;
        self.programs.push(Program::new(node.0, process));
        self.queue.push(self.now, Event::Start(id));
        ProcessId(id)
    }

    /// Ends a program as a crash would: it is not called again, its sockets close, what it wanted sent later is
    /// dropped. Gives it back for a look at its remains, or `None` if it is gone already.
    pub fn remove(&mut self, process: ProcessId) -> Option<Box<dyn Process>> {
        let program = self.programs.get_mut(process.0 as usize)?;
        program.forget();
        let gone = program.process.take();
        self.nodes[program.node as usize].sockets.retain(|socket| socket.process != process.0);
        gone
    }

    /// The seed of part `index` of a kind.
    fn part_seed(&self, kind: u64, index: u32) -> u64 {
        mix(mix(self.seed ^ mix(kind)) ^ u64::from(index))
    }
}
