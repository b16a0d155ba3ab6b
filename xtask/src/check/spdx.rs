//! Licence expressions (SPDX 2.3, annex D): is there a way to satisfy one with licences we accept?
//! It reads AND, OR, WITH and brackets, and the `/` of old manifests as OR; it knows no licence itself.

use std::fmt;

#[cfg(test)]
mod tests;

/// Why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SpdxError {
    /// Something else was expected here.
    Unexpected(String),
    /// It ends too early.
    End,
}

impl fmt::Display for SpdxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(word) => write!(f, "`{word}` is not expected there"),
            Self::End => f.write_str("it ends too early"),
        }
    }
}

/// Whether `expression` can be satisfied; `accept` is asked for a licence and, after WITH, an exception.
pub(super) fn satisfied(
    expression: &str,
    accept: &dyn Fn(&str, Option<&str>) -> bool,
) -> Result<bool, SpdxError> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, accept };
    let satisfied = parser.any()?;
    match parser.words.first() {
        None => Ok(satisfied),
        Some(word) => Err(SpdxError::Unexpected((*word).to_owned())),
    }
}

/// Evaluates while it reads; OR binds weaker than AND, AND weaker than WITH.
struct Parser<'a> {
    words: &'a [&'a str],
    accept: &'a dyn Fn(&str, Option<&str>) -> bool,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<&'a str, SpdxError> {
        let (first, rest) = self.words.split_first().ok_or(SpdxError::End)?;
        self.words = rest;
        Ok(first)
    }

    /// Takes `word` if it is next.
    fn eat(&mut self, word: &str) -> bool {
        let found = self.words.first().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn any(&mut self) -> Result<bool, SpdxError> {
        let mut satisfied = self.all()?;
        while self.eat("OR") {
            satisfied |= self.all()?;
        }
        Ok(satisfied)
    }

    fn all(&mut self) -> Result<bool, SpdxError> {
        let mut satisfied = self.one()?;
        while self.eat("AND") {
            satisfied &= self.one()?;
        }
        Ok(satisfied)
    }

    fn one(&mut self) -> Result<bool, SpdxError> {
        if self.eat("(") {
            let satisfied = self.any()?;
            return match self.next()? {
                ")" => Ok(satisfied),
                word => Err(SpdxError::Unexpected(word.to_owned())),
            };
        }
        let licence = self.name()?;
        let exception = if self.eat("WITH") { Some(self.name()?) } else { None };
        // `+` offers later versions as well; the named one is always among them.
        Ok((self.accept)(licence.trim_end_matches('+'), exception))
    }

    fn name(&mut self) -> Result<&'a str, SpdxError> {
        let word = self.next()?;
        let operator = ["AND", "OR", "WITH", "(", ")"].iter().any(|o| word.eq_ignore_ascii_case(o));
        if operator { Err(SpdxError::Unexpected(word.to_owned())) } else { Ok(word) }
    }
}
