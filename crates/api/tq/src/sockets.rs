//! An endpoint's sockets: one to begin with, more as it moves. They are only ever added, so that a number names the same
//! socket for as long as the endpoint lives. The driver has a list of its own, which it brings up to date.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::unix::AsyncFd;
use tq_udp::{Options, Socket};

use crate::{lock, reactor};

/// Sockets an endpoint may have.
const LIMIT: usize = 64;

/// A socket the reactor knows.
pub(crate) type Registered = Arc<AsyncFd<Socket>>;

/// Names a socket of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(pub(crate) u32);

/// All of them.
pub(crate) struct Sockets {
    table: Mutex<Table>,
    /// How many there are, to be seen without the lock.
    count: AtomicUsize,
    /// How further ones are opened.
    options: Options,
}

struct Table {
    list: Vec<Registered>,
    /// Where connections begin, and its address.
    first: (u32, SocketAddr),
}

impl Sockets {
    pub(crate) fn new(socket: Socket, options: Options) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let list = vec![Arc::new(reactor::register(socket)?)];
        Ok(Self { table: Mutex::new(Table { list, first: (0, local) }), count: AtomicUsize::new(1), options })
    }

    /// Opens another.
    pub(crate) fn add(&self, addr: SocketAddr) -> io::Result<SocketId> {
        tokio::runtime::Handle::try_current()
            .map_err(|_| io::Error::other("a socket needs a tokio runtime: call from inside one"))?;
        let socket = Arc::new(reactor::register(Socket::bind(addr, &self.options)?)?);
        let mut table = lock(&self.table);
        if table.list.len() >= LIMIT {
            return Err(io::Error::other("this endpoint has 64 sockets already: make a new one"));
        }
        table.list.push(socket);
        self.count.store(table.list.len(), Ordering::Release);
        Ok(SocketId(table.list.len() as u32 - 1))
    }

    /// Connections begin there from now on.
    pub(crate) fn prefer(&self, id: SocketId) -> io::Result<()> {
        let socket = self.get(id.0).ok_or(io::ErrorKind::NotFound)?;
        lock(&self.table).first = (id.0, socket.get_ref().local_addr()?);
        Ok(())
    }

    /// Where connections begin.
    pub(crate) fn first(&self) -> (u32, SocketAddr) {
        lock(&self.table).first
    }

    pub(crate) fn get(&self, number: u32) -> Option<Registered> {
        lock(&self.table).list.get(number as usize).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Registered> {
        lock(&self.table).list.clone()
    }

    /// Adds to a list that was right once what it lacks.
    pub(crate) fn catch_up(&self, known: &mut Vec<Registered>) {
        if known.len() != self.count.load(Ordering::Acquire) {
            known.extend_from_slice(&lock(&self.table).list[known.len()..]);
        }
    }
}
