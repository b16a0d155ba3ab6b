//! A handshake without secrets: four messages in the clear and keys everybody knows, over real AEADs. With it a test
//! can seal and open any packet of a connection. It proves nothing about TLS and is not meant to.

use std::borrow::Cow;
use std::collections::VecDeque;

use tq_quic::crypto::{DirectionalKeys, KeyPair, Keys, Suite, schedule};
use tq_quic::handshake::{
    Choose, ClientTls, ExportError, KeyChange, Level, PeerIdentity, ServerTls, Session, StartError, TlsError,
};
use tq_quic::wire::{Side, Version};
use tq_tls::AwsLc;

pub const SUITE: Suite = Suite::Aes128Gcm;
pub const CLIENT_HELLO: u8 = 1;
pub const SERVER_HELLO: u8 = 2;
pub const PARAMS: u8 = 8;
pub const CHAIN: u8 = 11;
pub const FINISHED: u8 = 20;

/// Makes sessions; a server's flight carries `chain` bytes of certificates, a client's hello `hello` bytes of an
/// unknown transport parameter.
#[derive(Clone, Copy, Default)]
pub struct Plain {
    pub chain: usize,
    pub hello: usize,
    /// 0-RTT: a server takes it, a client has it and finds it taken.
    pub early: bool,
    /// Transport parameters a client remembers; without them it has no 0-RTT.
    pub remembers: Option<fn() -> Vec<u8>>,
}

pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(body);
    out
}

fn secret(level: Level, from: Side) -> [u8; 32] {
    [1 + 2 * level as u8 + u8::from(from.is_server()); 32]
}

/// Keys of Handshake and 1-RTT packets for one side.
pub fn keys(version: Version, level: Level, side: Side) -> Keys {
    let keys = |from| schedule::directional_keys(&AwsLc, version, SUITE, &secret(level, from));
    Keys { local: keys(side), remote: keys(!side) }
}

/// 0-RTT keys.
pub fn early_keys(version: Version) -> DirectionalKeys {
    schedule::directional_keys(&AwsLc, version, SUITE, &[99; 32])
}

/// 1-RTT keys of one direction after `generation` key updates.
pub fn updated(version: Version, from: Side, generation: u64) -> DirectionalKeys {
    let mut key = secret(Level::OneRtt, from);
    let header = schedule::directional_keys(&AwsLc, version, SUITE, &key).header;
    for _ in 0..generation {
        schedule::update_secret(&AwsLc, version, SUITE.hash(), &mut key);
    }
    DirectionalKeys { header, packet: schedule::packet_key(&AwsLc, version, SUITE, &key) }
}

struct PlainSession {
    side: Side,
    version: Version,
    params: Vec<u8>,
    chain: usize,
    original: Version,
    early: bool,
    peer: Option<Vec<u8>>,
    out: VecDeque<(Vec<u8>, Option<KeyChange>)>,
    read: [Vec<u8>; 3],
    generation: u64,
    keyed: bool,
    done: bool,
}

impl PlainSession {
    fn new(side: Side, version: Version, params: &[u8], plain: Plain) -> Self {
        Self {
            side,
            version,
            params: params.to_vec(),
            chain: plain.chain,
            original: version,
            early: plain.early,
            peer: plain.remembers.filter(|_| side.is_client()).map(|params| params()),
            out: VecDeque::new(),
            read: Default::default(),
            generation: 0,
            keyed: false,
            done: false,
        }
    }

    fn handshake_keys(&self) -> Option<KeyChange> {
        Some(KeyChange::Handshake(keys(self.version, Level::Handshake, self.side)))
    }

    fn one_rtt_keys(&mut self) -> Option<KeyChange> {
        self.keyed = true;
        Some(KeyChange::OneRtt(keys(self.version, Level::OneRtt, self.side)))
    }

