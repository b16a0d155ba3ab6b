//! The host itself: from calls of the network to calls of the core, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tq_quic::{
    Connection, Endpoint, Handle, Incoming, RecvMeta, Route, ServerConfig, TRANSMIT_BUFFER, Transmit,
};
use tq_time::{Duration, Instant};
use tq_tls::AwsLc;

use super::config::{Accepted, AppFactory, Connect, HostConfig, Policy, ServerSetup, Verdict};
use super::nap::Nap;
use super::report::{ConnectionReport, HostReport};
use super::slot::Slot;
use crate::app::{App, AppContext};
use crate::entropy::Seeded;
use crate::process::{Context, Meta, Notice, Process, Waker};
use crate::qlog::Qlog;

/// IP and UDP headers before a payload, by the peer's family.
const fn overhead(remote: SocketAddr) -> usize {
    if remote.is_ipv4() { 28 } else { 48 }
}

/// Tells a connection that the interface with an address lost or found its carrier.
fn tell_link(now: Instant, sockets: &[SocketAddr], connection: &mut Connection, local: IpAddr, up: bool) {
    for (number, bound) in (0..).zip(sockets) {
        let wild = bound.ip().is_unspecified();
        if wild || bound.ip() == local {
            let address = wild.then_some(local);
            match up {
                true => connection.on_link_up(now, number, address),
                false => connection.on_link_down(now, number, address),
            }
        }
    }
}

/// Something to be done at a time given beforehand.
enum Plan {
    Connect(Box<Connect>),
    Bind(u32, SocketAddr),
    Nap(Instant),
}

/// A host of the simulated network that speaks QUIC.
pub struct QuicHost {
    endpoint: Endpoint,
    sockets: Vec<SocketAddr>,
    segments: usize,
    server: Option<(Policy, AppFactory)>,
    qlog: Option<Qlog>,
    /// By handle.
    slots: Vec<Option<Slot>>,
    /// Connections to serve when the moment settles, in the order in which they were touched.
    touched: Vec<u32>,
    due: BTreeSet<(Instant, u32)>,
    plans: BTreeMap<(Instant, u64), Plan>,
    planned: u64,
    accepted: u64,
    /// What the network was told last.
    timer: Option<Instant>,
    /// For those who reach in from outside.
    waker: Waker,
    nap: Nap,
    tick: Duration,
    reply: Vec<u8>,
    buf: Vec<u8>,
    report: HostReport,
}

impl QuicHost {
    /// A host that has not booted yet.
    pub fn new(config: HostConfig) -> Self {
        let HostConfig { seed, sockets, endpoint, segments, server, qlog, tick } = config;
        let mut endpoint = Endpoint::new(endpoint, Arc::new(AwsLc), Arc::new(Seeded::new(seed)));
        let server = server.map(|ServerSetup { tls, transport, policy, app }| {
            endpoint.set_server(Some(Arc::new(ServerConfig { tls, transport })));
            (policy, app)
        });
        Self {
            endpoint,
            sockets,
            segments: segments.max(1),
            server,
            qlog,
            slots: Vec::new(),
            touched: Vec::new(),
            due: BTreeSet::new(),
            plans: BTreeMap::new(),
            planned: 0,
            accepted: 0,
            timer: None,
            waker: Waker::default(),
            nap: Nap::default(),
            tick,
            reply: Vec::new(),
            buf: vec![0; TRANSMIT_BUFFER],
            report: HostReport::default(),
        }
    }

    /// Starts a connection when its time comes, now if that has passed. A host that sleeps is woken.
    pub fn connect(&mut self, connect: Connect) {
        self.plan(connect.at, Plan::Connect(Box::new(connect)));
    }

    /// Moves a socket to another address at a time, as a host does that comes into another network. A host that sleeps is
    /// woken.
    pub fn rebind(&mut self, at: Instant, socket: u32, address: SocketAddr) {
        self.plan(at, Plan::Bind(socket, address));
    }

