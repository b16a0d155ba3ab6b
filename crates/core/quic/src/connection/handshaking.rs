//! Driving TLS: CRYPTO in and out, keys as they come, Retry, completion and confirmation. Versions are chosen in
//! `versions`.

use tq_buf::mem::{Arc, Box, String, ToString, Vec};
use tq_crypto::{Keys, schedule};
use tq_event::{ConnectionState, DropReason, KeyKind, KeyTrigger};
use tq_time::Instant;
use tq_wire::{Cid, Code, Side, Version};

use super::early::Early;
use super::race::{Asked, Raced};
use super::{Connection, EarlyData, EndpointEvent, Event, RecvMeta, SpaceId, Timer};
use crate::endpoint::InitialKeys;
use crate::error::TransportError;
use crate::handshake::keys::OneRtt;
use crate::handshake::{ClientTls, KeyChange, Level, ServerTls, Session, StartError};
use crate::space::Space;

/// Packets kept until their keys arrive; an honest flight has no more (quiche: 10).
const MAX_BUFFERED: usize = 10;
/// And so many bytes: a stranger's datagram may have 64 KiB.
const MAX_BUFFERED_BYTES: usize = 16 << 10;

/// Longest token taken from a server: a longer one would leave an Initial of 1200 bytes no room for CRYPTO.
pub(crate) const MAX_TOKEN: usize = 900;

/// What only the handshake needs.
pub(crate) struct Handshaking {
    pub(crate) session: Option<Box<dyn Session>>,
    /// A client makes its session anew after Version Negotiation.
    pub(crate) client: Option<(Arc<dyn ClientTls>, String)>,
    /// DCID of the client's very first Initial.
    pub(crate) odcid: Cid,
    /// The id Initial keys are derived from: `odcid`, or the Retry's.
    pub(crate) keyed: Cid,
    /// Version of the client's first Initial (after Version Negotiation: of its first that counts). 0-RTT keeps to it.
    pub(crate) original: Version,
    /// The version is what it will be.
    pub(crate) settled: bool,
    pub(crate) early: Early,
    /// Where the client's Initials go, on a server: an id to be retired with the handshake.
    pub(crate) initial_dcid: Option<Cid>,
    /// Our SCID of the handshake.
    pub(crate) local_scid: Cid,
    /// The peer's SCID, from its first packet.
    pub(crate) remote_scid: Option<Cid>,
    /// SCID of the Retry that was sent or received.
    pub(crate) retry_scid: Option<Cid>,
    /// Token for our Initials.
    pub(crate) token: Vec<u8>,
    pub(crate) write_level: Level,
    /// A packet of the peer was authenticated: Retry and Version Negotiation are too late.
    pub(crate) heard: bool,
    /// The version was chosen from a Version Negotiation packet.
    pub(crate) negotiated: bool,
    pub(crate) params_seen: bool,
    pub(crate) data_told: bool,
    pub(crate) complete: bool,
    pub(crate) confirmed: bool,
    /// HANDSHAKE_DONE is to be sent.
    pub(crate) done_pending: bool,
    /// A token for the client's next connection, kept until it is acknowledged.
    pub(crate) new_token: Option<Box<[u8]>>,
    /// NEW_TOKEN is to be sent.
    pub(crate) new_token_pending: bool,
    /// The server is known to have validated our address.
    pub(crate) peer_validated: bool,
    /// What a race over several links left, if there was one.
    pub(crate) raced: Option<Box<Raced>>,
    /// Packets whose keys are not there yet.
    pub(crate) waiting: Vec<(RecvMeta, Vec<u8>)>,
}

impl Handshaking {
    pub(crate) fn new(odcid: Cid, local_scid: Cid, original: Version) -> Self {
        Self {
            session: None,
            client: None,
            odcid,
            keyed: odcid,
            original,
            settled: false,
            early: Early::default(),
            initial_dcid: None,
            local_scid,
            remote_scid: None,
            retry_scid: None,
            token: Vec::new(),
            write_level: Level::Initial,
            heard: false,
            negotiated: false,
            params_seen: false,
            data_told: false,
            complete: false,
            confirmed: false,
            done_pending: false,
            new_token: None,
            new_token_pending: false,
            peer_validated: false,
            raced: None,
            waiting: Vec::new(),
        }
    }

