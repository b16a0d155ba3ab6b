//! A UDP relay that is a network: rate, queue, delay, outages, losses, corruption and a NAT, by a seed. It may have a
//! second door, to the same server or to another, with the same link behind it.
//!
//! Decides what happens to each datagram, with dice of its own per client and direction, so that one client's
//! losses do not depend on another's traffic. Never touches Version Negotiation packets' bytes, never changes
//! more than one byte, and after a run of losses lets one datagram pass. It counts what it saw and did.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};
use tq_linkmodel::{Direction, Link};

mod fate;
mod network;
mod seen;
mod way;

pub use network::{Impairment, Network, Rebind};
pub use seen::Seen;

use seen::Account;
use way::{Out, Way};

/// Longest datagram.
const MAX: usize = 65_535;
/// Bytes at the start of a datagram that corruption may hit, as in the public runner.
const CORRUPTIBLE: usize = 50;
/// Datagrams that may be on their way per client and direction; more are dropped, as by any queue.
const QUEUE: usize = 16_384;
/// Numbers of the clients at the second door, so that they have dice of their own.
const ALSO: u64 = 1 << 32;
/// Clients at a time at each door; the datagrams of others are dropped.
const CLIENTS: usize = 1024;
/// Silence of the server after which a client is forgotten.
const FORGET: Duration = Duration::from_secs(120);

/// What came in both directions and what became of it.
#[derive(Debug, Default)]
pub struct Counts {
    /// From clients.
    pub up: Seen,
    /// From the server.
    pub down: Seen,
    /// Clients heard of; one that comes to both doors, or with another port, counts twice.
    pub clients: AtomicU64,
    /// Datagrams dropped because the number of clients was at its limit.
    pub turned_away: AtomicU64,
    /// New addresses given to clients, and those of them at which the server answered.
    pub rebinds: AtomicU64,
    /// Those of the new addresses to which the server sent something.
    pub rebinds_answered: AtomicU64,
    /// Most bytes a server sent per thousand bytes it had got from a client that had not proven its address.
    pub amplified: AtomicU64,
}

impl Counts {
    /// One JSON object: `clients`, `turned_away`, `rebinds`, `rebinds_answered`, `amplified`, and for `up` and `down`
    /// the datagrams by the kind of their first packet and by what became of them, and the versions seen.
    pub fn json(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (clients, turned_away) = (of(&self.clients), of(&self.turned_away));
        let (rebinds, answered, amplified) =
            (of(&self.rebinds), of(&self.rebinds_answered), of(&self.amplified));
        let (up, down) = (self.up.json(), self.down.json());
        format!(
            "{{\"clients\":{clients},\"turned_away\":{turned_away},\"rebinds\":{rebinds},\
             \"rebinds_answered\":{answered},\"amplified\":{amplified},\"up\":{up},\"down\":{down}}}"
        )
    }
}

/// The link between all clients and the server, and when its time began.
struct Shared {
    link: Mutex<(Link, Option<Instant>)>,
}

impl Shared {
    /// What the link says to `len` bytes of UDP payload that are sent now.
    fn offer(&self, now: Instant, direction: Direction, len: usize, v6: bool) -> Offered {
        let mut locked = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let (link, epoch) = &mut *locked;
        let epoch = *epoch.get_or_insert(now);
        let at = tq_linkmodel::Instant::ZERO + now.saturating_duration_since(epoch);
        // Addresses, ports and lengths are on the wire, too.
        let len = len as u32 + if v6 { 48 } else { 28 };
        let packet = tq_linkmodel::Packet { len, ..tq_linkmodel::Packet::default() };
        match link.offer(at, direction, packet) {
            tq_linkmodel::Outcome::Delivered(delivery) => {
                Offered::Arrives(epoch + (delivery.at - tq_linkmodel::Instant::ZERO))
            }
            tq_linkmodel::Outcome::Dropped(tq_linkmodel::Drop::Silent) => Offered::Outage,
            _ => Offered::QueueFull,
        }
    }
}

/// What a link says.
enum Offered {
    Arrives(Instant),
    QueueFull,
    Outage,
}

/// A relay between any number of clients and one server, or two.
pub struct Relay {
    doors: Vec<Door>,
    network: Network,
    shared: Arc<Shared>,
    counts: Arc<Counts>,
}

/// An address for clients and where it leads.
struct Door {
    socket: Arc<UdpSocket>,
    to: SocketAddr,
}

