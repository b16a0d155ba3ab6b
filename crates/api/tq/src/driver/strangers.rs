//! Who sends what belongs to no connection, and whether the kernel is to drop it.
//!
//! A datagram nobody knows costs a system call's part, a copy and a look-up before it is thrown away; hundreds of thousands a
//! second cost connections their share. Sources that go on like that are refused at the socket, where dropping costs a fraction
//! and the buffer stays free for others, until a sample that is let in tells that they have calmed down. Decides who: an address
//! and port from which much came that nobody knew, over several epochs, and to which no connection has a path. A peer that lost
//! its connection (a server's restart) is told by a stateless reset long before, and long headers, with which it begins anew, are
//! judged apart.

use std::net::SocketAddr;

use tq_time::{Duration, Instant};
use tq_udp::{MAX_UNWANTED, SAMPLE, Unwanted};

/// Sources watched at a time.
const WATCHED: usize = MAX_UNWANTED;
/// Of a source, in an epoch (10 ms): 10 000 a second.
const LOUD: u32 = 100;
/// Epochs that are loud, beyond those that are not.
const LONG: u32 = 10;
/// As many, of a source that was refused: one loud epoch is enough for some seconds.
const KNOWN: u32 = 500;
/// What is counted in one go.
const EPOCH: Duration = super::crowd::EPOCH;
/// How long a source is refused before the sample of what it sends is judged, again and again.
const REFUSED: Duration = Duration::from_millis(500);

/// A source.
#[derive(Clone, Copy, Debug)]
struct Stranger {
    socket: u32,
    what: Unwanted,
    /// Datagrams in this epoch; of one that is refused, the sample of the latter half of that time, since before what had been
    /// queued is read.
    count: u32,
    /// Epochs that were loud, less those that were not.
    loud: u32,
    /// What is refused, until when.
    until: Option<Instant>,
}

impl Stranger {
    /// Whether it was half as loud as it has to be, or more, while it was refused: a sample errs.
    fn goes_on(&self) -> bool {
        let epochs = (REFUSED.as_millis() / 2 / EPOCH.as_millis()) as u64;
        u64::from(self.count) * u64::from(SAMPLE) >= epochs * u64::from(LOUD) / 2
    }
}

/// Sources of what belongs to no connection.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    list: Vec<Stranger>,
}

impl Strangers {
    /// A socket got a datagram that is nobody's, and begins with this byte.
    pub(super) fn on_unknown(&mut self, socket: u32, source: SocketAddr, first: u8) {
        let what = Unwanted { source, long: first & 0x80 != 0 };
        if let Some(one) = self.list.iter_mut().find(|one| one.socket == socket && one.what == what) {
            one.count = one.count.saturating_add(1);
        } else if self.list.len() < WATCHED {
            self.list.push(Stranger { socket, what, count: 1, loud: 0, until: None });
        } else {
            // Whoever sends more than all others keeps a place however many there are.
            self.list.iter_mut().for_each(|one| one.count = one.count.saturating_sub(1));
            self.list.retain(|one| one.count > 0 || one.loud > 0 || one.until.is_some());
        }
    }

    /// Whether something is refused at a socket.
    pub(super) fn any(&self, socket: u32) -> bool {
        self.list.iter().any(|one| one.socket == socket && one.until.is_some())
    }

    /// When somebody may be heard again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.list.iter().filter_map(|one| one.until).min()
    }

    /// An epoch has ended. Calls `refuse` for each socket with another list than before. From whom a connection may hear at any
    /// time (`is_peer`) is never refused: whoever writes a peer's address on their own packets would silence it.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        is_peer: impl Fn(SocketAddr) -> bool,
        mut refuse: impl FnMut(u32, &[Unwanted]),
    ) {
        let mut changed = Vec::new();
        self.list.retain_mut(|one| {
            if let Some(until) = one.until {
                if now < until {
                    one.count = if now + REFUSED / 2 < until { 0 } else { one.count };
                } else if one.goes_on() && !is_peer(one.what.source) {
                    (one.until, one.count) = (Some(now + REFUSED), 0);
                } else {
                    (one.until, one.loud, one.count) = (None, KNOWN, 0);
                    changed.push(one.socket);
                }
                return true;
            }
            let loud = core::mem::take(&mut one.count) >= LOUD;
            one.loud = if loud { one.loud + 1 } else { one.loud.saturating_sub(1) };
            if loud && one.loud >= LONG && is_peer(one.what.source) {
                one.loud = 0;
            } else if loud && one.loud >= LONG {
                one.until = Some(now + REFUSED);
                changed.push(one.socket);
            }
            one.loud > 0
        });
        changed.sort_unstable();
        changed.dedup();
        for socket in changed {
            let of = |one: &&Stranger| one.socket == socket && one.until.is_some();
            let list: Vec<_> = self.list.iter().filter(of).map(|one| one.what).collect();
            refuse(socket, &list);
        }
    }
}

#[cfg(test)]
mod tests;
