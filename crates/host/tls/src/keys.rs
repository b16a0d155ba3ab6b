//! rustls' QUIC keys as the core's: nonces per path through the `*_for_path` calls, masks read off a zero header.

use rustls::quic;
use tq_crypto::{
    DirectionalKeys, HeaderKey, KeyPair, Keys, OpenFailed, PacketKey, SAMPLE_LEN, Suite, TAG_LEN,
};
use tq_wire::PathId;

pub(crate) struct TlsPacketKey(Box<dyn quic::PacketKey>);

impl PacketKey for TlsPacketKey {
    fn seal(&self, path: PathId, pn: u64, header_len: usize, packet: &mut [u8]) {
        let (header, payload) = packet.split_at_mut(header_len);
        let (plain, room) = payload.split_at_mut(payload.len() - TAG_LEN);
        // path 0 has the nonce of RFC 9001, so one call serves all
        let tag = self
            .0
            .encrypt_in_place_for_path(path.0, pn, header, plain)
            .expect("a packet is far below the AEAD's length limit");
        room.copy_from_slice(tag.as_ref());
    }

    fn open(&self, path: PathId, pn: u64, header: &[u8], payload: &mut [u8]) -> Result<usize, OpenFailed> {
        match self.0.decrypt_in_place_for_path(path.0, pn, header, payload) {
            Ok(plain) => Ok(plain.len()),
            Err(_) => Err(OpenFailed),
        }
    }
}

pub(crate) struct TlsHeaderKey(Box<dyn quic::HeaderProtectionKey>);

impl HeaderKey for TlsHeaderKey {
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        // masking a short header that announces a packet number of four zero bytes leaves the mask
        let (mut first, mut pn) = (3, [0; 4]);
        self.0
            .encrypt_in_place(sample, &mut first, &mut pn)
            .expect("the sample has the length all suites want");
        [first ^ 3, pn[0], pn[1], pn[2], pn[3]]
    }
}

fn packet(key: Box<dyn quic::PacketKey>) -> Box<dyn PacketKey> {
    Box::new(TlsPacketKey(key))
}

pub(crate) fn directional(keys: quic::DirectionalKeys) -> DirectionalKeys {
    DirectionalKeys { header: Box::new(TlsHeaderKey(keys.header)), packet: packet(keys.packet) }
}

pub(crate) fn both(keys: quic::Keys) -> Keys {
    Keys { local: directional(keys.local), remote: directional(keys.remote) }
}

pub(crate) fn pair(keys: quic::PacketKeySet) -> KeyPair {
    KeyPair { local: packet(keys.local), remote: packet(keys.remote) }
}

/// The core's name for a suite of rustls.
// MUST 9001-5.3-1
pub(crate) fn suite(suite: rustls::CipherSuite) -> Option<Suite> {
    match suite {
        rustls::CipherSuite::TLS13_AES_128_GCM_SHA256 => Some(Suite::Aes128Gcm),
        rustls::CipherSuite::TLS13_AES_256_GCM_SHA384 => Some(Suite::Aes256Gcm),
        rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some(Suite::ChaCha20Poly1305),
        _ => None,
    }
}
