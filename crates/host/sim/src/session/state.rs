//! One session: which message comes when, and the secrets that follow from the two randoms. The secrets are derived
//! as RFC 8446 and 9001 derive keys, from `HKDF-Extract(client random, server random)` in place of a key exchange.

use std::borrow::Cow;
use std::collections::VecDeque;

use tq_crypto::{Crypto, DirectionalKeys, KeyPair, Keys, Suite, schedule};
use tq_quic::handshake::{ExportError, KeyChange, Level, PeerIdentity, Session, TlsError};
use tq_tls::AwsLc;
use tq_wire::{Side, Version};

use super::TlsConfig;
use super::messages::{
    CHAIN, CLIENT_HELLO, EXTENSIONS, FINISHED, Fields, HEADER, SERVER_HELLO, TICKET, VERIFY, items, list,
    message,
};

const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_CERTIFICATE: u8 = 42;
const DECODE_ERROR: u8 = 50;
const DECRYPT_ERROR: u8 = 51;
const NO_APPLICATION_PROTOCOL: u8 = 120;
/// Longest message; a longer one is a violation.
const MOST: usize = 1 << 20;

/// Secrets of one level, by the side that sends with them.
#[derive(Clone, Copy)]
struct Secrets {
    client: [u8; 48],
    server: [u8; 48],
}

impl Secrets {
    fn of(&mut self, side: Side, suite: Suite) -> &mut [u8] {
        let secret = if side.is_client() { &mut self.client } else { &mut self.server };
        &mut secret[..suite.hash().len()]
    }
}

/// What comes next from the peer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    ClientHello,
    ServerHello,
    Extensions,
    Chain,
    Verify,
    Finished,
    Tickets,
    Nothing,
}

pub(super) struct Seeded {
    side: Side,
    version: Version,
    config: TlsConfig,
    random: [u8; 32],
    params: Vec<u8>,
    next: Next,
    suite: Suite,
    master: [u8; 32],
    /// 1-RTT secrets of the newest generation that was handed out.
    traffic: Option<Secrets>,
    peer_params: Option<Vec<u8>>,
    server_name: Option<String>,
    alpn: Option<Vec<u8>>,
    leaf: Option<Vec<u8>>,
    out: VecDeque<(Vec<u8>, Option<KeyChange>)>,
    partial: [Vec<u8>; 3],
}

fn alert(alert: u8, reason: &'static str) -> TlsError {
    TlsError { alert, reason: Cow::Borrowed(reason) }
}

fn cut_short() -> TlsError {
    alert(DECODE_ERROR, "a message is cut short")
}

impl Seeded {
    pub(super) fn new(
        side: Side,
        version: Version,
        config: &TlsConfig,
        random: [u8; 32],
        params: &[u8],
    ) -> Self {
        Self {
            side,
            version,
            config: config.clone(),
            random,
            params: params.to_vec(),
            next: if side.is_client() { Next::ServerHello } else { Next::ClientHello },
            suite: config.suite,
            master: [0; 32],
            traffic: None,
            peer_params: None,
            server_name: None,
            alpn: None,
            leaf: None,
            out: VecDeque::new(),
            partial: Default::default(),
        }
    }

    /// A client's first message.
    pub(super) fn hello(&mut self, name: &str) {
        let protocols = list(self.config.alpn.iter().map(Vec::as_slice));
        let fields = [&self.random[..], name.as_bytes(), &protocols, &self.params];
        let hello = message(CLIENT_HELLO, &fields, self.config.sizes.client_hello);
        self.server_name = Some(name.to_string());
        self.out.push_back((hello, None));
    }

    /// Both randoms are known.
    fn mix(&mut self, client: &[u8; 32], server: &[u8; 32]) {
        self.master = AwsLc.hkdf_extract(client, server);
    }

    fn secrets(&self, labels: [&str; 2]) -> Secrets {
        let secret = |label| {
            let mut out = [0; 48];
            let len = self.suite.hash().len();
            schedule::expand_label(&AwsLc, self.suite.hash(), &self.master, label, &mut out[..len]);
            out
        };
        Secrets { client: secret(labels[0]), server: secret(labels[1]) }
    }

