//! Transport parameters: ours from the configuration, the peer's checked and applied; the ACK rhythm asked of the peer.

use core::time::Duration;

use tq_buf::mem::Vec;
use tq_event::Initiator;
use tq_time::Instant;
use tq_wire::frame::{AckFrequency, kind};
use tq_wire::params::VersionInformation;
use tq_wire::{Cid, Code, Frame, TransportParameters, Version, Writer};

use super::Connection;
use super::multipath::initial_max;
use crate::config::CID_POOL;
use crate::error::TransportError;
use crate::path::Path;
use crate::payload::Payload;
use crate::space::AckPolicy;
use crate::token::Token;

/// Shortest ACK delay we promise a peer that asks (ack-frequency §3).
const MIN_ACK_DELAY: Duration = Duration::from_millis(1);

/// Most packets per ACK we ask for, about one GSO batch.
const MAX_THRESHOLD: u64 = 40;
/// The same while a path is measured by trains of 16.
const MAX_TRAIN_THRESHOLD: u64 = 2;

/// Packets per ACK that need not be fewer for the sake of a path that is starting: three ACKs for a train of 16. And how
/// many times more ACKs than a wide path needs itself the start of another may cost: they share its way back.
const SPARING: u64 = 4;

/// A path that brought so many bytes is not starting any more, though its controller may say so for good: a window that is
/// held down never leaves slow start.
const STARTED: u64 = 1 << 20;

/// Packets in flight from which on a path is in use.
const TRAIN: u64 = 8;

/// What we asked of the peer, and what it asked of us.
#[derive(Debug, Default)]
pub(crate) struct AckFrequencyState {
    next_seq: u64,
    /// Newest request, kept until it is acknowledged or replaced.
    request: Option<AckFrequency>,
    pending: bool,
    /// Highest request of the peer.
    peer_seq: Option<u64>,
    /// The rhythm it asked for.
    policy: Option<AckPolicy>,
}

impl AckFrequencyState {
    /// Delay the peer may use because we asked for it.
    pub(crate) fn requested_delay(&self) -> Duration {
        self.request.map_or(Duration::ZERO, |request| Duration::from_micros(request.max_ack_delay_us))
    }

    pub(crate) fn wants(&self) -> bool {
        self.pending
    }

    /// The rhythm the peer asked for, on every path.
    pub(crate) fn policy(&self) -> Option<AckPolicy> {
        self.policy
    }

    pub(crate) fn write(&mut self, payload: &mut Payload<'_>) {
        let Some(request) = self.request.filter(|_| self.pending) else { return };
        if payload.frame(&Frame::AckFrequency(request), Some(Token::AckFrequency(request.seq))) {
            self.pending = false;
        }
    }

    pub(crate) fn on_lost(&mut self, seq: u64) {
        self.pending |= self.request.is_some_and(|request| request.seq == seq);
    }
}

impl Connection {
    /// Our transport parameters for `version`, as TLS sends them.
    // MUST 9001-8.2-1
    pub(crate) fn local_params_encoded(&self, version: Version) -> Vec<u8> {
        let mut room = [0; 1024];
        let mut w = Writer::new(&mut room);
        let grease = self.config.grease.then(|| self.shared.entropy.u64());
        self.local_params(version).encode(&mut w, grease);
        w.written().to_vec()
    }

