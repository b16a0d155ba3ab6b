//! The emulator: a process in the lab's own namespace that is all of its links.
//!
//! Decides how a scenario becomes two hot threads, one for each direction, and what orders over the control socket do
//! to them. The fate of packets is the link model's, the moments are the hot threads'.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use tq_linkmodel::{Bottlenecks, Change, Direction, Duration, Instant, Link, State};
use tq_packet::{Device, Namespace, Receiver};
use tq_scenario::{Action, Scenario};
use tq_udp::Clock;

use self::books::{Books, LinkBooks};
use self::carrier::Carrier;
use self::hot::{Hot, Mailbox, Order, Told};
use self::lane::{Act, Lane, Plan};
use crate::control::{Reply, Request};
use crate::names::{self, Host, LabName};
use crate::state::Folder;
use crate::topology;

pub mod books;
mod carrier;
pub mod hot;
mod lane;
pub mod watch;

/// A hot thread, from outside.
struct Thread {
    mailbox: Arc<Mailbox>,
    /// Link and direction of each of its lanes.
    lanes: Vec<(usize, Direction)>,
    handle: thread::JoinHandle<()>,
}

/// The emulator, from inside.
struct Emulator {
    scenario: Scenario,
    threads: Vec<Thread>,
    carrier: Carrier,
}

/// Runs a lab's links until told to stop. The caller's thread moves into the lab's namespace.
pub fn run(lab: &LabName, file: &Path, seed: Option<u64>) -> Result<()> {
    let scenario = tq_scenario::load(file)?;
    let namespace = topology::namespace(lab, Host::Links)?;
    namespace.enter().context("cannot enter the links' namespace")?;
    ensure!(Namespace::current()?.id()? == namespace.id()?, "not in the links' namespace: nothing is done");
    let path = Folder::of(lab).socket();
    let seed = seed.unwrap_or(scenario.seed);
    let emulator = Emulator::new(scenario, seed)?;
    // One left by a crash; the folder is only ours.
    let _ = fs::remove_file(&path);
    let listener =
        UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    for stream in listener.incoming() {
        match emulator.converse(stream?) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => eprintln!("control: {error:#}"),
        }
    }
    emulator.stop();
    Ok(())
}

/// What each thread serves: one direction of all links. Where both directions wait in one queue, one thread has all.
fn split(scenario: &Scenario) -> Vec<Vec<(usize, Direction)>> {
    let all = |direction| (0..scenario.links.len()).map(move |i| (i, direction));
    let air = scenario.bottlenecks.iter().any(|shared| shared.up.0 == shared.down.0);
    match air {
        true => vec![Direction::BOTH.into_iter().flat_map(all).collect()],
        false => Direction::BOTH.into_iter().map(|direction| all(direction).collect()).collect(),
    }
}

/// The models of all lanes. With `events`, all that the scenario says is announced; else links stay as they are.
fn plans(scenario: &Scenario, lanes: &[(usize, Direction)], seed: u64, events: bool) -> Vec<Plan> {
    let changes = if events { scenario.changes_with(seed) } else { Vec::new() };
    let acts = if events { scenario.acts_with(seed) } else { Vec::new() };
    let plan = |&(i, direction): &(usize, Direction)| {
        let mut link = Link::new(&scenario.link_config(i, seed), scenario.link_seed(i, seed));
        for timed in changes.iter().filter(|timed| (timed.link, timed.direction) == (i, direction)) {
            link.set_direction(timed.at, direction, timed.change.clone());
        }
        let here =
            acts.iter().filter(|act| act.link == Some(i) && act.direction.is_none_or(|d| d == direction));
        let acts: VecDeque<_> = here
            .filter_map(|act| match act.action {
                Action::Unreachable(on) => Some((act.at, Act::Unreachable(on))),
                Action::DropPackets { first, last } => Some((act.at, Act::DropPackets(first, last))),
                _ => None,
            })
            .collect();
        Plan { link, acts }
    };
    lanes.iter().map(plan).collect()
}

/// The shared queues of a scenario.
pub(crate) fn bottlenecks(scenario: &Scenario) -> Bottlenecks {
    let mut shared = Bottlenecks::new();
    scenario.bottleneck_configs().iter().for_each(|(id, config)| shared.add(*id, config));
    shared
}

