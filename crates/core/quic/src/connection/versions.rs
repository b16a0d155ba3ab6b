//! Which version is spoken: Version Negotiation packets (RFC 9000 §6), the server's choice of a compatible version
//! (RFC 9368 §2.3, RFC 9369 §4), and the proof that nobody on the path had a say in it (RFC 9368 §4).
//!
//! A server chooses once, when it has the whole ClientHello. A client follows the version of the first Initial that
//! opens, until TLS has read something, and believes it only when the transport parameters say the same.

use smallvec::SmallVec;
use tq_buf::mem::Box;
use tq_crypto::schedule;
use tq_event::DropReason;
use tq_time::Instant;
use tq_wire::frame::kind;
use tq_wire::header::LongKind;
use tq_wire::params::VersionInformation;
use tq_wire::{Code, Side, TransportParameters, Version};

use super::Connection;
use crate::error::{ConnectionError, TransportError};
use crate::handshake::{Level, Session, TlsError};

/// Whether a first flight of one version can be answered in the other (RFC 9369 §4).
fn compatible(a: Version, b: Version) -> bool {
    a == b || a.is_known() && b.is_known()
}

impl Connection {
    /// Versions we declare: all of the endpoint's, and the one a client begins with.
    pub(crate) fn versions_offered(&self) -> SmallVec<[Version; 4]> {
        let mut all: SmallVec<[Version; 4]> = self.shared.versions.iter().copied().collect();
        let original = self.hs.original;
        if self.side.is_client() && !original.is_reserved() && !all.contains(&original) {
            all.insert(0, original);
        }
        all
    }

    /// Feeds a server's TLS; when the ClientHello is complete, the version is chosen.
    pub(super) fn read_hello(&mut self, session: &mut dyn Session, bytes: &[u8]) -> Result<(), TlsError> {
        let mut chosen = None;
        let result = session.read_hello(bytes, &mut |params| {
            let version = self.choose_version(params)?;
            chosen = Some(version);
            Some((version, self.local_params_encoded(version)))
        });
        if let Some(version) = chosen {
            let before = (self.version, self.keys.initial.take());
            self.version = version;
            let dcid = self.hs.keyed;
            self.install_initial(&dcid);
            // the rest of the client's Initials may still come in the version it began with
            self.keys.other_initial = before.1.map(|keys| Box::new((before.0, keys)));
        }
        result
    }

    /// The version we like best of those the client can be answered in, if it is another than it began with.
    fn choose_version(&self, params: &[u8]) -> Option<Version> {
        let original = self.hs.original;
        if self.shared.versions.iter().all(|ours| *ours == original) {
            return None;
        }
        let info = TransportParameters::decode(params, Side::Client).ok()?.version_information?;
        if info.chosen != original || !info.available.contains(&original) {
            // wrong, for which `check_versions` closes
            return None;
        }
        let fits = |ours: &Version| compatible(original, *ours) && info.available.contains(ours);
        self.shared.versions.iter().copied().find(fits).filter(|version| *version != original)
    }

    /// Whether a long-header packet of `version` can be one of this connection.
    // MUST 9000-5.2.1-1
    pub(crate) fn admits(&self, kind: LongKind, version: Version) -> bool {
        match kind {
            LongKind::ZeroRtt => version == self.hs.original,
            _ if version == self.version => true,
            LongKind::Initial if self.side.is_server() => version == self.hs.original,
            LongKind::Initial | LongKind::Handshake => self.may_follow(version),
        }
    }

    /// Whether a client may still find that the server chose `version`.
    fn may_follow(&self, version: Version) -> bool {
        self.side.is_client()
            && !self.hs.settled
            && compatible(self.hs.original, version)
            && self.versions_offered().contains(&version)
    }

