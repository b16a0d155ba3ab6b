//! What the demo's command line may say.

use super::options;

#[test]
fn options_are_passed_on_and_wrong_ones_refused_before_anything_is_built() {
    let words = ["--seconds", "20", "--keep", "--report", "out.json"];
    assert_eq!(options(&words).unwrap(), words);
    for wrong in [&["--seconds", "3"][..], &["--seconds"], &["--report"], &["--fast"]] {
        assert!(options(wrong).is_err(), "{wrong:?}");
    }
}
