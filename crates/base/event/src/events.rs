//! Every event, declared once: fields, name in logs, and how a field is written.
//!
//! `field: Type => "key"` writes the field by its type; a field without a key is written by the event's
//! `also` block, or only serves subscribers. Names that start with `quic:` are those of
//! draft-ietf-quic-qlog-quic-events-13; `tquic:` names are our own. An event `on path` carries the path id,
//! which logs show as the record's `tuple`.

use core::net::SocketAddr;
use core::time::Duration;

use crate::json::Object;
use crate::qlog::{Field, put_parameters, put_space, put_timer, put_versions};
use crate::{
    BondState, BufferReason, CloseCode, CloseTrigger, CongestionState, ConnectionState, DropReason, EcnState,
    FrameInfo, GuardAction, Initiator, KeyKind, KeyTrigger, LossTrigger, Parameter, PathState,
    ReceivedTrigger, SentTrigger, Space, StreamSide, StreamState, TimerChange, TimerKind,
};

macro_rules! events {
    ($(
        $(#[$doc:meta])*
        $name:literal $event:ident $(<$life:lifetime>)? $(on $path:ident)? {
            $($(#[$fdoc:meta])* $field:ident: $kind:ty $(=> $key:literal)?,)*
        } $(also |$e:ident, $o:ident| $also:block)?
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $event $(<$life>)? {
                $(
                    /// Path id.
                    pub $path: u32,
                )?
                $($(#[$fdoc])* pub $field: $kind,)*
            }

            impl<'a> From<$event $(<$life>)?> for Event<'a> {
                fn from(event: $event $(<$life>)?) -> Self {
                    Self::$event(event)
                }
            }
        )*

        /// Anything that can be told about a connection or an endpoint.
        #[derive(Clone, Copy, Debug)]
        pub enum Event<'a> {
            $($(#[$doc])* $event($event $(<$life>)?),)*
        }

        impl Event<'_> {
            /// The names of all events.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// The name logs use.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$event(_) => $name,)* }
            }

            /// The path it is about, if it is about one.
            #[allow(unused_variables, reason = "not every event is about a path")]
            pub const fn path(&self) -> Option<u32> {
                match self {
                    $(Self::$event(event) => {
                        #[allow(unused_mut, unused_assignments, reason = "as above")]
                        let mut path = None;
                        $(path = Some(event.$path);)?
                        path
                    })*
                }
            }

            /// Writes the `data` of a log record.
            #[allow(unused_variables, reason = "not every event has data")]
            pub(crate) fn put_data(&self, o: &mut Object<'_>) {
                match self {
                    $(Self::$event(event) => {
                        $($(event.$field.put($key, o);)?)*
                        $({
                            let $e = event;
                            let $o = &mut *o;
                            $also
                        })?
                    })*
                }
            }
        }
    };
}

events! {
    /// A connection was attempted (client) or accepted (server).
    "quic:connection_started" ConnectionStarted<'a> {
        /// Our address.
        local: SocketAddr => "local",
        /// The peer's.
        remote: SocketAddr => "remote",
        /// The destination connection id of the client's first Initial.
        odcid: &'a [u8] => "odcid",
    }

    /// A connection ended: closing, draining or dropped (RFC 9000 §10).
    "quic:connection_closed" ConnectionClosed<'a> {
        /// Who ended it.
        initiator: Initiator => "initiator",
        /// With which code.
        code: CloseCode => "connection_error",
        /// The frame type blamed, in a transport error.
        frame_type: Option<u64> => "trigger_frame_type",
        /// The reason phrase, any bytes.
        reason: &'a [u8] => "reason",
        /// Why.
        trigger: CloseTrigger => "trigger",
    }

    /// The connection came a step further.
    "quic:connection_state_updated" ConnectionStateUpdated {
        /// Before.
        old: Option<ConnectionState> => "old",
        /// Now.
        new: ConnectionState => "new",
    }

    /// What versions each side offers and the one chosen.
    "quic:version_information" VersionInformation<'a> {
        /// The server's, if known.
        server: &'a [u32],
        /// The client's, if known.
        client: &'a [u32],
        /// The result.
        chosen: Option<u32>,
    } also |e, o| {
        put_versions(o, "server_versions", e.server);
        put_versions(o, "client_versions", e.client);
        if let Some(version) = e.chosen {
            o.hex("chosen_version", &version.to_be_bytes());
        }
    }

    /// What application protocols each side offers and the one chosen.
    "quic:alpn_information" AlpnInformation<'a> {
        /// The server's, if known.
        server: &'a [&'a [u8]] => "server_alpns",
        /// The client's, if known.
        client: &'a [&'a [u8]] => "client_alpns",
        /// The result.
        chosen: Option<&'a [u8]>,
    } also |e, o| {
        if let Some(alpn) = e.chosen {
            o.object("chosen_alpn", |o| crate::qlog::put_alpn(o, alpn));
        }
    }

    /// Transport parameters of one side.
    "quic:parameters_set" ParametersSet<'a> {
        /// Whose.
        owner: Initiator => "initiator",
        /// The parameters.
        list: &'a [Parameter<'a>],
    } also |e, o| {
        put_parameters(o, e.list);
    }

    /// A packet was handed to the host.
    "quic:packet_sent" PacketSent<'a> on path {
        /// Its kind.
        space: Space,
        /// Its number; ignored for kinds that have none.
        pn: u64,
        /// Bytes, header and tag included.
        size: usize,
        /// What is in it; may be empty where nobody collected it.
        frames: &'a [FrameInfo<'a>] => "frames",
        /// The two ECN bits of the IP header: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE.
        ecn: u8,
        /// Why it was sent, if out of the ordinary.
        trigger: Option<SentTrigger> => "trigger",
    } also |e, o| {
        put_space(o, e.space, Some(e.pn));
        put_packet(o, e.size, e.ecn);
    }

    /// A packet was opened.
    "quic:packet_received" PacketReceived<'a> on path {
        /// Its kind.
        space: Space,
        /// Its number; ignored for kinds that have none.
        pn: u64,
        /// Bytes, header and tag included.
        size: usize,
        /// What is in it; may be empty where nobody collected it.
        frames: &'a [FrameInfo<'a>] => "frames",
        /// The two ECN bits of the IP header.
        ecn: u8,
        /// Why now, if it had to wait.
        trigger: Option<ReceivedTrigger> => "trigger",
    } also |e, o| {
        put_space(o, e.space, Some(e.pn));
        put_packet(o, e.size, e.ecn);
    }

    /// A packet, or all that is left of a datagram, was thrown away.
    "quic:packet_dropped" PacketDropped {
        /// Why.
        reason: DropReason,
        /// Bytes.
        size: usize,
    } also |e, o| {
        put_length(o, e.size);
        o.object("details", |o| o.text("reason", e.reason.name()));
        o.text("trigger", e.reason.trigger());
    }

    /// A packet waits to be opened.
    "quic:packet_buffered" PacketBuffered {
        /// Its kind.
        space: Space,
        /// Bytes.
        size: usize,
        /// What for.
        reason: BufferReason => "trigger",
    } also |e, o| {
        put_space(o, e.space, None);
        put_length(o, e.size);
    }

    /// Datagrams were handed to the host in one batch.
    "quic:udp_datagrams_sent" DatagramsSent {
        /// How many.
        count: usize => "count",
        /// Their payloads together.
        bytes: usize => "total_length",
    }

    /// Datagrams were taken from the host in one batch.
    "quic:udp_datagrams_received" DatagramsReceived {
        /// How many.
        count: usize => "count",
        /// Their payloads together.
        bytes: usize => "total_length",
    }

    /// Keys came into use. Secrets are never part of an event.
    "quic:key_updated" KeyUpdated {
        /// Which.
        kind: KeyKind => "key_type",
        /// How many updates this 1-RTT key is away from the first.
        generation: u64,
        /// Who caused it.
        trigger: KeyTrigger => "trigger",
    } also |e, o| {
        put_generation(o, e.kind, e.generation);
    }

    /// Keys are gone.
    "quic:key_discarded" KeyDiscarded {
        /// Which.
        kind: KeyKind => "key_type",
        /// How many updates this 1-RTT key is away from the first.
        generation: u64,
        /// Who caused it.
        trigger: KeyTrigger => "trigger",
    } also |e, o| {
        put_generation(o, e.kind, e.generation);
    }

    /// Round-trip times and window of a path (RFC 9002 §A.3, §B.2).
    "quic:recovery_metrics_updated" RecoveryMetricsUpdated on path {
        /// Congestion window, bytes.
        cwnd: u64 => "congestion_window",
        /// Bytes sent and neither acknowledged nor lost.
        bytes_in_flight: u64 => "bytes_in_flight",
        /// Smoothed round-trip time.
        srtt: Duration => "smoothed_rtt",
        /// Smallest.
        min_rtt: Duration => "min_rtt",
        /// Last sample.
        latest_rtt: Duration => "latest_rtt",
        /// Mean deviation.
        rttvar: Duration => "rtt_variance",
        /// Slow start threshold in bytes, `u64::MAX` for none.
        ssthresh: u64,
        /// PTOs in a row.
        pto_count: u32 => "pto_count",
        /// Bytes per second.
        pacing_rate: u64,
    } also |e, o| {
        if e.ssthresh != u64::MAX {
            o.number("ssthresh", e.ssthresh);
        }
        o.number("pacing_rate", e.pacing_rate.saturating_mul(8));
    }

    /// The controller of a path does something else now.
    "quic:congestion_state_updated" CongestionStateUpdated on path {
        /// What.
        state: CongestionState => "new",
    }

    /// A packet was declared lost.
    "quic:packet_lost" PacketLost on path {
        /// Its kind.
        space: Space,
        /// Its number.
        pn: u64,
        /// By which rule.
        trigger: LossTrigger => "trigger",
    } also |e, o| {
        put_space(o, e.space, Some(e.pn));
    }

    /// A packet declared lost was acknowledged after all.
    "tquic:spurious_loss" SpuriousLoss on path {
        /// Its number, in the path's application space.
        pn: u64 => "packet_number",
    }

    /// A timer was set, fired or stopped.
    "quic:timer_updated" LossTimerUpdated on path {
        /// Which.
        timer: TimerKind => "timer_type",
        /// For which space, if one.
        space: Option<Space>,
        /// What happened.
        change: TimerChange,
    } also |e, o| {
        put_timer(o, e.space, e.change);
    }

    /// ECN validation of a path moved.
    "quic:ecn_state_updated" EcnStateUpdated on path {
        /// Where to.
        state: EcnState => "new",
    }

    /// The datagram size of a path changed.
    "quic:mtu_updated" MtuUpdated on path {
        /// Before, bytes of UDP payload.
        old: u16 => "old",
        /// Now.
        new: u16 => "new",
        /// No further probe is planned.
        done: bool => "done",
    }

    /// One side of a stream changed.
    "quic:stream_state_updated" StreamStateUpdated {
        /// Stream id; its second bit says the type.
        id: u64 => "stream_id",
        /// Before, if it existed.
        old: Option<StreamState> => "old",
        /// Now.
        new: StreamState => "new",
        /// Which side.
        side: StreamSide => "stream_side",
    } also |e, o| {
        o.text("stream_type", if e.id & 2 == 0 { "bidirectional" } else { "unidirectional" });
    }

    /// A connection id came or went.
    "quic:connection_id_updated" ConnectionIdUpdated<'a> on path {
        /// Whose id it is.
        initiator: Initiator => "initiator",
        /// Replaced or retired.
        old: Option<&'a [u8]> => "old",
        /// In use now.
        new: Option<&'a [u8]> => "new",
    }

    /// A path id belongs to this pair of addresses now.
    "quic:tuple_assigned" PathAssigned on path {
        /// Our address.
        local: SocketAddr => "tuple_local",
        /// The peer's.
        remote: SocketAddr => "tuple_remote",
    } also |e, o| {
        crate::json::quoted_number(o.key("tuple_id"), u64::from(e.path));
    }

    /// A path's state or health changed.
    "tquic:path_state_updated" PathStateUpdated on path {
        /// Now.
        state: PathState => "new",
    }

    /// What the paths are together changed.
    "tquic:bond_state_updated" BondStateUpdated {
        /// Before.
        old: BondState => "old",
        /// Now.
        new: BondState => "new",
    }

    /// The guard of the bond did something with a path.
    "tquic:path_guarded" PathGuarded on path {
        /// What.
        action: GuardAction => "action",
    }

    /// A path was found to share its bottleneck with others, or with none any more.
    "tquic:path_grouped" PathGrouped on path {
        /// Those with the same number share one; zero is none.
        group: u32 => "group",
    }

    /// Where data goes was decided: scheduler, memory, views, demand and pick in one line, from which it can be decided again.
    "tquic:decision_made" DecisionMade<'a> {
        /// A `tq_sched::Decision` as text.
        record: &'a str => "record",
    }

    /// The constants of loss recovery and congestion control.
    "quic:recovery_parameters_set" RecoveryParametersSet {
        /// kPacketThreshold, packets.
        reordering_threshold: u16 => "reordering_threshold",
        /// kTimeThreshold in thousandths of a round trip: 1125 is 9/8.
        time_threshold_milli: u32,
        /// kGranularity.
        granularity: Duration,
        /// kInitialRtt.
        initial_rtt: Duration => "initial_rtt",
        /// max_datagram_size, bytes.
        max_datagram_size: u16 => "max_datagram_size",
        /// kInitialWindow, bytes.
        initial_cwnd: u64 => "initial_congestion_window",
        /// kMinimumWindow, bytes.
        min_cwnd: u64 => "minimum_congestion_window",
        /// kLossReductionFactor in thousandths: 700 is CUBIC's 0.7.
        loss_reduction_milli: u32,
        /// kPersistentCongestionThreshold, PTOs.
        persistent_congestion_threshold: u16 => "persistent_congestion_threshold",
    } also |e, o| {
        crate::json::thousandths(o.key("time_threshold"), e.time_threshold_milli);
        o.number("timer_granularity", u64::try_from(e.granularity.as_millis()).unwrap_or(u64::MAX));
        crate::json::thousandths(o.key("loss_reduction_factor"), e.loss_reduction_milli);
    }
}

fn put_length(o: &mut Object<'_>, size: usize) {
    o.object("raw", |o| size.put("length", o));
}

fn put_packet(o: &mut Object<'_>, size: usize, ecn: u8) {
    put_length(o, size);
    // An extension: the schema has the mark with datagrams, where batches lose it.
    if let Some(mark) = [None, Some("ECT(1)"), Some("ECT(0)"), Some("CE")][usize::from(ecn & 3)] {
        o.text("ecn", mark);
    }
}

fn put_generation(o: &mut Object<'_>, kind: KeyKind, generation: u64) {
    if matches!(kind, KeyKind::ServerOneRtt | KeyKind::ClientOneRtt) {
        o.number("key_phase", generation);
    }
}
