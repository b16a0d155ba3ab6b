//! One or more values of every event, with every kind of frame.

extern crate std;
use core::net::SocketAddr;
use core::time::Duration;

use crate::*;

const MS: Duration = Duration::from_millis(1);

pub(super) fn local() -> SocketAddr {
    "192.0.2.1:443".parse().unwrap()
}

pub(super) fn remote() -> SocketAddr {
    "[2001:db8::7]:4433".parse().unwrap()
}

/// Every frame there is, in both forms where there are two.
pub(super) const FRAMES: &[FrameInfo<'static>] = &[
    FrameInfo::Padding { length: 9 },
    FrameInfo::Ping,
    FrameInfo::Ack { path: None, delay: MS, ranges: &[(1, 4), (9, 9)], ecn: Some((1, 2, 3)) },
    FrameInfo::Ack { path: Some(1), delay: MS, ranges: &[(0, 0)], ecn: None },
    FrameInfo::ResetStream { id: 0, code: 1, final_size: 2, reliable_size: None },
    FrameInfo::ResetStream { id: 0, code: 1, final_size: 2, reliable_size: Some(1) },
    FrameInfo::StopSending { id: 4, code: 3 },
    FrameInfo::Crypto { offset: 0, length: 300 },
    FrameInfo::NewToken { length: 40 },
    FrameInfo::Stream { id: 8, offset: 0, length: 0, fin: false },
    FrameInfo::MaxData { maximum: 1 },
    FrameInfo::MaxStreamData { id: 8, maximum: 2 },
    FrameInfo::MaxStreams { bidirectional: true, maximum: 3 },
    FrameInfo::MaxStreams { bidirectional: false, maximum: 3 },
    FrameInfo::DataBlocked { limit: 4 },
    FrameInfo::StreamDataBlocked { id: 8, limit: 5 },
    FrameInfo::StreamsBlocked { bidirectional: false, limit: 6 },
    FrameInfo::NewConnectionId { path: None, sequence: 1, retire_prior_to: 0, cid: &[1, 2, 3, 4] },
    FrameInfo::NewConnectionId { path: Some(7), sequence: 1, retire_prior_to: 0, cid: &[1, 2, 3, 4] },
    FrameInfo::RetireConnectionId { path: None, sequence: 1 },
    FrameInfo::RetireConnectionId { path: Some(7), sequence: 1 },
    FrameInfo::PathChallenge { data: [7; 8] },
    FrameInfo::PathResponse { data: [7; 8] },
    FrameInfo::ConnectionClose { code: CloseCode::Transport(1), reason: b"why" },
    FrameInfo::ConnectionClose { code: CloseCode::Application(1), reason: b"" },
    FrameInfo::HandshakeDone,
    FrameInfo::Datagram { length: 100 },
    FrameInfo::AckFrequency { sequence: 1, threshold: 10, max_ack_delay: MS, reordering: 3 },
    FrameInfo::ImmediateAck,
    FrameInfo::PathAbandon { path: 3, code: 0 },
    FrameInfo::PathStatus { path: 3, available: true, sequence: 1 },
    FrameInfo::PathStatus { path: 3, available: false, sequence: 2 },
    FrameInfo::MaxPathId { maximum: 8 },
    FrameInfo::PathsBlocked { maximum: 8 },
    FrameInfo::PathCidsBlocked { path: 3, next_sequence: 2 },
    FrameInfo::Unknown { frame_type: 0x1234_5678 },
];

const PREFERRED: Parameter<'static> = Parameter {
    name: "preferred_address",
    value: ParameterValue::Preferred {
        v4: Some(core::net::SocketAddrV4::new(core::net::Ipv4Addr::LOCALHOST, 1)),
        v6: Some(core::net::SocketAddrV6::new(core::net::Ipv6Addr::LOCALHOST, 2, 0, 0)),
        cid: &[9; 8],
    },
};

