//! As much of HTTP/3 (RFC 9114) as files of peers that speak nothing else take: a control stream with empty settings,
//! requests and answers of one HEADERS frame and DATA frames, field sections of the static table and literals
//! (RFC 9204). It never uses or allows the dynamic table, knows no errors but "does not make sense", and is no HTTP/3 for
//! anybody but these tests.

use anyhow::{Context, Result, bail, ensure};
use tq::{Bytes, Connection};

/// Application protocol.
pub const ALPN: &str = "h3";

/// Stream and frame types.
const CONTROL: u8 = 0;
const DATA: u64 = 0;
const HEADERS: u64 = 1;
const SETTINGS: u8 = 4;
/// Longest field section taken, bytes.
const SECTION: usize = 8192;

/// Field lines of the static table (RFC 9204, appendix A): whole ones, and names.
const METHOD_GET: u8 = 0xc0 | 17;
const SCHEME_HTTPS: u8 = 0xc0 | 23;
const STATUS_200: u8 = 0xc0 | 25;
const AUTHORITY: u8 = 0x50;
const PATH: u8 = 0x51;

/// Symbols of the Huffman code (RFC 7541, appendix B) that file names are made of, by the length of their codes. The
/// code is canonical: each follows the one before it.
const SYMBOLS: [(u32, &[u8]); 4] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
];

/// Opens the control stream, which stays as long as the connection.
///
/// # Errors
/// The connection is closed.
pub async fn greet(connection: &Connection) -> Result<()> {
    let mut control = connection.open_uni().await?;
    control.write_all(&[CONTROL, SETTINGS, 0]).await?;
    let connection = connection.clone();
    tokio::spawn(async move {
        connection.closed().await;
        drop(control);
    });
    Ok(())
}

/// What a request stream carries to get `path`.
pub fn request(authority: &str, path: &str) -> Vec<u8> {
    let mut section = vec![0, 0, METHOD_GET, SCHEME_HTTPS];
    for (name, value) in [(AUTHORITY, authority), (PATH, path)] {
        section.push(name);
        integer(&mut section, 0, 7, value.len());
        section.extend_from_slice(value.as_bytes());
    }
    frame(HEADERS, &section)
}

/// What goes before a file of `len` bytes.
pub fn answer(len: u64) -> Vec<u8> {
    let mut out = frame(HEADERS, &[0, 0, STATUS_200]);
    varint(&mut out, DATA);
    varint(&mut out, len);
    out
}

/// The path that a whole request asks for.
///
/// # Errors
/// It is no request, or one of which more is used than this knows.
pub fn wanted(mut stream: &[u8]) -> Result<String> {
    loop {
        let (kind, len) = head(&mut stream).context("no HEADERS frame")?;
        let frame =
            usize::try_from(len).ok().and_then(|len| stream.split_off(..len)).context("half a frame")?;
        if kind == HEADERS {
            return path_of(frame);
        }
    }
}

/// Finds `:path` in a field section.
fn path_of(mut section: &[u8]) -> Result<String> {
    ensure!(section.split_off(..2) == Some(&[0, 0]), "a field section that needs the dynamic table");
    while let Some(&first) = section.first() {
        let name_is_path = match first {
            0xc0.. => {
                prefixed(&mut section, 6)?;
                continue;
            }
            0x50..0x60 | 0x70..0x80 => prefixed(&mut section, 4)? == 1,
            0x20..0x40 => {
                string(&mut section, 3)?;
                false
            }
            _ => bail!("a field line of the dynamic table"),
        };
        let value = string(&mut section, 7);
        if name_is_path {
            return value;
        }
        // Others may hold symbols that file names have not.
    }
    bail!("no :path")
}

/// The contents of DATA frames of an answer that comes in pieces.
#[derive(Debug, Default)]
pub struct Body {
    /// Left of the frame being read, and whether it is DATA.
    left: u64,
    data: bool,
    /// The beginning of a frame that has not come whole: its head, or all of a HEADERS frame.
    waiting: Vec<u8>,
    answered: bool,
}

