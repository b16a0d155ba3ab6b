//! What a policy may know about a path: plain integers in nanoseconds, bytes and bytes per second.
//!
//! The connection fills one [`PathView`] per path and refreshes it after acknowledgements or each millisecond. A
//! view says what is; it never says what to do. The same numbers serve the schedulers, recorded decisions and,
//! later, programs handed in from outside, so the layout is `repr(C)` and nothing in it points anywhere.

use tq_time::Instant;

use crate::demand::Demand;
use crate::health::Health;

#[cfg(test)]
mod tests;

/// Most paths a decision looks at; views beyond it are ignored.
pub const MAX_PATHS: usize = 16;

/// What the peers agreed about the use of a path (draft-ietf-quic-multipath-21, PATH_STATUS frames).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Used freely.
    #[default]
    Available = 0,
    /// Used only when no available path is usable.
    Backup = 1,
}

/// What stands behind a capacity figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CapacityState {
    /// Never measured; the figure is a remembered profile's, or zero.
    #[default]
    Unknown = 0,
    /// Filtered delivery rate, younger than 10 s.
    Measured = 1,
    /// The path is in slow start: at least what the figure says.
    Growing = 2,
    /// The last measurement is older than 10 s; the figure is cwnd/srtt.
    Stale = 3,
}

/// One path as a policy sees it. [`PathView::default`] is a path that may not be used yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PathView {
    /// Path id of the multipath draft.
    pub id: u32,
    /// Number the host gave the link (interface, modem) the path runs over; paths on one link fail together.
    pub link: u32,
    /// Paths with the same non-zero number share a bottleneck; zero is a group of its own.
    pub group: u32,
    /// Available or backup, as agreed with the peer.
    pub status: Status,
    /// Local health in the sending direction.
    pub health: Health,
    /// The path may carry data of its own: validated (RFC 9000 §8.2), or path 0 of a handshake, whose bytes
    /// `amplification_room` counts.
    pub validated: bool,
    /// The socket refused the last datagram and has not become writable: the path's own backlog is in the host.
    pub blocked: bool,
    /// Lossy for five rounds: it stays in service but has to be worth more.
    pub degraded: bool,
    /// Smallest RTT in the fixed column, ns; zero before a sample.
    pub min_rtt: u64,
    /// Smoothed RTT in the fixed column, ns; zero before a sample.
    pub srtt: u64,
    /// RTT variation of RFC 9002 §5.3, ns.
    pub rttvar: u64,
    /// Mean distance of samples from `srtt`, newest weighted ¼, ns.
    pub sigma: u64,
    /// One-way delay to the peer without queue, less an offset common to all views, ns. May be negative.
    pub rel_owd: i64,
    /// Standing queue: least sample of the last round less `min_rtt`, ns.
    pub queue: u64,
    /// Capacity, bytes/s; see `capacity_state`.
    pub capacity: u64,
    /// What stands behind `capacity`.
    pub capacity_state: CapacityState,
    /// Age of the youngest sample behind `capacity`, ns; `u64::MAX` without one.
    pub capacity_age: u64,
    /// Upper bound of the capacity remembered for this link, bytes/s; zero if nothing is.
    pub capacity_cap: u64,
    /// Rate at which what is in flight drains, bytes/s: the newest delivery rate, or in slow start without a queue what the
    /// window would bring ([`crate::Capacity::draining`]); zero before a sample.
    pub r_measured: u64,
    /// Congestion window, bytes.
    pub cwnd: u64,
    /// Bytes in flight.
    pub in_flight: u64,
    /// Pacing rate, bytes/s; zero if the path is not paced.
    pub pacing_rate: u64,
    /// When the pacer lets the next packet go, ns of the host's epoch; zero is at once.
    pub next_departure: u64,
    /// Time since the path last showed progress while something was outstanding, ns; zero if nothing is.
    pub ack_silence: u64,
    /// Bytes that may still go to an unproven address (RFC 9000 §8.1); `u64::MAX` once it is proven.
    pub amplification_room: u64,
    /// Largest datagram, bytes.
    pub mtu: u16,
    /// 0 is flat rate; a higher class costs more and comes later.
    pub cost: u8,
    /// Share of the path for the weighted scheduler, 0 to 65535; zero counts as one.
    pub weight: u16,
    /// Bytes of the window that bulk leaves free for more urgent classes.
    pub reserve: u64,
    /// Packets lost per million, recent.
    pub loss_ppm: u32,
}

impl Default for PathView {
    fn default() -> Self {
        Self {
            id: 0,
            link: 0,
            group: 0,
            status: Status::Available,
            health: Health::Good,
            validated: false,
            blocked: false,
            degraded: false,
            min_rtt: 0,
            srtt: 0,
            rttvar: 0,
            sigma: 0,
            rel_owd: 0,
            queue: 0,
            capacity: 0,
            capacity_state: CapacityState::Unknown,
            capacity_age: u64::MAX,
            capacity_cap: 0,
            r_measured: 0,
            cwnd: 0,
            in_flight: 0,
            pacing_rate: 0,
            next_departure: 0,
            ack_silence: 0,
            amplification_room: u64::MAX,
            mtu: 1200,
            cost: 0,
            weight: 1,
            reserve: 0,
            loss_ppm: 0,
        }
    }
}

impl PathView {
    /// Whether window, address and socket let a datagram of this demand leave. The pacer is not asked.
    pub fn fits(&self, demand: &Demand) -> bool {
        let need = if demand.packet == 0 { u64::from(self.mtu) } else { u64::from(demand.packet) };
        let reserve = if demand.class.is_urgent() { 0 } else { self.reserve };
        let room = self.cwnd.saturating_sub(self.in_flight).saturating_sub(reserve);
        !self.blocked && need <= u64::from(self.mtu) && need <= room && need <= self.amplification_room
    }

    /// Whether the pacer lets a packet go now.
    pub fn departs(&self, now: Instant) -> bool {
        self.next_departure <= now.as_nanos()
    }

    /// How far the path is from data of its own, in steps; `None` if it may carry none.
    ///
    /// 0 available and in service · 1 available but held by the guard · 2 backup · 3 backup and held · 4 and 5
    /// suspect, which is better than standing still. Only paths of the lowest step present are used.
    pub fn tier(&self) -> Option<u8> {
        let backup = self.status == Status::Backup;
        let tier = match self.health {
            Health::Good | Health::Probation => 0,
            Health::Held => 1,
            Health::Suspect => return self.validated.then_some(4 + u8::from(backup)),
            Health::Out => return None,
        };
        self.validated.then_some(tier + 2 * u8::from(backup))
    }

    /// Bytes one decision covers: what leaves in 1 ms, at least a packet and at most 64 KiB.
    pub fn burst(&self) -> u64 {
        let rate = self.capacity.max(self.pacing_rate);
        (rate / 1000).clamp(u64::from(self.mtu), 65_536)
    }

    /// Bytes per second to reckon with whatever the state: the figure, else cwnd/srtt, else zero.
    pub fn rate(&self) -> u64 {
        match self.capacity_state {
            CapacityState::Measured | CapacityState::Growing if self.capacity > 0 => self.capacity,
            _ => self.window_rate(),
        }
    }

    /// cwnd/srtt, bytes per second; zero before an RTT sample.
    pub fn window_rate(&self) -> u64 {
        if self.srtt == 0 {
            return 0;
        }
        crate::math::div(u128::from(self.cwnd) * 1_000_000_000, u128::from(self.srtt))
    }
}
