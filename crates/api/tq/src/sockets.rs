//! An endpoint's sockets: one to begin with, others as links come and go. A number names one socket and is never used again,
//! so that a path of a socket that is gone cannot end up on another. The driver has a list of its own, which it brings up to
//! date when it sees that this one has changed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::unix::AsyncFd;
use tq_udp::{Options, Socket};

use crate::{RemoveSocketError, lock, reactor};

/// Sockets an endpoint may have at a time.
const LIMIT: usize = 64;

/// A socket the reactor knows.
pub(crate) type Registered = Arc<AsyncFd<Socket>>;

/// Names a socket of an endpoint. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(pub(crate) u32);

/// A socket of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketInfo {
    /// Its name.
    pub id: SocketId,
    /// Its address, with the port the kernel chose.
    pub addr: SocketAddr,
    /// The network device it is tied to.
    pub device: Option<String>,
    /// Whether connections begin there.
    pub first: bool,
}

/// All of them.
pub(crate) struct Sockets {
    table: Mutex<Table>,
    /// Changes so far, to be seen without the lock.
    changes: AtomicUsize,
    /// How further ones are opened.
    options: Options,
}

struct Table {
    /// In the order in which they were opened, never empty.
    list: Vec<Entry>,
    next: u32,
    /// Where connections begin.
    first: u32,
}

#[derive(Clone)]
struct Entry {
    number: u32,
    socket: Registered,
    addr: SocketAddr,
    device: Option<String>,
}

impl Sockets {
    pub(crate) fn new(socket: Socket, options: Options) -> io::Result<Self> {
        let addr = socket.local_addr()?;
        let socket = Arc::new(reactor::register(socket)?);
        let list = vec![Entry { number: 0, socket, addr, device: options.device.clone() }];
        let table = Mutex::new(Table { list, next: 1, first: 0 });
        Ok(Self { table, changes: AtomicUsize::new(1), options })
    }

    /// The device the first one was tied to.
    pub(crate) fn device(&self) -> Option<&str> {
        self.options.device.as_deref()
    }

    /// Opens another, tied to `device` or to none, else as the first one was.
    pub(crate) fn add(&self, device: Option<&str>, addr: SocketAddr) -> io::Result<SocketId> {
        tokio::runtime::Handle::try_current()
            .map_err(|_| io::Error::other("a socket needs a tokio runtime: call from inside one"))?;
        let mut options = self.options.clone();
        options.device = device.map(Into::into);
        let socket = Socket::bind(addr, &options)?;
        let addr = socket.local_addr()?;
        let socket = Arc::new(reactor::register(socket)?);
        let mut table = lock(&self.table);
        if table.list.len() >= LIMIT {
            return Err(io::Error::other(
                "this endpoint has 64 sockets already: remove some, or make a new one",
            ));
        }
        let number = table.next;
        table.next += 1;
        table.list.push(Entry { number, socket, addr, device: options.device });
        self.changes.fetch_add(1, Ordering::Release);
        Ok(SocketId(number))
    }

    /// Takes one out. If connections began there they begin at the oldest that is left.
    pub(crate) fn remove(&self, id: SocketId) -> Result<Registered, RemoveSocketError> {
        let mut table = lock(&self.table);
        let at = table.list.iter().position(|entry| entry.number == id.0);
        let at = at.ok_or(RemoveSocketError::Unknown)?;
        if table.list.len() == 1 {
            return Err(RemoveSocketError::Last);
        }
        let gone = table.list.remove(at);
        if table.first == id.0 {
            table.first = table.list[0].number;
        }
        self.changes.fetch_add(1, Ordering::Release);
        Ok(gone.socket)
    }

    /// Connections begin there from now on.
    pub(crate) fn prefer(&self, id: SocketId) {
        let mut table = lock(&self.table);
        if table.list.iter().any(|entry| entry.number == id.0) {
            table.first = id.0;
        }
    }

    /// Where connections begin.
    pub(crate) fn first(&self) -> (u32, SocketAddr) {
        let table = lock(&self.table);
        let entry = table.list.iter().find(|entry| entry.number == table.first).unwrap_or(&table.list[0]);
        (entry.number, entry.addr)
    }

    pub(crate) fn get(&self, number: u32) -> Option<Registered> {
        let table = lock(&self.table);
        table.list.iter().find(|entry| entry.number == number).map(|entry| Arc::clone(&entry.socket))
    }

    pub(crate) fn addr(&self, id: SocketId) -> Option<SocketAddr> {
        lock(&self.table).list.iter().find(|entry| entry.number == id.0).map(|entry| entry.addr)
    }

    pub(crate) fn all(&self) -> Vec<Registered> {
        lock(&self.table).list.iter().map(|entry| Arc::clone(&entry.socket)).collect()
    }

    pub(crate) fn list(&self) -> Vec<SocketInfo> {
        let table = lock(&self.table);
        let info = |entry: &Entry| SocketInfo {
            id: SocketId(entry.number),
            addr: entry.addr,
            device: entry.device.clone(),
            first: entry.number == table.first,
        };
        table.list.iter().map(info).collect()
    }

    /// What the list is now, if that is not what it was at `seen`.
    pub(crate) fn news(&self, seen: &mut usize) -> Option<Vec<(u32, Registered)>> {
        if *seen == self.changes.load(Ordering::Acquire) {
            return None;
        }
        let table = lock(&self.table);
        *seen = self.changes.load(Ordering::Acquire);
        Some(table.list.iter().map(|entry| (entry.number, Arc::clone(&entry.socket))).collect())
    }
}

/// Whether a socket on `local` can talk to somebody at `remote`.
pub(crate) fn reaches(local: SocketAddr, remote: SocketAddr) -> bool {
    let family = match local.ip() {
        IpAddr::V4(_) => remote.is_ipv4(),
        IpAddr::V6(_) => true,
    };
    family && remote.port() != 0 && !remote.ip().is_unspecified() && !remote.ip().is_multicast()
}
