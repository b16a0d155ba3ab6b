//! Timestamped datagrams over one link in one direction, from kernel sockets that know nothing of our transport.
//!
//! Decides how they are spaced and when to stop waiting for them. Both ends read one clock.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tq_linkmodel::{Direction, Instant};
use tq_udp::Clock;

use crate::names::{self, Host, LabName};
use crate::topology;

/// Bytes of IPv4 and UDP headers.
pub const HEADERS: usize = 28;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Bytes of IP of each, 64 to 1500.
    pub size: usize,
    /// How many.
    pub count: u64,
    /// From one to the next.
    pub interval: Duration,
    /// How long to wait for more when the last was sent.
    pub patience: Duration,
}

/// A datagram that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number, from 0.
    pub number: u64,
    /// When it was sent.
    pub sent: Instant,
    /// When it was read.
    pub got: Instant,
}

fn socket(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(at)?;
    let options = socket2::SockRef::from(&socket);
    // As much as the kernel grants.
    let _ = options.set_recv_buffer_size(8 << 20);
    let _ = options.set_send_buffer_size(1 << 20);
    Ok(socket)
}

/// What came of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What arrived, in order of arrival.
    pub arrivals: Vec<Arrival>,
    /// How long it really took to send everything.
    pub took: Duration,
}

/// Sends over link `link`.
pub fn run(lab: &LabName, link: usize, direction: Direction, plan: Plan) -> Result<Seen> {
    let [user, network] = [names::user(link), names::network(link)].map(|ip| SocketAddr::from((ip, 0)));
    let ends = [(Host::Router, user), (Host::Server, network)];
    let [(from, here), (to, there)] = if direction == Direction::Up { ends } else { [ends[1], ends[0]] };
    let sender = topology::inside(lab, from, || socket(here))?.context("cannot open a UDP socket")?;
    let receiver = topology::inside(lab, to, || socket(there))?.context("cannot open a UDP socket")?;
    sender.connect(receiver.local_addr()?)?;
    receiver.set_read_timeout(Some(Duration::from_millis(20)))?;
    // When the last was sent, ns; 0 before.
    let finished = AtomicU64::new(0);
    thread::scope(|scope| {
        // A probe that waits for a processor says nothing about a link.
        let reader = scope.spawn(|| {
            let _ = tq_packet::hurry();
            receive(&receiver, &finished, plan.patience)
        });
        let writer = scope.spawn(|| {
            let _ = tq_packet::hurry();
            let sent = send(&sender, plan);
            finished.store(Clock::now().as_nanos(), Ordering::Release);
            sent
        });
        let took = writer
            .join()
            .map_err(|_| anyhow::anyhow!("the sender panicked"))?
            .context("cannot send a probe")?;
        let arrivals = reader.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))??;
        Ok(Seen { arrivals, took })
    })
}

fn send(socket: &UdpSocket, plan: Plan) -> io::Result<Duration> {
    /// Shorter waits cost more than they give.
    const NAP: Duration = Duration::from_micros(100);
    let start = Clock::now();
    let mut bytes = vec![0; plan.size.saturating_sub(HEADERS).max(16)];
    for number in 0..plan.count {
        let due = start + Duration::from_nanos(plan.interval.as_nanos() as u64 * number);
        let ahead = due - Clock::now();
        if ahead > NAP {
            thread::sleep(ahead);
        }
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes[8..16].copy_from_slice(&Clock::now().as_nanos().to_be_bytes());
        socket.send(&bytes)?;
    }
    Ok(Clock::now() - start)
}

fn receive(socket: &UdpSocket, finished: &AtomicU64, patience: Duration) -> Result<Vec<Arrival>> {
    let (mut list, mut bytes) = (Vec::new(), [0; 2048]);
    let mut last = Clock::now();
    loop {
        match socket.recv(&mut bytes) {
            Ok(length) if length >= 16 => {
                last = Clock::now();
                let word =
                    |at: usize| bytes[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                list.push(Arrival { number: word(0), sent: Instant::from_nanos(word(8)), got: last });
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        let sent = finished.load(Ordering::Acquire);
        if sent > 0 && Clock::now() - last.max(Instant::from_nanos(sent)) > patience {
            return Ok(list);
        }
    }
}