impl Emulator {
    fn new(scenario: Scenario, seed: u64) -> Result<Self> {
        let epoch = Clock::now();
        let mut threads = Vec::new();
        for (number, own) in split(&scenario).into_iter().enumerate() {
            let (mut lanes, mut from) = (Vec::new(), Vec::new());
            for (&(i, direction), plan) in own.iter().zip(plans(&scenario, &own, seed, false)) {
                let [user, net] = names::ends(i);
                let way = if direction == Direction::Up { [&*user, &*net] } else { [&*net, &*user] };
                let (lane, receiver) =
                    Lane::open(i, direction, way, plan).context("cannot open packet sockets")?;
                lanes.push(lane);
                from.push(receiver);
            }
            let (mailbox, ring) = Mailbox::new()?;
            let mailbox = Arc::new(mailbox);
            let hot = Hot::new(lanes, bottlenecks(&scenario), epoch);
            let handle = start(number, hot, from, Arc::clone(&mailbox), ring)?;
            threads.push(Thread { mailbox, lanes: own, handle });
        }
        let devices = (0..scenario.links.len()).map(|i| Device::named(&names::ends(i)[0]));
        let carrier = Carrier::new(devices.collect::<std::io::Result<_>>()?);
        Ok(Self { scenario, threads, carrier })
    }

    /// Answers one client; whether to go on afterwards.
    fn converse(&self, stream: UnixStream) -> Result<bool> {
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut out = stream.try_clone()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let request: Request = serde_json::from_str(&line).context("no request")?;
        let stop = matches!(request, Request::Stop);
        let reply = match self.obey(request) {
            Ok(reply) => reply,
            Err(error) => Reply::Failed(format!("{error:#}")),
        };
        writeln!(out, "{}", serde_json::to_string(&reply)?)?;
        Ok(!stop)
    }

    fn obey(&self, request: Request) -> Result<Reply> {
        match request {
            Request::Stop => Ok(Reply::Done),
            Request::Books => Ok(Reply::Books(self.books()?)),
            Request::Start { at, seed, events } => {
                self.start(Instant::from_nanos(at), seed.unwrap_or(self.scenario.seed), events);
                Ok(Reply::Done)
            }
            Request::Change { link, direction, change } => {
                let Some(i) = self.scenario.link_named(&link) else {
                    let names: Vec<_> = self.scenario.links.iter().map(|link| &*link.name).collect();
                    bail!("there is no link {link:?}; the lab has {}", names.join(", "));
                };
                let directions = direction.directions();
                let change = Change::from(change);
                if let Change::State(state) = change {
                    let both = directions.len() == 2;
                    self.carrier.now(i, !(both && state == State::Down));
                }
                for thread in &self.threads {
                    for &direction in directions {
                        thread.mailbox.leave(Order::Change(i, direction, change.clone()));
                    }
                }
                Ok(Reply::Done)
            }
        }
    }

    fn start(&self, epoch: Instant, seed: u64, events: bool) {
        for thread in &self.threads {
            let plans = plans(&self.scenario, &thread.lanes, seed, events);
            thread.mailbox.leave(Order::Start { epoch, plans, shared: bottlenecks(&self.scenario) });
        }
        self.carrier.start(if events { carrier::plan(&self.scenario, seed, epoch) } else { Vec::new() });
    }

    fn books(&self) -> Result<Books> {
        let empty = |link: &tq_scenario::Link| LinkBooks { name: link.name.clone(), ..LinkBooks::default() };
        let links = self.scenario.links.iter().map(empty).collect();
        let mut books = Books { links, ..Books::default() };
        for thread in &self.threads {
            let (to, from) = sync_channel(1);
            thread.mailbox.leave(Order::Tell(to));
            let Told { lanes, times, stall, clock_steps } = from
                .recv_timeout(Duration::from_secs(2))
                .context("a thread of the emulator does not answer")?;
            books.cpu.push(times.cpu);
            books.queued.push(times.queued);
            books.stalls.push(stall);
            books.clock_steps = books.clock_steps.max(clock_steps);
            for (i, direction, lane) in lanes {
                let link = &mut books.links[i];
                *(if direction == Direction::Up { &mut link.up } else { &mut link.down }) = lane;
            }
        }
        Ok(books)
    }

    fn stop(self) {
        for thread in self.threads {
            thread.mailbox.leave(Order::Stop);
            // A thread that panicked has said so.
            let _ = thread.handle.join();
        }
    }
}

fn start(
    number: usize,
    hot: Hot,
    from: Vec<Receiver>,
    mailbox: Arc<Mailbox>,
    ring: UnixDatagram,
) -> Result<thread::JoinHandle<()>> {
    let name = format!("links-{number}");
    Ok(thread::Builder::new().name(name).spawn(move || hot.run(&from, &mailbox, &ring))?)
}