/// Visits every sample.
pub(super) fn each(mut visit: impl FnMut(&Event<'_>)) {
    connectivity(&mut visit);
    transport(&mut visit);
    recovery(&mut visit);
}

fn connectivity(visit: &mut impl FnMut(&Event<'_>)) {
    visit(&ConnectionStarted { local: local(), remote: remote(), odcid: &[1; 8] }.into());
    for trigger in CloseTrigger::ALL {
        visit(
            &ConnectionClosed {
                initiator: Initiator::Local,
                code: CloseCode::Transport(0),
                frame_type: None,
                reason: b"",
                trigger: *trigger,
            }
            .into(),
        );
    }
    for new in ConnectionState::ALL {
        visit(&ConnectionStateUpdated { old: Some(ConnectionState::Attempted), new: *new }.into());
        visit(&ConnectionStateUpdated { old: None, new: *new }.into());
    }
    visit(
        &ConnectionIdUpdated { path: 1, initiator: Initiator::Local, old: Some(&[1]), new: Some(&[2]) }
            .into(),
    );
    visit(&PathAssigned { path: 1, local: local(), remote: remote() }.into());
    for state in PathState::ALL {
        visit(&PathStateUpdated { path: 1, state: *state }.into());
    }
    for new in BondState::ALL {
        visit(&BondStateUpdated { old: BondState::Pending, new: *new }.into());
    }
    for action in GuardAction::ALL {
        visit(&PathGuarded { path: 1, action: *action }.into());
    }
    visit(&PathGrouped { path: 1, group: 1 }.into());
    visit(&DecisionMade { record: "aggregate now=5;path id=1;demand backlog=9;pick send 1" }.into());
    visit(&MtuUpdated { path: 1, old: 1200, new: 1400, done: true }.into());
    visit(&VersionInformation { server: &[1, 0x6b33_43cf], client: &[1], chosen: Some(1) }.into());
    visit(&VersionInformation { server: &[], client: &[1], chosen: None }.into());
    visit(&AlpnInformation { server: &[b"h3"], client: &[b"h3", b"\xff"], chosen: Some(b"h3") }.into());
    visit(&ParametersSet { owner: Initiator::Local, list: &[PREFERRED] }.into());
}

fn transport(visit: &mut impl FnMut(&Event<'_>)) {
    for space in Space::ALL {
        let (space, pn) = (*space, 3);
        for (ecn, frames) in [(0, &[][..]), (1, FRAMES), (2, FRAMES), (3, FRAMES)] {
            let trigger = SentTrigger::ALL.get(usize::from(ecn)).copied();
            visit(&PacketSent { path: 0, space, pn, size: 1200, frames, ecn, trigger }.into());
            let trigger = Some(ReceivedTrigger::KeysAvailable);
            visit(&PacketReceived { path: 0, space, pn, size: 1200, frames, ecn, trigger }.into());
        }
        for reason in BufferReason::ALL {
            visit(&PacketBuffered { space, size: 1200, reason: *reason }.into());
        }
    }
    for reason in DropReason::ALL {
        visit(&PacketDropped { reason: *reason, size: 21 }.into());
    }
    visit(&DatagramsSent { count: 3, bytes: 3600 }.into());
    visit(&DatagramsReceived { count: 3, bytes: 3600 }.into());
    for (kind, trigger) in KeyKind::ALL.iter().zip(KeyTrigger::ALL.iter().cycle()) {
        visit(&KeyUpdated { kind: *kind, generation: 2, trigger: *trigger }.into());
        visit(&KeyDiscarded { kind: *kind, generation: 2, trigger: *trigger }.into());
    }
    for (id, new) in (0..).zip(StreamState::ALL) {
        let side = if id % 3 == 0 { StreamSide::Sending } else { StreamSide::Receiving };
        visit(&StreamStateUpdated { id, old: None, new: *new, side }.into());
        visit(&StreamStateUpdated { id, old: Some(StreamState::Idle), new: *new, side }.into());
    }
}

fn recovery(visit: &mut impl FnMut(&Event<'_>)) {
    visit(
        &RecoveryParametersSet {
            reordering_threshold: 3,
            time_threshold_milli: 1125,
            granularity: MS,
            initial_rtt: 333 * MS,
            max_datagram_size: 1200,
            initial_cwnd: 12_000,
            min_cwnd: 2400,
            loss_reduction_milli: 700,
            persistent_congestion_threshold: 3,
        }
        .into(),
    );
    visit(
        &RecoveryMetricsUpdated {
            path: 1,
            cwnd: 1,
            bytes_in_flight: 2,
            srtt: MS,
            min_rtt: MS,
            latest_rtt: MS,
            rttvar: MS,
            ssthresh: 4,
            pto_count: 1,
            pacing_rate: 5,
        }
        .into(),
    );
    for state in CongestionState::ALL {
        visit(&CongestionStateUpdated { path: 1, state: *state }.into());
    }
    for trigger in LossTrigger::ALL {
        visit(&PacketLost { path: 1, space: Space::OneRtt, pn: 2, trigger: *trigger }.into());
    }
    visit(&SpuriousLoss { path: 1, pn: 2 }.into());
    for state in EcnState::ALL {
        visit(&EcnStateUpdated { path: 1, state: *state }.into());
    }
    for timer in TimerKind::ALL {
        for change in [TimerChange::Set(MS), TimerChange::Expired, TimerChange::Cancelled] {
            visit(&LossTimerUpdated { path: 1, timer: *timer, space: Some(Space::OneRtt), change }.into());
            visit(&LossTimerUpdated { path: 1, timer: *timer, space: None, change }.into());
        }
    }
}
