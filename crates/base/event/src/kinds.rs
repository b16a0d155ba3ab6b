//! The closed vocabularies of events: enums whose members have a fixed name in logs.
//! They decide spelling (draft-ietf-quic-qlog-quic-events-13 where it has a word), never meaning.

use core::time::Duration;

/// Declares an enum whose members have a name: `name()` and `ALL` come from the same list.
macro_rules! named {
    ($($(#[$doc:meta])* enum $kind:ident { $($(#[$vdoc:meta])* $variant:ident = $name:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $kind { $($(#[$vdoc])* $variant,)* }

        impl $kind {
            /// Every member, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word logs use.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl crate::qlog::Field for $kind {
            fn put(&self, key: &str, o: &mut crate::json::Object<'_>) {
                o.text(key, self.name());
            }
        }
    )*};
}
pub(crate) use named;

named! {
    /// What kind of packet, and with it which packet number space.
    enum Space {
        /// Long header, Initial.
        Initial = "initial",
        /// Long header, Handshake.
        Handshake = "handshake",
        /// Long header, 0-RTT.
        ZeroRtt = "0RTT",
        /// Short header.
        OneRtt = "1RTT",
        /// Retry: has no packet number.
        Retry = "retry",
        /// Version Negotiation: has no packet number.
        VersionNegotiation = "version_negotiation",
    }

    /// Who did it.
    enum Initiator {
        /// This endpoint.
        Local = "local",
        /// The peer.
        Remote = "remote",
    }

    /// Why a connection ended.
    enum CloseTrigger {
        /// Nothing arrived for the idle timeout.
        IdleTimeout = "idle_timeout",
        /// An application closed it.
        Application = "application",
        /// A protocol error at either end.
        Error = "error",
        /// No common version.
        VersionMismatch = "version_mismatch",
        /// The peer sent a stateless reset.
        StatelessReset = "stateless_reset",
        /// Dropped without a word.
        Aborted = "aborted",
        /// Not known.
        Unspecified = "unspecified",
    }

    /// How far a connection has come (RFC 9000 §10, RFC 9001 §4.1).
    enum ConnectionState {
        /// An Initial was sent or received.
        Attempted = "attempted",
        /// The peer's address is validated.
        PeerValidated = "peer_validated",
        /// A Handshake packet was sent or received.
        HandshakeStarted = "handshake_started",
        /// A server may send 1-RTT data, the handshake is not complete.
        EarlyWrite = "early_write",
        /// Both Finished messages were exchanged.
        HandshakeComplete = "handshake_complete",
        /// HANDSHAKE_DONE was sent or received.
        HandshakeConfirmed = "handshake_confirmed",
        /// CONNECTION_CLOSE was sent.
        Closing = "closing",
        /// CONNECTION_CLOSE was received.
        Draining = "draining",
        /// The state is gone.
        Closed = "closed",
    }

    /// Why a packet was sent, where that is worth a word.
    enum SentTrigger {
        /// Carries what a reordering threshold declared lost.
        Reordered = "retransmit_reordered",
        /// Carries what a time threshold declared lost.
        Timeout = "retransmit_timeout",
        /// A probe after a PTO.
        PtoProbe = "pto_probe",
        /// Carries CRYPTO data again.
        Crypto = "retransmit_crypto",
        /// Sent to measure bandwidth.
        BandwidthProbe = "cc_bandwidth_probe",
    }

    /// Why a packet was processed now.
    enum ReceivedTrigger {
        /// It had waited for its keys.
        KeysAvailable = "keys_available",
    }

    /// Why a packet waits.
    enum BufferReason {
        /// Its keys are not there yet.
        KeysUnavailable = "keys_unavailable",
        /// Processing does not keep up.
        Backpressure = "backpressure",
    }

    /// Which secret (the secret itself never appears in an event).
    enum KeyKind {
        /// Server's Initial secret.
        ServerInitial = "server_initial_secret",
        /// Client's Initial secret.
        ClientInitial = "client_initial_secret",
        /// Server's Handshake secret.
        ServerHandshake = "server_handshake_secret",
        /// Client's Handshake secret.
        ClientHandshake = "client_handshake_secret",
        /// Client's 0-RTT secret.
        ClientZeroRtt = "client_0rtt_secret",
        /// Server's 1-RTT secret.
        ServerOneRtt = "server_1rtt_secret",
        /// Client's 1-RTT secret.
        ClientOneRtt = "client_1rtt_secret",
    }

    /// Who caused a key change.
    enum KeyTrigger {
        /// The handshake.
        Tls = "tls",
        /// The peer flipped the key phase.
        RemoteUpdate = "remote_update",
        /// We flipped it.
        LocalUpdate = "local_update",
    }

    /// What a congestion controller is doing.
    enum CongestionState {
        /// Doubling per round.
        SlowStart = "slow_start",
        /// Growing slowly.
        Avoidance = "congestion_avoidance",
        /// Too little to send for the window to mean anything.
        ApplicationLimited = "application_limited",
        /// In the round after a reduction.
        Recovery = "recovery",
    }

    /// What declared a packet lost (RFC 9002 §6.1).
    enum LossTrigger {
        /// Later packets were acknowledged.
        Reordering = "reordering_threshold",
        /// It is outstanding for too long.
        Time = "time_threshold",
        /// A PTO passed.
        PtoExpired = "pto_expired",
    }

    /// Which timer.
    enum TimerKind {
        /// When an acknowledgement must go.
        Ack = "ack",
        /// Probe timeout.
        Pto = "pto",
        /// Time threshold of loss detection.
        Loss = "loss_timeout",
        /// PATH_CHALLENGE again, or given up.
        PathValidation = "path_validation",
        /// The handshake took too long.
        Handshake = "handshake_timeout",
        /// Idle timeout.
        Idle = "idle_timeout",
    }

    /// Whether a path carries ECN (RFC 9000 §13.4.2).
    enum EcnState {
        /// Marking a first few packets.
        Testing = "testing",
        /// Waiting for their counts.
        Unknown = "unknown",
        /// The path or the peer bleaches or miscounts.
        Failed = "failed",
        /// It works.
        Capable = "capable",
    }

    /// State of one side of a stream (RFC 9000 §3).
    enum StreamState {
        /// Not used yet.
        Idle = "idle",
        /// Either side may send.
        Open = "open",
        /// Both sides ended.
        Closed = "closed",
        /// We ended.
        HalfClosedLocal = "half_closed_local",
        /// The peer ended.
        HalfClosedRemote = "half_closed_remote",
        /// Sending side, nothing sent.
        Ready = "ready",
        /// Sending side, data flows.
        Send = "send",
        /// Sending side, all sent once.
        DataSent = "data_sent",
        /// RESET_STREAM sent.
        ResetSent = "reset_sent",
        /// RESET_STREAM received, or its acknowledgement.
        ResetReceived = "reset_received",
        /// Receiving side, data flows.
        Receive = "receive",
        /// Receiving side, the end is known.
        SizeKnown = "size_known",
        /// All data is there, or acknowledged.
        DataReceived = "data_received",
        /// The application read all.
        DataRead = "data_read",
        /// The application learnt of the reset.
        ResetRead = "reset_read",
        /// Memory is freed.
        Destroyed = "destroyed",
    }

    /// Which side of a stream changed.
    enum StreamSide {
        /// Ours to write.
        Sending = "sending",
        /// Ours to read.
        Receiving = "receiving",
    }

    /// What the paths of a connection are together.
    enum BondState {
        /// One path is wanted.
        SinglePath = "single_path",
        /// Several are wanted, fewer than two carry data.
        Pending = "pending",
        /// Two or more carry data.
        Bonded = "bonded",
        /// One that is wanted is in trouble.
        Degraded = "degraded",
    }

    /// What the guard of the bond did with a path.
    enum GuardAction {
        /// Out of bulk service: it cost others more than it brought.
        HeldHarm = "held_harm",
        /// Out of bulk service: all together brought less than the best alone could.
        HeldFloor = "held_floor",
        /// Out of bulk service: an experiment without it went better.
        HeldTrial = "held_trial",
        /// An experiment does without it for a while.
        TrialBegun = "trial_begun",
        /// The experiment's window is over.
        TrialEnded = "trial_ended",
        /// A train of copies was sent to see what it delivers under load.
        Probed = "probed",
        /// Back in service, on probation.
        Admitted = "admitted",
    }

    /// State and local health of a path, as one word.
    enum PathState {
        /// Its address is being validated.
        Validating = "validating",
        /// In use.
        Available = "available",
        /// Validated, standing by.
        Backup = "backup",
        /// Acknowledgements are late.
        Suspect = "suspect",
        /// No progress, or the interface is gone.
        Out = "out",
        /// Back, on trial.
        Probation = "probation",
        /// Kept out of bulk service by policy.
        Held = "held",
        /// PATH_ABANDON was sent or received.
        Abandoned = "abandoned",
        /// Validation failed.
        Failed = "failed",
        /// Its state is gone.
        Closed = "closed",
    }
}

impl Space {
    /// Whether packets of this kind carry a packet number.
    pub const fn is_numbered(self) -> bool {
        !matches!(self, Self::Retry | Self::VersionNegotiation)
    }

    /// The packet number space in qlog's words, if the kind has one.
    pub const fn number_space(self) -> Option<&'static str> {
        match self {
            Self::Initial => Some("initial"),
            Self::Handshake => Some("handshake"),
            Self::ZeroRtt | Self::OneRtt => Some("application_data"),
            Self::Retry | Self::VersionNegotiation => None,
        }
    }
}