impl Relay {
    /// Listens on `listen`; what comes goes to `to`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(listen: SocketAddr, to: SocketAddr, network: Network) -> io::Result<Self> {
        let shared = Arc::new(Shared { link: Mutex::new((network.link(), None)) });
        let relay = Self { doors: Vec::new(), network, shared, counts: Arc::default() };
        relay.also(listen, to).await
    }

    /// Opens a further door, over the same link; one more makes two, and two are counted.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn also(mut self, listen: SocketAddr, to: SocketAddr) -> io::Result<Self> {
        self.doors.push(Door { socket: Arc::new(UdpSocket::bind(listen).await?), to });
        Ok(self)
    }

    /// Where clients find its first door.
    ///
    /// # Errors
    /// None are known.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.doors[0].socket.local_addr()
    }

    /// What it did so far.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Relays until the future is dropped.
    ///
    /// # Errors
    /// A socket is unusable.
    pub async fn run(self) -> io::Result<()> {
        match &self.doors[..] {
            [door] => self.serve(door, 0).await,
            [door, also, ..] => tokio::try_join!(self.serve(door, 0), self.serve(also, ALSO)).map(|_| ()),
            [] => Ok(()),
        }
    }

    /// Relays what comes to one door; its clients are numbered from `numbers` on.
    async fn serve(&self, door: &Door, mut numbers: u64) -> io::Result<()> {
        let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
        let mut buffer = vec![0; MAX];
        loop {
            let (len, client) = match door.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                // An ICMP error about an earlier datagram to a client that is gone.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            if clients.get(&client).is_none_or(Client::is_gone) {
                clients.retain(|_, client| !client.is_gone());
                if clients.len() >= CLIENTS {
                    self.counts.turned_away.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                clients.insert(client, self.join(door, client, numbers).await?);
                self.counts.clients.fetch_add(1, Ordering::Relaxed);
                numbers += 2;
            }
            if let Some(client) = clients.get_mut(&client) {
                client.up.take(&mut buffer[..len], &self.counts.up);
            }
        }
    }

    /// A new client gets a socket of its own towards the server, and a task for each direction.
    async fn join(&self, door: &Door, client: SocketAddr, number: u64) -> io::Result<Client> {
        let to = door.to;
        let upstream = upstream(to, None).await?;
        let current = Arc::new(Mutex::new(Arc::clone(&upstream)));
        let account = Arc::new(Account::default());
        let way = |direction, out| {
            let stream = number + u64::from(direction == Direction::Down);
            let shared = Arc::clone(&self.shared);
            Way::new(&self.network, shared, direction, stream, to.is_ipv6(), out)
        };
        let out = Out::Up { current: Arc::clone(&current), account: Arc::clone(&account) };
        let up = way(Direction::Up, out);
        let down = way(Direction::Down, Out::Down { socket: Arc::clone(&door.socket), client });
        let back =
            Back { upstream, current, account, down, to, rebind: self.network.rebind, counts: self.counts() };
        Ok(Client { up, back: tokio::spawn(back.run()) })
    }
}

/// A socket that stands for a client towards the server: its `number`-th loopback address, or any.
async fn upstream(to: SocketAddr, number: Option<u8>) -> io::Result<Arc<UdpSocket>> {
    let from: IpAddr = match (to, number) {
        (SocketAddr::V4(_), Some(number)) => Ipv4Addr::new(127, 0, 0, number).into(),
        (SocketAddr::V4(_), None) => Ipv4Addr::UNSPECIFIED.into(),
        (SocketAddr::V6(_), _) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(to).await?;
    Ok(Arc::new(socket))
}

/// What brings a server's datagrams back to one client.
struct Back {
    upstream: Arc<UdpSocket>,
    current: Arc<Mutex<Arc<UdpSocket>>>,
    account: Arc<Account>,
    down: Way,
    to: SocketAddr,
    rebind: Option<Rebind>,
    counts: Arc<Counts>,
}

impl Back {
    async fn run(mut self) {
        let mut buffer = vec![0; MAX];
        let mut due = self.rebind.map(|rebind| Instant::now() + rebind.first);
        let mut number = 1;
        let mut answered = true;
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                received = timeout_at(heard + FORGET, self.upstream.recv(&mut buffer)) => match received {
                    Ok(Ok(len)) => {
                        heard = Instant::now();
                        if !answered {
                            answered = true;
                            self.counts.rebinds_answered.fetch_add(1, Ordering::Relaxed);
                        }
                        self.account.sent(len, &self.counts.amplified);
                        self.down.take(&mut buffer[..len], &self.counts.down);
                    }
                    // The server is not there (yet): ICMP says so.
                    Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    _ => return,
                },
                () = sleep_until(due.unwrap_or(heard)), if due.is_some() => {
                    let Some(rebind) = self.rebind else { return };
                    due = Some(Instant::now() + rebind.every);
                    number = number % 250 + 1;
                    let Ok(fresh) = upstream(self.to, rebind.addr.then_some(number)).await else { return };
                    *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
                    self.upstream = fresh;
                    answered = false;
                    self.counts.rebinds.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// A client that was heard of: its way to the server, and the task that brings answers back.
struct Client {
    up: Way,
    back: JoinHandle<()>,
}

impl Client {
    /// Whether the server was silent for so long that nobody listens to it any more.
    fn is_gone(&self) -> bool {
        self.back.is_finished()
    }
}

#[cfg(test)]
mod tests;
