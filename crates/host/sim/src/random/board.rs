//! What both programs know together: which streams there are, how far each end of each got, how the connection ended.
//! Written by the programs as they act, judged by the verdict. It knows streams as any byte pipe has them.

use std::collections::BTreeMap;

use tq_quic::ConnectionError;
use tq_time::Instant;
use tq_wire::StreamId;

use super::paths::Paths;

/// A stream's number in the plan.
pub(super) type Number = u64;

/// One direction of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// Bytes the sender was told to write and has not yet.
    pub(super) wanted: u64,
    /// Bytes taken from the sender.
    pub(super) written: u64,
    /// The sender ended it.
    pub(super) finished: bool,
    /// The sender reset it, with this code.
    pub(super) reset: Option<u64>,
    /// The sender was told that all has arrived.
    pub(super) arrived: bool,
    /// The sender was told that it is not wanted, with this code.
    pub(super) stopped: Option<u64>,
    /// Bytes the receiver read.
    pub(super) read: u64,
    /// The receiver read the end.
    pub(super) ended: bool,
    /// The receiver was told of a reset with this code.
    pub(super) reset_seen: Option<u64>,
    /// The receiver did not want it, and said so with this code.
    pub(super) stop: Option<u64>,
    /// The receiver does not read before this.
    pub(super) paused: Option<Instant>,
}

impl Flow {
    pub(super) fn sender_done(&self) -> bool {
        self.arrived || self.stopped.is_some() || self.reset.is_some()
    }

    pub(super) fn receiver_done(&self) -> bool {
        self.ended || self.reset_seen.is_some() || self.stop.is_some()
    }

    pub(super) fn is_done(&self) -> bool {
        self.sender_done() && self.receiver_done()
    }

    /// Whether something of it should be moving at `now`.
    fn works(&self, now: Instant, patience: std::time::Duration) -> bool {
        let wants = self.wanted > 0 || self.written > self.read || self.finished;
        !self.is_done() && wants && self.paused.is_none_or(|until| until + patience < now)
    }
}

/// How a connection ended at one end.
#[derive(Clone, Debug)]
pub(super) struct Death {
    pub(super) at: Instant,
    pub(super) error: ConnectionError,
    /// Something was under way that could have moved on.
    pub(super) working: bool,
}

#[derive(Debug, Default)]
pub(super) struct Board {
    /// The plan's numbers of streams.
    pub(super) ids: BTreeMap<StreamId, Number>,
    /// By stream and sender.
    pub(super) flows: BTreeMap<(Number, usize), Flow>,
    /// Streams the plan wants opened that are not yet.
    pub(super) unopened: [usize; 2],
    /// The program exists; the handshake is complete.
    pub(super) born: [bool; 2],
    pub(super) connected: [bool; 2],
    pub(super) deaths: [Option<Death>; 2],
    /// When each end closed, and with which code.
    pub(super) closes: [Option<(Instant, u64)>; 2],
    /// Each program has done its last operation.
    pub(super) wound_up: [bool; 2],
    /// What programs found that must not be.
    pub(super) wrongs: Vec<String>,
    /// Bytes the sender may have in the pipe at most, by sender.
    pub(super) pipe: [u64; 2],
    /// The shorter idle timeout of the two.
    pub(super) idle: std::time::Duration,
    pub(super) messages: [u64; 2],
    /// What each end's paths may do.
    pub(super) paths: [Paths; 2],
    /// Links there are.
    pub(super) links: u64,
    /// Links on which the client waits for leave to open a path.
    pub(super) unpathed: Vec<u64>,
    /// When a program last did something.
    pub(super) acted: Instant,
    done: bool,
    changed: bool,
}

impl Board {
    pub(super) fn new(pipe: [u64; 2], idle: std::time::Duration, links: u64) -> Self {
        Self { pipe, idle, links, ..Self::default() }
    }

    /// The ledger's number of a flow.
    pub(super) const fn flow_number(number: Number, sender: usize) -> u64 {
        number * 2 + sender as u64 + 1
    }

    pub(super) fn flow(&mut self, number: Number, sender: usize) -> &mut Flow {
        self.changed = true;
        self.flows.entry((number, sender)).or_default()
    }

    pub(super) fn wrong(&mut self, what: String) {
        if self.wrongs.len() < 20 {
            self.wrongs.push(what);
        }
    }

    /// Bytes a sender has in the pipe.
    pub(super) fn in_pipe(&self, sender: usize) -> u64 {
        let flows = self.flows.iter().filter(|((_, from), flow)| *from == sender && !flow.is_done());
        flows.filter(|(_, flow)| flow.stop.is_none()).map(|(_, flow)| flow.written - flow.read).sum()
    }

    pub(super) fn die(&mut self, side: usize, at: Instant, error: ConnectionError) {
        let idle = self.idle;
        // what began a moment ago may come too late to end a silence
        let late = at.saturating_since(self.acted) < idle / 2;
        let working = !(self.connected[0] && self.connected[1])
            || !late && self.flows.values().any(|flow| flow.works(at, idle));
        self.deaths[side].get_or_insert(Death { at, error, working });
    }

    /// Both programs have done their last operation and every flow is over at both ends.
    pub(super) fn is_done(&mut self) -> bool {
        if std::mem::take(&mut self.changed) {
            self.done = self.wound_up == [true; 2]
                && self.unopened == [0, 0]
                && self.flows.values().all(Flow::is_done);
        }
        self.done
    }

    /// Something changed that [`Board::is_done`] looks at.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// Both ends are over, as far as there are any.
    pub(super) fn is_dead(&self) -> bool {
        (0..2).all(|side| self.deaths[side].is_some() || !self.born[side]) && self.born[0]
    }

    pub(super) fn any_dead(&self) -> bool {
        self.deaths.iter().any(Option::is_some)
    }
}
