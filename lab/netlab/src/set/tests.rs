use super::*;

#[test]
fn values_have_the_units_of_scenarios() {
    assert_eq!(parse("rate=8Mbit/s"), Ok(Wanted::Rate(Some(1_000_000))));
    assert_eq!(parse("rate=unlimited"), Ok(Wanted::Rate(None)));
    assert_eq!(parse("delay=1.5ms"), Ok(Wanted::Delay(1_500_000)));
    assert_eq!(parse("loss=0.5%"), Ok(Wanted::Loss(5000)));
}

#[test]
fn mistakes_are_told_with_what_is_allowed() {
    for wrong in ["rate", "rate=10", "delay=fast", "loss=200%", "colour=red"] {
        let error = parse(wrong).unwrap_err();
        assert!(error.len() > 20, "{error}");
    }
}
