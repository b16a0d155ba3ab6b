//! What a server says after the handshake, watched for the one thing TLS lets pass and QUIC does not: a ticket whose
//! early_data names any other size than "no limit of TLS" (RFC 9001 §4.6.1). Everything else is left to rustls, which has
//! read the same bytes before and bounds the length of a message.

use tq_wire::Reader;

/// NewSessionTicket (RFC 8446 §4.6.1) and its early_data extension.
const TICKET: u8 = 4;
const EARLY_DATA: u16 = 42;

/// Messages of a server after the handshake.
#[derive(Default)]
pub(crate) struct After {
    /// A message that is not whole yet.
    rest: Vec<u8>,
}

impl After {
    /// Takes bytes rustls has accepted; says whether a ticket among them breaks the rule.
    // MUST 9001-4.6.1-2
    pub(crate) fn breaks_rule(&mut self, bytes: &[u8]) -> bool {
        self.rest.extend_from_slice(bytes);
        while let [kind, a, b, c, rest @ ..] = &self.rest[..] {
            let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let Some(body) = rest.get(..len) else { break };
            if *kind == TICKET && early_data(body).is_some_and(|size| size != u32::MAX) {
                return true;
            }
            self.rest.drain(..4 + len);
        }
        false
    }
}

/// The size in a ticket's early_data extension, if it has one.
fn early_data(ticket: &[u8]) -> Option<u32> {
    let mut r = Reader::new(ticket);
    // lifetime and age_add, nonce, ticket
    r.slice(8).ok()?;
    let nonce = r.u8().ok()?;
    r.slice(nonce.into()).ok()?;
    let ticket = r.u16().ok()?;
    r.slice(ticket.into()).ok()?;
    r.u16().ok()?;
    loop {
        let (kind, len) = (r.u16().ok()?, r.u16().ok()?);
        let body = r.slice(len.into()).ok()?;
        if kind == EARLY_DATA {
            return Reader::new(body).u32().ok();
        }
    }
}
