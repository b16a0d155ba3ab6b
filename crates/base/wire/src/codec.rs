//! Cursors over byte slices: a reader that cannot run past its end, a writer whose caller has checked the room.
//! Varints are RFC 9000 §16.

/// Largest value of a QUIC varint.
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// Bytes `value` takes as a varint: 1, 2, 4 or 8. Values above [`VARINT_MAX`] are a caller's bug and count as 8.
pub const fn varint_len(value: u64) -> usize {
    if value < 1 << 6 {
        1
    } else if value < 1 << 14 {
        2
    } else if value < 1 << 30 {
        4
    } else {
        8
    }
}

/// The input ended inside a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnexpectedEnd;

/// Reads fields off the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// What is left, without reading it.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The next byte, without reading it.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, UnexpectedEnd> {
        let byte = *self.bytes.get(self.at).ok_or(UnexpectedEnd)?;
        self.at += 1;
        Ok(byte)
    }

    /// Two bytes, big endian.
    pub fn u16(&mut self) -> Result<u16, UnexpectedEnd> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes, big endian.
    pub fn u32(&mut self) -> Result<u32, UnexpectedEnd> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A fixed number of bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], UnexpectedEnd> {
        let bytes = self.rest().first_chunk::<N>().ok_or(UnexpectedEnd)?;
        self.at += N;
        Ok(*bytes)
    }

    /// The next `len` bytes.
    #[inline]
    pub fn slice(&mut self, len: usize) -> Result<&'a [u8], UnexpectedEnd> {
        let bytes = self.rest().get(..len).ok_or(UnexpectedEnd)?;
        self.at += len;
        Ok(bytes)
    }

    /// A varint of 1, 2, 4 or 8 bytes; longer than needed is accepted.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, UnexpectedEnd> {
        let first = self.peek().ok_or(UnexpectedEnd)?;
        Ok(match first >> 6 {
            0 => {
                self.at += 1;
                u64::from(first)
            }
            1 => u64::from(u16::from_be_bytes(self.array()?)) & 0x3fff,
            2 => u64::from(u32::from_be_bytes(self.array()?)) & 0x3fff_ffff,
            _ => u64::from_be_bytes(self.array()?) & VARINT_MAX,
        })
    }

    /// A varint length and that many bytes.
    pub fn prefixed(&mut self) -> Result<&'a [u8], UnexpectedEnd> {
        let len = usize::try_from(self.varint()?).map_err(|_| UnexpectedEnd)?;
        self.slice(len)
    }
}

/// Writes fields into a slice. The caller checks [`Writer::remaining`] first; writing past the end panics, because
/// only our own arithmetic can cause it.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes written so far.
    pub const fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Room left.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What was written.
    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.bytes[self.at] = value;
        self.at += 1;
    }

    /// Two bytes, big endian.
    pub fn u16(&mut self, value: u16) {
        self.slice(&value.to_be_bytes());
    }

    /// Four bytes, big endian.
    pub fn u32(&mut self, value: u32) {
        self.slice(&value.to_be_bytes());
    }

    /// All of `bytes`.
    #[inline]
    pub fn slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len()).copy_from_slice(bytes);
    }

    /// Moves on by `len` bytes and hands them out to be filled.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> &mut [u8] {
        let room = &mut self.bytes[self.at..self.at + len];
        self.at += len;
        room
    }

    /// A varint in its shortest form. `value` is at most [`VARINT_MAX`].
    // MUST 9000-12.4-5
    #[inline]
    pub fn varint(&mut self, value: u64) {
        debug_assert!(value <= VARINT_MAX);
        match varint_len(value) {
            1 => self.u8(value as u8),
            2 => self.slice(&(value as u16 | 0x4000).to_be_bytes()),
            4 => self.slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
            _ => self.slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
        }
    }

    /// A varint of exactly two bytes, so that a length can be filled in later. `value` below 2^14.
    pub fn varint2(&mut self, value: u16) {
        debug_assert!(value < 1 << 14);
        self.slice(&(value | 0x4000).to_be_bytes());
    }

    /// A varint length and the bytes.
    pub fn prefixed(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.slice(bytes);
    }

    /// Gives the whole slice back, written and not.
    pub fn into_inner(self) -> &'a mut [u8] {
        self.bytes
    }
}
