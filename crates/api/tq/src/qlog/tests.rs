use super::*;

fn new(side: Side, odcid: &[u8]) -> NewConnection<'_> {
    NewConnection { side, remote: ([127, 0, 0, 1], 4433).into(), odcid, now_ns: 5 }
}

#[test]
fn a_file_is_named_after_the_connection_and_the_end() {
    let dir = QlogDir::new("/logs");
    assert_eq!(dir.file(&new(Side::Client, &[0xab, 1])), Path::new("/logs/ab01_client.sqlog"));
    assert_eq!(dir.file(&new(Side::Server, &[0xab, 1])), Path::new("/logs/ab01_server.sqlog"));
}

#[test]
fn the_header_is_on_disk_once_the_subscriber_is_dropped() {
    let dir = std::env::temp_dir().join(format!("tq-qlog-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let subscribers = QlogDir::new(&dir);
    drop(subscribers.subscriber(&new(Side::Client, &[7; 8])).expect("writable"));
    let text = std::fs::read(dir.join("0707070707070707_client.sqlog")).unwrap();
    assert!(text.starts_with(b"\x1e{") && text.ends_with(b"}\n"), "one whole record");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_directory_that_is_not_there_costs_only_the_log() {
    assert!(QlogDir::new("/nowhere/at/all").subscriber(&new(Side::Client, &[1])).is_none());
}
