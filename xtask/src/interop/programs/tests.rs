use super::*;

#[test]
fn a_lock_file_tells_versions() {
    let lock = "[[package]]\nname = \"quinn-proto\"\nversion = \"0.11.19\"\nsource = \"x\"\n\n\
                [[package]]\nname = \"quinn\"\nversion = \"0.11.9\"\n";
    assert_eq!(locked(lock, "quinn"), Some("0.11.9"));
    assert_eq!(locked(lock, "quinn-proto"), Some("0.11.19"));
    assert_eq!(locked(lock, "quinn-udp"), None);
}

#[test]
fn every_peer_has_a_version() {
    let versions = versions().unwrap();
    assert_eq!(versions.len(), Stack::ALL.len());
    assert!(versions[1].1.starts_with("quinn 0.11."), "{}", versions[1].1);
}