    // MUST 9000-7.3-1, 9000-7.4-1, 9000-18.2-1, 9000-18.2-6, 9000-18.2-8, mp21-2.1-3
    pub(crate) fn local_params(&self, version: Version) -> TransportParameters {
        let config = &self.config;
        let server = self.side.is_server();
        let max_ack_delay = AckPolicy::within(config.max_ack_delay).max_delay;
        // Not to a client with an empty id, which may close for it even if it wants no multipath (multipath §2.1).
        let nameless = server && self.cids[0].peer.active().is_some_and(|active| active.cid.is_empty());
        let mut params = TransportParameters {
            original_dcid: server.then_some(self.hs.odcid),
            max_idle_timeout: config.idle_timeout,
            stateless_reset_token: server.then(|| self.shared.reset_token(&self.hs.local_scid)),
            max_udp_payload_size: 65_527,
            max_ack_delay,
            active_cid_limit: CID_POOL,
            initial_scid: Some(self.hs.local_scid),
            retry_scid: self.hs.retry_scid.filter(|_| server),
            version_information: Some(VersionInformation {
                chosen: version,
                available: self.versions_offered(),
            }),
            max_datagram_frame_size: self.datagrams.declared(),
            initial_max_path_id: initial_max(config.max_paths).filter(|_| !nameless),
            reset_stream_at: true,
            min_ack_delay: (max_ack_delay >= MIN_ACK_DELAY).then_some(MIN_ACK_DELAY),
            grease_quic_bit: config.grease,
            disable_active_migration: !config.allow_migration,
            preferred_address: self.preferred.as_deref().copied(),
            ..TransportParameters::default()
        };
        config.stream.declare(&mut params);
        params
    }

    /// Checks and applies the peer's parameters.
    // MUST 9000-7.4-1, 9000-7.4.1-3, 9000-18.2-7, 9000-18.2-9, mp21-2.1-2, mp21-2.1-4
    pub(crate) fn on_peer_params(&mut self, now: Instant, bytes: &[u8]) -> Result<(), TransportError> {
        let wrong = |why| TransportError::new(Code::TRANSPORT_PARAMETER_ERROR, kind::CRYPTO, why);
        let params = TransportParameters::decode(bytes, !self.side)
            .and_then(|params| params.check().map(|()| params))
            .map_err(|error| wrong(error.why))?;
        self.check_cids(&params).map_err(wrong)?;
        let nameless = self.hs.remote_scid.is_some_and(|cid| cid.is_empty());
        if nameless && params.initial_max_path_id.is_some() && self.config.max_paths.is_some() {
            let why = "initial_max_path_id with empty connection ids";
            return Err(TransportError::new(Code::PROTOCOL_VIOLATION, kind::CRYPTO, why));
        }
        self.check_versions(params.version_information.as_ref())?;
        if let Some(token) = params.stateless_reset_token {
            self.cids[0].peer.set_first_token(token);
            self.announce_reset_token(0);
        }
        if let Some(preferred) = &params.preferred_address {
            self.cids[0].peer.on_preferred(preferred.cid, preferred.token).map_err(wrong)?;
        }
        let idle =
            [self.config.idle_timeout, params.max_idle_timeout].into_iter().filter(|idle| !idle.is_zero());
        self.idle = idle.min();
        self.arm_idle(now);
        for path in &mut self.paths {
            path.mtu.limit(params.max_udp_payload_size);
            path.cc.on_mtu(path.mtu.current());
        }
        self.settle_early(&params)?;
        self.streams.on_params(&params);
        self.datagrams.on_params(params.max_datagram_frame_size);
        // what 0-RTT left behind may be larger than is taken now
        self.drop_larger_datagrams();
        self.log_params(now, Initiator::Remote, &params);
        self.peer = params;
        Ok(())
    }

