//! PATH_STATUS_AVAILABLE and PATH_STATUS_BACKUP of one path id, both ways (multipath §3.3, requirement M3): the newest
//! counts, by sequence number. It never looks at the path; one that does not exist yet finds its status here.

use tq_wire::frame::PathStatus;
use tq_wire::{Frame, PathId};

use crate::payload::Payload;
use crate::token::Token;

#[cfg(test)]
mod tests;

/// How an end would like a path to be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Like any other.
    #[default]
    Available,
    /// Only when no available path is usable.
    Backup,
}

/// Status of one path id.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Statuses {
    local: Status,
    /// Our link is gone: whatever is wanted, the peer is told to use others.
    down: bool,
    /// Number of the next frame.
    next_seq: u64,
    pending: bool,
    /// The newest goes once more than it has to.
    again: bool,
    remote: Status,
    remote_seq: Option<u64>,
}

impl Statuses {
    /// Sets ours, to be told to the peer.
    // MUST mp21-4.3-1
    pub(crate) fn set(&mut self, status: Status) {
        self.local = status;
        self.next_seq += 1;
        self.pending = true;
    }

    /// Our link is gone or serves again: the peer cannot see it and is told, twice when it is urgent.
    pub(crate) fn set_down(&mut self, down: bool) {
        if self.down != down {
            self.down = down;
            self.next_seq += 1;
            (self.pending, self.again) = (true, down);
        }
    }

    /// The peer's; says whether the frame is the newest.
    // MUST mp21-4.3-2
    pub(crate) fn on_frame(&mut self, status: Status, seq: u64) -> bool {
        let newest = self.remote_seq.is_none_or(|known| seq > known);
        if newest {
            self.remote = status;
            self.remote_seq = Some(seq);
        }
        newest
    }

    /// What is in force: standby if one end asks for it.
    pub(crate) fn agreed(&self) -> Status {
        if self.local == Status::Backup { Status::Backup } else { self.remote }
    }

    pub(crate) fn local(&self) -> Status {
        self.local
    }

    pub(crate) fn remote(&self) -> Status {
        self.remote
    }

    /// Tells ours again: peers exist that drop it before they know the path.
    pub(crate) fn repeat(&mut self) {
        self.pending |= self.next_seq > 0;
    }

    pub(crate) fn wants(&self) -> bool {
        self.pending
    }

    /// Writes ours if it is to be told.
    pub(crate) fn write(&mut self, path: PathId, payload: &mut Payload<'_>) {
        if !self.pending {
            return;
        }
        let (seq, backup) = (self.next_seq - 1, self.down || self.local == Status::Backup);
        let frame = Frame::PathStatus(PathStatus { path, backup, seq });
        if payload.frame(&frame, Some(Token::PathStatus(path, seq))) {
            self.pending = core::mem::take(&mut self.again);
        }
    }

    /// A frame of ours was lost: again, if it is still the newest.
    pub(crate) fn on_lost(&mut self, seq: u64) {
        self.pending |= seq + 1 == self.next_seq;
    }
}
