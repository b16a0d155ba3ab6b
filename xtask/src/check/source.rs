//! Rust source taken apart by line: what is code and what is comment. Text in literals is neither.
//! Just enough of a lexer that a rule about code is not fooled by a string or a comment, and the reverse.

#[cfg(test)]
mod tests;

/// One line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Code; a literal is only its quotes.
    pub(super) code: String,
    /// Text of comments, without their marks.
    pub(super) comment: String,
}

impl Line {
    /// Whether `word` stands in the code, not as part of a longer name.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.words(word).next().is_some()
    }

    /// Whether a path starts with `root`, as in `std::fmt` for `std`; `core::alloc::Layout` does not for `alloc`.
    pub(super) fn has_root(&self, root: &str) -> bool {
        self.words(root).any(|at| {
            let before = self.code[..at].trim_end();
            let inner = before.strip_suffix("::").is_some_and(|b| b.ends_with(is_name));
            !inner && self.code[at + root.len()..].trim_start().starts_with("::")
        })
    }

    /// Where `word` stands.
    fn words(&self, word: &str) -> impl Iterator<Item = usize> {
        self.code.match_indices(word).filter_map(move |(at, _)| {
            let alone =
                !self.code[..at].ends_with(is_name) && !self.code[at + word.len()..].starts_with(is_name);
            alone.then_some(at)
        })
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment(usize),
    Text,
    /// A raw string and its number of hashes.
    Raw(usize),
}

/// Takes a file apart.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut state = State::Code;
    for raw in text.lines() {
        let mut line = Line::default();
        let mut rest = raw;
        while !rest.is_empty() {
            let taken;
            (state, taken) = step(state, rest, &mut line);
            rest = &rest[taken..];
        }
        if matches!(state, State::LineComment) {
            state = State::Code;
        }
        lines.push(line);
    }
    lines
}

/// Reads a little of `rest`; answers the state after it and how many bytes it was.
fn step(state: State, rest: &str, line: &mut Line) -> (State, usize) {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    match state {
        State::Code => code(rest, line),
        State::LineComment => {
            line.comment.push_str(rest);
            (state, rest.len())
        }
        State::BlockComment(1) if rest.starts_with("*/") => (State::Code, 2),
        State::BlockComment(depth) if rest.starts_with("*/") => (State::BlockComment(depth - 1), 2),
        State::BlockComment(depth) if rest.starts_with("/*") => (State::BlockComment(depth + 1), 2),
        State::BlockComment(_) => {
            line.comment.push_str(&rest[..first]);
            (state, first)
        }
        State::Text if rest.starts_with('\\') => {
            (state, 1 + rest[1..].chars().next().map_or(0, char::len_utf8))
        }
        State::Text if rest.starts_with('"') => {
            line.code.push('"');
            (State::Code, 1)
        }
        State::Raw(hashes) if rest.starts_with(&format!("\"{}", "#".repeat(hashes))) => {
            line.code.push('"');
            (State::Code, 1 + hashes)
        }
        State::Text | State::Raw(_) => (state, first),
    }
}

fn code(rest: &str, line: &mut Line) -> (State, usize) {
    if rest.starts_with("//") {
        return (State::LineComment, 2);
    }
    if rest.starts_with("/*") {
        return (State::BlockComment(1), 2);
    }
    if !line.code.ends_with(is_name)
        && let Some(after) =
            rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or(rest.strip_prefix('r'))
    {
        let text = after.trim_start_matches('#');
        if text.starts_with('"') {
            line.code.push('"');
            return (State::Raw(after.len() - text.len()), rest.len() - text.len() + 1);
        }
    }
    if rest.starts_with('"') {
        line.code.push('"');
        return (State::Text, 1);
    }
    if let Some(length) = character(rest) {
        line.code.push_str("''");
        return (State::Code, length);
    }
    let first = rest.chars().next().map_or(1, char::len_utf8);
    line.code.push_str(&rest[..first]);
    (State::Code, first)
}

/// The length of a character literal at the start; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escaped) = inner.strip_prefix('\\') {
        let kind = escaped.chars().next()?;
        return Some(2 + kind.len_utf8() + escaped[kind.len_utf8()..].find('\'')? + 1);
    }
    let c = inner.chars().next()?;
    inner[c.len_utf8()..].starts_with('\'').then(|| 1 + c.len_utf8() + 1)
}
