//! Numbers and names are a promise; messages say who did what.

use tq_buf::mem::{BTreeSet, ToString, Vec};
use tq_wire::Code;

use super::{ConnectionError, EQUIC_BASE, TransportError};

fn violation(code: Code) -> ConnectionError {
    ConnectionError::Violation(TransportError::new(code, 0x08, "STREAM frame beyond the stream's limit"))
}

fn peer(code: Code) -> ConnectionError {
    ConnectionError::PeerTransport { code, frame: 0, reason: Vec::new() }
}

#[test]
fn numbers_stay_what_they_are() {
    let numbers = [
        (ConnectionError::LocallyClosed, 501),
        (ConnectionError::PeerApplication { code: 7, reason: Vec::new() }, 502),
        (ConnectionError::IdleTimeout, 503),
        (ConnectionError::HandshakeTimeout, 504),
        (ConnectionError::Reset, 505),
        (ConnectionError::VersionMismatch, 506),
        (ConnectionError::CidsExhausted, 507),
        (violation(Code::NO_ERROR), 520),
        (violation(Code::FLOW_CONTROL_ERROR), 523),
        (violation(Code::VERSION_NEGOTIATION_ERROR), 537),
        (violation(Code::crypto(40)), 544),
        (violation(Code::PATH_UNSTABLE_OR_POOR), 545),
        (peer(Code::NO_ERROR), 550),
        (peer(Code::CONNECTION_REFUSED), 552),
        (peer(Code::crypto(120)), 574),
    ];
    for (error, number) in &numbers {
        assert_eq!(error.number(), *number, "{error:?}");
        assert!(error.number() >= EQUIC_BASE && error.name().starts_with("EQUIC_"));
    }
    let names: BTreeSet<&str> = numbers.iter().map(|(error, _)| error.name()).collect();
    assert_eq!(names.len(), numbers.len(), "a name for each number: {names:?}");
}

#[test]
fn a_message_names_the_culprit_and_the_frame() {
    let text = violation(Code::FLOW_CONTROL_ERROR).to_string();
    assert_eq!(
        text,
        "closed because of the peer: FLOW_CONTROL_ERROR: STREAM frame beyond the stream's limit (frame 0x8)"
    );
}

#[test]
fn a_reason_phrase_cannot_steer_a_terminal() {
    let reason = b"it's \x1b[31mred\x07 \"now\"".to_vec();
    let text = ConnectionError::PeerApplication { code: 1, reason }.to_string();
    assert_eq!(text, "closed by the peer's application: code 1: it's \u{fffd}[31mred\u{fffd} \"now\"");
    let text = ConnectionError::PeerApplication { code: 1, reason: [0xff, 0xfe].to_vec() }.to_string();
    assert_eq!(text, "closed by the peer's application: code 1");
}
