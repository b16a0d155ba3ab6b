//! What random loss leaves to controllers that take every loss for congestion.
//!
//! The steady state of deterministic models, where one packet in 1/p is lost: an expectation beside the ceiling,
//! not a limit, since real losses come unevenly. Decides nothing about controllers that look at rates.

use serde::Serialize;

/// Average windows and rates of two controllers under random loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LossBound {
    /// Reno: √(3/2) · packet / (RTT · √p), in bytes per second (Mathis, Semke, Mahdavi, Ott, The Macroscopic
    /// Behavior of the TCP Congestion Avoidance Algorithm, CCR 27(3), 1997).
    pub reno: f64,
    /// CUBIC, in bytes per second: the larger of [`cubic_window`] and [`reno_window`] per round trip.
    pub cubic: f64,
}

/// Average window of Reno in packets at loss probability `p`: √(3 / 2p). RFC 9438 §5.1.
pub fn reno_window(p: f64) -> f64 {
    (1.5 / p).sqrt()
}

/// Average window of CUBIC in packets at round trip `rtt` (seconds) and loss probability `p`, outside its
/// Reno-friendly region: (C(3+β) / 4(1−β))^¼ · RTT^¾ / p^¾ with C = 0.4 and β = 0.7. RFC 9438 §5.1.
pub fn cubic_window(rtt: f64, p: f64) -> f64 {
    const C: f64 = 0.4;
    const BETA: f64 = 0.7;
    (C * (3.0 + BETA) / (4.0 * (1.0 - BETA))).powf(0.25) * (rtt / p).powf(0.75)
}

/// Rates at loss probability `p`, round trip `rtt` (seconds) and `packet` payload bytes, not above `rate` (bytes per
/// second). `None` without loss, where loss bounds nothing, and for values out of range.
pub fn loss_bound(rate: f64, rtt: f64, p: f64, packet: f64) -> Option<LossBound> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if ![rate, rtt, p, packet].into_iter().all(positive) || p > 1.0 {
        return None;
    }
    let bytes = |window: f64| (window * packet / rtt).min(rate);
    Some(LossBound { reno: bytes(reno_window(p)), cubic: bytes(cubic_window(rtt, p).max(reno_window(p))) })
}
