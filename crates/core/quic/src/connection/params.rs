//! Transport parameters: ours from the configuration, the peer's checked and applied.

use tq_buf::mem::Vec;
use tq_event::Initiator;
use tq_time::Instant;
use tq_wire::frame::kind;
use tq_wire::params::VersionInformation;
use tq_wire::{Cid, Code, TransportParameters, Version, Writer};

use super::Connection;
use super::multipath::initial_max;
use super::rhythm::MIN_ACK_DELAY;
use crate::config::CID_POOL;
use crate::error::TransportError;
use crate::space::AckPolicy;

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

    /// SCID the peer must keep using in long headers (RFC 9000 §7.2).
    // MUST 9000-7.2-3, 9000-7.2-6
    pub(crate) fn expects_scid(&self, scid: &Cid) -> bool {
        self.hs.remote_scid.is_none_or(|known| known == *scid)
    }
}