    /// The host's process does not run from `at` on, for so long: datagrams wait in its sockets, 4096 of them at most, timers
    /// are late. What it handed to the network before leaves when it was to leave.
    pub fn stall(&mut self, at: Instant, lasts: Duration) {
        self.plan(at, Plan::Nap(at + lasts));
    }

    fn plan(&mut self, at: Instant, plan: Plan) {
        self.planned += 1;
        self.plans.insert((at, self.planned), plan);
        self.waker.wake();
    }

    /// Looks at a connection that is alive.
    pub fn connection(&self, handle: Handle) -> Option<&Connection> {
        self.slots.get(handle.0 as usize)?.as_ref().map(|slot| &slot.connection)
    }

    /// Handles of the connections alive, lowest first.
    pub fn handles(&self) -> impl Iterator<Item = Handle> {
        self.slots.iter().flatten().map(|slot| slot.handle)
    }

    /// The numbers as they are now.
    pub fn report(&self) -> HostReport {
        let mut report = self.report.clone();
        report.endpoint = *self.endpoint.counters();
        for slot in self.slots.iter().flatten() {
            let record = &mut report.connections[slot.record];
            record.stats = slot.connection.stats();
            record.error = slot.connection.error().cloned();
        }
        report
    }

    /// Connections alive, also those that are closing.
    pub fn open(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    fn touch(&mut self, handle: Handle) {
        if let Some(Some(slot)) = self.slots.get_mut(handle.0 as usize)
            && !std::mem::replace(&mut slot.touched, true)
        {
            self.touched.push(handle.0);
        }
    }

    fn insert(&mut self, now: Instant, handle: Handle, mut connection: Connection, app: Box<dyn App>) {
        if let Some(subscriber) = self.qlog.as_mut().map(|qlog| qlog.subscriber(connection.side())) {
            connection.set_subscriber(now, subscriber);
        }
        let record = self.report.connections.len();
        self.report.connections.push(ConnectionReport {
            handle,
            side: connection.side(),
            remote: connection.remote(),
            started: now,
            gone: None,
            error: None,
            stats: connection.stats(),
        });
        let ix = handle.0 as usize;
        if self.slots.len() <= ix {
            self.slots.resize_with(ix + 1, || None);
        }
        let mut slot = Slot::new(handle, connection, app, record);
        slot.start(now);
        self.slots[ix] = Some(slot);
        self.touch(handle);
    }

    fn run_plans(&mut self, cx: &mut Context<'_>) {
        let now = cx.now();
        while let Some(entry) = self.plans.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Plan::Bind(socket, address) => {
                    let Some(bound) = self.sockets.get_mut(socket as usize) else { continue };
                    let before = std::mem::replace(bound, address);
                    cx.bind(socket, address);
                    if before.ip() != address.ip() {
                        // the interface is another one, or has another address: as good as back
                        let slots = self.slots.iter_mut().flatten();
                        slots.for_each(|slot| slot.connection.on_link_up(now, socket, None));
                        let handles: Vec<Handle> = self.handles().collect();
                        handles.into_iter().for_each(|handle| self.touch(handle));
                    }
                }
                Plan::Connect(connect) => self.begin(now, *connect),
                Plan::Nap(until) => self.nap.begin(until),
            }
        }
    }

    fn begin(&mut self, now: Instant, connect: Connect) {
        let Connect { remote, socket, server_name, config, app, .. } = connect;
        match self.endpoint.connect(now, &config, remote, socket, &server_name) {
            Ok((handle, connection)) => self.insert(now, handle, connection, app),
            Err(error) => self.report.failed.push((now, error.0)),
        }
    }

    fn on_stranger(&mut self, cx: &mut Context<'_>, incoming: Incoming) {
        let now = cx.now();
        let Some((policy, app)) = &mut self.server else { return self.endpoint.ignore(&incoming) };
        let verdict = match policy.judge(now, &incoming) {
            Verdict::Retry if !incoming.may_retry() => Verdict::Accept,
            verdict => verdict,
        };
        self.report.strangers[verdict as usize] += 1;
        let mut reply = std::mem::take(&mut self.reply);
        let answer = match verdict {
            Verdict::Accept => {
                let (remote, local) = (incoming.remote(), incoming.local_ip());
                match self.endpoint.accept(now, incoming, &mut reply) {
                    Ok((handle, connection)) => {
                        let accepted = Accepted { handle, index: self.accepted, remote, local, at: now };
                        let app = app(&accepted);
                        self.accepted += 1;
                        self.insert(now, handle, connection, app);
                        None
                    }
                    Err((error, answer)) => {
                        self.report.failed.push((now, error.to_string()));
                        answer
                    }
                }
            }
            Verdict::Retry => self.endpoint.retry(now, &incoming, &mut reply),
            Verdict::Refuse => Some(self.endpoint.refuse(now, &incoming, &mut reply)),
            Verdict::Ignore => {
                self.endpoint.ignore(&incoming);
                None
            }
        };
        if let Some(answer) = answer {
            self.send(cx, &answer, &reply[..answer.len.min(reply.len())]);
        }
        self.reply = reply;
    }

    fn send(&mut self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) {
        let segment = transmit.segment.unwrap_or(bytes.len()).max(1);
        let bound = self.sockets.get(transmit.socket as usize);
        let local = transmit.local_ip.filter(|_| bound.is_some_and(|bound| bound.ip().is_unspecified()));
        self.report.datagrams_sent += bytes.len().div_ceil(segment) as u64;
        cx.send(transmit.depart_at, transmit.socket, local, transmit.remote, transmit.ecn, segment, bytes);
    }

    /// Serves one connection until it has nothing more to say at this moment.
    fn serve(&mut self, cx: &mut Context<'_>, ix: u32) {
        let Some(mut slot) = self.slots.get_mut(ix as usize).and_then(Option::take) else { return };
        let now = cx.now();
        slot.touched = false;
        slot.on_time(now);
        slot.collect(now, &mut self.endpoint);
        let mut buf = std::mem::take(&mut self.buf);
        loop {
            while let Some(transmit) = slot.connection.transmit(now, &mut buf, self.segments) {
                self.send(cx, &transmit, &buf[..transmit.len]);
            }
            if !slot.collect(now, &mut self.endpoint) {
                break;
            }
        }
        self.buf = buf;
        self.requeue(now, slot);
    }

    /// Puts a connection back, or its end on record.
    fn requeue(&mut self, now: Instant, mut slot: Slot) {
        let ix = slot.handle.0;
        let gone = slot.connection.is_drained();
        let due = slot.due().filter(|_| !gone);
        if slot.queued != due {
            if let Some(at) = slot.queued {
                self.due.remove(&(at, ix));
            }
            if let Some(at) = due {
                self.due.insert((at, ix));
            }
            slot.queued = due;
        }
        if gone {
            let record = &mut self.report.connections[slot.record];
            record.gone = Some(now);
            record.error = slot.connection.error().cloned();
            record.stats = slot.connection.stats();
        } else {
            self.slots[ix as usize] = Some(slot);
        }
    }

    /// When a timer for `at` fires.
    fn grain(&self, at: Instant) -> Instant {
        let tick = u64::try_from(self.tick.as_nanos()).unwrap_or(u64::MAX);
        if tick == 0 {
            return at;
        }
        Instant::from_nanos(at.as_nanos().div_ceil(tick).saturating_mul(tick))
    }

    fn arm(&mut self, cx: &mut Context<'_>) {
        let due = self.due.first().map(|(at, _)| *at);
        let planned = self.plans.first_key_value().map(|((at, _), _)| *at);
        let next = due.into_iter().chain(planned).min().map(|at| self.grain(at));
        let next = self.nap.ends(cx.now()).or(next);
        // A timer that has come due is gone, so the same moment may have to be asked for again.
        if next != self.timer || next.is_some_and(|at| at <= cx.now()) {
            cx.set_timer(next);
            self.timer = next;
        }
    }
}