    /// Connection ids in the parameters bind them to the packets (RFC 9000 §7.3).
    // MUST 9000-7.3-2, 9000-7.3-3, 9000-7.3-4, 9000-18.2-5
    fn check_cids(&self, params: &TransportParameters) -> Result<(), &'static str> {
        if params.initial_scid.is_none() || params.initial_scid != self.hs.remote_scid {
            return Err("initial_source_connection_id is not the one of the packets");
        }
        if self.side.is_server() {
            return Ok(());
        }
        if params.preferred_address.is_some() && self.hs.remote_scid.is_some_and(|scid| scid.is_empty()) {
            return Err("preferred_address from a server with empty connection ids");
        }
        if params.original_dcid != Some(self.hs.odcid) {
            return Err("original_destination_connection_id is not the one of our first packet");
        }
        if params.retry_scid != self.hs.retry_scid {
            return Err("retry_source_connection_id does not fit the Retry packet");
        }
        Ok(())
    }

    /// The peer wants another ACK rhythm (ack-frequency §4).
    pub(crate) fn on_ack_frequency(&mut self, f: &AckFrequency) -> Result<(), TransportError> {
        let wrong = |why| Err(TransportError::new(Code::PROTOCOL_VIOLATION, kind::ACK_FREQUENCY, why));
        if f.max_ack_delay_us < MIN_ACK_DELAY.as_micros() as u64 {
            return wrong("ACK_FREQUENCY asks for less than min_ack_delay");
        }
        if f.max_ack_delay_us >= (1 << 14) * 1000 {
            return wrong("ACK_FREQUENCY asks for 2^14 ms or more");
        }
        if self.ack_frequency.peer_seq.is_some_and(|seq| f.seq <= seq) {
            return Ok(());
        }
        self.ack_frequency.peer_seq = Some(f.seq);
        let policy = AckPolicy {
            threshold: f.threshold,
            max_delay: Duration::from_micros(f.max_ack_delay_us),
            reordering: f.reordering,
        };
        self.ack_frequency.policy = Some(policy);
        self.paths.iter_mut().for_each(|path| path.space.owed.set_policy(policy));
        Ok(())
    }

    /// Asks for about sixteen ACKs a window where the peer can do that.
    // MUST 9000-19.21-1
    pub(crate) fn update_ack_frequency(&mut self) {
        let Some(min) = self.peer.min_ack_delay.filter(|_| self.config.ack_frequency && self.hs.confirmed)
        else {
            return;
        };
        // one rhythm serves all paths: that of the one with most in flight suits where most is to be acknowledged, but while
        // one is starting its own does; and trains of a new path, the first of them sent before it was heard of, tell its rate
        // by how far apart they are acknowledged
        let live = || self.paths.iter().filter(|path| path.state.is_live());
        let Some(widest) = live().max_by_key(|path| path.cc.window()) else { return };
        let used = |path: &Path| path.space.sent.eliciting_in_flight() >= TRAIN;
        let starts = |path: &&Path| path.cc.in_slow_start() && path.bytes_acked < STARTED && used(path);
        let path = live().filter(starts).min_by_key(|path| path.cc.window()).unwrap_or(widest);
        let trains = live().any(|path| used(path) && (path.cc.train() > 0 || !path.rtt.has_sample()));
        let most = if trains { MAX_TRAIN_THRESHOLD } else { MAX_THRESHOLD };
        let packets = |path: &Path| path.cc.window() / u64::from(path.mtu.current()) / 16;
        let sparing = SPARING.max(packets(widest) / SPARING).min(packets(widest));
        let threshold = packets(path).max(sparing).clamp(1, most);
        let hurried = self.multipath.ways.as_ref().is_some_and(|ways| ways.groups.is_testing());
        // a window of few such ACKs depends on the delay alone once the others have nothing to send
        let narrow = |path: &&Path| path.bytes_acked > 0 && packets(path) * 2 <= threshold;
        let rtts = live().filter(narrow).map(|path| path.rtt.smoothed());
        let usual = if hurried { MIN_ACK_DELAY } else { rtts.fold(path.rtt.smoothed(), Duration::min) / 4 };
        let delay = usual.max(min).clamp(MIN_ACK_DELAY, Duration::from_millis(25));
        let near = |new, old| new < old * 2 && new * 2 > old;
        let old = self.ack_frequency.request.map_or((1, 0), |old| (old.threshold, old.max_ack_delay_us));
        let alone = live().nth(1).is_none();
        if near(threshold, old.0) && (alone || near(delay.as_micros() as u64, old.1)) {
            return;
        }
        self.ack_frequency.request = Some(AckFrequency {
            seq: self.ack_frequency.next_seq,
            threshold,
            max_ack_delay_us: delay.as_micros() as u64,
            reordering: 3,
        });
        self.ack_frequency.next_seq += 1;
        self.ack_frequency.pending = true;
    }

    /// SCID the peer must keep using in long headers (RFC 9000 §7.2).
    // MUST 9000-7.2-3, 9000-7.2-6
    pub(crate) fn expects_scid(&self, scid: &Cid) -> bool {
        self.hs.remote_scid.is_none_or(|known| known == *scid)
    }
}