    fn on_message(&mut self, level: Level, kind: u8, body: &[u8]) -> bool {
        match (self.side, level, kind) {
            (Side::Server, Level::Initial, CLIENT_HELLO) if self.peer.is_none() => {
                self.peer = Some(body.to_vec());
                let keys = self.handshake_keys();
                self.out.push_back((message(SERVER_HELLO, b""), keys));
                let mut flight = message(PARAMS, &self.params);
                flight.extend(message(CHAIN, &vec![7; self.chain]));
                flight.extend(message(FINISHED, b""));
                let keys = self.one_rtt_keys();
                self.out.push_back((flight, keys));
            }
            (Side::Client, Level::Initial, SERVER_HELLO) => {
                let keys = self.handshake_keys();
                self.out.push_back((Vec::new(), keys));
            }
            (Side::Client, Level::Handshake, PARAMS) => self.peer = Some(body.to_vec()),
            (Side::Client, Level::Handshake, CHAIN) => {}
            (Side::Client, Level::Handshake, FINISHED) => {
                let keys = self.one_rtt_keys();
                self.out.push_back((message(FINISHED, b""), keys));
                self.done = true;
            }
            (Side::Server, Level::Handshake, FINISHED) => self.done = true,
            _ => return false,
        }
        true
    }

    fn read_hello_or(&mut self, level: Level, bytes: &[u8], choose: &mut Choose<'_>) -> Result<(), TlsError> {
        let at = level as usize;
        self.read[at].extend_from_slice(bytes);
        while let [kind, a, b, c, rest @ ..] = &self.read[at][..] {
            let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let Some(body) = rest.get(..len) else { break };
            let (kind, body) = (*kind, body.to_vec());
            self.read[at].drain(..4 + len);
            if kind == CLIENT_HELLO
                && let Some((version, params)) = choose(&body)
            {
                (self.version, self.params) = (version, params);
            }
            if !self.on_message(level, kind, &body) {
                return Err(TlsError { alert: 10, reason: Cow::Borrowed("unexpected message") });
            }
        }
        Ok(())
    }
}

impl Session for PlainSession {
    fn read(&mut self, level: Level, bytes: &[u8]) -> Result<(), TlsError> {
        self.read_hello_or(level, bytes, &mut |_| None)
    }

    fn read_hello(&mut self, bytes: &[u8], choose: &mut Choose<'_>) -> Result<(), TlsError> {
        self.read_hello_or(Level::Initial, bytes, choose)
    }

    fn switch_version(&mut self, version: Version) -> bool {
        self.version = version;
        true
    }

    fn write(&mut self, out: &mut Vec<u8>) -> Option<KeyChange> {
        let (bytes, change) = self.out.pop_front()?;
        out.extend_from_slice(&bytes);
        change
    }

    fn is_handshaking(&self) -> bool {
        !self.done
    }

    fn peer_params(&self) -> Option<&[u8]> {
        self.peer.as_deref()
    }

    fn early_keys(&mut self) -> Option<DirectionalKeys> {
        let has = self.peer.is_some() && (self.side.is_client() || self.early);
        has.then(|| early_keys(self.original))
    }

    fn early_accepted(&self) -> Option<bool> {
        Some(self.early)
    }

    fn next_keys(&mut self) -> Option<KeyPair> {
        self.generation += u64::from(self.keyed);
        let packet = |from| updated(self.version, from, self.generation).packet;
        self.keyed.then(|| KeyPair { local: packet(self.side), remote: packet(!self.side) })
    }

    fn suite(&self) -> Option<Suite> {
        self.keyed.then_some(SUITE)
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.peer.is_some().then_some(b"test")
    }

    fn server_name(&self) -> Option<&str> {
        None
    }

    fn peer(&self) -> PeerIdentity {
        PeerIdentity::Anonymous
    }

    fn export(&self, _: &mut [u8], _: &[u8], _: &[u8]) -> Result<(), ExportError> {
        Err(ExportError)
    }
}

impl ClientTls for Plain {
    fn start(&self, version: Version, _: &str, params: &[u8]) -> Result<Box<dyn Session>, StartError> {
        let mut session = PlainSession::new(Side::Client, version, params, *self);
        let mut params = params.to_vec();
        if self.hello > 0 {
            // 27 is reserved to be ignored
            params.extend_from_slice(&[27]);
            params.extend_from_slice(&(0x8000_0000 | self.hello as u32).to_be_bytes());
            params.resize(params.len() + self.hello, 0);
        }
        session.out.push_back((message(CLIENT_HELLO, &params), None));
        Ok(Box::new(session))
    }
}

impl ServerTls for Plain {
    fn start(&self, version: Version, params: &[u8]) -> Result<Box<dyn Session>, StartError> {
        Ok(Box::new(PlainSession::new(Side::Server, version, params, *self)))
    }
}
