//! The network of a plan: a client behind a translator on each link, links with all the faults, a server with an address on
//! each, and what happens to them when.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use tq_linkmodel::{
    Change, Direction, DirectionConfig, GilbertElliott, Jitter, LinkConfig, Mtu, NatConfig, Queue, Rate,
    State,
};
use tq_time::{Duration, Instant};
use tq_wire::Side;

use super::plan::{Item, Plan, Verb, Who};
use super::stage::WireHook;
use super::traffic::{Traffic, Watch};
use crate::entropy::derive;
use crate::process::{Context, Meta, Notice, Process};
use crate::quic::QuicHost;
use crate::topology::{End, LinkId, NatId};
use crate::world::World;

/// Events at one instant that are too many.
const LIVELOCK: u64 = 100_000;

/// Client and server.
pub(super) type Hosts = [Rc<RefCell<QuicHost>>; 2];

/// The address of an end on a link; the client's after so many moves.
pub(super) fn address(side: usize, link: usize, moves: u16) -> SocketAddr {
    let link = link as u8;
    match side {
        0 => SocketAddr::from(([192, 168, link, 2], 4000 + moves)),
        _ => SocketAddr::from(([198, 51, 100, 1 + link], 443)),
    }
}

/// The outside of a link's translator, after so many changes of address.
fn outside(link: usize, changes: u8) -> IpAddr {
    IpAddr::from([203, 0, 113 + link as u8, 1 + changes])
}

/// A link with the wire in front of its translator.
#[derive(Clone, Copy)]
struct Wires {
    inside: LinkId,
    link: LinkId,
    nat: Option<NatId>,
}

/// A client behind translators, links with all the faults, a server.
pub(super) fn network(plan: &Plan, hosts: &Hosts, wire: Option<WireHook>) -> (World, Rc<RefCell<Traffic>>) {
    let mut world = World::new(derive(plan.seed, 6));
    world.livelock_limit(LIVELOCK);
    let home = world.host("client");
    let routers: Vec<_> = (0..plan.links()).map(|_| world.router("router")).collect();
    let far = world.host("server");
    let mut wires = Vec::new();
    for (number, router) in routers.into_iter().enumerate() {
        let here = IpAddr::from([192, 168, number as u8, 1]);
        let wall = [End::new(home, address(0, number, 0).ip()), End::new(router, here)];
        let inside = world.link("inside", wall[0], wall[1], &LinkConfig::default());
        let config =
            LinkConfig { up: direction(plan, number, Who::Up), down: direction(plan, number, Who::Down) };
        let ends = [End::new(router, outside(number, 0)), End::new(far, address(1, number, 0).ip())];
        let link = world.link("link", ends[0], ends[1], &config);
        let nat = world.nat(link, router, NatConfig::new(outside(number, 0)));
        wires.push(Wires { inside, link, nat });
    }
    let traffic = Rc::new(RefCell::new(Traffic::new(home, far)));
    world.tap(crate::Where::World, Watch(Rc::clone(&traffic)));
    let hook = Rc::new(RefCell::new(wire));
    for (side, node) in [(1, far), (0, home)] {
        let (host, hook) = (Rc::clone(&hosts[side]), Rc::clone(&hook));
        world.spawn(node, Box::new(Gate { side, host, hook }));
    }
    let mut changes = 0;
    for item in &plan.items {
        let Some(at) = item.at.map(|at| Instant::from_nanos(u64::from(at) * 1_000_000)) else { continue };
        let Some(on) = wires.get(usize::from(item.link)).copied() else { continue };
        match (item.verb, on.nat) {
            (Verb::Nat, Some(nat)) => world.at(at, move |world| world.rebind(nat)),
            (Verb::NatAddress, Some(nat)) => {
                changes += 1;
                let address = outside(item.link.into(), changes);
                world.at(at, move |world| world.rebind_to(nat, address));
            }
            _ => change(&mut world, on, at, item),
        }
    }
    for (number, on) in wires.iter().enumerate() {
        heal(&mut world, plan, number, *on);
    }
    (world, traffic)
}