impl Body {
    /// Takes the next piece of the stream and hands on what of it belongs to the file.
    ///
    /// # Errors
    /// The answer is not 200, or makes no sense.
    pub fn take(&mut self, mut piece: Bytes, mut file: impl FnMut(Bytes)) -> Result<()> {
        while !piece.is_empty() {
            if self.left > 0 {
                let part = piece.split_to(piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)));
                self.left -= part.len() as u64;
                if self.data {
                    file(part);
                }
                continue;
            }
            // Heads are few and short, so octet by octet will do.
            self.waiting.extend_from_slice(&piece.split_to(1));
            self.head()?;
        }
        Ok(())
    }

    fn head(&mut self) -> Result<()> {
        let mut bytes = &self.waiting[..];
        let Some((kind, len)) = head(&mut bytes) else { return Ok(()) };
        if kind == HEADERS && (bytes.len() as u64) < len {
            ensure!(bytes.len() < SECTION, "a field section that does not end");
            return Ok(());
        }
        if kind == HEADERS {
            ensure!(bytes.get(2) == Some(&STATUS_200), "the answer is not 200");
            self.answered = true;
        } else {
            ensure!(kind != DATA || self.answered, "DATA before HEADERS");
            (self.left, self.data) = (len, kind == DATA);
        }
        self.waiting.clear();
        Ok(())
    }

    /// Whether nothing of the answer is missing when the stream ends.
    pub fn is_whole(&self) -> bool {
        self.answered && self.left == 0 && self.waiting.is_empty()
    }
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 9);
    varint(&mut out, kind);
    varint(&mut out, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// Type and length of a frame, if all of both is there.
fn head(bytes: &mut &[u8]) -> Option<(u64, u64)> {
    Some((take_varint(bytes)?, take_varint(bytes)?))
}

/// RFC 9000 §16, in two lengths.
fn varint(out: &mut Vec<u8>, value: u64) {
    match u8::try_from(value) {
        Ok(small @ 0..64) => out.push(small),
        _ => out.extend_from_slice(&(value | 3 << 62).to_be_bytes()),
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let len = 1 << (bytes.first()? >> 6);
    let all = bytes.split_off(..len)?;
    Some(all[1..].iter().fold(u64::from(all[0] & 0x3f), |sum, byte| sum << 8 | u64::from(*byte)))
}

/// RFC 7541 §5.1: a number of which `bits` are in the octet with `flags`.
fn integer(out: &mut Vec<u8>, flags: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        return out.push(flags | value as u8);
    }
    out.push(flags | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn prefixed(bytes: &mut &[u8], bits: u32) -> Result<usize> {
    let mut next = || bytes.split_off_first().copied().context("half a number");
    let most = (1 << bits) - 1;
    let mut value = usize::from(next()?) & most;
    if value < most {
        return Ok(value);
    }
    for shift in [0, 7, 14] {
        let byte = next()?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number beyond all measure")
}

/// RFC 7541 §5.2, with the length in the last `bits` of an octet and the Huffman flag before it.
fn string(bytes: &mut &[u8], bits: u32) -> Result<String> {
    let huffman = bytes.first().is_some_and(|first| first >> bits & 1 == 1);
    let len = prefixed(bytes, bits)?;
    let octets = bytes.split_off(..len).context("half a string")?;
    Ok(if huffman { unpacked(octets) } else { String::from_utf8_lossy(octets).into_owned() })
}

/// What Huffman codes stand for, up to the first symbol of a code that is not known here, which padding is, too.
fn unpacked(octets: &[u8]) -> String {
    let mut out = String::new();
    let (mut code, mut len) = (0_u32, 0_u32);
    for bit in octets.iter().flat_map(|octet| (0..8).rev().map(move |at| octet >> at & 1)) {
        (code, len) = (code << 1 | u32::from(bit), len + 1);
        if len > 8 {
            return out;
        }
        if let Some(symbol) = symbol(code, len) {
            out.push(char::from(symbol));
            (code, len) = (0, 0);
        }
    }
    out
}

fn symbol(code: u32, len: u32) -> Option<u8> {
    let mut first = 0;
    for (bits, symbols) in SYMBOLS {
        if bits == len {
            return symbols.get(usize::try_from(code.checked_sub(first)?).ok()?).copied();
        }
        first = (first + symbols.len() as u32) << 1;
    }
    None
}

#[cfg(test)]
mod tests;
