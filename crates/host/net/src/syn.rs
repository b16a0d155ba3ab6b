//! Connections of the local network, answered when the far side has been asked.
//!
//! The first packet of a connection comes out of the TUN interface. [`SynGate::next`] says who wants to speak to whom;
//! [`SynGate::admit`] lets the same packet in again, which TPROXY gives to the listener, so that the client's connect
//! takes as long as the far one did; [`SynGate::refuse`] answers as the far side would have. A packet that is sent
//! again meanwhile is the same question. Decides how many questions are open; never what their answer is.

pub mod packet;
pub mod table;
mod waiting;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::Instant;

use crate::host::SetupError;
use crate::tun::Tun;

pub use table::{Counts, Limits};
pub use waiting::Waiting;

use table::{Table, Verdict};

/// Who wants to speak to whom. The same pair stands in [`crate::listener::Taken`] when the connection comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Syn {
    /// A host of the local network.
    pub client: SocketAddr,
    /// The host it asks for.
    pub destination: SocketAddr,
}

/// Why a connection is not to be. In brackets: what a connect of Linux then fails with, over IPv4 and IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody listens there: a reset (`ECONNREFUSED`).
    Refused,
    /// The host does not answer: ICMP (`EHOSTUNREACH`).
    HostUnreachable,
    /// There is no way to it: ICMP (`ENETUNREACH`).
    NetUnreachable,
    /// It is not allowed: ICMP (`EHOSTUNREACH`, `EACCES`).
    Denied,
    /// The far side heard nothing: nothing is said here either, and the client asks again when it likes.
    Silence,
}

/// Bytes of a packet that are read. First packets are far shorter, even with data in them.
const ROOM: usize = 2048;

/// Reads first packets and answers them.
#[derive(Debug)]
pub struct SynGate {
    tun: Tun,
    table: Mutex<Table>,
    answers: Answers,
    start: Instant,
}

impl SynGate {
    /// Begins to read what comes out of `tun`.
    ///
    /// # Errors
    /// No CAP_NET_RAW.
    pub fn new(tun: Tun, limits: Limits) -> Result<Self, SetupError> {
        let answers =
            Answers::new().map_err(|error| SetupError::system("open a socket for resets and ICMP", error))?;
        Ok(Self { tun, table: Mutex::new(Table::new(limits)), answers, start: Instant::now() })
    }

    /// The next question. Dropping the future loses none. Packets that are no first packet of TCP are counted only.
    ///
    /// # Errors
    /// The TUN interface is gone.
    pub async fn next(&self) -> io::Result<Syn> {
        let mut buffer = [0; ROOM];
        loop {
            let len = self.tun.read(&mut buffer).await?;
            let packet = &buffer[..len.min(ROOM)];
            let verdict = self.table().take(packet, self.now());
            match verdict {
                Verdict::Ask(syn) => return Ok(syn),
                // It was admitted, and its client has not heard of it yet.
                Verdict::LetIn => self.tun.write(packet)?,
                Verdict::Drop => {}
            }
        }
    }

    /// The far side has answered: lets the connection come to the listener. False: nobody asks that any more.
    ///
    /// # Errors
    /// The TUN interface is gone.
    pub fn admit(&self, syn: &Syn) -> io::Result<bool> {
        let packet = self.table().admit(syn, self.now());
        packet.map_or(Ok(false), |packet| self.tun.write(&packet).map(|()| true))
    }

    /// The far side will not: tells the client. False: nobody asks that any more.
    ///
    /// # Errors
    /// There is no route back to the client.
    pub fn refuse(&self, syn: &Syn, refusal: Refusal) -> io::Result<bool> {
        let Some(packet) = self.table().refuse(syn) else { return Ok(false) };
        match packet::answer(&packet, refusal) {
            Some(answer) => self.answers.send(&answer, syn.client.ip()).map(|()| true),
            None => Ok(true),
        }
    }

    /// The listener has this connection now: the next packet from its client's port is another question.
    pub fn arrived(&self, syn: &Syn) {
        self.table().arrived(syn);
    }

    /// What came, and what became of it.
    pub fn counts(&self) -> Counts {
        self.table().counts()
    }

    /// Questions without an answer.
    pub fn pending(&self) -> usize {
        self.table().pending()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Sends packets whose source is not this machine. They do not go by the TUN interface: there, reverse path filters
/// and firewalls that know nothing of it would have a say.
#[derive(Debug)]
struct Answers {
    v4: Socket,
    /// None on machines without IPv6.
    v6: Option<Socket>,
}

impl Answers {
    fn new() -> io::Result<Self> {
        // IPPROTO_RAW: we write the header of IP ourselves.
        let raw = |domain| -> io::Result<Socket> {
            let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        Ok(Self { v4: raw(Domain::IPV4)?, v6: raw(Domain::IPV6).ok() })
    }

    fn send(&self, packet: &[u8], to: IpAddr) -> io::Result<()> {
        let socket = if to.is_ipv4() { Some(&self.v4) } else { self.v6.as_ref() };
        let socket = socket.ok_or(io::ErrorKind::Unsupported)?;
        socket.send_to(packet, &SocketAddr::new(to, 0).into()).map(drop)
    }
}