/// The code a connection ended with; the two spaces overlap (RFC 9000 §20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// A transport error, 0x0100-0x01ff being TLS alerts.
    Transport(u64),
    /// The application's own.
    Application(u64),
}

/// What happened to a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerChange {
    /// It will fire after this time.
    Set(Duration),
    /// It fired.
    Expired,
    /// It was stopped.
    Cancelled,
}

/// One transport parameter: its qlog name (for the common ones the RFC's name) and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// For instance `initial_max_data`.
    pub name: &'static str,
    /// What it is set to.
    pub value: ParameterValue<'a>,
}

/// Value of a transport parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterValue<'a> {
    /// An integer.
    Number(u64),
    /// Present or absent.
    Flag(bool),
    /// Opaque bytes such as a connection id.
    Bytes(&'a [u8]),
    /// Two addresses and a connection id (RFC 9000 §18.2); the reset token with them is secret and left out.
    Preferred {
        /// IPv4 address, if one is offered.
        v4: Option<core::net::SocketAddrV4>,
        /// IPv6 address, if one is offered.
        v6: Option<core::net::SocketAddrV6>,
        /// The connection id for it.
        cid: &'a [u8],
    },
    /// A parameter this endpoint does not know; `Parameter::name` is ignored.
    Unknown {
        /// Its number.
        id: u64,
        /// Its bytes.
        value: &'a [u8],
    },
}