impl Process for QuicHost {
    fn start(&mut self, cx: &mut Context<'_>) {
        self.waker = cx.waker();
        for (number, address) in (0..).zip(&self.sockets) {
            cx.bind(number, *address);
        }
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, meta: &Meta, bytes: &mut [u8]) {
        match self.nap.ends(cx.now()) {
            Some(_) => self.nap.keep(meta, bytes),
            None => self.take_in(cx, meta, bytes),
        }
    }

    fn on_timer(&mut self, _: &mut Context<'_>) {
        // what is due is done when the moment settles, after the datagrams that came with it
        self.timer = None;
    }

    fn on_notice(&mut self, cx: &mut Context<'_>, notice: &Notice) {
        let now = cx.now();
        let too_big = match *notice {
            Notice::TooBig { socket, remote, mtu } => Some((socket, remote, mtu)),
            _ => None,
        };
        for slot in self.slots.iter_mut().flatten() {
            if let Some((socket, remote, mtu)) = too_big {
                // the core is told what did not fit, the network tells what would have
                let first = usize::from(mtu).saturating_sub(overhead(remote)) + 1;
                slot.connection.on_too_big(now, socket, remote, first);
            }
            if let Notice::Carrier { local, up } = *notice {
                tell_link(now, &self.sockets, &mut slot.connection, local, up);
            }
            slot.on_notice(now, notice);
        }
        let handles: Vec<Handle> = self.handles().collect();
        handles.into_iter().for_each(|handle| self.touch(handle));
    }

