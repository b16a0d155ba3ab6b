//! Integer arithmetic the decisions share: products in 128 bits, results that saturate.

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub(crate) const MS: u64 = 1_000_000;

/// `a / b`, cut off at 64 bits; all ones if `b` is zero.
pub(crate) fn div(a: u128, b: u128) -> u64 {
    a.checked_div(b).map_or(u64::MAX, narrow)
}

/// A value cut off at 64 bits.
pub(crate) fn narrow(a: u128) -> u64 {
    u64::try_from(a).unwrap_or(u64::MAX)
}

/// Bytes that pass in `nanos` at `rate` bytes per second.
pub(crate) fn bytes_in(rate: u64, nanos: u64) -> u64 {
    narrow(u128::from(rate) * u128::from(nanos) / u128::from(SECOND))
}

/// Nanoseconds `bytes` take at `rate` bytes per second; all ones if `rate` is zero.
pub(crate) fn time_for(bytes: u64, rate: u64) -> u64 {
    div(u128::from(bytes) * u128::from(SECOND), u128::from(rate))
}

/// `value · 2^(time/period)`, between powers of two along a straight line (at most 6 % above).
pub(crate) fn doubled(value: u64, time: u64, period: u64) -> u64 {
    let period = period.max(1);
    let whole = time / period;
    if whole >= 64 {
        return if value == 0 { 0 } else { u64::MAX };
    }
    let wide = u128::from(value) << whole;
    let (rest, period) = (u128::from(time % period), u128::from(period));
    // Very large products lose their fraction; they are cut off below anyway.
    let part = wide.checked_mul(rest).map_or_else(|| (wide / period).saturating_mul(rest), |p| p / period);
    narrow(wide.saturating_add(part))
}

/// `value · 2^(-time/period)`, between powers of two along a straight line (at most 6 % above).
pub(crate) fn halved(value: u64, time: u64, period: u64) -> u64 {
    let period = period.max(1);
    let whole = time / period;
    if whole >= 64 {
        return 0;
    }
    let value = value >> whole;
    value - narrow(u128::from(value) * u128::from(time % period) / (2 * u128::from(period)))
}

/// Difference of two unsigned figures as a signed one, cut off at 63 bits.
pub(crate) fn signed_diff(a: u64, b: u64) -> i64 {
    let diff = i128::from(a) - i128::from(b);
    i64::try_from(diff).unwrap_or(if diff < 0 { i64::MIN } else { i64::MAX })
}
