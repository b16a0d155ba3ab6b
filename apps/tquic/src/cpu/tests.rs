use super::*;

#[test]
fn user_and_system_time_are_added() {
    let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 123 45 0 0 20 0 1 0 99 0 0";
    assert_eq!(parse(stat), Some(Duration::from_millis(1680)));
    assert_eq!(parse("nonsense"), None);
}