    /// Challenges at ways that are no paths yet.
    pub(crate) fn asked(&self) -> &[Asked] {
        self.raced.as_ref().map_or(&[], |raced| &raced.asked)
    }

    /// One of them, which is answered now.
    pub(crate) fn take_asked(&mut self, is: impl Fn(&Asked) -> bool) -> Option<Asked> {
        let asked = &mut self.raced.as_mut()?.asked;
        let at = asked.iter().position(is)?;
        Some(asked.remove(at))
    }
}

impl Connection {
    /// Initial keys for the id the client's Initials go to.
    pub(crate) fn install_initial(&mut self, dcid: &Cid) {
        self.hs.keyed = *dcid;
        self.keys.initial = Some(schedule::initial_keys(&*self.shared.crypto, self.version, dcid, self.side));
    }

    /// Takes what TLS has to say, installs keys, checks whether the handshake came further.
    // MUST 9001-4.9-2
    pub(crate) fn drive_tls(&mut self, now: Instant) -> Result<(), TransportError> {
        let Some(mut session) = self.hs.session.take() else { return Ok(()) };
        let mut out = Vec::new();
        loop {
            out.clear();
            let change = session.write(&mut out);
            if !out.is_empty() {
                self.crypto.queue(self.hs.write_level, &out);
            }
            match change {
                Some(KeyChange::Handshake(keys)) => {
                    self.crypto.leave(Level::Initial)?;
                    self.on_handshake_keys(now, keys);
                    if self.side.is_server() {
                        self.take_early(now, &mut *session);
                    }
                }
                Some(KeyChange::OneRtt(keys)) => self.on_one_rtt_keys(now, keys, &*session)?,
                None if out.is_empty() => break,
                None => {}
            }
        }
        let result = self.after_tls(now, &*session);
        self.hs.session = Some(session);
        result
    }

    /// The level TLS reads at.
    pub(crate) fn read_level(&self) -> Level {
        match (self.hs.complete, self.keys.handshake.is_some()) {
            (true, _) => Level::OneRtt,
            (false, true) => Level::Handshake,
            (false, false) => Level::Initial,
        }
    }

    fn on_handshake_keys(&mut self, now: Instant, keys: Keys) {
        self.keys.handshake = Some(keys);
        self.handshake = Some(Space::new(self.shared.entropy.u64(), true));
        self.hs.write_level = Level::Handshake;
        self.log_keys(now, KeyKind::ClientHandshake, KeyKind::ServerHandshake, 0, KeyTrigger::Tls);
        self.log_state(now, ConnectionState::HandshakeStarted);
    }

    fn on_one_rtt_keys(
        &mut self,
        now: Instant,
        keys: Keys,
        session: &dyn Session,
    ) -> Result<(), TransportError> {
        let missing = || TransportError::new(Code::INTERNAL_ERROR, 0, "TLS gave 1-RTT keys without a suite");
        let suite = session.suite().ok_or_else(missing)?;
        self.keys.one_rtt = Some(OneRtt::new(keys, suite));
        self.hs.write_level = Level::OneRtt;
        if self.side.is_client() {
            self.drop_early_keys(now);
        }
        self.log_keys(now, KeyKind::ClientOneRtt, KeyKind::ServerOneRtt, 0, KeyTrigger::Tls);
        Ok(())
    }

    fn after_tls(&mut self, now: Instant, session: &dyn Session) -> Result<(), TransportError> {
        // A client's TLS may remember parameters of the session it resumes; those of this one are certain to have come
        // when the server's Finished has, and with it the 1-RTT keys.
        let current = self.side.is_server() || self.keys.one_rtt.is_some();
        if let Some(params) = session.peer_params().filter(|_| current && !self.hs.params_seen) {
            self.hs.params_seen = true;
            self.hs.early.taken = session.early_accepted() == Some(true);
            self.on_peer_params(now, params)?;
        }
        if self.hs.params_seen && self.keys.one_rtt.is_some() {
            self.agree_on_paths();
        }
        if !self.hs.data_told && session.alpn().is_some() {
            self.hs.data_told = true;
            self.events.push_back(Event::HandshakeData);
        }
        if !self.hs.complete && !session.is_handshaking() && self.keys.one_rtt.is_some() {
            self.on_complete(now)?;
        }
        Ok(())
    }

