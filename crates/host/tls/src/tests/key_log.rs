//! Secrets reach a file only when a configuration asks for it, whatever the environment says.

use std::fs;
use std::process::Command;

use super::*;

/// Set for the child only.
const ROLE: &str = "TQ_TLS_TEST_KEY_LOG";

/// Runs in a child process, whose environment can be chosen; does nothing elsewhere.
#[test]
fn child_of_the_key_log_test() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (ours, theirs) = x509();
    let (ours, theirs) = (ours.key_log(role == "client"), theirs.key_log(role == "server"));
    connect(&*client(ours), &*server(theirs), Version::V1);
}

#[test]
fn a_key_log_is_written_only_when_asked_for() {
    for (role, lines) in [("nobody", 0), ("client", 5), ("server", 5)] {
        let file = std::env::temp_dir().join(format!("tq-tls-keys-{}-{role}", std::process::id()));
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "tests::key_log::child_of_the_key_log_test"])
            .env("SSLKEYLOGFILE", &file)
            .env(ROLE, role)
            .output()
            .expect("a child");
        assert!(output.status.success(), "{output:?}");
        let written = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(&file);
        assert_eq!(written.lines().count(), lines, "{role}: {written}");
        assert!(lines == 0 || written.contains("CLIENT_TRAFFIC_SECRET_0 "));
    }
}
