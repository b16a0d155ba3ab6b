//! ACK and PATH_ACK: ranges are checked once when decoded, so walking them cannot fail.

use core::ops::{Range, RangeInclusive};

use super::decode::{Field, Wrong, cut, path_id};
use super::kind;
use crate::{EcnCounts, PathId, Reader, Writer, varint_len};

/// A decoded ACK or PATH_ACK frame (RFC 9000 §19.3, multipath §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The path whose packets are acknowledged; `None` in a plain ACK.
    pub path: Option<PathId>,
    /// Largest acknowledged packet number.
    pub largest: u64,
    /// Delay in units of 2^ack_delay_exponent microseconds.
    pub delay: u64,
    /// Cumulative ECN counts, if reported.
    pub ecn: Option<EcnCounts>,
    pub(super) first: u64,
    pub(super) rest: &'a [u8],
}

impl<'a> Ack<'a> {
    pub(super) fn kind(&self) -> u64 {
        match (self.path, self.ecn) {
            (None, None) => kind::ACK,
            (None, Some(_)) => kind::ACK_ECN,
            (Some(_), None) => kind::PATH_ACK,
            (Some(_), Some(_)) => kind::PATH_ACK_ECN,
        }
    }

    /// Acknowledged ranges from the highest down. The frame was checked, so none goes below zero.
    pub fn ranges(&self) -> AckRanges<'a> {
        AckRanges { next: Some((self.largest, self.first)), rest: Reader::new(self.rest) }
    }

    /// Reads what follows the type.
    // MUST 9000-19.3.1-1
    pub(super) fn decode(r: &mut Reader<'a>, path: bool, with_ecn: bool) -> Field<Self> {
        let path = if path { Some(path_id(r)?) } else { None };
        let largest = r.varint().map_err(cut)?;
        let delay = r.varint().map_err(cut)?;
        let count = r.varint().map_err(cut)?;
        let first = r.varint().map_err(cut)?;
        let mut smallest = largest.checked_sub(first).ok_or(Wrong::Field("first range below zero"))?;
        let body = r.rest();
        let start = r.position();
        for _ in 0..count {
            let gap = r.varint().map_err(cut)?;
            let len = r.varint().map_err(cut)?;
            smallest = smallest
                .checked_sub(gap + 2)
                .and_then(|largest| largest.checked_sub(len))
                .ok_or(Wrong::Field("range below zero"))?;
        }
        let rest = &body[..r.position() - start];
        let ecn = if with_ecn {
            let (ect0, ect1) = (r.varint().map_err(cut)?, r.varint().map_err(cut)?);
            Some(EcnCounts { ect0, ect1, ce: r.varint().map_err(cut)? })
        } else {
            None
        };
        Ok(Self { path, largest, delay, ecn, first, rest })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.varint(self.kind());
        if let Some(path) = self.path {
            w.varint(u64::from(path.0));
        }
        w.varint(self.largest);
        w.varint(self.delay);
        let count = self.ranges().count() as u64 - 1;
        w.varint(count);
        w.varint(self.first);
        w.slice(self.rest);
        encode_ecn(w, self.ecn);
    }

    pub(super) fn encoded_len(&self) -> usize {
        let path = self.path.map_or(0, |path| varint_len(u64::from(path.0)));
        let ecn = self.ecn.map_or(0, |ecn| varint_len(ecn.ect0) + varint_len(ecn.ect1) + varint_len(ecn.ce));
        let count = self.ranges().count() as u64 - 1;
        1 + path
            + varint_len(self.largest)
            + varint_len(self.delay)
            + varint_len(count)
            + varint_len(self.first)
            + self.rest.len()
            + ecn
    }
}

/// Ranges of an [`Ack`], highest first.
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    next: Option<(u64, u64)>,
    rest: Reader<'a>,
}

impl Iterator for AckRanges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        let (largest, len) = self.next?;
        let smallest = largest.saturating_sub(len);
        self.next = match (self.rest.varint(), self.rest.varint()) {
            (Ok(gap), Ok(len)) => Some((smallest.saturating_sub(gap + 2), len)),
            _ => None,
        };
        Some(smallest..=largest)
    }
}

fn encode_ecn(w: &mut Writer<'_>, ecn: Option<EcnCounts>) {
    if let Some(ecn) = ecn {
        w.varint(ecn.ect0);
        w.varint(ecn.ect1);
        w.varint(ecn.ce);
    }
}

/// Longest ACK frame with `ranges` ranges.
pub const fn ack_max_len(ranges: usize) -> usize {
    // type, path, largest, delay, count, first, ECN counts; then gap and length each
    1 + 5 + 8 + 8 + 4 + 8 + 3 * 8 + (ranges.saturating_sub(1)) * 16
}

/// Writes an ACK (or PATH_ACK) of `ranges`, half-open, disjoint and ascending, as many of the highest as fit into the
/// room left. Returns how many ranges were written; 0, and nothing written, if not even one fits.
pub fn encode_ack<I>(
    w: &mut Writer<'_>,
    path: Option<PathId>,
    ranges: I,
    delay: u64,
    ecn: Option<EcnCounts>,
) -> usize
where
    I: DoubleEndedIterator<Item = Range<u64>> + Clone,
{
    let mut descending = ranges.rev();
    let Some(first) = descending.next() else { return 0 };
    let fixed = 1
        + path.map_or(0, |path| varint_len(u64::from(path.0)))
        + varint_len(first.end - 1)
        + varint_len(delay)
        + varint_len(first.end - first.start - 1)
        + ecn.map_or(0, |ecn| varint_len(ecn.ect0) + varint_len(ecn.ect1) + varint_len(ecn.ce));
    // two bytes for the count: no one tracks more than 16383 ranges
    let Some(mut room) = w.remaining().checked_sub(fixed + 2) else { return 0 };
    let mut more = 0u64;
    let mut above = first.start;
    for range in descending.clone() {
        let need = varint_len(above - range.end - 1) + varint_len(range.end - range.start - 1);
        if need > room || more == 16_000 {
            break;
        }
        room -= need;
        more += 1;
        above = range.start;
    }
    w.varint(match (path, ecn) {
        (None, None) => kind::ACK,
        (None, Some(_)) => kind::ACK_ECN,
        (Some(_), None) => kind::PATH_ACK,
        (Some(_), Some(_)) => kind::PATH_ACK_ECN,
    });
    if let Some(path) = path {
        w.varint(u64::from(path.0));
    }
    w.varint(first.end - 1);
    w.varint(delay);
    w.varint(more);
    w.varint(first.end - first.start - 1);
    let mut above = first.start;
    for range in descending.take(more as usize) {
        w.varint(above - range.end - 1);
        w.varint(range.end - range.start - 1);
        above = range.start;
    }
    encode_ecn(w, ecn);
    more as usize + 1
}
