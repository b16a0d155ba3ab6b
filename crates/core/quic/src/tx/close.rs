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
        let first = matches!(&self.end, End::Closing(closing) if closing.round.is_some());
        let ix = self.next_to_close()?;
        let total = usize::try_from(self.paths[ix].amplification_budget()).unwrap_or(usize::MAX);
        let limit = total.min(usize::from(MIN_MTU));
        let app_only = self.hs.confirmed;
        let mut drafts: SmallVec<[Draft; 3]> = SmallVec::new();
        let mut at = 0;
        for id in [SpaceId::Initial, SpaceId::Handshake, SpaceId::App(ix)] {
            let keys = match id {
                SpaceId::Initial => self.keys.initial.is_some() && !app_only,
                SpaceId::Handshake => self.keys.handshake.is_some() && !app_only,
                // a server's client may not have 1-RTT keys yet; Handshake keys then carry the news
                SpaceId::App(_) => self.may_send_app() && (self.hs.complete || self.side.is_server()),
            };
            if !keys {
                continue;
            }
            let draft = self.draft(id, ix, buf, at, limit, |c, payload| {
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
            closing.on_sent(now, at, !first);
        }
        Some(self.finish_datagram(now, ix, buf, drafts, at))
    }

    /// The path that carries the next copy: first every path once, then the one something came on.
    fn next_to_close(&mut self) -> Option<usize> {
        let End::Closing(closing) = &mut self.end else { return None };
        if !closing.pending {
            return None;
        }
        if let Some(from) = closing.round {
            let live = |at: &usize| self.paths[*at].state.is_live();
            let mut rest = (from..self.paths.len()).filter(live);
            let this = rest.next();
            let next = rest.next();
            closing.round = next;
            closing.pending = next.is_some();
            return this;
        }
        closing.pending = false;
        let heard = self.paths.iter().position(|path| path.id == self.heard_on && path.state.is_live());
        Some(heard.unwrap_or_else(|| self.first_live()))
    }
}
