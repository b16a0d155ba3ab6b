use std::fs;

use super::{LINES, address, tail};

#[test]
fn the_address_is_the_last_word_of_a_whole_first_line() {
    assert_eq!(address("listening on 127.0.0.1:4433\n").as_deref(), Some("127.0.0.1:4433"));
    assert_eq!(address("listening [::1]:4433\nmore").as_deref(), Some("[::1]:4433"));
    assert_eq!(address("listening on 127.0.0.1:44"), None);
    assert_eq!(address("\n"), None);
}

#[test]
fn the_end_of_each_log_is_shown() {
    let folder = std::env::temp_dir().join(format!("tquic-interop-test-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
    fs::write(folder.join("client.log"), lines.join("\n")).unwrap();
    fs::write(folder.join("server.log"), b"not UTF-8: \xff").unwrap();
    let text = tail(&folder);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(text.lines().count(), LINES + 1);
    assert!(text.contains("client.log: line 99") && !text.contains("line 50"));
    assert!(text.contains("server.log: not UTF-8"));
}
