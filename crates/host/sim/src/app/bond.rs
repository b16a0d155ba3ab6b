//! A client's program that keeps a path on every way there is: opens them as soon as it may, opens again what failed,
//! and carries out orders about them at given moments. It moves no data and decides nothing about where data goes.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tq_quic::{Event, Local, PathEvent, Status};
use tq_time::Instant;
use tq_wire::PathId;

use super::{App, AppContext, Shared};
use crate::process::Notice;

/// A way from this host to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The host's socket on it.
    pub socket: u32,
    /// The address of that socket.
    pub local: IpAddr,
    /// The server's address there.
    pub remote: SocketAddr,
    /// Whether its path is only for when no other is there.
    pub standby: bool,
}

/// What is to be done about the path on a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathOrder {
    /// Have one.
    Open,
    /// Give it up and have none.
    Abandon,
    /// Use it only if no other is there.
    Standby,
    /// Use it like any other.
    Available,
}

/// What a [`Bond`] works with.
#[derive(Clone, Debug, Default)]
pub struct BondSpec {
    /// The ways; the connection was begun on the first.
    pub ways: Vec<Way>,
    /// What is to be done when, by place of the way, in order of time.
    pub orders: Vec<(Instant, usize, PathOrder)>,
    /// Whether the handshake is raced over all ways that are not on standby. The server must be the same at the first way's
    /// address on all of them.
    pub race: bool,
    /// Time after which a path that failed is opened again. Default 0, which means a second.
    pub retry: Duration,
}

/// What happened to paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathLog {
    /// As it was told, with the place of the way if it is known.
    pub told: Vec<(Instant, Option<usize>, PathEvent)>,
    /// Orders that the connection refused: when, what, why.
    pub refused: Vec<(Instant, usize, String)>,
}

impl PathLog {
    /// Paths that were given up, by whichever end.
    pub fn abandons(&self) -> usize {
        self.told.iter().filter(|(_, _, event)| matches!(event, PathEvent::Abandoned { .. })).count()
    }
}

/// What is known of a way.
#[derive(Clone, Copy, Debug)]
struct Place {
    way: Way,
    path: Option<PathId>,
    wanted: bool,
    status: Status,
    /// Not to be opened before this.
    rests: Option<Instant>,
}

/// The program.
pub struct Bond {
    places: Vec<Place>,
    orders: Vec<(Instant, usize, PathOrder)>,
    done: usize,
    retry: Duration,
    race: bool,
    /// Multipath is in force.
    on: bool,
    log: Shared<PathLog>,
}

impl Bond {
    /// The program and where its log will be.
    pub fn new(spec: BondSpec) -> (Self, Shared<PathLog>) {
        let log = Rc::new(RefCell::new(PathLog::default()));
        let place = |(at, way): (usize, Way)| Place {
            way,
            path: (at == 0).then_some(PathId::ZERO),
            wanted: true,
            status: if way.standby { Status::Backup } else { Status::Available },
            rests: None,
        };
        let retry = if spec.retry.is_zero() { Duration::from_secs(1) } else { spec.retry };
        let places = spec.ways.into_iter().enumerate().map(place).collect();
        let program = Self {
            places,
            orders: spec.orders,
            done: 0,
            retry,
            race: spec.race,
            on: false,
            log: Rc::clone(&log),
        };
        (program, log)
    }

    fn place_of(&self, path: PathId) -> Option<usize> {
        self.places.iter().position(|place| place.path == Some(path))
    }

    fn refused(&self, now: Instant, at: usize, why: impl ToString) {
        self.log.borrow_mut().refused.push((now, at, why.to_string()));
    }

    /// Opens what is wanted and not there.
    fn open(&mut self, cx: &mut AppContext<'_>) {
        let now = cx.now();
        for place in &mut self.places {
            let due = place.wanted && place.path.is_none() && place.rests.is_none_or(|at| at <= now);
            if !self.on || !due {
                continue;
            }
            let Way { socket, remote, .. } = place.way;
            // The socket says from where, also when its address changes. Refused for now: `MayOpen` comes when that changes.
            let Ok(path) = cx.connection().open_path(now, socket, None, remote) else { break };
            (place.path, place.rests) = (Some(path), None);
            if place.status == Status::Backup {
                let _ = cx.connection().set_path_status(now, path, Status::Backup);
            }
        }
    }

