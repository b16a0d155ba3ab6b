//! Numbers for people and tools. Reading them changes nothing.

use core::net::SocketAddr;
use core::time::Duration;

use tq_buf::mem::Vec;
use tq_cc::{Profile, Resumption};
use tq_event::Counters;
use tq_sched::{BondState, Health};
use tq_wire::PathId;

use super::Connection;
use crate::path::PathState;

/// A snapshot of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Everything that is counted.
    pub counters: Counters,
    /// Each path.
    pub paths: Vec<PathStats>,
    /// Stream bytes waiting to be sent for the first time or again.
    pub backlog: u64,
    /// Key updates so far.
    pub key_generation: u64,
    /// Streams open.
    pub streams: usize,
    /// Frames by which the peer said that our limits hold it back.
    pub peer_blocked: u64,
    /// Bytes of DATAGRAMs waiting to be sent.
    pub datagram_backlog: u64,
    /// Changes of paths that were refused: bugs, or a peer that asks for what cannot be.
    pub path_changes_refused: u64,
    /// What the paths are together.
    pub bond: BondState,
    /// DATAGRAMs dropped before they were sent because no packet can carry them any more.
    pub datagrams_undeliverable: u64,
}

/// A snapshot of a path.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PathStats {
    /// Its id.
    pub id: PathId,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Whether the address is validated.
    pub validated: bool,
    /// What both ends have agreed of it.
    pub state: PathState,
    /// How it does in our sending direction.
    pub health: Health,
    /// Times it was suspected of being silent and then spoke.
    pub false_suspects: u32,
    /// Bytes outstanding here that went again on other paths though they were not lost.
    pub bytes_resent: u64,
    /// Bytes acknowledged here, where there may be several paths.
    pub bytes_acked: u64,
    /// Share of what all paths deliver, percent, 5 at least; zero if it is not in service.
    pub weight: u16,
    /// Times the guard took it out of bulk service.
    pub holds: u32,
    /// Paths with the same number share a bottleneck, as was found out; zero if it shares with none that is known.
    pub group: u32,
    /// Bytes that other paths could have carried while data on this one kept everything from being sent.
    pub blocked_bytes: u64,
    /// What it is measured to carry, for a later connection; `None` before it carried enough to tell.
    pub learnt: Option<Profile>,
    /// How far it came with what an earlier connection measured of its link; `None` if nothing was made use of.
    pub resumption: Option<Resumption>,
    /// Smoothed RTT as congestion control sees it: acknowledgements may return on another path.
    pub srtt: Duration,
    /// RTT variation.
    pub rttvar: Duration,
    /// Smallest RTT, there and back on this path if that was measured.
    pub min_rtt: Duration,
    /// Last RTT sample.
    pub latest_rtt: Duration,
    /// Congestion window, bytes.
    pub cwnd: u64,
    /// Slow start threshold, bytes; `u64::MAX` for none.
    pub ssthresh: u64,
    /// Bytes in flight.
    pub in_flight: u64,
    /// Bytes per second the pacer lets go.
    pub pacing_rate: u64,
    /// UDP payload size.
    pub mtu: u16,
    /// Probe timeouts in a row.
    pub pto_count: u32,
    /// Packets lost.
    pub packets_lost: u64,
    /// Bytes of UDP payload sent.
    pub bytes_sent: u64,
    /// Bytes of UDP payload received.
    pub bytes_received: u64,
    /// Whether packets are marked ECT(0) and that works.
    pub ecn: bool,
}

impl Connection {
    /// Changes of paths that were refused: bugs, or a peer that asks for what cannot be.
    pub fn path_changes_refused(&self) -> u64 {
        self.multipath.refused
    }

    /// What was counted so far: a part of [`Connection::stats`].
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        let traffic = self.streams.traffic();
        counters.messages_dropped = self.datagrams.dropped();
        counters.stream_bytes_sent = traffic.sent;
        counters.stream_bytes_resent = traffic.resent;
        counters.stream_bytes_received = traffic.received;
        counters
    }

    /// The numbers as they are now.
    pub fn stats(&self) -> Stats {
        let paths = (0..self.paths.len()).map(|ix| self.path_stats_at(ix)).collect();
        Stats {
            counters: self.counters(),
            paths,
            backlog: self.streams.backlog(),
            streams: self.streams.len(),
            peer_blocked: self.streams.peer_blocked(),
            path_changes_refused: self.multipath.refused,
            bond: self.bond_state(),
            datagram_backlog: self.datagrams.backlog(),
            datagrams_undeliverable: self.datagrams.undeliverable(),
            key_generation: self.keys.one_rtt.as_ref().map_or(0, |keys| keys.generation),
        }
    }

    pub(super) fn own_min_rtt(&self, ix: usize) -> Duration {
        let path = &self.paths[ix];
        let own = self.multipath.ways.as_ref().and_then(|ways| ways.own(path.id));
        own.unwrap_or(&path.rtt).min()
    }

    pub(super) fn path_stats_at(&self, ix: usize) -> PathStats {
        let path = &self.paths[ix];
        let (book, weight) = self.books_of(path.id);
        PathStats {
            id: path.id,
            remote: path.tuple.remote,
            validated: path.validation.is_validated(),
            state: path.state,
            health: path.health(),
            false_suspects: path.monitor.false_suspects(),
            bytes_resent: path.bytes_resent,
            bytes_acked: path.bytes_acked,
            weight,
            holds: book.holds,
            group: path.group,
            blocked_bytes: book.blocked,
            learnt: self.learnt(path.id),
            resumption: self.resumption(path.id),
            srtt: path.rtt.smoothed(),
            rttvar: path.rtt.var(),
            min_rtt: self.own_min_rtt(ix),
            latest_rtt: path.rtt.latest(),
            cwnd: path.cc.window(),
            ssthresh: path.cc.ssthresh(),
            in_flight: self.in_flight(ix),
            pacing_rate: path.pacing_rate(),
            mtu: path.mtu.current(),
            pto_count: path.pto_count,
            packets_lost: path.packets_lost,
            bytes_sent: path.bytes_sent,
            bytes_received: path.bytes_received,
            ecn: path.ecn.state() == tq_event::EcnState::Capable,
        }
    }
}
