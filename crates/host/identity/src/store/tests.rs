//! A store's whole life, and what a stranger can tell from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Access, DeviceId, Standing, Store};
use crate::files::tests::Folder;
use crate::{FileError, Secret, StoreError};

fn id(text: &str) -> DeviceId {
    super::parse_id(text).unwrap()
}

fn standings(store: &Store, now: u64) -> Vec<(String, Standing)> {
    store.devices(now).into_iter().map(|device| (device.id.to_string(), device.standing)).collect()
}

#[test]
fn a_token_is_used_once_and_the_enrolled_key_stays() {
    let folder = Folder::new();
    let store = Store::open(&folder.file("s.redb")).unwrap();
    let van = id("acme/van");
    let secret = store.add(&van, 100, Some(200)).unwrap();
    let (name, token_key, own) = (secret.server_name(), secret.join_key(), Secret::generate().join_key());
    let invited = Some(Access { id: van.clone(), must_enrol: true });
    assert_eq!(store.access(&name, token_key.spki(), 150), invited);
    assert!(store.admits(&name, token_key.spki(), 200) && !store.admits(&name, token_key.spki(), 201));
    store.enrol(&van, token_key.spki(), own.spki()).unwrap();
    // The token opens nothing any more, not even for one who came in with it before.
    assert!(!store.admits(&name, token_key.spki(), 150));
    let second = Secret::generate().join_key();
    assert!(matches!(store.enrol(&van, token_key.spki(), second.spki()), Err(StoreError::Unknown(_))));
    // Once used, it cannot expire.
    assert_eq!(store.access(&name, own.spki(), 999), Some(Access { id: van, must_enrol: false }));
    assert!(store.is_in_step());
}

#[test]
fn nobody_comes_in_with_another_devices_name_or_key() {
    let folder = Folder::new();
    let store = Store::open(&folder.file("s.redb")).unwrap();
    let one = store.add(&id("acme/one"), 0, None).unwrap();
    let two = store.add(&id("acme/two"), 0, None).unwrap();
    assert!(store.admits(&one.server_name(), one.join_key().spki(), 0));
    assert!(!store.admits(&one.server_name(), two.join_key().spki(), 0));
    assert!(!store.admits("", one.join_key().spki(), 0));
    assert!(!store.admits("x.tq", one.join_key().spki(), 0));
    assert!(!store.admits("x.tq", store.nobody.1.key.clone().as_slice(), 0));
    assert!(!store.admits(&one.server_name(), &[], 0));
}

#[test]
fn revoked_devices_stay_out_until_they_are_rotated() {
    let folder = Folder::new();
    let store = Store::open(&folder.file("s.redb")).unwrap();
    let secret = store.add(&id("acme/one"), 0, None).unwrap();
    store.add(&id("acme/two"), 0, Some(5)).unwrap();
    store.add(&id("other/one"), 0, None).unwrap();
    let acme = "acme".parse().unwrap();
    assert_eq!(store.revoke(&acme, Some(&"one".parse().unwrap())).unwrap(), [id("acme/one")]);
    assert!(!store.admits(&secret.server_name(), secret.join_key().spki(), 0));
    assert!(!store.admits(&secret.server_name(), &[], 0));
    assert_eq!(store.revoke(&acme, None).unwrap(), [id("acme/two")]);
    assert!(matches!(store.revoke(&"none".parse().unwrap(), None), Err(StoreError::Unknown(_))));
    assert!(matches!(store.add(&id("other/one"), 0, None), Err(StoreError::Exists(_))));
    let fresh = store.rotate(&id("acme/one"), 1, None).unwrap();
    assert!(store.admits(&fresh.server_name(), fresh.join_key().spki(), 1));
    assert!(!store.admits(&secret.server_name(), secret.join_key().spki(), 1));
    let found = standings(&store, 9);
    let expected =
        [("acme/one", Standing::Invited), ("acme/two", Standing::Revoked), ("other/one", Standing::Invited)];
    assert_eq!(found, expected.map(|(id, standing)| (id.to_owned(), standing)));
    assert!(store.is_in_step());
}

#[test]
fn all_of_it_survives_a_restart() {
    let folder = Folder::new();
    let file = folder.file("s.redb");
    let store = Store::open(&file).unwrap();
    let secret = store.add(&id("acme/one"), 3, None).unwrap();
    let own = Secret::generate().join_key();
    store.enrol(&id("acme/one"), secret.join_key().spki(), own.spki()).unwrap();
    store.add(&id("acme/two"), 3, Some(4)).unwrap();
    let before = store.devices(10);
    assert!(matches!(Store::open(&file), Err(StoreError::Database(_))), "two processes would be too many");
    drop(store);
    let store = Store::open(&file).unwrap();
    assert_eq!(store.devices(10), before);
    assert!(store.admits(&secret.server_name(), own.spki(), 10));
    drop(store);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Store::open(&file), Err(StoreError::File(FileError::TooOpen { .. }))));
}

#[test]
fn the_store_keeps_no_secret() {
    let folder = Folder::new();
    let file = folder.file("s.redb");
    let store = Store::open(&file).unwrap();
    let secret = store.add(&id("acme/one"), 3, None).unwrap();
    drop(store);
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(32).any(|window| window == secret.0));
    let text = serde_json::to_string(&secret.0.to_vec()).unwrap();
    assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()));
}
