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

#[test]
fn a_folder_with_somebodys_files_is_left_alone_and_a_killed_runs_is_not() {
    let path = std::env::temp_dir().join(format!("tq-bond-own-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("letter"), "dear").unwrap();
    assert!(Folder::make(&path).unwrap_err().to_string().contains("not ours"));
    assert!(path.join("letter").is_file());
    std::fs::remove_file(path.join("letter")).unwrap();
    let left = Folder::make(&path).unwrap();
    left.payload("old", 8, 1).unwrap();
    std::mem::forget(left);
    let next = Folder::make(&path).unwrap();
    assert!(!path.join("old").exists());
    drop(next);
    assert!(!path.exists());
}