fn change(world: &mut World, on: Wires, at: Instant, item: &Item) {
    let set = |world: &mut World, at: Instant, change: Change| {
        let ways: &[Direction] = match item.who {
            Who::Up => &[Direction::Up],
            Who::Down => &[Direction::Down],
            _ => &Direction::BOTH,
        };
        let ways = ways.to_vec();
        // the client's own interface loses its carrier with the link
        let loud = item.verb == Verb::Cut && item.who == Who::Net;
        world.at(at, move |world| {
            ways.iter().for_each(|way| world.set_direction(on.link, *way, at, change.clone()));
            if loud {
                world.set(on.inside, at, change);
            }
        });
    };
    let lasts = Duration::from_millis(item.size(0));
    match item.verb {
        Verb::Out | Verb::Cut => {
            let state = if item.verb == Verb::Out { State::Silent } else { State::Down };
            set(world, at, Change::State(state));
            set(world, at + lasts, Change::State(State::Up));
        }
        Verb::Rate => set(world, at, Change::Rate(rate(Some(item)))),
        Verb::Delay => set(world, at, Change::Delay(micros(Some(item)))),
        Verb::Loss => set(world, at, Change::Loss(ppm(Some(item), 0))),
        Verb::Mtu => set(world, at, Change::Mtu(mtu(Some(item)))),
        _ => {}
    }
}

/// Faults that can end do.
fn heal(world: &mut World, plan: &Plan, number: usize, on: Wires) {
    let at = Instant::from_nanos(u64::from(plan.healed_at()) * 1_000_000);
    for (way, who) in [(Direction::Up, Who::Up), (Direction::Down, Who::Down)] {
        let config = direction(plan, number, who);
        world.at(at, move |world| {
            let DirectionConfig { rate, delay, mtu, .. } = config;
            let changes =
                [Change::State(State::Up), Change::Loss(0), Change::Rate(rate), Change::Delay(delay)];
            changes
                .into_iter()
                .chain([Change::Mtu(mtu)])
                .for_each(|change| world.set_direction(on.link, way, at, change));
            world.set_direction(on.inside, way, at, Change::State(State::Up));
        });
    }
}

fn rate(item: Option<&Item>) -> Rate {
    item.map_or(Rate::Unlimited, |item| Rate::Fixed(item.size(0).saturating_mul(1000)))
}

fn mtu(item: Option<&Item>) -> Option<Mtu> {
    item.map(|item| Mtu { bytes: item.size(0) as u32, icmp: item.number(1) != 0 })
}

fn ppm(item: Option<&Item>, ix: usize) -> u32 {
    item.map_or(0, |item| item.size(ix).min(1_000_000) as u32)
}

fn micros(item: Option<&Item>) -> Duration {
    Duration::from_micros(item.map_or(0, |item| item.size(0)))
}

fn direction(plan: &Plan, link: usize, who: Who) -> DirectionConfig {
    let set = |verb| plan.setting_of(who, link as u8, verb);
    let jitter = set(Verb::Jitter);
    DirectionConfig {
        rate: rate(set(Verb::Rate)),
        queue: Queue::Bytes(set(Verb::Queue).map_or(1 << 20, |item| item.size(0))),
        mark_above: set(Verb::Mark).map(|item| micros(Some(item))),
        delay: micros(set(Verb::Delay)),
        jitter: Jitter::Uniform(micros(jitter)),
        reorder: jitter.is_some_and(|item| item.number(1) != 0),
        loss_ppm: ppm(set(Verb::Loss), 0),
        burst: set(Verb::Burst).map(|item| GilbertElliott {
            to_bad_ppm: ppm(Some(item), 0),
            to_good_ppm: ppm(Some(item), 1),
            loss_good_ppm: 0,
            loss_bad_ppm: ppm(Some(item), 2),
        }),
        corrupt_ppm: ppm(set(Verb::Corrupt), 0),
        duplicate_ppm: ppm(set(Verb::Double), 0),
        mtu: mtu(set(Verb::Mtu)),
        ..DirectionConfig::default()
    }
}

/// A host with sabotage in front of it.
struct Gate {
    side: usize,
    host: Rc<RefCell<QuicHost>>,
    hook: Rc<RefCell<Option<WireHook>>>,
}

impl Process for Gate {
    fn start(&mut self, cx: &mut Context<'_>) {
        self.host.start(cx);
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, meta: &Meta, bytes: &mut [u8]) {
        let side = [Side::Client, Side::Server][self.side];
        let passes = self.hook.borrow_mut().as_mut().is_none_or(|hook| hook(cx.now(), side, bytes));
        if passes {
            self.host.on_datagram(cx, meta, bytes);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>) {
        self.host.on_timer(cx);
    }

    fn on_notice(&mut self, cx: &mut Context<'_>, notice: &Notice) {
        self.host.on_notice(cx, notice);
    }

    fn settle(&mut self, cx: &mut Context<'_>) {
        self.host.settle(cx);
    }
}
