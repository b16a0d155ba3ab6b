//! How likely a count of lost packets is.
//!
//! Decides only arithmetic: a normal approximation with continuity correction, wider for bursts.

/// The probability (two-sided) that of `count` packets at least so much more or less than expected are lost, if
/// `loss_ppm` are lost at random and, in parts per million, a channel of bursts `(enter, leave, bad, good)` loses more.
pub fn p_value(count: u64, lost: u64, loss_ppm: u32, burst: Option<(u32, u32, u32, u32)>) -> f64 {
    let part = |ppm: u32| f64::from(ppm.min(1_000_000)) / 1e6;
    let (n, random) = (count as f64, part(loss_ppm));
    // The share of bad time, the loss in it on average, and how long one state speaks for the next packets.
    let (channel, widening) = burst.map_or((0.0, 1.0), |(enter, leave, bad, good)| {
        let (enter, leave) = (part(enter), part(leave));
        let share = enter / (enter + leave).max(1e-12);
        let memory = (1.0 - enter - leave).clamp(0.0, 0.999_999);
        (share * part(bad) + (1.0 - share) * part(good), (1.0 + memory) / (1.0 - memory))
    });
    let p = random + (1.0 - random) * channel;
    let variance = n * p * (1.0 - p) * widening;
    let off = ((lost as f64 - n * p).abs() - 0.5).max(0.0);
    if variance <= 0.0 {
        return if off > 0.0 { 0.0 } else { 1.0 };
    }
    complement(off / (2.0 * variance).sqrt())
}

/// erfc(x) for x ≥ 0, to 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
fn complement(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = ((((1.061_405_429 * t - 1.453_152_027) * t + 1.421_413_741) * t - 0.284_496_736) * t
        + 0.254_829_592)
        * t;
    series * (-x * x).exp()
}
