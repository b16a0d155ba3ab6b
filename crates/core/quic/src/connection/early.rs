//! 0-RTT (RFC 9001 §4.6, RFC 9000 §7.4.1): when a client may write before it has heard anything, under whose limits, and
//! what becomes of it.
//!
//! A client sends streams and datagrams in 0-RTT if its TLS has keys for it, that is, if it was asked to. When the server
//! does not take them, all stream data goes again in 1-RTT; datagrams that were sent are lost. A server opens 0-RTT
//! while it has keys; whether to act on what it reads before the handshake is complete is the application's to decide.

use tq_buf::mem::{Box, Cow, Vec, format};
use tq_event::{KeyKind, KeyTrigger};
use tq_time::Instant;
use tq_wire::frame::kind;
use tq_wire::{Code, PathId, Side, TransportParameters};

use super::{Connection, Event, Timer};
use crate::error::TransportError;
use crate::handshake::{Session, limits_shrink};

/// What became of 0-RTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyData {
    /// There is none: TLS was not asked for it, or knows no ticket of this server in this version.
    #[default]
    None,
    /// A client may send it; the server has not answered yet.
    Pending,
    /// The server takes it.
    Accepted,
    /// The server did not take it; streams are sent again as if nothing had been.
    Rejected,
}

/// What a connection knows of its 0-RTT.
#[derive(Debug, Default)]
pub(crate) struct Early {
    pub(crate) state: EarlyData,
    /// On a client: what TLS says of the server's answer.
    pub(super) taken: bool,
    /// On a client: the server's limits when it gave the ticket.
    remembered: Option<Box<TransportParameters>>,
    /// On a server: the lowest number of a 1-RTT packet. No 0-RTT packet comes after it (RFC 9001 §5.6).
    first_one_rtt: Option<u64>,
}

impl Connection {
    /// Whether what is sent or received before the handshake is complete is 0-RTT, and what became of it.
    pub fn early_data(&self) -> EarlyData {
        self.hs.early.state
    }

    /// A client's ClientHello is written: makes use of keys and limits TLS remembers.
    // MUST 9000-7.4.1-2, 9000-7.4.1-4, 9000-7.4.1-8, 9001-5.6-1, mp21-2.1-6
    pub(super) fn begin_early(&mut self, now: Instant) {
        let Some(session) = &mut self.hs.session else { return };
        let Some(keys) = session.early_keys() else { return };
        let decode = |bytes| TransportParameters::decode(bytes, Side::Server).ok();
        let Some(params) = session.peer_params().and_then(decode) else { return };
        self.keys.early = Some(keys);
        self.streams.on_params(&params);
        self.datagrams.on_params(params.max_datagram_frame_size);
        self.paths[0].mtu.limit(params.max_udp_payload_size);
        self.hs.early.remembered = Some(Box::new(params));
        self.hs.early.state = EarlyData::Pending;
        self.log_early_keys(now);
    }

    /// A server has answered a ClientHello: opens 0-RTT from now on if TLS takes it.
    pub(super) fn take_early(&mut self, now: Instant, session: &mut dyn Session) {
        self.keys.early = session.early_keys();
        if self.keys.early.is_some() {
            self.hs.early.state = EarlyData::Accepted;
            self.events.push_back(Event::EarlyData { accepted: true });
            self.log_early_keys(now);
        }
    }

    /// Whether a client may send 0-RTT packets: until it has 1-RTT keys (RFC 9001 §5.6).
    // MUST 9000-7.4.1-8, 9000-7.4.1-9, 9000-17.2.3-2, 9000-17.2.3-3, 9001-5.6-3, 9001-5.6-6
    pub(crate) fn may_send_early(&self) -> bool {
        self.side.is_client() && self.keys.early.is_some() && self.keys.one_rtt.is_none()
    }

    /// Whether keys of 0-RTT packets may still come: a server's, before it has a whole ClientHello.
    pub(crate) fn awaits_early_keys(&self) -> bool {
        self.side.is_server() && self.keys.handshake.is_none() && !self.hs.complete
    }

    /// The server's answer is here with its parameters, which are about to be applied.
    pub(super) fn settle_early(&mut self, params: &TransportParameters) -> Result<(), TransportError> {
        let Some(remembered) = self.hs.early.remembered.take() else { return Ok(()) };
        let accepted = self.hs.early.taken;
        self.events.push_back(Event::EarlyData { accepted });
        if !accepted {
            self.hs.early.state = EarlyData::Rejected;
            self.reject_early();
            return Ok(());
        }
        self.hs.early.state = EarlyData::Accepted;
        match limits_shrink(&remembered, params) {
            None => Ok(()),
            Some(which) => Err(TransportError {
                code: Code::PROTOCOL_VIOLATION,
                frame: kind::CRYPTO,
                reason: Cow::Owned(format!("0-RTT was accepted with a smaller {which} than remembered")),
            }),
        }
    }

    /// Nothing that was sent counts; packet numbers go on.
    // MUST 9001-4.6.2-2
    fn reject_early(&mut self) {
        self.early_lost();
        self.streams.reset_sent_state();
    }

    /// 0-RTT packets sent so far will never be opened: after a Retry, or when they are rejected.
    pub(super) fn early_lost(&mut self) {
        let mut tokens = Vec::new();
        self.paths[0].space.sent.all_tokens_lost(&mut tokens);
        tokens.iter().for_each(|token| self.on_token_lost(token));
    }

    /// A server's handshake is complete: keys stay for packets that were overtaken (RFC 9001 §4.9.3).
    // MUST 9001-4.9.3-1
    pub(super) fn retire_early_keys(&mut self, now: Instant) {
        if self.keys.early.is_some() {
            self.timers.set(Timer::EarlyKeys as usize, now + 3 * self.longest_pto());
        }
    }

    /// 0-RTT keys are of no more use.
    pub(super) fn drop_early_keys(&mut self, now: Instant) {
        if self.keys.early.take().is_some() {
            self.log_early_keys_gone(now);
        }
    }

    /// On a server: a 1-RTT packet opened.
    pub(crate) fn note_one_rtt(&mut self, ix: usize, pn: u64) {
        if self.keys.early.is_some() && self.paths[ix].id == PathId::ZERO {
            let first = self.hs.early.first_one_rtt.map_or(pn, |first| first.min(pn));
            self.hs.early.first_one_rtt = Some(first);
        }
    }

    /// On a server: a 0-RTT packet opened. It may be late but not numbered later than a 1-RTT packet.
    pub(crate) fn check_early_number(&mut self, now: Instant, pn: u64) -> bool {
        let fits = self.hs.early.first_one_rtt.is_none_or(|first| pn < first);
        if !fits {
            let why = "0-RTT packet numbered after a 1-RTT packet";
            self.fail(now, TransportError::new(Code::PROTOCOL_VIOLATION, 0, why));
        }
        fits
    }

    fn log_early_keys(&mut self, now: Instant) {
        self.log_key(now, KeyKind::ClientZeroRtt, 0, KeyTrigger::Tls);
    }
}
