//! Packet numbers are sent truncated to 1 to 4 bytes (RFC 9000 §17.1, A.2, A.3).

/// Bytes needed so that a peer that has seen `largest_acked` decodes `pn` without doubt: 1 to 4.
// MUST 9000-17.1-1, 9000-17.1-2
pub fn encoded_len(pn: u64, largest_acked: Option<u64>) -> usize {
    let unacked = match largest_acked {
        Some(acked) => pn.saturating_sub(acked),
        None => pn.saturating_add(1),
    };
    match unacked {
        0..0x80 => 1,
        0x80..0x8000 => 2,
        0x8000..0x80_0000 => 3,
        _ => 4,
    }
}

/// The full packet number nearest to `expected` (largest received plus one) whose low `len` bytes are `truncated`.
pub fn decode(truncated: u32, len: usize, expected: u64) -> u64 {
    let window = 1u64 << (8 * len);
    let half = window / 2;
    let candidate = (expected & !(window - 1)) | u64::from(truncated);
    if candidate + half <= expected && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > expected + half && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}
