//! The pieces of the demo that do not need the tool.

use super::{Address, checksum_of, generate};

#[test]
fn the_servers_line_gives_address_and_fingerprint() {
    let address = Address::from_line("listening on 127.0.0.1:4433, key fingerprint 0a1b\n");
    let expected = Address { at: "127.0.0.1:4433".to_owned(), fingerprint: "0a1b".to_owned() };
    assert_eq!(address, Some(expected));
    assert_eq!(Address::from_line("warning: listening on nothing"), None);
}

#[test]
fn a_generated_file_has_its_checksum_and_a_changed_one_has_another() {
    let path = std::env::temp_dir().join(format!("tquic-demo-test-{}", std::process::id()));
    let sum = generate(&path, 3 << 20).unwrap();
    assert_eq!(checksum_of(&path).unwrap(), (sum, 3 << 20));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.swap(1000, 2000);
    std::fs::write(&path, &bytes).unwrap();
    assert_ne!(checksum_of(&path).unwrap().0, sum);
    std::fs::remove_file(&path).unwrap();
}
