//! Netlink messages of the routing family: taken apart, put together, asked and answered.
//!
//! Decides where a message ends and whose answer it is. Never trusts a length: what does not fit ends the walk.
//! Shapes: `linux/netlink.h`, `linux/rtnetlink.h`; numbers are in the machine's byte order.

pub(crate) mod talk;

#[cfg(test)]
mod tests;

/// Bytes of `nlmsghdr`.
const HEADER: usize = 16;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// `RTM_*` or `NLMSG_*`.
    pub(crate) kind: u16,
    /// `NLM_F_*`.
    pub(crate) flags: u16,
    /// Of the request this answers; 0 if it answers none.
    pub(crate) seq: u32,
    /// What follows the header.
    pub(crate) body: &'a [u8],
}

impl Message<'_> {
    /// The error of an `NLMSG_ERROR`, which is 0 for an acknowledgement; the one in a dump's `NLMSG_DONE`.
    pub(crate) fn error(&self) -> Option<i32> {
        let has = [libc::NLMSG_ERROR, libc::NLMSG_DONE].contains(&i32::from(self.kind));
        has.then(|| i32_at(self.body, 0).unwrap_or(0).saturating_neg())
    }
}

/// The messages of a datagram, up to the first that makes no sense.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let len = u32_at(bytes, 0)? as usize;
        let body = bytes.get(HEADER..len)?;
        let (kind, flags, seq) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?, u32_at(bytes, 8)?);
        bytes = bytes.get(aligned(len)..).unwrap_or_default();
        Some(Message { kind, flags, seq, body })
    })
}

/// The attributes behind a message's own header, up to the first that makes no sense.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(4..len)?;
        // The two highest bits say that it is nested, or in network byte order.
        let kind = u16_at(bytes, 2)? & 0x3fff;
        bytes = bytes.get(aligned(len)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Behind the first `header` bytes of a body, which messages of the routing family begin with.
pub(crate) fn attributes_after(body: &[u8], header: usize) -> impl Iterator<Item = (u16, &[u8])> {
    attributes(body.get(aligned(header)..).unwrap_or_default())
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

pub(crate) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    u32_at(bytes, at).map(u32::cast_signed)
}

/// A text that may end with a zero.
pub(crate) fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).ok().filter(|text| !text.is_empty())
}

/// Where the next thing of netlink begins.
pub(crate) fn aligned(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// A message under construction.
#[derive(Clone, Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A message of a kind with flags (`NLM_F_REQUEST` is added) and its own header, such as an `rtmsg`.
    pub(crate) fn new(kind: u16, flags: i32, header: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&((flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
        bytes.extend(header);
        bytes.resize(aligned(bytes.len()), 0);
        Self(bytes)
    }

    /// Adds an attribute.
    #[must_use]
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        // Ours are addresses, names and numbers; none comes near the limit.
        let len = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(aligned(self.0.len()), 0);
        self
    }

    /// Adds a number of 32 bits.
    #[must_use]
    pub(crate) fn with_u32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// The message's bytes, as the request number `seq`.
    pub(crate) fn bytes(mut self, seq: u32) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0[8..12].copy_from_slice(&seq.to_ne_bytes());
        self.0
    }
}