    /// Initial keys of another version, for a client that has just got a packet of it.
    pub(crate) fn prepare_to_follow(&mut self, version: Version) {
        let known = self.keys.other_initial.as_deref().is_some_and(|(of, _)| *of == version);
        if self.side.is_client() && !known {
            let keys = schedule::initial_keys(&*self.shared.crypto, version, &self.hs.keyed, self.side);
            self.keys.other_initial = Some(Box::new((version, keys)));
        }
    }

    /// An Initial of another version opened: the server has chosen it. Says whether TLS can go along.
    pub(crate) fn follow(&mut self, version: Version) -> bool {
        let able = self.hs.session.as_mut().is_some_and(|session| session.switch_version(version));
        match self.keys.other_initial.take().map(|other| *other) {
            Some((_, keys)) if able => {
                self.version = version;
                self.keys.initial = Some(keys);
                self.hs.settled = true;
            }
            _ => {}
        }
        able
    }

    /// What RFC 9368 §4 asks, once the peer's parameters are authenticated or about to be.
    pub(super) fn check_versions(&self, info: Option<&VersionInformation>) -> Result<(), TransportError> {
        let wrong = |why| Err(TransportError::new(Code::VERSION_NEGOTIATION_ERROR, kind::CRYPTO, why));
        let Some(info) = info else {
            // Whoever negotiated can say so; only version 1 is older than this parameter (RFC 9368 §8).
            return match self.hs.negotiated && self.version != Version::V1 || self.version != self.hs.original
            {
                true => wrong("no version_information to prove the version that was negotiated"),
                false => Ok(()),
            };
        };
        let spoken = if self.side.is_server() { self.hs.original } else { self.version };
        if info.chosen != spoken {
            return wrong("version_information names another version than the packets");
        }
        if self.side.is_server() && !info.available.contains(&info.chosen) {
            let why = "version_information: chosen version is not among the available ones";
            return Err(TransportError::new(Code::TRANSPORT_PARAMETER_ERROR, kind::CRYPTO, why));
        }
        if self.hs.negotiated {
            let best = self.shared.versions.iter().find(|ours| info.available.contains(ours));
            if best != Some(&self.hs.original) {
                return wrong("version_information offers better than the Version Negotiation did");
            }
        }
        Ok(())
    }

    /// A Version Negotiation packet (RFC 9000 §6.2). `versions` is the list as sent.
    // MUST 9000-6.2-1, 9000-6.2-2, 9000-6.2-3
    pub(crate) fn on_version_negotiation(&mut self, now: Instant, versions: &[u8]) -> Result<(), DropReason> {
        let offered =
            || versions.chunks_exact(4).map(|v| Version(u32::from_be_bytes([v[0], v[1], v[2], v[3]])));
        let late =
            self.side.is_server() || self.hs.heard || self.hs.negotiated || self.hs.retry_scid.is_some();
        if late || offered().any(|version| version == self.version) {
            return Err(DropReason::BadVersionNegotiation);
        }
        let choice =
            self.shared.versions.iter().copied().find(|ours| offered().any(|theirs| theirs == *ours));
        let restarted = match (choice, self.version.is_reserved()) {
            // Only a version nobody speaks is retried with another: anything else could be a downgrade (RFC 9368 §4).
            (Some(choice), true) => self.restart_with(now, choice),
            _ => false,
        };
        if !restarted {
            self.end_now(now, ConnectionError::VersionMismatch);
        }
        Ok(())
    }

    fn restart_with(&mut self, now: Instant, version: Version) -> bool {
        let Some((tls, name)) = self.hs.client.clone() else { return false };
        self.version = version;
        self.hs.original = version;
        self.hs.negotiated = true;
        let params = self.local_params_encoded(version);
        let Ok(session) = tls.start(version, &name, &params) else { return false };
        self.hs.session = Some(session);
        self.crypto.discard(Level::Initial);
        let odcid = self.hs.odcid;
        self.install_initial(&odcid);
        self.restart_flight(now);
        let driven = self.drive_tls(now).is_ok();
        self.begin_early(now);
        driven
    }
}
