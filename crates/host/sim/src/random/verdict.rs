//! The oracle: what must never happen, and by when everything must have happened. It knows bytes, ends and time; of the
//! protocol only that an end may close, fall silent or lose its state. A transport error between two ends of ours is
//! always a bug.

use std::fmt;

use tq_quic::{ConnectionError, TransportError};
use tq_time::{Duration, Instant};
use tq_wire::Code;

use super::board::{Board, Death, Flow};
use super::plan::{Plan, Verb, Who};
use super::stage::Scene;

/// Losses that explain a silence: a probe that is lost is sent again, so fewer do not.
const EXPLAINS: usize = 2;

/// What kind of thing went wrong; a shrinker keeps to one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A byte or a message was lost, altered, doubled or invented.
    Content,
    /// A stream ended differently at its two ends.
    Ends,
    /// An end found its connection in an impossible state.
    Call,
    /// A connection ended for no reason of the plan.
    Death,
    /// An end did not hear that the other was gone.
    Lingers,
    /// Something did not finish in time.
    Stuck,
    /// More datagrams than the work asks for.
    Storm,
    /// Time stood still.
    Livelock,
    /// The network's books do not balance.
    Books,
    /// A panic.
    Panic,
}

/// Something that must never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of this kind.
    pub kind: Kind,
    /// In words.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

/// The numbers of a plan that time depends on, in seconds and bytes.
struct Measure {
    rtt: f64,
    rate: f64,
    bytes: f64,
    window: f64,
    streams: f64,
    outage: f64,
}

fn measure(plan: &Plan) -> Measure {
    let all = |verb: Verb| plan.items.iter().filter(move |item| item.verb == verb);
    let most = |verb: Verb| all(verb).map(|item| item.size(0)).max().unwrap_or(0) as f64;
    let least = |verb: Verb, ix| all(verb).map(|item| item.size(ix)).min();
    let rate = least(Verb::Rate, 0).map_or(1e8, |rate| rate as f64 * 1e3);
    let queue = all(Verb::Queue).map(|item| item.size(0)).max().unwrap_or(1 << 20) as f64;
    let way = (most(Verb::Delay) + most(Verb::Jitter)) / 1e6;
    let queueing = if all(Verb::Rate).next().is_some() { queue / rate } else { 0.0 };
    let windows = [least(Verb::Window, 0), least(Verb::Window, 1)];
    let limits = [least(Verb::Streams, 0), least(Verb::Streams, 1)];
    let limit = limits.into_iter().flatten().min().unwrap_or(100).max(1) as f64;
    let messages: u64 = all(Verb::Message).map(|item| item.size(0) * item.size(1)).sum();
    Measure {
        rtt: 2.0 * (way + queueing) + 0.01 + most(Verb::AckDelay) / 1e3,
        rate,
        bytes: all(Verb::Write).map(|item| item.size(1)).sum::<u64>() as f64 + messages as f64 + 20_000.0,
        window: windows.into_iter().flatten().min().unwrap_or(1 << 20).max(64) as f64,
        streams: all(Verb::Open).count() as f64 / limit,
        outage: most(Verb::Out).max(most(Verb::Cut)) / 1e3,
    }
}

/// By when a connection that lives has done everything: from the start of the run.
pub(super) fn bound(plan: &Plan) -> Duration {
    let m = measure(plan);
    // a probe timeout after the last fault, the bytes at the slowest rate, a round trip for every window, stream and
    // small flight
    let rounds = m.bytes / 2400.0 + m.bytes / m.window + m.streams + 20.0;
    let seconds = 40.0 + 3.0 * m.outage + 6.0 * m.bytes / m.rate + 6.0 * m.rtt * rounds;
    Duration::from_millis(plan.healed_at().into()) + Duration::from_secs_f64(seconds.min(1e6))
}

/// How long a connection may be there after it should be gone, idle timeout aside.
pub(super) fn lingering(plan: &Plan) -> Duration {
    let m = measure(plan);
    Duration::from_secs_f64((70.0 + 30.0 * m.rtt + 3.0 * m.outage).min(1e6))
}

/// Datagrams that are too many.
fn storm(plan: &Plan, seconds: f64) -> u64 {
    let m = measure(plan);
    let streams = plan.items.iter().filter(|item| item.verb == Verb::Open).count() as f64;
    let links = plan.links() as f64;
    let each = 3000.0 + m.bytes / 50.0 + 60.0 * seconds;
    (each * links + 100.0 * streams + 40.0 * m.bytes / m.window) as u64
}

