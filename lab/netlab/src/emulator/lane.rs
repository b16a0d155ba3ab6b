//! One direction of a link in the emulator: sockets, model, and what happens at known packets or moments.
//!
//! Decides what is done to the bytes of a packet whose fate the link model has named. Holds no packets.

use std::collections::VecDeque;
use std::io;

use tq_linkmodel::{Bottlenecks, Delivery, Direction, Drop, Ecn, Instant, Link, Outcome, Packet};
use tq_packet::{Frame, Receiver, Sender};

use super::books::{Faults, LaneBooks, Lateness};
use crate::frame::{self, Complaint};

/// What befalls a direction beside the link model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Packets are answered by "destination unreachable", or no longer.
    Unreachable(bool),
    /// These packets are lost, counted from 1 at this moment.
    DropPackets(u64, u64),
}

/// A direction's model and what will befall it.
#[derive(Debug)]
pub struct Plan {
    /// Both directions; one is used.
    pub link: Link,
    /// In order of time.
    pub acts: VecDeque<(Instant, Act)>,
}

/// What becomes of a frame.
#[derive(Debug)]
pub enum Fate {
    /// Sent at once: the link does not carry such frames.
    Through,
    /// Sent at `delivery.at` of the model's time.
    Held(Packet, Delivery),
    /// Gone.
    Gone,
}

/// One direction.
#[derive(Debug)]
pub struct Lane {
    /// The link's place in the file.
    pub index: usize,
    /// Which way.
    pub direction: Direction,
    to: Sender,
    /// Towards who sent a packet.
    back: Sender,
    plan: Plan,
    /// Packets that acts took, counted with the model's silent drops.
    acted: u64,
    counting: Option<(u64, u64, u64)>,
    unreachable: bool,
    faults: Faults,
    lateness: Lateness,
    /// Kernel counts at the last start.
    before: [u64; 3],
    /// Frames due, and since when (ns).
    out: Vec<Frame>,
    due: Vec<u64>,
}

impl Lane {
    /// A direction from the interface `from` to the interface `to`, of the calling thread's namespace, and where its
    /// packets come from.
    pub fn open(
        index: usize,
        direction: Direction,
        [from, to]: [&str; 2],
        plan: Plan,
    ) -> io::Result<(Self, Receiver)> {
        const BUFFER: usize = 32 << 20;
        let lane = Self {
            index,
            direction,
            to: Sender::open(to)?,
            back: Sender::open(from)?,
            plan,
            acted: 0,
            counting: None,
            unreachable: false,
            faults: Faults::default(),
            lateness: Lateness::default(),
            before: [0; 3],
            out: Vec::with_capacity(256),
            due: Vec::with_capacity(256),
        };
        Ok((lane, Receiver::open(from, BUFFER)?))
    }

    /// Begins anew with another plan.
    pub fn restart(&mut self, plan: Plan, from: &Receiver) {
        self.before = kernel(from);
        self.plan = plan;
        (self.acted, self.counting, self.unreachable) = (0, None, false);
        (self.faults, self.lateness) = (Faults::default(), Lateness::default());
    }

    /// The model, to change it.
    pub const fn link(&mut self) -> &mut Link {
        &mut self.plan.link
    }

    /// What becomes of a frame that came at `at`, of the model's time. Its bytes are changed as the model says.
    #[inline]
    pub fn offer(&mut self, at: Instant, frame: &mut Frame, shared: &mut Bottlenecks) -> Fate {
        let Some(packet) = frame::packet(frame.bytes()) else { return Fate::Through };
        if !self.plan.acts.is_empty() {
            self.act(at);
        }
        if self.unreachable {
            self.acted += 1;
            self.complain(frame, Complaint::Unreachable);
            return Fate::Gone;
        }
        if let Some((count, first, last)) = &mut self.counting {
            *count += 1;
            if (*first..=*last).contains(count) {
                self.acted += 1;
                return Fate::Gone;
            }
        }
        match self.plan.link.offer_via(shared, at, self.direction, packet) {
            Outcome::Delivered(delivery) => {
                Self::hurt(frame.bytes_mut(), packet.ecn, &delivery);
                Fate::Held(packet, delivery)
            }
            Outcome::TooBig { mtu, icmp } => {
                if icmp {
                    self.complain(frame, Complaint::TooBig(mtu));
                }
                Fate::Gone
            }
            Outcome::Dropped(_) => Fate::Gone,
        }
    }

