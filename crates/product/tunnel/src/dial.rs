//! The far side: resolve, check, connect, answer.
//!
//! Every address is checked right before it is dialled, so that a name cannot be swapped between the check and the connection.
//! Bounds how much of this goes on at a time, for each device and for all.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tq::{RecvStream, SendStream};

use crate::header::answer;
use crate::measure::{self, Measure};
use crate::relay::{Side, relay};
use crate::share::{Account, Stock, Taken};
use crate::{Egress, Open, Pace, Status, Target, Traffic};

/// A header comes with the first packet of its stream.
const HEADER: Duration = Duration::from_secs(10);
const RESOLVE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(20);
/// Between attempts at addresses of one name (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses tried of one name.
const ADDRESSES: usize = 8;
/// Attempts and look-ups of one device at a time.
const DIALS: usize = 256;
const LOOKUPS: usize = 32;
/// What an attempt is worth, in bytes moved.
const DIAL: usize = 48 * 1024;

/// What all devices together may have under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts to connect.
    pub dials: usize,
    /// Names being looked up. Each holds a thread for as long as the resolver takes.
    pub lookups: usize,
    /// TCP connections, each with a descriptor.
    pub flows: usize,
}

/// What one device has under way, over all its sessions.
#[derive(Debug)]
pub struct Room {
    dials: Arc<Account>,
    lookups: Arc<Account>,
    flows: Arc<Account>,
}

/// Where a stream leads.
enum Far {
    Tcp(TcpStream, Taken),
    Measure(Measure),
}

/// Connects for tenants. Shared by all sessions of a server.
#[derive(Debug)]
pub struct Exit {
    egress: RwLock<Arc<Egress>>,
    stocks: [Arc<Stock>; 3],
    rooms: Mutex<HashMap<String, Weak<Room>>>,
    traffic: Arc<Traffic>,
    cpu: fn() -> Duration,
}

impl Exit {
    /// Allows what `egress` does, and so much at a time. `cpu` tells how much CPU time this process has used, for whoever
    /// measures.
    pub fn new(egress: Egress, limits: Limits, traffic: Arc<Traffic>, cpu: fn() -> Duration) -> Self {
        Self {
            egress: RwLock::new(Arc::new(egress)),
            stocks: [limits.dials, limits.lookups, limits.flows].map(Stock::new),
            rooms: Mutex::default(),
            traffic,
            cpu,
        }
    }

    /// Other rules for what is dialled from now on.
    pub fn set_egress(&self, egress: Egress) {
        *self.egress.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(egress);
    }

    /// A device's room: the same for all its sessions.
    pub fn room(&self, device: &str) -> Arc<Room> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get(device).and_then(Weak::upgrade) {
            return room;
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let [dials, lookups, flows] = &self.stocks;
        let room = Arc::new(Room {
            dials: Account::new(dials, DIALS),
            lookups: Account::new(lookups, LOOKUPS),
            flows: Account::new(flows, usize::MAX),
        });
        rooms.insert(device.to_owned(), Arc::downgrade(&room));
        room
    }

    /// Serves one stream to its end, for a device with this room: what goes beyond it is told to come back later. Its work is
    /// counted with `pace`.
    pub async fn answer(&self, mut send: SendStream, mut recv: RecvStream, room: &Room, pace: &Pace) {
        let connected = {
            let gone = send.stopped();
            tokio::select! {
                connected = self.connect(&mut recv, room, pace) => connected,
                // Nobody waits for the answer any more.
                _ = gone => Err(Status::Broken),
            }
        };
        let status = connected.as_ref().err().copied().unwrap_or(Status::Ok);
        self.traffic.outcome(status);
        if send.write_all(&answer(status)).await.is_err() {
            return;
        }
        match connected {
            Ok(Far::Tcp(tcp, _flow)) => {
                let flow = self.traffic.flow();
                relay(tcp, send, recv, &flow, Side::Far(pace)).await;
            }
            Ok(Far::Measure(what)) => {
                measure::serve(what, &mut send, &mut recv, pace, (self.cpu)()).await;
            }
            Err(status) => {
                let _ = send.finish();
                let _ = recv.stop(status.code());
            }
        }
    }

    async fn connect(&self, recv: &mut RecvStream, room: &Room, pace: &Pace) -> Result<Far, Status> {
        let dial = room.dials.take().ok_or(Status::Busy)?;
        let open = timeout(HEADER, Open::read(recv)).await.map_err(|_| Status::Timeout)?;
        let open = open.map_err(|_| Status::BadRequest)?;
        pace.spend(DIAL).await;
        if let Target::Measure(what) = open.target {
            return Ok(Far::Measure(what));
        }
        let flow = room.flows.take().ok_or(Status::Busy)?;
        let tcp = self.dial(&open.target, &room.lookups).await?;
        drop(dial);
        Ok(Far::Tcp(tcp, flow))
    }

    /// Connects to a target, if that is allowed.
    ///
    /// # Errors
    /// Why not: of several addresses, what the last said.
    async fn dial(&self, target: &Target, lookups: &Arc<Account>) -> Result<TcpStream, Status> {
        let found = match target {
            Target::Addr(addr) => vec![*addr],
            Target::Name(name, port) => {
                let lookup = lookups.take().ok_or(Status::Busy)?;
                resolve(name.clone(), *port, lookup).await?
            }
            Target::Measure(_) => return Err(Status::BadRequest),
        };
        let egress = Arc::clone(&self.egress.read().unwrap_or_else(PoisonError::into_inner));
        let allowed: Vec<_> = found.into_iter().filter(|addr| egress.allows(*addr)).collect();
        if allowed.is_empty() {
            return Err(Status::Denied);
        }
        timeout(CONNECT, race(allowed)).await.map_err(|_| Status::Timeout)?
    }
}

/// The system's resolver cannot be stopped: a look-up counts until it is over, not only as long as somebody waits for it.
async fn resolve(name: String, port: u16, lookup: Taken) -> Result<Vec<SocketAddr>, Status> {
    let asked = spawn_blocking(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        drop(lookup);
        found
    });
    let found = timeout(RESOLVE, asked).await.map_err(|_| Status::NameFailed)?;
    let found = found.map_err(|_| Status::NameFailed)?;
    let mut found: Vec<_> = found.map_err(|_| Status::NameFailed)?.collect();
    found.dedup();
    found.truncate(ADDRESSES);
    if found.is_empty() { Err(Status::NameFailed) } else { Ok(found) }
}

/// The first of these to answer; each is given a little time before the next is tried too.
async fn race(addrs: Vec<SocketAddr>) -> Result<TcpStream, Status> {
    let mut attempts = JoinSet::new();
    let mut last = Status::HostUnreachable;
    let mut waiting = addrs.into_iter();
    loop {
        if let Some(addr) = waiting.next() {
            attempts.spawn(async move { TcpStream::connect(addr).await.map_err(|e| Status::of_connect(&e)) });
        }
        let patience = sleep(if waiting.len() > 0 { STAGGER } else { CONNECT });
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(tcp))) => return Ok(tcp),
                Some(Ok(Err(status))) => last = status,
                Some(Err(_)) => last = Status::Broken,
                None => return Err(last),
            },
            () = patience => {}
        }
    }
}
