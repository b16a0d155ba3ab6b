//! Random keys of the endpoint, kept over restarts in files of their own.

use std::path::Path;

use tq_identity::{FileError, Secret, read_secret, write_secret};

/// The 32 bytes in a file, as hexadecimal digits; made if it is not there.
pub(super) fn random_file(file: &Path) -> Result<[u8; 32], FileError> {
    let missing = |error: &FileError| matches!(error, FileError::Io { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound);
    match read_secret(file) {
        Ok(text) => parse(text.trim()).ok_or_else(|| FileError::Contents {
            file: file.into(),
            why: "not 64 hexadecimal digits".into(),
        }),
        Err(error) if missing(&error) => {
            let bytes = Secret::generate().into_bytes();
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            write_secret(file, &text)?;
            Ok(bytes)
        }
        Err(error) => Err(error),
    }
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}
