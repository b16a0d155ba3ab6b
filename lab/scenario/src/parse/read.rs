//! Reading one table of a file: typed fields, and a problem for each that is not one.
//!
//! Decides where problems are said to be and how wrong types, bare numbers and unknown names are told; what fields
//! mean is for the modules beside it.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use toml::de::{DeTable, DeValue};
use tq_time::Duration;

use crate::errors::{Problem, listed, nearest};
use crate::event::Span;
use crate::traffic::Sizes;
use crate::unit::{Loss, Size, Speed, Time, UnitError};

/// In bytes per second; for the link model that and more is no limit.
const MOST_SPEED: u64 = 1_000_000_000_000;

/// The problems found so far, each with its place in the text.
pub(super) struct Log<'a> {
    text: &'a str,
    problems: RefCell<Vec<(usize, Problem)>>,
}

impl<'a> Log<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, problems: RefCell::new(Vec::new()) }
    }

    /// One more, at an offset in the text.
    pub(super) fn add(&self, at: usize, table: &str, field: &str, what: String, allowed: String) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let (table, field) = (table.to_owned(), field.to_owned());
        self.problems.borrow_mut().push((at, Problem { line, column, table, field, what, allowed }));
    }

    /// The line of an offset.
    pub(super) fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or(self.text).matches('\n').count() + 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// All of them, in the order of the file.
    pub(super) fn finish(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(at, _)| *at);
        problems.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// A table of the file.
pub(super) struct Reader<'a> {
    pub(super) log: &'a Log<'a>,
    pub(super) label: String,
    map: &'a DeTable<'a>,
    at: usize,
}

/// Whether a name can be one: letters, digits, `-`, `.`, `_`, at most 64 of them.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(fits)
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with(['a', 'i']) { "an" } else { "a" }
}

impl<'a> Reader<'a> {
    /// Begins a table; every field of it must be one of `fields`.
    pub(super) fn new(
        log: &'a Log<'a>,
        label: String,
        fields: &[&str],
        map: &'a DeTable<'a>,
        at: usize,
    ) -> Self {
        for (key, _) in map {
            let name: &str = key.get_ref();
            if !fields.contains(&name) {
                let hint = nearest(name, fields.iter().copied()).map_or_else(
                    || format!("fields are {}", listed(fields.iter().copied())),
                    |near| format!("did you mean \"{near}\"?"),
                );
                log.add(key.span().start, &label, name, "unknown field".to_owned(), hint);
            }
        }
        Self { log, label, map, at }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.map.contains_key(field)
    }

