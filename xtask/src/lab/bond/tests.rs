//! Command lines and closing lines.

use super::{Summary, counted, options};

#[test]
fn options_are_passed_on_and_wrong_ones_refused_before_anything_is_built() {
    let words = ["download", "--size", "100", "--report", "bars.json"];
    assert_eq!(options(&words).unwrap(), words);
    assert!(options(&["--rounds", "5"]).is_err());
    assert!(options(&["--size"]).is_err());
}

#[test]
fn the_closing_line_is_what_counts() {
    let sum = counted("pass a\nfail b\n4 passed, 1 failed, 2 invalid, 1 skipped\n");
    assert_eq!(sum, Summary { passed: 4, failed: 1, skipped: 3 });
    assert_eq!(counted("").failed, 1);
}