    // MUST 9000-19.7-3, 9000-19.20-1, 9001-4.1.2-1, 9001-8.2-2
    fn on_complete(&mut self, now: Instant) -> Result<(), TransportError> {
        if !self.hs.params_seen {
            return Err(TransportError::new(Code::crypto(0x6d), 0, "no transport parameters from the peer"));
        }
        self.crypto.leave(Level::Handshake)?;
        self.hs.complete = true;
        self.streams.on_complete();
        self.timers.clear(Timer::Handshake as usize);
        self.events.push_back(Event::Connected);
        self.endpoint_events.push_back(EndpointEvent::Established);
        self.log_state(now, ConnectionState::HandshakeComplete);
        self.arm_idle(now);
        self.start_multipath();
        self.settling = true;
        self.ids_due = true;
        if self.side.is_server() {
            self.retire_early_keys(now);
            self.hs.done_pending = true;
            self.hs.new_token_pending = true;
            self.on_confirmed(now);
        }
        Ok(())
    }

    /// What could wait until the burst of a handshake is over, and until it is certain that the connection lives longer:
    /// the peer has acknowledged something of it. The rest of the connection ids, keys of the next phase.
    pub(crate) fn settle_if_alive(&mut self) {
        if self.keys.one_rtt.as_ref().is_some_and(|keys| keys.acked) {
            self.settle_now();
        }
    }

    pub(crate) fn settle_now(&mut self) {
        self.settling = false;
        self.issue_cids();
        self.prepare_next_keys();
    }

    /// Both ends have finished (RFC 9001 §4.1.2): Handshake keys go (§4.9.2).
    // MUST 9001-4.9.2-1
    pub(crate) fn on_confirmed(&mut self, now: Instant) {
        if self.hs.confirmed {
            return;
        }
        self.hs.confirmed = true;
        self.hs.peer_validated = true;
        self.discard_level(now, SpaceId::Handshake);
        if let Some(dcid) = self.hs.initial_dcid.take() {
            self.endpoint_events.push_back(EndpointEvent::CidRetired(dcid));
        }
        self.events.push_back(Event::Confirmed);
        self.tell_may_open();
        self.log_state(now, ConnectionState::HandshakeConfirmed);
        self.follow_preferred(now);
    }

    /// Drops keys, space and CRYPTO of a level; what was in flight no longer counts (RFC 9002 §6.4).
    // MUST 9001-4.9.1-3, 9002-6.2.2-1, 9002-6.4-1
    pub(crate) fn discard_level(&mut self, now: Instant, id: SpaceId) {
        let (had, level, kinds) = match id {
            SpaceId::Initial => {
                self.initial = None;
                self.keys.other_initial = None;
                let kinds = (KeyKind::ClientInitial, KeyKind::ServerInitial);
                (self.keys.initial.take().is_some(), Level::Initial, kinds)
            }
            SpaceId::Handshake => {
                self.handshake = None;
                let kinds = (KeyKind::ClientHandshake, KeyKind::ServerHandshake);
                (self.keys.handshake.take().is_some(), Level::Handshake, kinds)
            }
            SpaceId::App(_) => return,
        };
        if had {
            self.crypto.discard(level);
            self.paths[0].pto_count = 0;
            self.paths[0].probes[id.index()] = 0;
            self.log_keys_gone(now, kinds.0, kinds.1, 0);
        }
    }

    /// CRYPTO bytes are there: feed TLS as far as they are in order.
    // MUST 9001-4.8-1, 9001-6-2, 9001-8.1-2, 9001-8.1-3, 9001-8.1-5
    pub(crate) fn feed_tls(&mut self, now: Instant, level: Level) -> Result<(), TransportError> {
        while let Some(bytes) = self.crypto.read(level) {
            let Some(mut session) = self.hs.session.take() else { return Ok(()) };
            let result = match (self.side, level) {
                (Side::Server, Level::Initial) => self.read_hello(&mut *session, &bytes),
                _ => session.read(level, &bytes),
            };
            self.hs.settled |= self.side.is_client();
            self.hs.session = Some(session);
            result.map_err(|error| TransportError {
                code: error.code(),
                frame: tq_wire::frame::kind::CRYPTO,
                reason: error.reason,
            })?;
        }
        self.drive_tls(now)
    }

