//! The far side: resolve, check, connect, answer.
//!
//! Every address is checked right before it is dialled, so that a name cannot be swapped between the check and the connection.
//! Bounds how much of this goes on at a time.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tq::{RecvStream, SendStream};

use crate::header::answer;
use crate::{Egress, Open, Status, Target, Traffic, relay};

/// A header comes with the first packet of its stream.
const HEADER: Duration = Duration::from_secs(10);
const RESOLVE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(20);
/// Between attempts at addresses of one name (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses tried of one name.
const ADDRESSES: usize = 8;

/// Connects for tenants. Shared by all sessions of a server.
#[derive(Debug)]
pub struct Exit {
    egress: RwLock<Arc<Egress>>,
    /// Attempts under way, all tenants together.
    dialling: Semaphore,
    traffic: Arc<Traffic>,
}

impl Exit {
    /// Allows what `egress` does, and so many attempts at a time.
    pub fn new(egress: Egress, dialling: usize, traffic: Arc<Traffic>) -> Self {
        Self { egress: RwLock::new(Arc::new(egress)), dialling: Semaphore::new(dialling), traffic }
    }

    /// Other rules for what is dialled from now on.
    pub fn set_egress(&self, egress: Egress) {
        *self.egress.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(egress);
    }

    /// Serves one stream to its end. `room` are the attempts its session may have under way: beyond, it is told to come
    /// back later.
    pub async fn answer(&self, mut send: SendStream, mut recv: RecvStream, room: &Semaphore) {
        let connected = self.connect(&mut recv, room).await;
        let status = connected.as_ref().err().copied().unwrap_or(Status::Ok);
        self.traffic.outcome(status);
        if send.write_all(&answer(status)).await.is_err() {
            return;
        }
        match connected {
            Ok(tcp) => {
                let flow = self.traffic.flow();
                relay(tcp, send, recv, &flow, false).await;
            }
            Err(status) => {
                let _ = send.finish();
                let _ = recv.stop(status.code());
            }
        }
    }

    async fn connect(&self, recv: &mut RecvStream, room: &Semaphore) -> Result<TcpStream, Status> {
        let _own = room.try_acquire().map_err(|_| Status::Busy)?;
        let open = timeout(HEADER, Open::read(recv)).await.map_err(|_| Status::Timeout)?;
        let open = open.map_err(|_| Status::BadRequest)?;
        let _all = self.dialling.try_acquire().map_err(|_| Status::Busy)?;
        self.dial(&open.target).await
    }

    /// Connects to a target, if that is allowed.
    ///
    /// # Errors
    /// Why not: of several addresses, what the last said.
    pub async fn dial(&self, target: &Target) -> Result<TcpStream, Status> {
        let found = match target {
            Target::Addr(addr) => vec![*addr],
            Target::Name(name, port) => resolve(name, *port).await?,
        };
        let egress = Arc::clone(&self.egress.read().unwrap_or_else(PoisonError::into_inner));
        let allowed: Vec<_> = found.into_iter().filter(|addr| egress.allows(*addr)).collect();
        if allowed.is_empty() {
            return Err(Status::Denied);
        }
        timeout(CONNECT, race(allowed)).await.map_err(|_| Status::Timeout)?
    }
}

async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Status> {
    let found = timeout(RESOLVE, lookup_host((name, port))).await.map_err(|_| Status::NameFailed)?;
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
