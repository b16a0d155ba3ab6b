//! One direction of one client: the link's answer, then the dice's, then a queue until the datagram is due.
//!
//! What cannot be sent is lost; that is what networks do.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tq_linkmodel::Direction;

use super::fate::{Fate, Verdict};
use super::seen::{Account, Became, Seen};
use super::{Network, Offered, QUEUE, Shared};

/// Where datagrams leave.
pub(super) enum Out {
    /// To the server, from the address the client has there at that moment.
    Up { current: Arc<Mutex<Arc<UdpSocket>>>, account: Arc<Account> },
    /// To the client.
    Down { socket: Arc<UdpSocket>, client: SocketAddr },
}

impl Out {
    async fn send(&self, datagram: &[u8]) {
        let _ = match self {
            Self::Up { current, account } => {
                account.received(datagram);
                let socket = Arc::clone(&current.lock().unwrap_or_else(PoisonError::into_inner));
                socket.send(datagram).await
            }
            Self::Down { socket, client } => socket.send_to(datagram, client).await,
        };
    }
}

/// One direction of one client.
pub(super) struct Way {
    shared: Arc<Shared>,
    direction: Direction,
    /// Of the client; even upwards, odd downwards.
    stream: u64,
    v6: bool,
    fate: Fate,
    /// Datagrams seen, and those of them that never arrive.
    count: u64,
    swallow: Option<RangeInclusive<u64>>,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
}

impl Way {
    pub(super) fn new(
        network: &Network,
        shared: Arc<Shared>,
        direction: Direction,
        stream: u64,
        v6: bool,
        out: Out,
    ) -> Self {
        let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
        tokio::spawn(async move {
            while let Some((at, datagram)) = due.recv().await {
                if at > Instant::now() {
                    sleep_until(at).await;
                }
                out.send(&datagram).await;
            }
        });
        let fate = Fate::new(network.impairment, stream);
        let swallow = network.swallow.clone().filter(|_| direction == Direction::Up);
        Self { shared, direction, stream, v6, fate, count: 0, swallow, queue }
    }

    pub(super) fn take(&mut self, datagram: &mut [u8], seen: &Seen) {
        seen.note(datagram, self.stream >> 1);
        seen.done(self.decide(datagram));
    }

    fn decide(&mut self, datagram: &mut [u8]) -> Became {
        self.count += 1;
        if self.swallow.as_ref().is_some_and(|numbers| numbers.contains(&self.count)) {
            return Became::Swallowed;
        }
        // Lost or not, a datagram has used the link.
        let offered = self.shared.offer(Instant::now(), self.direction, datagram.len(), self.v6);
        let verdict = self.fate.decide(datagram);
        let due = match (offered, verdict) {
            (Offered::QueueFull, _) => return Became::Queued,
            (Offered::Outage, _) => return Became::Outage,
            (Offered::Arrives(_), Verdict::Lose) => return Became::Lost,
            (Offered::Arrives(due), _) => due,
        };
        match self.queue.try_send((due, datagram.to_vec())) {
            Ok(()) if verdict == Verdict::Corrupt => Became::Corrupted,
            Ok(()) => Became::Passed,
            Err(_) => Became::Overflowed,
        }
    }
}