    fn obey(&mut self, cx: &mut AppContext<'_>, at: usize, order: PathOrder) {
        let now = cx.now();
        let Some(place) = self.places.get_mut(at) else { return };
        let path = place.path;
        match order {
            PathOrder::Open => (place.wanted, place.rests) = (true, None),
            PathOrder::Abandon => {
                place.wanted = false;
                let done = path.map(|path| cx.connection().close_path(now, path, 0));
                if let Some(Err(why)) = done {
                    self.refused(now, at, why);
                }
            }
            PathOrder::Standby | PathOrder::Available => {
                place.status = if order == PathOrder::Standby { Status::Backup } else { Status::Available };
                let status = place.status;
                let done = path.map(|path| cx.connection().set_path_status(now, path, status));
                if let Some(Err(why)) = done {
                    self.refused(now, at, why);
                }
            }
        }
    }

    fn work(&mut self, cx: &mut AppContext<'_>) {
        let now = cx.now();
        while let Some((_, at, order)) = self.orders.get(self.done).copied().filter(|(at, ..)| *at <= now) {
            self.done += 1;
            self.obey(cx, at, order);
        }
        self.open(cx);
        let next = self.orders.get(self.done).map(|(at, ..)| *at);
        let rests = self.places.iter().filter_map(|place| place.rests).filter(|at| *at > now);
        cx.wake_at(rests.chain(next).min());
    }

    /// The first path exists already, on the way on which the handshake was won.
    fn find_first(&mut self, cx: &mut AppContext<'_>) {
        let now = cx.now();
        let first = cx.connection().paths().find(|path| path.id == PathId::ZERO).map(|path| path.socket);
        for place in &mut self.places {
            place.path = (Some(place.way.socket) == first).then_some(PathId::ZERO);
            if place.path.is_some() && place.status == Status::Backup {
                let _ = cx.connection().set_path_status(now, PathId::ZERO, Status::Backup);
            }
        }
    }

    fn hear(&mut self, cx: &mut AppContext<'_>, event: PathEvent) {
        let now = cx.now();
        let named = match event {
            PathEvent::Opened(path)
            | PathEvent::Validated(path)
            | PathEvent::Rebound(path)
            | PathEvent::Failed(path)
            | PathEvent::Closed(path)
            | PathEvent::Status { path, .. }
            | PathEvent::Abandoned { path, .. } => Some(path),
            _ => None,
        };
        let place = named.and_then(|path| self.place_of(path));
        self.log.borrow_mut().told.push((now, place, event));
        match (event, place) {
            (PathEvent::MayOpen, _) if !self.on => {
                self.on = true;
                self.find_first(cx);
            }
            (PathEvent::Abandoned { .. }, Some(at)) => {
                let place = &mut self.places[at];
                (place.path, place.rests) = (None, Some(now + self.retry));
            }
            _ => {}
        }
    }
}

impl App for Bond {
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        for place in self.places.iter().skip(1).filter(|place| self.race && !place.way.standby) {
            // a way that cannot take part is opened later like others
            let _ = cx.connection().race_over(Local { socket: place.way.socket, ip: None });
        }
        self.work(cx);
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        if let Event::Path(event) = event {
            self.hear(cx, *event);
            self.work(cx);
        }
    }

    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        self.work(cx);
    }

    fn on_notice(&mut self, cx: &mut AppContext<'_>, notice: &Notice) {
        // an interface that is back need not wait for the next try
        if let Notice::Carrier { local, up: true } = notice {
            for place in self.places.iter_mut().filter(|place| place.way.local == *local) {
                place.rests = None;
            }
            self.work(cx);
        }
    }
}

/// A program that only writes down what happens to paths, for the other end.
pub struct PathWatch(Shared<PathLog>);

impl PathWatch {
    /// The program, writing into `log`.
    pub fn new(log: &Shared<PathLog>) -> Self {
        Self(Rc::clone(log))
    }
}

impl App for PathWatch {
    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        if let Event::Path(event) = event {
            self.0.borrow_mut().told.push((cx.now(), None, *event));
        }
    }
}
