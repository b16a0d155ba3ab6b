//! JSON by hand: objects, arrays, escaped text, exact decimals. No floating point is involved.
//! It decides commas and escapes, never names.

use core::fmt::Write;
use core::time::Duration;

use crate::mem::String;

/// An object being written into a buffer; the closing brace comes from [`Object::write`].
pub(crate) struct Object<'b> {
    out: &'b mut String,
    first: bool,
}

impl<'b> Object<'b> {
    /// Writes one object: braces around whatever `fields` puts in.
    pub(crate) fn write(out: &'b mut String, fields: impl FnOnce(&mut Object<'_>)) {
        out.push('{');
        fields(&mut Object { out, first: true });
        out.push('}');
    }

    /// Writes `"key":` and hands out the buffer for the value.
    pub(crate) fn key(&mut self, key: &str) -> &mut String {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        text(self.out, key);
        self.out.push(':');
        self.out
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) {
        number(self.key(key), value);
    }

    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.key(key).push_str(if value { "true" } else { "false" });
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        text(self.key(key), value);
    }

    pub(crate) fn hex(&mut self, key: &str, value: &[u8]) {
        hex(self.key(key), value);
    }

    pub(crate) fn object(&mut self, key: &str, fields: impl FnOnce(&mut Object<'_>)) {
        Object::write(self.key(key), fields);
    }

    pub(crate) fn array<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        item: impl FnMut(&mut String, T),
    ) {
        array(self.key(key), items, item);
    }
}

pub(crate) fn array<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (i, value) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        item(out, value);
    }
    out.push(']');
}

pub(crate) fn number(out: &mut String, value: u64) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

/// Something whose characters need no escape, such as an address, as a string.
pub(crate) fn quoted(out: &mut String, value: core::fmt::Arguments<'_>) {
    let _ = write!(out, "\"{value}\"");
}

/// A number that the schema wants as a string.
pub(crate) fn quoted_number(out: &mut String, value: u64) {
    quoted(out, format_args!("{value}"));
}

/// Milliseconds with three decimals, six where there are nanoseconds.
pub(crate) fn millis(out: &mut String, nanos: u128) {
    let (whole, rest) = (nanos / 1_000_000, nanos % 1_000_000);
    let _ = match rest % 1000 {
        0 => write!(out, "{whole}.{:03}", rest / 1000),
        _ => write!(out, "{whole}.{rest:06}"),
    };
}

/// `value` / 1000 with three decimals.
pub(crate) fn thousandths(out: &mut String, value: u32) {
    let _ = write!(out, "{}.{:03}", value / 1000, value % 1000);
}

pub(crate) fn duration(out: &mut String, value: Duration) {
    millis(out, value.as_nanos());
}

pub(crate) fn hex(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out.push('"');
}

pub(crate) fn text(out: &mut String, value: &str) {
    out.push('"');
    escape(out, value);
    out.push('"');
}

/// Text a peer chose: what is not UTF-8 becomes U+FFFD.
pub(crate) fn lossy(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        escape(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    out.push('"');
}

/// RFC 8259 §7: quote, backslash and controls (among them the record separator) are escaped.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}