    /// Keeps a packet whose keys may come; says whether there was room.
    pub(crate) fn keep_for_later(&mut self, meta: &RecvMeta, packet: &[u8]) -> bool {
        let held: usize = self.hs.waiting.iter().map(|(_, packet)| packet.len()).sum();
        let room = self.hs.waiting.len() < MAX_BUFFERED && held + packet.len() <= MAX_BUFFERED_BYTES;
        if room {
            self.hs.waiting.push((*meta, packet.to_vec()));
            self.counters.packets_buffered += 1;
        }
        room
    }

    /// A Retry packet (RFC 9000 §17.2.5.2). `packet` includes the tag.
    // MUST 9000-7.2-4, 9000-8.1.2-1, 9000-8.1.3-1, 9000-8.1.3-2, 9000-8.1.3-6, 9000-17.2.5.1-2
    // MUST 9000-17.2.5.1-3, 9000-17.2.5.2-1, 9000-17.2.5.2-2, 9000-17.2.5.2-3, 9000-17.2.5.2-4
    // MUST 9000-17.2.5.2-5
    pub(crate) fn on_retry(
        &mut self,
        now: Instant,
        scid: Cid,
        token: &[u8],
        packet: &[u8],
    ) -> Result<(), DropReason> {
        let unusable = self.side.is_server() || self.hs.heard || self.hs.retry_scid.is_some();
        if unusable || token.is_empty() || token.len() > MAX_TOKEN || self.peer_cid(0) == Some(scid) {
            return Err(DropReason::BadRetry);
        }
        let (body, tag) = packet.split_at(packet.len() - tq_crypto::TAG_LEN);
        if schedule::retry_tag(&*self.shared.crypto, self.version, &self.hs.odcid, body)[..] != *tag {
            return Err(DropReason::BadRetry);
        }
        self.hs.retry_scid = Some(scid);
        self.hs.token = token.to_vec();
        self.cids[0].peer.set_first(scid, None);
        self.install_initial(&scid);
        self.restart_flight(now);
        if self.hs.early.state == EarlyData::Pending {
            self.early_lost();
        }
        Ok(())
    }

    /// Everything sent so far goes again; packet numbers go on (RFC 9000 §17.2.5.3).
    // MUST 9000-17.2.5.3-1, 9000-17.2.5.3-2
    pub(super) fn restart_flight(&mut self, now: Instant) {
        if let Some(initial) = &mut self.initial {
            let mut tokens = Vec::new();
            initial.sent.all_tokens_lost(&mut tokens);
        }
        self.crypto.send_again(Level::Initial);
        self.paths[0].pto_count = 0;
        self.last_activity = now;
    }
}

impl Connection {
    /// A client's first flight.
    pub(crate) fn start_client(
        &mut self,
        now: Instant,
        tls: &Arc<dyn ClientTls>,
        server_name: &str,
    ) -> Result<(), StartError> {
        let odcid = self.hs.odcid;
        self.install_initial(&odcid);
        let params = self.local_params_encoded(self.version);
        // No TLS knows a reserved version; its ClientHello only has to look like one until the server negotiates.
        let spoken = match self.shared.versions.first() {
            Some(first) if self.version.is_reserved() => *first,
            _ => self.version,
        };
        self.hs.session = Some(tls.start(spoken, server_name, &params)?);
        self.paths[0].validation.set_validated();
        self.drive_tls(now).map_err(|error| StartError(error.to_string()))?;
        if !self.version.is_reserved() {
            self.begin_early(now);
        }
        Ok(())
    }

    /// A server that waits for the rest of a first flight. `dcid` is where the client's Initials go now, `initial` what the
    /// first was opened with.
    pub(crate) fn start_server(
        &mut self,
        tls: &dyn ServerTls,
        dcid: &Cid,
        initial: InitialKeys,
        validated: bool,
    ) -> Result<(), StartError> {
        self.hs.keyed = *dcid;
        let local = initial.secret.keys_of(&*self.shared.crypto, self.side);
        self.keys.initial = Some(Keys { local, remote: initial.remote });
        self.offer_preferred();
        let params = self.local_params_encoded(self.version);
        self.hs.session = Some(tls.start(self.version, &params)?);
        self.hs.peer_validated = true;
        self.hs.initial_dcid = Some(*dcid);
        self.endpoint_events.push_back(EndpointEvent::CidIssued(*dcid));
        if validated {
            self.paths[0].validation.set_validated();
        }
        Ok(())
    }
}
