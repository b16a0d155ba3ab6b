//! Payloads are what they say.

use super::{Digest, Folder};

#[test]
fn a_payload_has_its_size_and_its_digest_and_goes_with_its_folder() {
    let path = std::env::temp_dir().join(format!("tq-bond-files-{}", std::process::id()));
    let folder = Folder::make(&path).unwrap();
    let one = folder.payload("one", 200_001, 1).unwrap();
    let bytes = std::fs::read(folder.path().join("one")).unwrap();
    assert_eq!((bytes.len() as u64, one.size), (200_008, 200_008));
    let mut sum = Digest::default();
    sum.add(&bytes);
    assert_eq!(sum.hex(), one.sha256);
    assert_ne!(folder.payload("two", 200_001, 2).unwrap().sha256, one.sha256);
    drop(folder);
    assert!(!path.exists());
}
