use super::*;

#[test]
fn cases_that_need_what_is_not_there_are_not_claimed() {
    for name in ["http3", ""] {
        assert_eq!(Case::named(name), None, "{name}");
    }
}

#[test]
fn version_two_is_offered_in_its_case_alone() {
    let both = [tq::Version::V2, tq::Version::V1];
    assert_eq!(Case::named("v2").map(|case| case.endpoint().versions), Some(both.to_vec()));
    assert_eq!(Case::Plain.endpoint().versions, [tq::Version::V1]);
    assert_eq!(
        (Case::named("resumption"), Case::named("zerortt")),
        (Some(Case::Resumption), Some(Case::ZeroRtt))
    );
}

#[test]
fn loss_during_handshakes_takes_a_connection_per_file() {
    for name in ["handshakeloss", "handshakecorruption", "multiconnect"] {
        assert_eq!(Case::named(name), Some(Case::ConnectionPerFile));
    }
}

#[test]
fn chacha20_is_the_only_suite_of_its_case() {
    assert_eq!(Case::ChaCha20.suites(), [Suite::ChaCha20Poly1305]);
    assert_eq!(Case::Plain.suites().len(), 3);
}
