//! Options of a host by name, as the core wants them; what the core does not have yet is told.

use std::sync::Arc;

use tq_cc::Algorithm;
use tq_quic::TransportConfig;
use tq_quic::sched::Kind as Scheduler;
use tq_scenario::{Cc, Host};
use tq_time::Duration;

/// Datagrams in a train at most unless a scenario says otherwise: what fits into one buffer of 64 KiB, as on a kernel's
/// socket.
const SEGMENTS: usize = 45;

/// What a host is like beside its transport.
#[derive(Clone, Copy)]
pub(super) struct Grain {
    /// Datagrams in a train.
    pub(super) segments: usize,
    /// Grain of its timers; 0 is exact.
    pub(super) tick: Duration,
}

/// The core's algorithm for a name, or what it does instead and why.
pub fn algorithm(cc: Cc) -> (Algorithm, Option<String>) {
    match cc {
        Cc::Auto => (Algorithm::Auto, None),
        Cc::Cubic => (Algorithm::Cubic, None),
        Cc::Reno => (Algorithm::NewReno, None),
        Cc::Bbr => (Algorithm::Bbr, None),
        Cc::Olia => (Algorithm::Olia, None),
        other => {
            (Algorithm::Cubic, Some(format!("congestion control {} is not there yet: cubic", other.name())))
        }
    }
}

/// The share of a link's bytes of IP that can be payload of streams: datagrams of `datagram` bytes of UDP payload, each
/// with 28 of IP and UDP around it and at least 33 of QUIC in it (short header with an id of 8 and a packet number of 2, tag, STREAM frame).
pub fn stream_share(datagram: u16) -> f64 {
    f64::from(datagram.saturating_sub(33)) / f64::from(datagram.max(1) + 28)
}

/// The transport of one end and the grain of its host; tells `left_out` what it cannot do.
pub(super) fn transport(
    host: &Host,
    cc: Option<Cc>,
    left_out: &mut Vec<String>,
) -> (Arc<TransportConfig>, Grain) {
    let mut config = TransportConfig::default();
    let (congestion, instead) = algorithm(cc.unwrap_or(host.cc));
    config.congestion = Some(congestion);
    left_out.extend(instead);
    if let Some(window) = host.stream_window {
        (config.stream.stream_window, config.stream.max_stream_window) = (window, window);
    }
    if let Some(window) = host.connection_window {
        (config.stream.connection_window, config.stream.max_connection_window) = (window, window);
    }
    if let Some(size) = host.max_datagram {
        config.max_mtu = u16::try_from(size).unwrap_or(u16::MAX).max(config.initial_mtu);
    }
    config.idle_timeout = host.idle_timeout.unwrap_or(config.idle_timeout);
    config.keep_alive = host.keep_alive.or(config.keep_alive);
    config.max_ack_delay = host.ack_delay.unwrap_or(config.max_ack_delay);
    config.ack_frequency = host.ack_frequency.unwrap_or(config.ack_frequency);
    config.ecn = host.ecn.unwrap_or(config.ecn);
    config.queue_governor = host.governor.or(config.queue_governor);
    config.pacing = host.pacing.unwrap_or(config.pacing);
    config.mtu_discovery = host.mtu_discovery.unwrap_or(config.mtu_discovery);
    if host.initial_window.is_some() {
        left_out.push("initial_window: the core has no such option".to_owned());
    }
    let segments = host.max_segments.map_or(SEGMENTS, |segments| segments as usize);
    (Arc::new(config), Grain { segments, tick: host.timer_tick.unwrap_or_default() })
}

/// Makes a transport one of several links: paths for all and one to spare, the scheduler asked for.
pub(super) fn several(
    transport: &mut Arc<TransportConfig>,
    host: &Host,
    links: usize,
    scheduler: Option<Scheduler>,
    left_out: &mut Vec<String>,
) {
    let config = Arc::make_mut(transport);
    if host.multipath != Some(false) {
        config.max_paths = Some((links as u32 + 1).min(16));
    }
    let named = host.scheduler.as_deref().and_then(|name| match name.parse() {
        Ok(kind) => Some(kind),
        Err(_) => {
            left_out.push(format!("scheduler {name} is not there yet: {}", config.scheduler));
            None
        }
    });
    config.scheduler = scheduler.or(named).unwrap_or(config.scheduler);
}
