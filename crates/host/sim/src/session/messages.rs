//! The messages of the simulated handshake: a type, three bytes of length, fields with two bytes of length each, then
//! filler up to the size wanted. Reading never panics; what is cut short is `None`.

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const TICKET: u8 = 4;
pub(super) const EXTENSIONS: u8 = 8;
pub(super) const CHAIN: u8 = 11;
pub(super) const VERIFY: u8 = 15;
pub(super) const FINISHED: u8 = 20;

/// Length of a message's header.
pub(super) const HEADER: usize = 4;

/// A message of `kind` with these fields, `size` bytes long if they need no more.
pub(super) fn message(kind: u8, fields: &[&[u8]], size: usize) -> Vec<u8> {
    let mut out = vec![kind, 0, 0, 0];
    for field in fields {
        out.extend_from_slice(&(field.len() as u16).to_be_bytes());
        out.extend_from_slice(field);
    }
    out.resize(out.len().max(size), 0x5a);
    let len = (out.len() - HEADER) as u32;
    out[1..HEADER].copy_from_slice(&len.to_be_bytes()[1..]);
    out
}

/// The fields of a message's body, one after another.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<2>()?;
        let (field, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        self.0 = rest;
        Some(field)
    }

    pub(super) fn random(&mut self) -> Option<[u8; 32]> {
        self.next()?.try_into().ok()
    }
}

/// Several short strings in one field, each with a byte of length.
pub(super) fn list<'a>(items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items.filter(|item| item.len() <= 255) {
        out.push(item.len() as u8);
        out.extend_from_slice(item);
    }
    out
}

/// The strings of [`list`].
pub(super) fn items(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = list.split_first()?;
        let (item, rest) = rest.split_at_checked(usize::from(*len))?;
        list = rest;
        Some(item)
    })
}
