//! A router's file over restarts and new tokens.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::DeviceFile;
use crate::files::tests::Folder;
use crate::{FileError, Secret, Token};

fn token(device: &str) -> Token {
    Token {
        addresses: vec!["127.0.0.1".parse().unwrap()],
        port: 8443,
        server_key: [1; 32],
        tenant: "acme".parse().unwrap(),
        device: device.parse().unwrap(),
        secret: Secret::generate(),
        expires: None,
    }
}

#[test]
fn both_keys_are_kept_until_the_server_has_taken_one() {
    let folder = Folder::new();
    let file = folder.file("r.device");
    let token = token("van");
    let first = DeviceFile::open(&file, Some(&token)).unwrap();
    let mut again = DeviceFile::open(&file, Some(&token)).unwrap();
    assert_eq!(first.own_key().spki(), again.own_key().spki());
    assert_eq!(again.join_key().unwrap().spki(), token.secret.join_key().spki());
    again.set_joined().unwrap();
    assert!(again.join_key().is_none());
    let later = DeviceFile::open(&file, None).unwrap();
    assert!(later.is_joined() && later.join_key().is_none());
    assert_eq!((later.server_name(), later.port()), (token.secret.server_name().as_str(), 8443));
}

#[test]
fn a_new_token_begins_anew() {
    let folder = Folder::new();
    let file = folder.file("r.device");
    let mut old = DeviceFile::open(&file, Some(&token("van"))).unwrap();
    old.set_joined().unwrap();
    let new = DeviceFile::open(&file, Some(&token("van"))).unwrap();
    assert!(!new.is_joined() && new.own_key().spki() != old.own_key().spki());
}

#[test]
fn without_file_and_token_there_is_nothing() {
    let folder = Folder::new();
    let file = folder.file("r.device");
    assert!(matches!(DeviceFile::open(&file, None), Err(FileError::Io { .. })));
    crate::write_secret(&file, "{}").unwrap();
    assert!(matches!(DeviceFile::open(&file, Some(&token("van"))), Err(FileError::Contents { .. })));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(DeviceFile::open(&file, None), Err(FileError::TooOpen { .. })));
}
