//! Masking and unmasking of the first octet and the packet number (RFC 9001 §5.4).

use crate::{HeaderKey, SAMPLE_LEN};

/// Bits of the first octet that the mask covers.
const fn covered(first: u8) -> u8 {
    if first & 0x80 != 0 { 0x0f } else { 0x1f }
}

/// Masks a sealed packet whose packet number of `pn_len` bytes starts at `pn_offset`. The packet has at least
/// `pn_offset + 4 + 16` bytes.
pub fn protect(key: &dyn HeaderKey, packet: &mut [u8], pn_offset: usize, pn_len: usize) {
    let mut sample = [0; SAMPLE_LEN];
    sample.copy_from_slice(&packet[pn_offset + 4..pn_offset + 4 + SAMPLE_LEN]);
    let mask = key.mask(&sample);
    packet[0] ^= mask[0] & covered(packet[0]);
    for (byte, mask) in packet[pn_offset..pn_offset + pn_len].iter_mut().zip(&mask[1..]) {
        *byte ^= mask;
    }
}

/// What an unmasked header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unprotected {
    /// First octet.
    pub first: u8,
    /// Bytes of packet number, 1 to 4.
    pub pn_len: usize,
    /// The packet number as sent.
    pub truncated: u32,
}

/// Unmasks a header in place. `None` if the packet is too short to hold a sample; the packet is then unchanged.
// MUST 9001-5.4.2-1
pub fn unprotect(key: &dyn HeaderKey, packet: &mut [u8], pn_offset: usize) -> Option<Unprotected> {
    let sample = *packet.get(pn_offset + 4..)?.first_chunk::<SAMPLE_LEN>()?;
    let mask = key.mask(&sample);
    packet[0] ^= mask[0] & covered(packet[0]);
    let first = packet[0];
    let pn_len = usize::from(first & 3) + 1;
    let mut truncated = 0;
    for (byte, mask) in packet[pn_offset..pn_offset + pn_len].iter_mut().zip(&mask[1..]) {
        *byte ^= mask;
        truncated = truncated << 8 | u32::from(*byte);
    }
    Some(Unprotected { first, pn_len, truncated })
}