    fn keys(&self, mut secrets: Secrets) -> Keys {
        let mut keys =
            |side| schedule::directional_keys(&AwsLc, self.version, self.suite, secrets.of(side, self.suite));
        Keys { local: keys(self.side), remote: keys(!self.side) }
    }

    fn handshake_keys(&self) -> KeyChange {
        KeyChange::Handshake(self.keys(self.secrets(["c hs traffic", "s hs traffic"])))
    }

    fn one_rtt_keys(&mut self) -> KeyChange {
        let secrets = self.secrets(["c ap traffic", "s ap traffic"]);
        self.traffic = Some(secrets);
        KeyChange::OneRtt(self.keys(secrets))
    }

    /// Finished of one side.
    fn finished(&self, side: Side) -> Vec<u8> {
        let label: &[u8] = if side.is_client() { b"client finished" } else { b"server finished" };
        message(FINISHED, &[], 0).into_iter().take(1).chain([0, 0, 32]).chain(self.proof(label)).collect()
    }

    fn proof(&self, label: &[u8]) -> [u8; 32] {
        AwsLc.hmac_sha256(&self.master, label)
    }

    fn on_message(&mut self, level: Level, kind: u8, body: &[u8]) -> Result<(), TlsError> {
        match (self.next, level, kind) {
            (Next::ClientHello, Level::Initial, CLIENT_HELLO) => self.on_client_hello(body),
            (Next::ServerHello, Level::Initial, SERVER_HELLO) => self.on_server_hello(body),
            (Next::Extensions, Level::Handshake, EXTENSIONS) => self.on_extensions(body),
            (Next::Chain, Level::Handshake, CHAIN) => self.on_chain(body),
            (Next::Verify, Level::Handshake, VERIFY) => {
                self.next = Next::Finished;
                Ok(())
            }
            (Next::Finished, Level::Handshake, FINISHED) => self.on_finished(body),
            (Next::Tickets, Level::OneRtt, TICKET) => Ok(()),
            _ => Err(alert(UNEXPECTED_MESSAGE, "unexpected message")),
        }
    }

    fn on_client_hello(&mut self, body: &[u8]) -> Result<(), TlsError> {
        let mut fields = Fields(body);
        let random = fields.random().ok_or_else(cut_short)?;
        let name = fields.next().ok_or_else(cut_short)?;
        let offered = fields.next().ok_or_else(cut_short)?;
        self.peer_params = Some(fields.next().ok_or_else(cut_short)?.to_vec());
        self.server_name = Some(String::from_utf8_lossy(name).into_owned());
        let chosen = self.config.alpn.iter().find(|ours| items(offered).any(|theirs| theirs == &ours[..]));
        let alpn = chosen
            .cloned()
            .ok_or_else(|| alert(NO_APPLICATION_PROTOCOL, "no application protocol in common"))?;
        self.mix(&random, &{ self.random });
        let sizes = self.config.sizes;
        let suite = [self.suite as u8];
        let hello = message(SERVER_HELLO, &[&self.random, &suite], sizes.server_hello);
        let keys = self.handshake_keys();
        self.out.push_back((hello, Some(keys)));
        let names = list(self.config.names.iter().map(String::as_bytes));
        let mut flight = message(EXTENSIONS, &[&alpn, &self.params], 0);
        flight.extend(message(CHAIN, &[&names], sizes.chain));
        flight.extend(message(VERIFY, &[], sizes.verify));
        flight.extend(self.finished(Side::Server));
        self.alpn = Some(alpn);
        let keys = self.one_rtt_keys();
        self.out.push_back((flight, Some(keys)));
        self.next = Next::Finished;
        Ok(())
    }

    fn on_server_hello(&mut self, body: &[u8]) -> Result<(), TlsError> {
        let mut fields = Fields(body);
        let random = fields.random().ok_or_else(cut_short)?;
        let suites = [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305];
        let chosen = fields.next().and_then(|suite| suite.first().copied()).ok_or_else(cut_short)?;
        self.suite = *suites.iter().find(|suite| **suite as u8 == chosen).ok_or_else(cut_short)?;
        self.mix(&{ self.random }, &random);
        let keys = self.handshake_keys();
        self.out.push_back((Vec::new(), Some(keys)));
        self.next = Next::Extensions;
        Ok(())
    }

