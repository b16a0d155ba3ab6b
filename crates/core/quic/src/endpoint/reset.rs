//! Packets for nobody: stateless resets and Version Negotiation, both without keeping anything (RFC 9000 §6.1, §10.3).

use core::time::Duration;

use tq_buf::mem::{Vec, vec};
use tq_event::DropReason;
use tq_time::Instant;
use tq_wire::header::{self, Header};
use tq_wire::{ResetToken, Version, Writer};

use super::{Endpoint, Route};
use crate::connection::RecvMeta;

/// No reset answers a packet shorter than this, and none is longer, so that two ends cannot answer each other for
/// ever (threat 21).
const SMALLEST_TRIGGER: usize = 43;
/// Resets per second.
const PER_SECOND: u32 = 1000;

/// Counts resets of the current second.
#[derive(Debug, Default)]
pub(super) struct ResetLimiter {
    since: Option<Instant>,
    sent: u32,
}

impl ResetLimiter {
    fn allow(&mut self, now: Instant) -> bool {
        let fresh = self.since.is_none_or(|since| now.saturating_since(since) >= Duration::from_secs(1));
        if fresh {
            *self = Self { since: Some(now), sent: 0 };
        }
        self.sent += 1;
        self.sent <= PER_SECOND
    }
}

impl Endpoint {
    /// Tells the sender of a short-header packet that we do not know its connection.
    // MUST 9000-10.3-2, 9000-10.3-4, 9000-10.3.2-2, 9000-10.3.3-1, 9000-11-1, 9000-21.11-2
    pub(super) fn stateless_reset(
        &mut self,
        now: Instant,
        meta: &RecvMeta,
        datagram: &[u8],
        reply: &mut Vec<u8>,
    ) -> Route {
        let Ok(Header::Short { dcid, .. }) = Header::parse(datagram, self.shared.cid_len) else {
            return Route::Drop(DropReason::BadHeader);
        };
        // who shares our key knows the connections of ids that are not ours (RFC 9000 §21.11)
        let ours = self.server.is_some() && !self.shared.is_elsewhere(&dcid);
        if !ours || datagram.len() < SMALLEST_TRIGGER || !self.resets.allow(now) {
            return Route::Drop(DropReason::UnknownConnection);
        }
        // Shorter than the trigger, as long as a small packet otherwise, all but the token unpredictable.
        let len = (datagram.len() - 1).min(SMALLEST_TRIGGER - 1);
        reply.clear();
        reply.resize(len, 0);
        self.shared.entropy.fill(reply);
        reply[0] = header::FIXED_BIT | (reply[0] & 0x3f);
        reply[len - ResetToken::LEN..].copy_from_slice(&self.shared.reset_token(&dcid).0);
        Route::Reply(self.reply_to(now, meta, reply))
    }

    /// Tells a client which versions there are.
    // MUST 9000-17.2.1-3, 9000-17.2.1-4, 9000-17.2.1-6
    pub(super) fn negotiate_version(
        &mut self,
        now: Instant,
        meta: &RecvMeta,
        dcid: &[u8],
        scid: &[u8],
        reply: &mut Vec<u8>,
    ) -> Route {
        let mut versions: Vec<Version> = self.shared.versions.clone();
        let random = self.shared.entropy.u64();
        // A reserved version keeps clients used to unknown ones (RFC 9000 §6.3).
        versions.push(Version((random as u32 & 0xf0f0_f0f0) | 0x0a0a_0a0a));
        let mut out = vec![0; 7 + dcid.len() + scid.len() + 4 * versions.len()];
        header::encode_negotiation(
            &mut Writer::new(&mut out),
            (random >> 32) as u8 & 0x3f,
            scid,
            dcid,
            &versions,
        );
        *reply = out;
        Route::Reply(self.reply_to(now, meta, reply))
    }
}
