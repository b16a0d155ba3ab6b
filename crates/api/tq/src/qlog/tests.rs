use tq_event::ConnectionStarted;

use super::*;

fn log(dir: &Path, side: Side) {
    let remote = ([127, 0, 0, 1], 4433).into();
    let mut log = QlogDir::new(dir).subscriber(&NewConnection { side, remote }).expect("always");
    log.on_event(5, &ConnectionStarted { local: remote, remote, odcid: &[7, 0xab] }.into());
}

#[test]
fn files_are_named_after_the_connection_and_the_end() {
    let dir = std::env::temp_dir().join(format!("tq-qlog-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    log(&dir, Side::Client);
    log(&dir, Side::Server);
    for name in ["07ab_client.sqlog", "07ab_server.sqlog"] {
        let text = std::fs::read(dir.join(name)).unwrap();
        assert_eq!(text.iter().filter(|byte| **byte == 0x1e).count(), 2, "the header and the event");
        assert!(text.ends_with(b"}\n"), "whole records");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_directory_that_is_not_there_costs_only_the_log() {
    log(Path::new("/nowhere/at/all"), Side::Client);
}
