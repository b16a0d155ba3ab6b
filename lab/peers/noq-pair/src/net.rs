//! Links between a client with an address for each and a server with one. Each has a delay, a rate and a queue of its
//! own per direction, and a NAT at the client's end.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where the server is.
pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 443);

/// The client's address on link `n`.
pub fn client(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, n, 1)), 4000)
}

/// A datagram under way.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Who sent it, as far as the receiver can tell.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// One link. Directions are up, to the server, and down.
#[derive(Clone, Debug)]
pub struct Link {
    /// What the server sees of the client.
    pub outside: SocketAddr,
    /// One way.
    pub delay: Duration,
    /// Bytes per second each way.
    pub rate: u64,
    /// How long a datagram may wait for those before it.
    pub queue: Duration,
    /// Whether datagrams get through, up and down.
    pub open: [bool; 2],
    /// Every so many datagrams one is lost; 0 for none.
    pub lose_every: u64,
    /// Bytes that got through, up and down.
    pub carried: [u64; 2],
    inside: SocketAddr,
    /// Datagrams that did not.
    pub dropped: [u64; 2],
    free_at: [Duration; 2],
    count: u64,
}

impl Link {
    /// Gets nothing through from now on.
    pub fn cut(&mut self) {
        self.open = [false; 2];
    }
}

/// All links and what is on them.
#[derive(Debug, Default)]
pub struct Net {
    /// The links, by number.
    pub links: Vec<Link>,
    flying: BTreeMap<(Duration, u64), Datagram>,
    launched: u64,
}

impl Net {
    /// Links of 20 Mbit/s with these delays in milliseconds.
    pub fn new(delays: &[u64]) -> Self {
        let link = |(n, delay): (usize, &u64)| Link {
            outside: client(n as u8),
            delay: Duration::from_millis(*delay),
            rate: 2_500_000,
            queue: Duration::from_millis(100),
            open: [true; 2],
            lose_every: 0,
            carried: [0; 2],
            inside: client(n as u8),
            dropped: [0; 2],
            free_at: [Duration::ZERO; 2],
            count: 0,
        };
        Self { links: delays.iter().enumerate().map(link).collect(), ..Self::default() }
    }

    /// The client's addresses.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.links.iter().map(|link| link.inside).collect()
    }

    pub(crate) fn carry(&mut self, now: Duration, mut datagram: Datagram) {
        let up = datagram.to == SERVER;
        // what goes to an address that the NAT has given up goes nowhere
        let of =
            |link: &&mut Link| if up { link.inside == datagram.from } else { link.outside == datagram.to };
        let Some(link) = self.links.iter_mut().find(of) else { return };
        let way = usize::from(!up);
        link.count += 1;
        let start = link.free_at[way].max(now);
        let lost = link.lose_every > 0 && link.count.is_multiple_of(link.lose_every);
        if !link.open[way] || lost || start - now > link.queue {
            link.dropped[way] += 1;
            return;
        }
        // 28 bytes of IP and UDP headers
        let wire = (datagram.bytes.len() as u64 + 28) * 1_000_000_000 / link.rate;
        link.free_at[way] = start + Duration::from_nanos(wire);
        link.carried[way] += datagram.bytes.len() as u64;
        if up {
            datagram.from = link.outside;
        } else {
            datagram.to = link.inside;
        }
        self.launched += 1;
        self.flying.insert((link.free_at[way] + link.delay, self.launched), datagram);
    }

    /// When the next datagram arrives.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.flying.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn arrived(&mut self, now: Duration) -> Option<Datagram> {
        self.flying.first_entry().filter(|entry| entry.key().0 <= now).map(|entry| entry.remove())
    }
}