    /// Which of these fields are there.
    pub(super) fn present<'b>(&self, fields: &[&'b str]) -> Vec<&'b str> {
        fields.iter().copied().filter(|field| self.has(field)).collect()
    }

    /// Where a field's value is, or else the table.
    pub(super) fn place(&self, field: &str) -> usize {
        self.map.get(field).map_or(self.at, |value| value.span().start)
    }

    /// A problem with a field.
    pub(super) fn wrong(&self, field: &str, what: impl Into<String>, allowed: impl Into<String>) {
        self.log.add(self.place(field), &self.label, field, what.into(), allowed.into());
    }

    /// A problem at a place of its own within a field.
    fn wrong_at(&self, at: usize, field: &str, what: String, allowed: String) {
        self.log.add(at, &self.label, field, what, allowed);
    }

    /// A field that has to be there is not.
    pub(super) fn missing(&self, field: &str, allowed: &str) {
        self.wrong(field, "is missing", allowed);
    }

    fn value(&self, field: &str) -> Option<(&'a DeValue<'a>, Range<usize>)> {
        self.map.get(field).map(|value| (value.get_ref(), value.span()))
    }

    fn other_type(&self, field: &str, value: &DeValue<'_>, at: usize, allowed: &str) {
        let found = value.type_str();
        self.wrong_at(at, field, format!("is {} {found}", article(found)), allowed.to_owned());
    }

    /// Text as it stands.
    pub(super) fn text(&self, field: &str) -> Option<&'a str> {
        let (value, span) = self.value(field)?;
        let text = value.as_str();
        if text.is_none() {
            self.other_type(field, value, span.start, "write text in quotes");
        }
        text
    }

    /// A value with a unit.
    pub(super) fn unit<T: FromStr<Err = UnitError>>(&self, field: &str) -> Option<T> {
        let (value, span) = self.value(field)?;
        self.unit_of(field, value, span.start)
    }

    fn unit_of<T: FromStr<Err = UnitError>>(&self, field: &str, value: &DeValue<'_>, at: usize) -> Option<T> {
        // Only for its hint.
        let hint = || T::from_str("").err().map(|error| error.allowed).unwrap_or_default();
        let wrong = match value {
            DeValue::String(text) => match T::from_str(text) {
                Ok(value) => return Some(value),
                Err(error) => error,
            },
            DeValue::Integer(number) => {
                UnitError { what: format!("{number} is a bare number"), allowed: hint() }
            }
            DeValue::Float(number) => {
                UnitError { what: format!("{number} is a bare number"), allowed: hint() }
            }
            other => {
                self.other_type(field, other, at, &hint());
                return None;
            }
        };
        self.wrong_at(at, field, wrong.what, wrong.allowed);
        None
    }

    pub(super) fn time(&self, field: &str) -> Option<Duration> {
        self.unit::<Time>(field).map(|time| time.0)
    }

    /// A time that is not zero.
    pub(super) fn some_time(&self, field: &str) -> Option<Duration> {
        let time = self.time(field)?;
        self.not_zero(field, time.is_zero()).then_some(time)
    }

    pub(super) fn part(&self, field: &str) -> Option<u32> {
        self.unit::<Loss>(field).map(|loss| loss.0)
    }

    /// A size that is not zero.
    pub(super) fn some_size(&self, field: &str) -> Option<u64> {
        let size = self.unit::<Size>(field)?.0;
        self.not_zero(field, size == 0).then_some(size)
    }

    /// A rate that is not zero.
    pub(super) fn some_speed(&self, field: &str) -> Option<u64> {
        let speed = self.unit::<Speed>(field)?.0;
        if speed > MOST_SPEED {
            self.wrong(
                field,
                "is too much",
                "write at most \"8000Gbit/s\", or \"unlimited\" where that is allowed",
            );
            return None;
        }
        self.not_zero(field, speed == 0).then_some(speed)
    }

    fn not_zero(&self, field: &str, zero: bool) -> bool {
        if zero {
            self.wrong(field, "is zero", "write more than that or leave it out");
        }
        !zero
    }

    pub(super) fn flag(&self, field: &str) -> Option<bool> {
        let (value, span) = self.value(field)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.other_type(field, value, span.start, "write true or false");
        }
        flag
    }

    /// A whole number in a range.
    pub(super) fn whole(&self, field: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let (value, span) = self.value(field)?;
        let allowed = format!("write a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(number) = value else {
            self.other_type(field, value, span.start, &allowed);
            return None;
        };
        let found = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| range.contains(n));
        if found.is_none() {
            self.wrong(field, format!("{number} is out of range"), allowed);
        }
        found
    }

    /// As [`Reader::whole`], for narrow numbers.
    pub(super) fn small(&self, field: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        self.whole(field, wide).and_then(|number| u32::try_from(number).ok())
    }

    /// One of several names; gives its index.
    pub(super) fn choice(&self, field: &str, names: &[&str]) -> Option<usize> {
        let text = self.text(field)?;
        let found = names.iter().position(|name| *name == text);
        if found.is_none() {
            self.unknown(field, self.place(field), text, names, "one of");
        }
        found
    }

    fn unknown(&self, field: &str, at: usize, text: &str, names: &[&str], of: &str) {
        let mut allowed = match names {
            [] => "there are none".to_owned(),
            _ => format!("{of} {}", listed(names.iter().copied())),
        };
        if let Some(near) = nearest(text, names.iter().copied()) {
            allowed = format!("did you mean \"{near}\"? {allowed}");
        }
        self.wrong_at(at, field, format!("\"{text}\" is not known"), allowed);
    }

    /// References to things by name, one or a list, or "all".
    pub(super) fn references(&self, field: &str, names: &[&str], of: &str) -> Option<Vec<usize>> {
        if let Some((DeValue::String(text), _)) = self.value(field)
            && text == "all"
        {
            return Some((0..names.len()).collect());
        }
        let mut found = Vec::new();
        for (text, at) in self.texts(field)? {
            match names.iter().position(|name| *name == text) {
                Some(index) if found.contains(&index) => {
                    self.wrong_at(
                        at,
                        field,
                        format!("\"{text}\" is named twice"),
                        "once is enough".to_owned(),
                    );
                }
                Some(index) => found.push(index),
                None => self.unknown(field, at, text, names, of),
            }
        }
        Some(found)
    }

    /// A reference to one thing by name.
    pub(super) fn reference(&self, field: &str, names: &[&str], of: &str) -> Option<usize> {
        let text = self.text(field)?;
        let found = names.iter().position(|name| *name == text);
        if found.is_none() {
            self.unknown(field, self.place(field), text, names, of);
        }
        found
    }

    /// One text or a list of them, with their places.
    pub(super) fn texts(&self, field: &str) -> Option<Vec<(&'a str, usize)>> {
        let (value, span) = self.value(field)?;
        match value {
            DeValue::String(text) => Some(vec![(text, span.start)]),
            DeValue::Array(items) => {
                let mut texts = Vec::new();
                for item in items.iter() {
                    match item.get_ref().as_str() {
                        Some(text) => texts.push((text, item.span().start)),
                        None => {
                            self.other_type(field, item.get_ref(), item.span().start, "write text in quotes")
                        }
                    }
                }
                if items.is_empty() {
                    self.wrong(field, "is empty", "name at least one or leave it out");
                }
                Some(texts)
            }
            other => {
                self.other_type(field, other, span.start, "write text in quotes, or a list of them");
                None
            }
        }
    }

    /// Two values, `low..high`, or one.
    fn range<T: FromStr<Err = UnitError>>(&self, field: &str) -> Option<(T, T)> {
        let (value, span) = self.value(field)?;
        if let DeValue::String(text) = value
            && let Some((low, high)) = text.split_once("..")
        {
            let one = |text: &str| {
                T::from_str(text).map_err(|e| self.wrong_at(span.start, field, e.what, e.allowed)).ok()
            };
            return Some((one(low)?, one(high)?));
        }
        Some((self.unit(field)?, self.unit(field)?))
    }

    /// A range of sizes, none of them zero.
    pub(super) fn sizes(&self, field: &str) -> Option<Sizes> {
        let (Size(low), Size(high)) = self.range(field)?;
        (self.not_zero(field, low == 0) && self.upright(field, low <= high)).then_some(Sizes { low, high })
    }

    /// A range of times, the longer not zero.
    pub(super) fn span(&self, field: &str) -> Option<Span> {
        let (Time(low), Time(high)) = self.range(field)?;
        (self.not_zero(field, high.is_zero()) && self.upright(field, low <= high))
            .then_some(Span { low, high })
    }

    fn upright(&self, field: &str, upright: bool) -> bool {
        if !upright {
            self.wrong(field, "is upside down", "write the smaller value first");
        }
        upright
    }

    /// A table in a field.
    pub(super) fn table(&self, field: &str, fields: &[&str]) -> Option<Self> {
        let (value, span) = self.value(field)?;
        let DeValue::Table(map) = value else {
            self.other_type(
                field,
                value,
                span.start,
                &format!("write a table with {}", listed(fields.iter().copied())),
            );
            return None;
        };
        let dot = if self.label.is_empty() { "" } else { "." };
        Some(Self::new(self.log, format!("{}{dot}{field}", self.label), fields, map, span.start))
    }

    /// An array of tables, labelled by name or number.
    pub(super) fn tables(&self, field: &str, fields: &[&str]) -> Vec<Self> {
        let Some((value, span)) = self.value(field) else { return Vec::new() };
        let DeValue::Array(items) = value else {
            self.other_type(field, value, span.start, &format!("write [[{field}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let DeValue::Table(map) = item.get_ref() else {
                self.other_type(field, item.get_ref(), item.span().start, &format!("write [[{field}]]"));
                continue;
            };
            let name = map.get("name").and_then(|name| name.get_ref().as_str()).filter(|name| is_name(name));
            let label = match name {
                Some(name) => format!("{field} \"{name}\""),
                None => format!("{field} {}", index + 1),
            };
            tables.push(Self::new(self.log, label, fields, map, item.span().start));
        }
        tables
    }

    /// A name of its own among `known`.
    pub(super) fn own_name(&self, known: &[&str]) -> Option<String> {
        let Some(name) = self.text("name") else {
            if !self.has("name") {
                self.missing("name", "write name = \"…\"");
            }
            return None;
        };
        if !is_name(name) || name == "all" {
            self.wrong(
                "name",
                format!("\"{name}\" is no name"),
                "write 1 to 64 of a-z, A-Z, 0-9, -, ., _; not \"all\"",
            );
            return None;
        }
        if known.contains(&name) {
            self.wrong("name", format!("\"{name}\" is taken"), "give each its own name");
        }
        Some(name.to_owned())
    }

    /// At most one of `fields` may be there; tells whether that is so.
    pub(super) fn at_most_one(&self, fields: &[&str]) -> bool {
        let there = self.present(fields);
        if let [first, second, ..] = there[..] {
            self.wrong(second, format!("stands beside \"{first}\""), "only one of the two makes sense");
        }
        there.len() <= 1
    }

    /// None of `fields` makes sense, `because`.
    pub(super) fn out_of_place(&self, fields: &[&str], because: &str) {
        for field in self.present(fields) {
            self.wrong(field, "is out of place", because);
        }
    }
}

/// What a value is, without a problem if it is something else.
impl Reader<'_> {
    /// Whether a field is this very text.
    pub(super) fn text_is(&self, field: &str, text: &str) -> bool {
        self.map.get(field).is_some_and(|value| value.get_ref().as_str() == Some(text))
    }

    /// Whether a field is true or false.
    pub(super) fn is_flag(&self, field: &str) -> bool {
        self.map.get(field).is_some_and(|value| value.get_ref().is_bool())
    }
}
