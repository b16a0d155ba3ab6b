use super::*;

#[test]
fn what_is_printed_can_be_read_back() {
    let identity = RawIdentity::from_seed([7; 32]);
    let pin = Pin::of(&identity);
    assert_eq!(pin.to_string().parse(), Ok(pin));
    assert_eq!(pin.spki(), identity.spki());
}

#[test]
fn anything_else_is_refused_with_the_form() {
    let good = Pin([0xab; 32]).to_string();
    for wrong in [
        "",
        "ed25519:",
        &good[..good.len() - 1],
        &good[8..],
        &good.replace('a', "g"),
        &good.replace('a', "ä"),
    ] {
        let error = wrong.parse::<Pin>().unwrap_err();
        assert!(error.contains("64 hex digits"), "{wrong}: {error}");
    }
}
