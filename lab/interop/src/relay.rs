//! A UDP relay that loses, corrupts and delays datagrams by a seed.
//!
//! Decides what happens to each datagram, with dice of its own per client and direction, so that one client's
//! losses do not depend on another's traffic. Never touches Version Negotiation packets' bytes, never changes
//! more than one byte, and after a run of losses lets one datagram pass. It counts what it saw and did.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

mod seen;

pub use seen::Seen;

/// Longest datagram.
const MAX: usize = 65_535;
/// Bytes at the start of a datagram that corruption may hit, as in the public runner.
const CORRUPTIBLE: usize = 50;
/// Datagrams that may be on their way per client and direction; more are dropped, as by any queue.
const QUEUE: usize = 16_384;
/// Clients at a time; the datagrams of others are dropped.
const CLIENTS: usize = 1024;
/// Silence of the server after which a client is forgotten.
const FORGET: Duration = Duration::from_secs(120);

/// What the network does, in both directions alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Share of datagrams lost, 0 to 1.
    pub loss: f64,
    /// Share of datagrams with one byte changed, 0 to 1.
    pub corrupt: f64,
    /// Longest run of losses, and of corruptions; at least 1.
    pub burst: u32,
    /// One way.
    pub delay: Duration,
    /// Same seed and same order of datagrams, same decisions.
    pub seed: u64,
}

/// What came in both directions and what became of it.
#[derive(Debug, Default)]
pub struct Counts {
    /// From clients.
    pub up: Seen,
    /// From the server.
    pub down: Seen,
    /// Clients heard of.
    pub clients: AtomicU64,
    /// Datagrams dropped because the number of clients was at its limit.
    pub turned_away: AtomicU64,
}

impl Counts {
    /// One JSON object: `clients`, `turned_away`, and for `up` and `down` the datagrams by the kind of their
    /// first packet and by what became of them, and the versions seen.
    pub fn json(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (clients, turned_away) = (of(&self.clients), of(&self.turned_away));
        let (up, down) = (self.up.json(), self.down.json());
        format!("{{\"clients\":{clients},\"turned_away\":{turned_away},\"up\":{up},\"down\":{down}}}")
    }
}

/// One client's fate in one direction.
#[derive(Debug)]
struct Fate {
    impairment: Impairment,
    dice: u64,
    lost_in_a_row: u32,
    corrupted_in_a_row: u32,
}

/// What happens to one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Lose,
    Corrupt,
}

impl Fate {
    fn new(impairment: Impairment, stream: u64) -> Self {
        let dice = impairment.seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        Self { impairment, dice, lost_in_a_row: 0, corrupted_in_a_row: 0 }
    }

    /// Decides, and changes the byte if that is the decision.
    fn decide(&mut self, datagram: &mut [u8]) -> Verdict {
        // Always three throws, so that one decision does not shift the next.
        let (loss, corrupt, place) = (self.throw(), self.throw(), self.next());
        let Impairment { loss: losses, corrupt: corruptions, burst, .. } = self.impairment;
        let lose = loss < losses && self.lost_in_a_row < burst;
        self.lost_in_a_row = if lose { self.lost_in_a_row + 1 } else { 0 };
        if lose {
            return Verdict::Lose;
        }
        let corrupt = corrupt < corruptions
            && self.corrupted_in_a_row < burst
            && !datagram.is_empty()
            && !is_version_negotiation(datagram);
        self.corrupted_in_a_row = if corrupt { self.corrupted_in_a_row + 1 } else { 0 };
        if !corrupt {
            return Verdict::Pass;
        }
        let index = (place >> 8) as usize % datagram.len().min(CORRUPTIBLE);
        datagram[index] ^= (place as u8).max(1);
        Verdict::Corrupt
    }

    /// In [0, 1).
    fn throw(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A long header with version 0 (RFC 8999 §6).
fn is_version_negotiation(datagram: &[u8]) -> bool {
    datagram.len() >= 5 && datagram[0] & 0x80 != 0 && datagram[1..5] == [0; 4]
}

/// A relay between any number of clients and one server.
#[derive(Debug)]
pub struct Relay {
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    impairment: Impairment,
    counts: Arc<Counts>,
}

impl Relay {
    /// Listens on `listen`; what comes goes to `to`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(listen: SocketAddr, to: SocketAddr, impairment: Impairment) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(listen).await?);
        Ok(Self { socket, to, impairment, counts: Arc::default() })
    }

    /// Where clients find it.
    ///
    /// # Errors
    /// None are known.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
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
        let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
        let mut numbers = 0;
        let mut buffer = vec![0; MAX];
        loop {
            let (len, client) = match self.socket.recv_from(&mut buffer).await {
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
                clients.insert(client, self.join(client, numbers).await?);
                self.counts.clients.fetch_add(1, Ordering::Relaxed);
                numbers += 2;
            }
            if let Some(client) = clients.get_mut(&client) {
                client.up.take(&mut buffer[..len], &self.counts.up);
            }
        }
    }

    /// A new client gets a socket of its own towards the server, and a task for each direction.
    async fn join(&self, client: SocketAddr, number: u64) -> io::Result<Client> {
        let any: IpAddr = match self.to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let upstream = Arc::new(UdpSocket::bind((any, 0)).await?);
        upstream.connect(self.to).await?;
        let up = Way::new(self.impairment, number, Arc::clone(&upstream), None);
        let mut down = Way::new(self.impairment, number + 1, Arc::clone(&self.socket), Some(client));
        let counts = self.counts();
        let back = tokio::spawn(async move {
            let mut buffer = vec![0; MAX];
            loop {
                match timeout(FORGET, upstream.recv(&mut buffer)).await {
                    Ok(Ok(len)) => down.take(&mut buffer[..len], &counts.down),
                    // The server is not there (yet): ICMP says so.
                    Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    _ => break,
                }
            }
        });
        Ok(Client { up, back })
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

/// One direction of one client: its fate, and a queue for the delay.
struct Way {
    fate: Fate,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
}

impl Way {
    /// Datagrams leave through `socket`, to `to` or where it is connected to.
    fn new(impairment: Impairment, number: u64, socket: Arc<UdpSocket>, to: Option<SocketAddr>) -> Self {
        let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
        tokio::spawn(async move {
            while let Some((at, datagram)) = due.recv().await {
                if at > Instant::now() {
                    sleep_until(at).await;
                }
                // What cannot be sent is lost; that is what networks do.
                let _ = match to {
                    Some(to) => socket.send_to(&datagram, to).await,
                    None => socket.send(&datagram).await,
                };
            }
        });
        Self { fate: Fate::new(impairment, number), queue }
    }

    fn take(&mut self, datagram: &mut [u8], seen: &Seen) {
        seen.note(datagram);
        let verdict = self.fate.decide(datagram);
        let due = Instant::now() + self.fate.impairment.delay;
        let fits = verdict == Verdict::Lose || self.queue.try_send((due, datagram.to_vec())).is_ok();
        seen.done(fits.then_some(verdict));
    }
}

#[cfg(test)]
mod tests;
