//! From what happens to events. Without a subscriber each costs one branch; nothing is collected.

use core::time::Duration;

use tq_buf::mem::Vec;
use tq_crypto::Seal;
use tq_event::{
    CloseCode, CloseTrigger, ConnectionClosed, ConnectionStarted, ConnectionState, ConnectionStateUpdated,
    DatagramsSent, DropReason, EcnState, EcnStateUpdated, FrameInfo, Initiator, KeyDiscarded, KeyKind,
    KeyTrigger, KeyUpdated, LossTrigger, MtuUpdated, PacketDropped, PacketLost, PacketReceived, PacketSent,
    Parameter, ParameterValue, ParametersSet, PathAssigned, PathState as LoggedState, PathStateUpdated,
    RecoveryMetricsUpdated, Space,
};
use tq_sched::Health;
use tq_time::Instant;
use tq_wire::frame::Frames;
use tq_wire::{Ecn, Frame, TransportParameters};

use super::{Connection, SpaceId};
use crate::error::ConnectionError;
use crate::rx::Opened;

fn space(id: SpaceId) -> Space {
    match id {
        SpaceId::Initial => Space::Initial,
        SpaceId::Handshake => Space::Handshake,
        SpaceId::App(_) => Space::OneRtt,
    }
}

/// Address of ours as far as it is known.
fn local(path: &crate::path::Path) -> core::net::SocketAddr {
    let unspecified: core::net::IpAddr = match path.tuple.remote {
        core::net::SocketAddr::V4(_) => core::net::Ipv4Addr::UNSPECIFIED.into(),
        core::net::SocketAddr::V6(_) => core::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    core::net::SocketAddr::new(path.tuple.local_ip.unwrap_or(unspecified), 0)
}

impl Connection {
    pub(crate) fn log_start(&mut self, now: Instant) {
        let path = &self.paths[0];
        let (local, remote) = (local(path), path.tuple.remote);
        let odcid = self.hs.odcid;
        self.emitter.emit(now.as_nanos(), || ConnectionStarted { local, remote, odcid: &odcid }.into());
        let params = self.local_params(self.version);
        self.log_params(now, Initiator::Local, &params);
    }

    pub(crate) fn log_state(&mut self, now: Instant, new: ConnectionState) {
        self.emitter.emit(now.as_nanos(), || ConnectionStateUpdated { old: None, new }.into());
    }

    pub(crate) fn log_closed(&mut self, now: Instant, error: &ConnectionError) {
        let (initiator, code, frame_type, trigger) = match error {
            ConnectionError::LocallyClosed => {
                (Initiator::Local, CloseCode::Application(0), None, CloseTrigger::Application)
            }
            ConnectionError::PeerApplication { code, .. } => {
                (Initiator::Remote, CloseCode::Application(*code), None, CloseTrigger::Application)
            }
            ConnectionError::PeerTransport { code, frame, .. } => {
                (Initiator::Remote, CloseCode::Transport(code.0), Some(*frame), CloseTrigger::Error)
            }
            ConnectionError::Violation(error) => {
                (Initiator::Local, CloseCode::Transport(error.code.0), Some(error.frame), CloseTrigger::Error)
            }
            ConnectionError::Reset => {
                (Initiator::Remote, CloseCode::Transport(0), None, CloseTrigger::StatelessReset)
            }
            ConnectionError::IdleTimeout => {
                (Initiator::Local, CloseCode::Transport(0), None, CloseTrigger::IdleTimeout)
            }
            ConnectionError::VersionMismatch => {
                (Initiator::Local, CloseCode::Transport(0), None, CloseTrigger::VersionMismatch)
            }
            ConnectionError::HandshakeTimeout | ConnectionError::CidsExhausted => {
                (Initiator::Local, CloseCode::Transport(0), None, CloseTrigger::Aborted)
            }
        };
        let reason: &[u8] = match error {
            ConnectionError::PeerApplication { reason, .. }
            | ConnectionError::PeerTransport { reason, .. } => reason,
            ConnectionError::Violation(error) => error.reason.as_bytes(),
            _ => b"",
        };
        self.emitter.emit(now.as_nanos(), || {
            ConnectionClosed { initiator, code, frame_type, reason, trigger }.into()
        });
    }

    pub(crate) fn log_keys(
        &mut self,
        now: Instant,
        client: KeyKind,
        server: KeyKind,
        generation: u64,
        trigger: KeyTrigger,
    ) {
        for kind in [client, server] {
            self.log_key(now, kind, generation, trigger);
        }
    }

    pub(crate) fn log_key(&mut self, now: Instant, kind: KeyKind, generation: u64, trigger: KeyTrigger) {
        self.emitter.emit(now.as_nanos(), || KeyUpdated { kind, generation, trigger }.into());
    }

    pub(crate) fn log_key_update(&mut self, now: Instant, generation: u64, trigger: KeyTrigger) {
        self.log_keys(now, KeyKind::ClientOneRtt, KeyKind::ServerOneRtt, generation, trigger);
    }

    pub(crate) fn log_keys_gone(&mut self, now: Instant, client: KeyKind, server: KeyKind, generation: u64) {
        for kind in [client, server] {
            let trigger = KeyTrigger::Tls;
            self.emitter.emit(now.as_nanos(), || KeyDiscarded { kind, generation, trigger }.into());
        }
    }

    pub(crate) fn log_early_keys_gone(&mut self, now: Instant) {
        let (kind, generation, trigger) = (KeyKind::ClientZeroRtt, 0, KeyTrigger::Tls);
        self.emitter.emit(now.as_nanos(), || KeyDiscarded { kind, generation, trigger }.into());
    }

    pub(crate) fn log_old_keys_gone(&mut self, now: Instant, generation: u64) {
        self.log_keys_gone(now, KeyKind::ClientOneRtt, KeyKind::ServerOneRtt, generation);
    }

    pub(crate) fn log_params(&mut self, now: Instant, owner: Initiator, params: &TransportParameters) {
        if !self.emitter.enabled() {
            return;
        }
        let number = |name, value| Parameter { name, value: ParameterValue::Number(value) };
        let list = [
            number("max_idle_timeout", params.max_idle_timeout.as_millis() as u64),
            number("max_udp_payload_size", params.max_udp_payload_size),
            number("initial_max_data", params.initial_max_data),
            number("initial_max_stream_data_bidi_local", params.initial_max_stream_data_bidi_local),
            number("initial_max_stream_data_bidi_remote", params.initial_max_stream_data_bidi_remote),
            number("initial_max_stream_data_uni", params.initial_max_stream_data_uni),
            number("initial_max_streams_bidi", params.initial_max_streams_bidi),
            number("initial_max_streams_uni", params.initial_max_streams_uni),
            number("ack_delay_exponent", u64::from(params.ack_delay_exponent)),
            number("max_ack_delay", params.max_ack_delay.as_millis() as u64),
            number("active_connection_id_limit", params.active_cid_limit),
            number("max_datagram_frame_size", params.max_datagram_frame_size),
        ];
        self.emitter.emit(now.as_nanos(), || ParametersSet { owner, list: &list }.into());
    }

    pub(crate) fn log_received(
        &mut self,
        now: Instant,
        opened: &Opened,
        ecn: Ecn,
        size: usize,
        payload: &[u8],
    ) {
        if !self.emitter.enabled() {
            return;
        }
        let path = self.paths[opened.ix].id.0;
        let space = if opened.zero_rtt { Space::ZeroRtt } else { space(opened.space) };
        let pn = opened.pn;
        let decoded: Vec<Frame<'_>> = Frames::new(payload).flatten().collect();
        let mut ranges = Vec::new();
        let frames = frame_infos(&decoded, &mut ranges);
        self.emitter.emit(now.as_nanos(), || {
            PacketReceived { path, space, pn, size, frames: &frames, ecn: ecn.bits(), trigger: None }.into()
        });
    }

    /// Called before sealing, while the payload can be read.
    pub(crate) fn log_sent(
        &mut self,
        now: Instant,
        ix: usize,
        id: SpaceId,
        seal: &Seal,
        packet: &[u8],
        ecn: Ecn,
    ) {
        if !self.emitter.enabled() {
            return;
        }
        let (path, pn, size) = (self.paths[ix].id.0, seal.pn, packet.len());
        let payload = &packet[seal.header_len..packet.len() - tq_crypto::TAG_LEN];
        let decoded: Vec<Frame<'_>> = Frames::new(payload).flatten().collect();
        let mut ranges = Vec::new();
        let frames = frame_infos(&decoded, &mut ranges);
        let early = matches!(id, SpaceId::App(_)) && packet[0] & tq_wire::header::FORM_LONG != 0;
        let space = if early { Space::ZeroRtt } else { space(id) };
        self.emitter.emit(now.as_nanos(), || {
            PacketSent { path, space, pn, size, frames: &frames, ecn: ecn.bits(), trigger: None }.into()
        });
    }

    pub(crate) fn log_sent_batch(&mut self, now: Instant, count: usize, bytes: usize) {
        self.emitter.emit(now.as_nanos(), || DatagramsSent { count, bytes }.into());
    }

    pub(crate) fn log_dropped(&mut self, now: Instant, reason: DropReason, size: usize) {
        self.emitter.emit(now.as_nanos(), || PacketDropped { reason, size }.into());
    }

    pub(crate) fn log_lost(&mut self, now: Instant, id: SpaceId, ix: usize, pn: u64, trigger: LossTrigger) {
        let path = self.paths[ix].id.0;
        self.emitter.emit(now.as_nanos(), || PacketLost { path, space: space(id), pn, trigger }.into());
    }

    pub(crate) fn log_metrics(&mut self, now: Instant, ix: usize) {
        if !self.emitter.enabled() {
            return;
        }
        let bytes_in_flight = self.in_flight(ix);
        let path = &self.paths[ix];
        let event = RecoveryMetricsUpdated {
            path: path.id.0,
            cwnd: path.cc.window(),
            bytes_in_flight,
            srtt: path.rtt.smoothed(),
            min_rtt: path.rtt.min(),
            latest_rtt: path.rtt.latest(),
            rttvar: path.rtt.var(),
            ssthresh: path.cc.ssthresh(),
            pto_count: path.pto_count,
            pacing_rate: path.pacing_rate(),
        };
        self.emitter.emit(now.as_nanos(), || event.into());
    }

    pub(crate) fn log_mtu(&mut self, now: Instant, ix: usize, old: u16) {
        let path = &self.paths[ix];
        let event = MtuUpdated { path: path.id.0, old, new: path.mtu.current(), done: path.mtu.is_done(now) };
        self.emitter.emit(now.as_nanos(), || event.into());
    }

    /// ECN of a path was in state `old`.
    pub(crate) fn log_ecn(&mut self, now: Instant, ix: usize, old: EcnState) {
        let path = &self.paths[ix];
        let (id, state) = (path.id.0, path.ecn.state());
        if state != old {
            self.emitter.emit(now.as_nanos(), || EcnStateUpdated { path: id, state }.into());
        }
    }

    pub(crate) fn log_path_state(&mut self, now: Instant, ix: usize) {
        use crate::path::PathState as State;
        let path = &self.paths[ix];
        let id = path.id.0;
        let state = match path.state {
            State::Created | State::Validating => LoggedState::Validating,
            State::Validated | State::Active | State::Standby if path.health() != Health::Good => {
                match path.health() {
                    Health::Suspect => LoggedState::Suspect,
                    Health::Out => LoggedState::Out,
                    Health::Probation => LoggedState::Probation,
                    Health::Held | Health::Good => LoggedState::Held,
                }
            }
            State::Validated | State::Active => LoggedState::Available,
            State::Standby => LoggedState::Backup,
            State::Closing => LoggedState::Abandoned,
            State::Failed => LoggedState::Closed,
        };
        self.emitter.emit(now.as_nanos(), || PathStateUpdated { path: id, state }.into());
    }

    pub(crate) fn log_path(&mut self, now: Instant, ix: usize) {
        let path = &self.paths[ix];
        let event = PathAssigned { path: path.id.0, local: local(path), remote: path.tuple.remote };
        self.emitter.emit(now.as_nanos(), || event.into());
    }
}

/// Frames as a log shows them. ACK ranges are kept aside in `ranges`, two passes so that they can be borrowed.
fn frame_infos<'a>(frames: &'a [Frame<'a>], ranges: &'a mut Vec<(u64, u64)>) -> Vec<FrameInfo<'a>> {
    for frame in frames {
        if let Frame::Ack(ack) = frame {
            ranges.extend(ack.ranges().map(|range| (*range.start(), *range.end())));
        }
    }
    let mut rest = &ranges[..];
    frames
        .iter()
        .map(|frame| match frame {
            Frame::Ack(ack) => {
                let (own, others) = rest.split_at(ack.ranges().count());
                rest = others;
                FrameInfo::Ack {
                    path: ack.path.map(|path| path.0),
                    delay: Duration::from_micros(ack.delay.saturating_mul(8)),
                    ranges: own,
                    ecn: ack.ecn.map(|ecn| (ecn.ect0, ecn.ect1, ecn.ce)),
                }
            }
            _ => frame_info(frame),
        })
        .collect()
}