pub(super) fn judge(scene: &Scene<'_>, complete: bool) -> Result<(), Failure> {
    if let Some(violation) = scene.ledger.first() {
        return Err(Failure::new(Kind::Content, violation.to_string()));
    }
    if let Some(wrong) = scene.board.wrongs.first() {
        return Err(Failure::new(Kind::Call, wrong));
    }
    if let Some(failed) = scene.failed.first() {
        return Err(Failure::new(Kind::Call, failed));
    }
    deaths(scene)?;
    flows(&scene.board, complete)?;
    if !complete && !scene.board.any_dead() {
        return Err(Failure::new(Kind::Stuck, unfinished(scene)));
    }
    if !scene.board.is_dead() {
        let alive = scene.board.deaths.each_ref().map(Option::is_none);
        let what = format!("client, server still there {alive:?}: {}", unfinished(scene));
        return Err(Failure::new(Kind::Lingers, what));
    }
    if scene.open != [0, 0] {
        let what = format!("connections whose state is left at client, server: {:?}", scene.open);
        return Err(Failure::new(Kind::Lingers, what));
    }
    let (sent, seconds) = (scene.traffic.sent, scene.world.now().as_nanos() as f64 / 1e9);
    let most = storm(scene.plan, seconds);
    if sent.iter().any(|sent| *sent > most) {
        return Err(Failure::new(Kind::Storm, format!("{sent:?} datagrams, more than {most}")));
    }
    scene.world.check().map_err(|imbalance| Failure::new(Kind::Books, imbalance.to_string()))
}

/// What is not over yet.
fn unfinished(scene: &Scene<'_>) -> String {
    let board = &scene.board;
    let flows = board.flows.iter().filter(|(_, flow)| !flow.is_done());
    let flows: Vec<String> = flows
        .take(4)
        .map(|((stream, from), flow)| format!("stream {stream} from {from}: {flow:?}"))
        .collect();
    let (now, connected) = (scene.world.now().as_nanos() / 1_000_000, board.connected);
    format!(
        "at {now} ms, connected {connected:?}, unopened {:?}, heard {:?}, {}",
        board.unopened,
        [0, 1].map(|end| scene.traffic.heard(end, scene.world.now())),
        flows.join("; ")
    )
}

fn deaths(scene: &Scene<'_>) -> Result<(), Failure> {
    for side in 0..2 {
        let Some(death) = &scene.board.deaths[side] else { continue };
        if let Err(why) = explain(scene, side, death) {
            let name = ["client", "server"][side];
            let at = death.at.as_nanos() / 1_000_000;
            let other =
                scene.board.deaths[1 - side].as_ref().map(|d| (d.at.as_nanos() / 1_000_000, d.error.name()));
            let what = format!(
                "{name} at {at} ms: {} ({}): {why}; the other: {other:?}",
                death.error,
                death.error.name()
            );
            return Err(Failure::new(Kind::Death, what));
        }
    }
    Ok(())
}

/// Whether an end of a connection follows from the plan and what the network did.
fn explain(scene: &Scene<'_>, side: usize, death: &Death) -> Result<(), String> {
    let board = &scene.board;
    let closed = |side: usize| board.closes[side].filter(|(at, _)| *at <= death.at).map(|(_, code)| code);
    let is = |right: bool, why: &str| if right { Ok(()) } else { Err(why.to_string()) };
    match &death.error {
        ConnectionError::LocallyClosed => is(closed(side).is_some(), "its program did not close"),
        ConnectionError::PeerApplication { code, .. } => {
            is(closed(1 - side) == Some(*code), "the peer's program did not close so")
        }
        ConnectionError::PeerTransport { code: Code::APPLICATION_ERROR, .. } => {
            let early = !(board.connected[0] && board.connected[1]) || board.closes[1 - side].is_some();
            is(closed(1 - side).is_some() && early, "the peer's program did not close")
        }
        ConnectionError::Reset => {
            let gone = board.deaths[1 - side].as_ref().is_some_and(|other| other.at <= death.at);
            is(gone, "the peer still had its state")
        }
        // what was left when the others were given up never answered
        ConnectionError::IdleTimeout if stranded(scene, death) => Ok(()),
        ConnectionError::IdleTimeout => silence(scene, side, death, board.idle),
        // a token is good for the address it was given to, and for 15 s
        ConnectionError::PeerTransport { code: Code::INVALID_TOKEN, .. } => {
            let asked = scene.plan.setting(Who::Net, Verb::Retry).is_some();
            let late = death.at >= Instant::ZERO + Duration::from_secs(15);
            is(asked && !board.connected[0] && (late || moved(scene.plan, death)), "its token was good")
        }
        ConnectionError::HandshakeTimeout => {
            let lost = scene.traffic.lost_within(death.at, Duration::from_secs(30));
            let gone = board.deaths[1 - side].as_ref().is_some_and(|other| other.at <= death.at);
            is(lost >= EXPLAINS || gone || moved(scene.plan, death), "the network lost next to nothing")
        }
        // each end gave the other's last path up at the same time, or what was left for a client never answered
        ConnectionError::Violation(TransportError { code: Code::NO_VIABLE_PATH, .. })
        | ConnectionError::PeerTransport { code: Code::NO_VIABLE_PATH, .. } => {
            let both = board.paths.iter().all(|paths| paths.dropped > 0);
            is(both || stranded(scene, death), "an end gave no path up")
        }
        _ => Err("never between two ends of ours".to_string()),
    }
}

