use anyhow::{Context, anyhow};

use super::*;

fn is(error: &anyhow::Error) -> bool {
    error.chain().any(is_unreachable)
}

#[test]
fn only_silence_and_loss_count_as_unreachable() {
    let lost = Err::<(), _>(ConnectionError::IdleTimeout).context("while waiting").unwrap_err();
    assert!(is(&lost), "also below what was tried");
    assert!(is(&tq::ReadError::ConnectionLost(ConnectionError::HandshakeTimeout).into()));
    assert!(is(&Unreachable("cannot resolve it".into()).into()));
    let closed = ConnectionError::PeerApplication { code: 1, reason: Vec::new() };
    assert!(!is(&closed.into()), "somebody said no");
    assert!(!is(&anyhow!("the file cannot be written")));
}