    fn settle(&mut self, cx: &mut Context<'_>) {
        let now = cx.now();
        if self.nap.ends(now).is_none() {
            self.run_plans(cx);
        }
        if self.nap.ends(now).is_some() {
            return self.arm(cx);
        }
        while let Some((meta, mut bytes)) = self.nap.next() {
            self.take_in(cx, &meta, &mut bytes);
        }
        while let Some((_, ix)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.pop_first();
            if let Some(Some(slot)) = self.slots.get_mut(ix as usize) {
                slot.queued = None;
            }
            self.touch(Handle(ix));
        }
        let mut touched = std::mem::take(&mut self.touched);
        for ix in touched.drain(..) {
            self.serve(cx, ix);
        }
        self.touched = touched;
        self.arm(cx);
    }
}

impl QuicHost {
    /// Takes a datagram to its connection.
    fn take_in(&mut self, cx: &mut Context<'_>, meta: &Meta, bytes: &mut [u8]) {
        self.report.datagrams_received += 1;
        let now = cx.now();
        let meta = RecvMeta {
            remote: meta.remote,
            local_ip: Some(meta.local.ip()),
            socket: meta.socket,
            ecn: meta.ecn,
        };
        let mut reply = std::mem::take(&mut self.reply);
        let route = self.endpoint.receive(now, &meta, bytes, &mut reply);
        match &route {
            Route::Reply(transmit) => self.send(cx, transmit, &reply[..transmit.len.min(reply.len())]),
            Route::Connection(handle) => {
                if let Some(Some(slot)) = self.slots.get_mut(handle.0 as usize) {
                    slot.connection.receive(now, &meta, bytes);
                    self.touch(*handle);
                }
            }
            _ => {}
        }
        self.reply = reply;
        if let Route::Incoming(incoming) = route {
            self.on_stranger(cx, incoming);
        }
    }
}

/// Reaches into a connection from outside, as a test or a scenario's command does.
impl QuicHost {
    /// Does something to a connection; what it has to say then goes out at this moment.
    pub fn with_connection<R>(
        &mut self,
        now: Instant,
        handle: Handle,
        act: impl FnOnce(&mut AppContext<'_>) -> R,
    ) -> Option<R> {
        let slot = self.slots.get_mut(handle.0 as usize)?.as_mut()?;
        let result = act(&mut AppContext::new(now, &mut slot.connection, &mut slot.wake));
        self.touch(handle);
        self.waker.wake();
        Some(result)
    }
}