fn frame_info<'a>(frame: &'a Frame<'a>) -> FrameInfo<'a> {
    use tq_wire::Dir;
    match *frame {
        Frame::Padding(length) => FrameInfo::Padding { length },
        Frame::Ping => FrameInfo::Ping,
        Frame::ResetStream(f) => {
            FrameInfo::ResetStream { id: f.id.0, code: f.code, final_size: f.final_size, reliable_size: None }
        }
        Frame::ResetStreamAt(f) => FrameInfo::ResetStream {
            id: f.id.0,
            code: f.code,
            final_size: f.final_size,
            reliable_size: Some(f.reliable_size),
        },
        Frame::StopSending(f) => FrameInfo::StopSending { id: f.id.0, code: f.code },
        Frame::Crypto(f) => FrameInfo::Crypto { offset: f.offset, length: f.data.len() },
        Frame::NewToken(token) => FrameInfo::NewToken { length: token.len() },
        Frame::Stream(f) => {
            FrameInfo::Stream { id: f.id.0, offset: f.offset, length: f.data.len(), fin: f.fin }
        }
        Frame::MaxData(maximum) => FrameInfo::MaxData { maximum },
        Frame::MaxStreamData(id, maximum) => FrameInfo::MaxStreamData { id: id.0, maximum },
        Frame::MaxStreams(dir, maximum) => FrameInfo::MaxStreams { bidirectional: dir == Dir::Bi, maximum },
        Frame::DataBlocked(limit) => FrameInfo::DataBlocked { limit },
        Frame::StreamDataBlocked(id, limit) => FrameInfo::StreamDataBlocked { id: id.0, limit },
        Frame::StreamsBlocked(dir, limit) => {
            FrameInfo::StreamsBlocked { bidirectional: dir == Dir::Bi, limit }
        }
        Frame::NewConnectionId(ref f) => FrameInfo::NewConnectionId {
            path: f.path.map(|path| path.0),
            sequence: f.seq,
            retire_prior_to: f.retire_prior_to,
            cid: &f.cid,
        },
        Frame::RetireConnectionId(f) => {
            FrameInfo::RetireConnectionId { path: f.path.map(|path| path.0), sequence: f.seq }
        }
        Frame::PathChallenge(data) => FrameInfo::PathChallenge { data },
        Frame::PathResponse(data) => FrameInfo::PathResponse { data },
        Frame::Close(f) => FrameInfo::ConnectionClose {
            code: match f.frame_type {
                Some(_) => CloseCode::Transport(f.code),
                None => CloseCode::Application(f.code),
            },
            reason: f.reason,
        },
        Frame::HandshakeDone => FrameInfo::HandshakeDone,
        Frame::Datagram(data) => FrameInfo::Datagram { length: data.len() },
        Frame::AckFrequency(f) => FrameInfo::AckFrequency {
            sequence: f.seq,
            threshold: f.threshold,
            max_ack_delay: Duration::from_micros(f.max_ack_delay_us),
            reordering: f.reordering,
        },
        Frame::ImmediateAck => FrameInfo::ImmediateAck,
        ref other => FrameInfo::Unknown { frame_type: other.kind() },
    }
}
