//! Bytes as text and their checksum: base64url and base32 without padding, CRC-32.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Groups of `bits` from `bytes`, the last filled with zeros, as characters of `alphabet`.
fn encode(bytes: &[u8], bits: u32, alphabet: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / bits as usize + 1);
    let (mut waiting, mut have) = (0u32, 0);
    let mut put = |index: u32| text.push(char::from(alphabet[index as usize & (alphabet.len() - 1)]));
    for byte in bytes {
        waiting = waiting << 8 | u32::from(*byte);
        have += 8;
        while have >= bits {
            have -= bits;
            put(waiting >> have);
        }
    }
    if have > 0 {
        put(waiting << (bits - have));
    }
    text
}

/// RFC 4648 §5, without padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    encode(bytes, 6, BASE64)
}

/// RFC 4648 §6 in lower case, without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
    encode(bytes, 5, BASE32)
}

/// The bytes of RFC 4648 §5 text; the place of the first character that cannot be there otherwise.
pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut waiting, mut have) = (0u32, 0);
    for (at, c) in text.bytes().enumerate() {
        let value = BASE64.iter().position(|known| *known == c).ok_or(at)?;
        waiting = (waiting << 6 | value as u32) & 0xfff;
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push((waiting >> have) as u8);
        }
    }
    // What is left over is padding: less than a character, and zero.
    if have >= 6 || waiting & ((1 << have) - 1) != 0 {
        return Err(text.len().saturating_sub(1));
    }
    Ok(bytes)
}

/// CRC-32 as Ethernet and zip have it (polynomial 0xedb88320, reflected).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests;
