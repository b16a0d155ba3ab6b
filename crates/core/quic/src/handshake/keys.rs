//! Keys of every level and key phase of 1-RTT: which one opens, which one seals, when they change and how often each
//! was used (RFC 9001 §4.9, §6). Never decides when a packet is sent.

use tq_buf::mem::Box;
use tq_crypto::{DirectionalKeys, HeaderKey, KeyPair, Keys, PacketKey, Suite};
use tq_time::Instant;
use tq_wire::Version;

/// Keys a connection holds.
#[derive(Default)]
pub(crate) struct KeyStore {
    pub(crate) initial: Option<Keys>,
    /// Initial keys of another version: the one a client began with, on a server that chose another; one the server
    /// seems to have chosen, on a client (RFC 9369 §4.1).
    pub(crate) other_initial: Option<Box<(Version, Keys)>>,
    pub(crate) handshake: Option<Keys>,
    pub(crate) early: Option<DirectionalKeys>,
    pub(crate) one_rtt: Option<OneRtt>,
    /// Packets that did not open, all keys together; compared with the strictest limit.
    pub(crate) forgeries: u64,
}

impl KeyStore {
    /// Counts a packet that did not authenticate, whatever its keys; says whether that was one too many.
    // MUST 9001-6.6-5, 9001-6.6-6
    pub(crate) fn on_forgery(&mut self) -> bool {
        self.forgeries += 1;
        let suite = self.one_rtt.as_ref().map_or(Suite::Aes128Gcm, |keys| keys.suite);
        self.forgeries >= suite.integrity_limit()
    }
}

/// 1-RTT keys: one header key pair for good, packet keys by phase.
pub(crate) struct OneRtt {
    pub(crate) local_header: Box<dyn HeaderKey>,
    pub(crate) remote_header: Box<dyn HeaderKey>,
    pub(crate) local: Box<dyn PacketKey>,
    pub(crate) remote: Box<dyn PacketKey>,
    /// Opens packets of the phase before, until `retire_previous`.
    pub(crate) previous: Option<Box<dyn PacketKey>>,
    pub(crate) retire_previous: Option<Instant>,
    /// Made ahead of time, so that an update takes no longer than any other packet (RFC 9001 §9.5). Not there right after
    /// the handshake, when no update is to be expected, and made then by the first packet that needs it.
    pub(crate) next: Option<KeyPair>,
    pub(crate) suite: Suite,
    /// Key phase bit of what we send.
    pub(crate) phase: bool,
    /// Updates since the handshake.
    pub(crate) generation: u64,
    /// Packets sealed with the current key, all paths together.
    pub(crate) sealed: u64,
    /// Whether a packet sealed with the current key was acknowledged: only then may another update follow.
    pub(crate) acked: bool,
    /// No update of our own before this.
    pub(crate) not_before: Option<Instant>,
    /// Whether the peer has used the current phase.
    pub(crate) peer_seen: bool,
    /// Whether an ACK went out since, sealed with the current key: only then may the peer update again.
    pub(crate) answered: bool,
}

/// Which key to try for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Current,
    Previous,
    Next,
}

impl OneRtt {
    pub(crate) fn new(keys: Keys, suite: Suite) -> Self {
        Self {
            local_header: keys.local.header,
            remote_header: keys.remote.header,
            local: keys.local.packet,
            remote: keys.remote.packet,
            previous: None,
            retire_previous: None,
            next: None,
            suite,
            phase: false,
            generation: 0,
            sealed: 0,
            acked: false,
            not_before: None,
            peer_seen: false,
            answered: false,
        }
    }

    /// The phase of a received packet. `phase_start` is the lowest packet number opened on its path with the current
    /// phase: numbers of different paths cannot be compared.
    pub(crate) fn phase_of(&self, bit: bool, pn: u64, phase_start: Option<u64>) -> Phase {
        if bit == self.phase {
            return Phase::Current;
        }
        // An older number cannot belong to a newer phase.
        match phase_start {
            Some(start) if pn < start => Phase::Previous,
            None if self.previous.is_some() => Phase::Previous,
            _ => Phase::Next,
        }
    }

    pub(crate) fn opener(&self, phase: Phase) -> Option<&dyn PacketKey> {
        match phase {
            Phase::Current => Some(&*self.remote),
            Phase::Previous => self.previous.as_deref(),
            Phase::Next => self.next.as_ref().map(|next| &*next.remote),
        }
    }

    /// Moves on one phase, to `next`. `following` are the keys after those.
    // MUST 9001-6.1-3, 9001-6.3-2, 9001-6.4-1
    pub(crate) fn advance(&mut self, next: KeyPair, following: KeyPair) {
        self.next = Some(following);
        self.previous = Some(core::mem::replace(&mut self.remote, next.remote));
        self.local = next.local;
        self.phase = !self.phase;
        self.generation += 1;
        self.sealed = 0;
        self.acked = false;
        self.peer_seen = false;
        self.answered = false;
        self.retire_previous = None;
    }

    /// An ACK of 1-RTT packets goes out under the current key.
    pub(crate) fn on_ack_written(&mut self) {
        self.answered |= self.peer_seen;
    }

    /// Whether an update of our own is allowed now (RFC 9001 §6.1, §6.5).
    // MUST 9001-6.1-2
    pub(crate) fn may_update(&self, now: Instant) -> bool {
        self.acked && self.previous.is_none() && self.not_before.is_none_or(|at| at <= now)
    }
}
