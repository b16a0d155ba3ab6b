//! Who may join a bond: join tokens, keys in files, and the server's store of tenants and their devices.
//!
//! A tenant has devices, a token is one device's way in. The first join proves the token's secret and enrols a key that the
//! device made itself; from then on the secret opens nothing. Decides what a token looks like, which files are too open to be
//! read, and who is let in. It opens no sockets and reads no clock: time is an argument, in seconds since 1970.
#![forbid(unsafe_code)]

mod device;
mod error;
mod files;
mod name;
mod secret;
mod store;
mod text;
mod token;

pub use device::DeviceFile;
pub use error::{FileError, StoreError, TokenError};
pub use files::{key_file, private_dir, read_secret, write_secret};
pub use name::Name;
pub use secret::Secret;
pub use store::{Access, Device, DeviceId, Standing, Store};
pub use token::Token;
