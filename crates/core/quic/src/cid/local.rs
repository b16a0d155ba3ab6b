//! Connection ids we issued for one path: which are out, which the peer has retired, how many more it may get
//! (RFC 9000 §5.1.1). Never makes ids; it asks for them.

use smallvec::SmallVec;
use tq_wire::frame::{NewConnectionId, kind};
use tq_wire::{Cid, Code, Frame, PathId, ResetToken};

use crate::error::TransportError;
use crate::payload::Payload;
use crate::token::Token;

/// Ids a peer may retire per path faster than it uses them before it is told off (threat 7): replacements beyond this
/// many wait until the peer has used one.
pub(crate) const MAX_RETIRED: u64 = 64;

#[derive(Clone, Copy, Debug)]
struct Issued {
    seq: u64,
    cid: Cid,
    token: ResetToken,
    /// Whether a NEW_CONNECTION_ID still has to go out.
    pending: bool,
    /// Whether a packet came in with it.
    used: bool,
    /// Whether the peer is known to have it.
    known: bool,
}

/// Ids of one path.
#[derive(Clone, Debug)]
pub(crate) struct LocalCids {
    path: PathId,
    issued: SmallVec<[Issued; 1]>,
    next_seq: u64,
    /// Retired by the peer without a packet ever having used them, since the last use.
    wasted: u64,
}

impl LocalCids {
    /// No id yet.
    pub(crate) fn new(path: PathId) -> Self {
        Self { path, issued: SmallVec::new(), next_seq: 0, wasted: 0 }
    }

    /// Adds an id. `announce` unless the peer knows it already (from the handshake).
    // MUST 9000-5.1.1-1
    pub(crate) fn issue(&mut self, cid: Cid, token: ResetToken, announce: bool) {
        self.issued.push(Issued {
            seq: self.next_seq,
            cid,
            token,
            pending: announce,
            used: false,
            known: !announce,
        });
        self.next_seq += 1;
    }

    /// How many to make so that the peer has `pool` of them.
    pub(crate) fn missing(&self, pool: u64) -> u64 {
        if self.wasted >= MAX_RETIRED { 0 } else { pool.saturating_sub(self.issued.len() as u64) }
    }

    /// A packet arrived with this id.
    #[inline]
    pub(crate) fn on_used(&mut self, cid: &Cid) {
        if let Some(issued) = self.issued.iter_mut().find(|issued| issued.cid == *cid)
            && !issued.used
        {
            issued.used = true;
            issued.known = true;
            self.wasted = 0;
        }
    }

    /// Whether the id is one of this path's.
    pub(crate) fn contains(&self, cid: &Cid) -> bool {
        self.issued.iter().any(|issued| issued.cid == *cid)
    }

    /// The peer retires `seq`; returns the id that is free now. `carrier` is the id of the packet the frame came in.
    // MUST 9000-5.1.1-2, 9000-19.16-1
    pub(crate) fn on_retire(&mut self, seq: u64, carrier: &Cid) -> Result<Option<Cid>, TransportError> {
        let frame = match self.path {
            PathId::ZERO => kind::RETIRE_CONNECTION_ID,
            _ => kind::PATH_RETIRE_CONNECTION_ID,
        };
        let fail = |why| Err(TransportError::new(Code::PROTOCOL_VIOLATION, frame, why));
        if seq >= self.next_seq {
            return fail("RETIRE_CONNECTION_ID of an id that was not issued");
        }
        let Some(at) = self.issued.iter().position(|issued| issued.seq == seq) else { return Ok(None) };
        if self.issued[at].cid == *carrier {
            return fail("RETIRE_CONNECTION_ID of the id it came with");
        }
        let gone = self.issued.remove(at);
        self.wasted += u64::from(!gone.used);
        Ok(Some(gone.cid))
    }

    /// All ids, for taking them out of the routing table.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Cid> {
        self.issued.iter().map(|issued| &issued.cid)
    }

    /// Whether a NEW_CONNECTION_ID has to go out.
    pub(crate) fn wants(&self) -> bool {
        self.issued.iter().any(|issued| issued.pending)
    }

    /// Writes pending NEW_CONNECTION_ID frames.
    // MUST 9000-19.15-5
    pub(crate) fn write(&mut self, payload: &mut Payload<'_>) {
        for issued in self.issued.iter_mut().filter(|issued| issued.pending) {
            let frame = Frame::NewConnectionId(NewConnectionId {
                path: (self.path != PathId::ZERO).then_some(self.path),
                seq: issued.seq,
                retire_prior_to: 0,
                cid: issued.cid,
                token: issued.token,
            });
            if !payload.frame(&frame, Some(Token::NewConnectionId(self.path, issued.seq))) {
                return;
            }
            issued.pending = false;
        }
    }

    /// A NEW_CONNECTION_ID arrived.
    pub(crate) fn on_acked(&mut self, seq: u64) {
        if let Some(issued) = self.issued.iter_mut().find(|issued| issued.seq == seq) {
            issued.known = true;
        }
    }

    /// Whether the peer is known to have an id to send with.
    pub(crate) fn is_known(&self) -> bool {
        self.issued.iter().any(|issued| issued.known)
    }

    /// Whether there is an id, known to the peer or on its way.
    pub(crate) fn is_issued(&self) -> bool {
        !self.issued.is_empty()
    }

    /// Sequence number of the next id.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Takes all ids away: they are no longer announced.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Cid> + '_ {
        self.issued.drain(..).map(|issued| issued.cid)
    }

    /// Nothing more is announced.
    pub(crate) fn stop_announcing(&mut self) {
        self.issued.iter_mut().for_each(|issued| issued.pending = false);
    }

    /// A NEW_CONNECTION_ID was lost: announce it again if it is still of use.
    pub(crate) fn on_lost(&mut self, seq: u64) {
        if let Some(issued) = self.issued.iter_mut().find(|issued| issued.seq == seq) {
            issued.pending = true;
        }
    }
}
