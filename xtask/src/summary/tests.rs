//! Reading cargo's result lines.

use super::Summary;

#[test]
fn result_lines_are_read_and_added() {
    let lines = [
        "running 3 tests",
        "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.2s",
        "test a_test_about_test_result: ok",
    ];
    let mut sum = Summary::default();
    for line in lines {
        sum += Summary::from_line(line).unwrap_or_default();
    }
    assert_eq!(sum, Summary { passed: 13, failed: 2, skipped: 1 });
    assert_eq!(sum.to_string(), "13 passed, 2 failed, 1 skipped");
}

#[test]
fn other_lines_say_nothing() {
    for line in
        ["", "test result: ", "test result: ok. 3 passed", "test result: ok. x passed; 1 failed; 1 ignored"]
    {
        assert_eq!(Summary::from_line(line), None, "{line}");
    }
}
