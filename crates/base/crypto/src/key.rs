//! What a host must provide: packet keys, header keys, HKDF, HMAC, entropy.

use core::ops::Range;

use tq_buf::mem::Box;
use tq_wire::PathId;

use crate::{Hash, Suite};

/// Length of the authentication tag of every suite.
pub const TAG_LEN: usize = 16;
/// Bytes of ciphertext that feed the header mask.
pub const SAMPLE_LEN: usize = 16;

/// The packet does not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFailed;

/// One packet to seal inside a larger buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The packet: header, plaintext and room for the tag.
    pub packet: Range<usize>,
    /// Bytes of header (up to and including the packet number): the associated data.
    pub header_len: usize,
    /// Bytes of packet number at the end of the header, 1 to 4.
    pub pn_len: usize,
    /// Full packet number.
    pub pn: u64,
}

/// An AEAD key and its IV. The nonce is the IV xor (path id, packet number) (multipath §2.4); for path 0 that is the
/// nonce of RFC 9001 §5.3.
pub trait PacketKey: Send + Sync {
    /// Seals `packet`, whose first `header_len` bytes are associated data and whose last [`TAG_LEN`] bytes receive the
    /// tag.
    fn seal(&self, path: PathId, pn: u64, header_len: usize, packet: &mut [u8]);

    /// Seals packets of one path, one dynamic call for a whole GSO batch.
    fn seal_batch(&self, path: PathId, jobs: &[Seal], buffer: &mut [u8]) {
        for job in jobs {
            self.seal(path, job.pn, job.header_len, &mut buffer[job.packet.clone()]);
        }
    }

    /// Opens `payload` (ciphertext and tag) in place; returns the length of the plaintext at its start.
    ///
    /// # Errors
    /// The tag does not fit, or `payload` is shorter than a tag. `payload` is then undefined.
    fn open(&self, path: PathId, pn: u64, header: &[u8], payload: &mut [u8]) -> Result<usize, OpenFailed>;
}

/// A header protection key.
pub trait HeaderKey: Send + Sync {
    /// The mask for a sample of ciphertext (RFC 9001 §5.4).
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5];
}

/// Keys of one direction.
pub struct DirectionalKeys {
    /// Masks headers.
    pub header: Box<dyn HeaderKey>,
    /// Protects payloads.
    pub packet: Box<dyn PacketKey>,
}

/// Keys of one encryption level.
pub struct Keys {
    /// For what we send.
    pub local: DirectionalKeys,
    /// For what we receive.
    pub remote: DirectionalKeys,
}

/// Packet keys of one key phase; header keys do not change (RFC 9001 §6).
pub struct KeyPair {
    /// For what we send.
    pub local: Box<dyn PacketKey>,
    /// For what we receive.
    pub remote: Box<dyn PacketKey>,
}

/// Primitives a host provides.
pub trait Crypto: Send + Sync {
    /// HKDF-Extract with SHA-256.
    fn hkdf_extract(&self, salt: &[u8], ikm: &[u8]) -> [u8; 32];
    /// HKDF-Expand; `out` is at most 255 hashes long.
    fn hkdf_expand(&self, hash: Hash, prk: &[u8], info: &[u8], out: &mut [u8]);
    /// HMAC-SHA-256.
    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32];
    /// An AEAD key; `key` has the suite's length.
    fn packet_key(&self, suite: Suite, key: &[u8], iv: [u8; 12]) -> Box<dyn PacketKey>;
    /// A header protection key; `key` has the suite's length.
    fn header_key(&self, suite: Suite, key: &[u8]) -> Box<dyn HeaderKey>;
    /// A header protection key of Initial packets (AES-128). It masks a few packets of handshakes of which many may be half
    /// open: better small than fast.
    fn initial_header_key(&self, key: &[u8; 16]) -> Box<dyn HeaderKey> {
        self.header_key(Suite::Aes128Gcm, key)
    }
}

/// A source of unpredictable bytes (a simulator's may be seeded).
pub trait Entropy: Send + Sync {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);

    /// Eight bytes as a number.
    fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