    fn hurt(bytes: &mut [u8], ecn: Ecn, delivery: &Delivery) {
        if delivery.ecn != ecn {
            frame::mark(bytes, delivery.ecn);
        }
        if let Some(at) = delivery.corrupt
            && let Some(octet) = bytes.get_mut(frame::ETHERNET + at.offset as usize)
        {
            *octet ^= at.mask;
        }
    }

    fn complain(&self, frame: &Frame, complaint: Complaint) {
        if let Some(bytes) = frame::complain(frame.bytes(), complaint) {
            let mut answer = Frame::new();
            answer.write(&bytes);
            // A complaint that gets lost is nothing unusual.
            let _ = self.back.send(std::slice::from_ref(&answer));
        }
    }

    /// Lets begin what was planned up to `now`.
    fn act(&mut self, now: Instant) {
        while let Some((_, act)) = self.plan.acts.pop_front_if(|(at, _)| *at <= now) {
            match act {
                Act::Unreachable(on) => self.unreachable = on,
                Act::DropPackets(first, last) => self.counting = Some((0, first, last)),
            }
        }
    }

    /// Puts a frame with those that are sent next; it was due at `due` (ns).
    #[inline]
    pub fn queue(&mut self, frame: Frame, due: u64) {
        self.out.push(frame);
        self.due.push(due);
    }

    /// Whether nothing waits to be sent.
    pub fn is_idle(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes note that there was no room for a packet.
    pub const fn no_room(&mut self) {
        self.faults.no_room += 1;
    }

    /// Sends what is due and hands the buffers back; how late the latest of it was, ns. `clock` says when it was sent.
    #[inline]
    pub fn flush(&mut self, clock: impl Fn() -> Instant, spare: &mut Vec<Frame>) -> u64 {
        let mut sent = 0;
        let mut tries = 0;
        while sent < self.out.len() {
            match self.to.send(&self.out[sent..]) {
                Ok(count) => (sent, tries) = (sent + count, 0),
                // The far end is down: that is the link's doing.
                Err(error) if error.kind() == io::ErrorKind::NetworkDown => break,
                Err(_) if tries < 3 => tries += 1,
                Err(_) => {
                    self.faults.not_sent += 1;
                    sent += 1;
                }
            }
        }
        let now = clock().as_nanos();
        let mut most = 0;
        for due in self.due.drain(..) {
            let late = now.saturating_sub(due);
            self.lateness.add(late);
            most = most.max(late);
        }
        spare.append(&mut self.out);
        most
    }

    /// Throws away what waits to be sent.
    pub fn clear(&mut self, spare: &mut Vec<Frame>) {
        self.due.clear();
        spare.append(&mut self.out);
    }

    /// The books since the last start, and how often the clock stepped.
    pub fn books(&self, from: &Receiver) -> (LaneBooks, u64) {
        let mut books = LaneBooks::model(&self.plan.link.counters(self.direction));
        let now = kernel(from);
        let [dropped, cut, steps] = std::array::from_fn(|i| now[i].saturating_sub(self.before[i]));
        if self.acted > 0 {
            *books.dropped.entry(Drop::Silent.name().to_owned()).or_default() += self.acted;
            books.offered += self.acted;
        }
        books.faults = Faults { not_fetched: dropped, cut, ..self.faults.clone() };
        books.lateness = self.lateness.clone();
        (books, steps)
    }
}

/// What the kernel counts for a socket: frames dropped, frames cut, steps of the clock.
fn kernel(from: &Receiver) -> [u64; 3] {
    [from.dropped().unwrap_or(0), from.cut(), from.clock_steps()]
}