    fn on_extensions(&mut self, body: &[u8]) -> Result<(), TlsError> {
        let mut fields = Fields(body);
        self.alpn = Some(fields.next().ok_or_else(cut_short)?.to_vec());
        self.peer_params = Some(fields.next().ok_or_else(cut_short)?.to_vec());
        self.next = Next::Chain;
        Ok(())
    }

    fn on_chain(&mut self, body: &[u8]) -> Result<(), TlsError> {
        let names = Fields(body).next().ok_or_else(cut_short)?;
        let wanted = self.server_name.as_deref().unwrap_or_default().as_bytes();
        if !names.is_empty() && !items(names).any(|name| name == wanted) {
            return Err(alert(BAD_CERTIFICATE, "the certificate is for other names"));
        }
        self.leaf = Some(names.to_vec());
        self.next = Next::Verify;
        Ok(())
    }

    fn on_finished(&mut self, body: &[u8]) -> Result<(), TlsError> {
        if self.finished(!self.side)[HEADER..] != *body {
            return Err(alert(DECRYPT_ERROR, "the peer's Finished proves another handshake"));
        }
        if self.side.is_client() {
            let finished = self.finished(Side::Client);
            let keys = self.one_rtt_keys();
            self.out.push_back((finished, Some(keys)));
            self.next = Next::Tickets;
        } else {
            for _ in 0..self.config.tickets {
                self.out.push_back((message(TICKET, &[], self.config.sizes.ticket), None));
            }
            self.next = Next::Nothing;
        }
        Ok(())
    }
}

impl Session for Seeded {
    fn read(&mut self, level: Level, bytes: &[u8]) -> Result<(), TlsError> {
        let at = level as usize;
        self.partial[at].extend_from_slice(bytes);
        while let [kind, a, b, c, rest @ ..] = &self.partial[at][..] {
            let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if len > MOST {
                return Err(alert(DECODE_ERROR, "a message of more than a megabyte"));
            }
            let Some(body) = rest.get(..len) else { break };
            let (kind, body) = (*kind, body.to_vec());
            self.partial[at].drain(..HEADER + len);
            self.on_message(level, kind, &body)?;
        }
        Ok(())
    }

    fn write(&mut self, out: &mut Vec<u8>) -> Option<KeyChange> {
        let (bytes, change) = self.out.pop_front()?;
        out.extend_from_slice(&bytes);
        change
    }

    fn is_handshaking(&self) -> bool {
        !matches!(self.next, Next::Tickets | Next::Nothing)
    }

    fn peer_params(&self) -> Option<&[u8]> {
        self.peer_params.as_deref()
    }

    fn early_keys(&mut self) -> Option<DirectionalKeys> {
        None
    }

    fn early_accepted(&self) -> Option<bool> {
        Some(false)
    }

    fn next_keys(&mut self) -> Option<KeyPair> {
        let (version, suite) = (self.version, self.suite);
        let secrets = self.traffic.as_mut()?;
        let mut key = |side| {
            let secret = secrets.of(side, suite);
            schedule::update_secret(&AwsLc, version, suite.hash(), secret);
            schedule::packet_key(&AwsLc, version, suite, secret)
        };
        Some(KeyPair { local: key(self.side), remote: key(!self.side) })
    }

    fn suite(&self) -> Option<Suite> {
        self.traffic.is_some().then_some(self.suite)
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref().filter(|_| self.side.is_server())
    }

    fn peer(&self) -> PeerIdentity {
        match &self.leaf {
            Some(leaf) => PeerIdentity::Certificates(vec![leaf.clone()]),
            None => PeerIdentity::Anonymous,
        }
    }

    fn export(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), ExportError> {
        if self.is_handshaking() || out.len() > 255 * self.suite.hash().len() {
            return Err(ExportError);
        }
        let secret = AwsLc.hmac_sha256(&self.proof(label), context);
        AwsLc.hkdf_expand(self.suite.hash(), &secret, b"exporter", out);
        Ok(())
    }
}