/// Whether an end had given up all paths that ever worked: a new one that does not answer in its time ends the connection.
fn stranded(scene: &Scene<'_>, death: &Death) -> bool {
    let lost = scene.traffic.lost_within(death.at, Duration::from_secs(60));
    lost > 0 && scene.board.paths.iter().any(super::paths::Paths::is_stranded)
}

/// Whether the client's address changed before a death; until the handshake is done nobody need follow it (RFC 9000 §9).
fn moved(plan: &Plan, death: &Death) -> bool {
    let moves = [Verb::Nat, Verb::NatAddress, Verb::Move];
    let before = |at: u32| Instant::ZERO + Duration::from_millis(at.into()) <= death.at;
    moves.iter().any(|verb| plan.timed(*verb).any(|(at, _)| before(at)))
}

/// Whether a silence of `idle` before a death is the network's doing, or there was nothing to say.
fn silence(scene: &Scene<'_>, side: usize, death: &Death, idle: Duration) -> Result<(), String> {
    let board = &scene.board;
    let heard = scene.traffic.heard(side, death.at).unwrap_or_default();
    let gone = scene.board.deaths[1 - side].as_ref().is_some_and(|other| other.at <= death.at);
    let connected = scene.board.connected[0] && scene.board.connected[1];
    // a late handshake packet or a copy of an old one comes in and counts for nothing, hence the eighth
    // and what comes on a path that this end has given up counts for nothing either
    let deaf = board.paths[side].given_up > 0;
    if connected && !gone && !deaf && death.at - heard < idle - idle / 8 {
        let quiet = (death.at - heard).as_millis();
        return Err(format!("a datagram came in {quiet} ms before, the idle timeout is {idle:?}"));
    }
    // the silence after a loss is twice as long as the one before, so what was lost earlier counts too
    let lost = scene.traffic.lost_within(death.at, 2 * idle + Duration::from_secs(1));
    let early = !connected && moved(scene.plan, death);
    if death.working && !gone && !early && lost < EXPLAINS {
        return Err(format!("there was work to do and the network lost {lost} datagrams"));
    }
    Ok(())
}

fn flows(board: &Board, complete: bool) -> Result<(), Failure> {
    for ((stream, from), flow) in &board.flows {
        let wrong = |why: &str| {
            let sender = ["client", "server"][*from];
            Err(Failure::new(Kind::Ends, format!("stream {stream} from {sender}: {why}: {flow:?}")))
        };
        if let Some(why) = contradiction(flow) {
            return wrong(why);
        }
        if complete && !flow.is_done() {
            return wrong("not over");
        }
    }
    Ok(())
}

/// What cannot be true of both ends of a flow.
fn contradiction(flow: &Flow) -> Option<&'static str> {
    let Flow { written, read, .. } = *flow;
    let checks = [
        (read > written, "more was read than written"),
        (flow.ended && (read != written || !flow.finished), "an end before the end"),
        (flow.ended && flow.reset_seen.is_some(), "an end and a reset"),
        (flow.reset_seen.is_some() && flow.reset != flow.reset_seen, "a reset nobody made"),
        (flow.stopped.is_some() && flow.stop != flow.stopped, "a stop nobody made"),
        (flow.arrived && !flow.finished, "arrived without an end"),
        (flow.arrived && flow.reset_seen.is_some(), "arrived, and seen as reset"),
        (flow.stopped.is_some() && flow.ended, "stopped, and read to its end"),
    ];
    checks.into_iter().find(|(wrong, _)| *wrong).map(|(_, why)| why)
}
