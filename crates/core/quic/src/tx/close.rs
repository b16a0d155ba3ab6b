//! Saying that the connection is closed: in every space the peer may have keys for (RFC 9000 §10.2.3).

use smallvec::SmallVec;
use tq_time::Instant;

use super::packet::Draft;
use crate::config::MIN_MTU;
use crate::connection::{Connection, End, SpaceId, Transmit};

impl Connection {
    /// One datagram with CONNECTION_CLOSE, if one is due.
    // MUST 9000-10.2.1-2, 9000-10.2.3-1
    pub(super) fn transmit_close(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let End::Closing(closing) = &mut self.end else { return None };
        if !core::mem::take(&mut closing.pending) {
            return None;
        }
        let total = usize::try_from(self.paths[0].amplification_budget()).unwrap_or(usize::MAX);
        let limit = total.min(usize::from(MIN_MTU));
        let app_only = self.hs.confirmed;
        let mut drafts: SmallVec<[Draft; 3]> = SmallVec::new();
        let mut at = 0;
        for id in [SpaceId::Initial, SpaceId::Handshake, SpaceId::App(0)] {
            let keys = match id {
                SpaceId::Initial => self.keys.initial.is_some() && !app_only,
                SpaceId::Handshake => self.keys.handshake.is_some() && !app_only,
                // a server's client may not have 1-RTT keys yet; Handshake keys then carry the news
                SpaceId::App(_) => self.may_send_app() && (self.hs.complete || self.side.is_server()),
            };
            if !keys {
                continue;
            }
            let draft = self.draft(id, 0, buf, at, limit, |c, payload| {
                let Some(frame) = c.close_frame(id) else { return };
                payload.frame(&frame, None);
            });
            if let Some(draft) = draft {
                at = draft.seal.packet.end;
                drafts.push(draft);
            }
        }
        let initial = drafts.iter().any(|draft| draft.space == SpaceId::Initial);
        if initial && self.side.is_client() && at < limit {
            let last = drafts.last_mut()?;
            let len = limit - last.seal.packet.start;
            self.pad(buf, last, len);
            at = limit;
        }
        if drafts.is_empty() {
            return None;
        }
        if let End::Closing(closing) = &mut self.end {
            closing.on_sent(at);
        }
        Some(self.finish_datagram(now, 0, buf, drafts, at))
    }
}
