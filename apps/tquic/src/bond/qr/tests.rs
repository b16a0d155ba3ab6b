//! Codes that a terminal shows whole.

use super::qr;

#[test]
fn a_token_fits_and_a_book_does_not() {
    let code = qr(&"x".repeat(250)).unwrap();
    let lines: Vec<_> = code.lines().map(|line| line.chars().count()).collect();
    assert!(lines.len() < 40 && lines.iter().all(|len| *len == lines[0] && *len < 80), "{lines:?}");
    assert!(qr(&"x".repeat(10_000)).is_none());
}
