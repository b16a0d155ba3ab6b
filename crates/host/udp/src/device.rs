//! Tying a socket to a network device, and saying what is wrong with a device that does not work.
//!
//! Decides the words. It never chooses another device.

use std::fmt;
use std::io;

/// Longest name of a device the kernel knows (`IFNAMSIZ` less the end).
const LONGEST: usize = 15;

/// A socket could not be tied to a device. Inside the [`io::Error`] that [`crate::Socket::bind`] returns, whose kind is that
/// of the system's error.
#[derive(Debug)]
pub struct DeviceError {
    device: String,
    /// What there is instead, if that is the question.
    others: Vec<String>,
    source: io::Error,
}

impl DeviceError {
    /// The name asked for.
    pub fn device(&self) -> &str {
        &self.device
    }

    pub(crate) fn new(device: &str, source: io::Error) -> Self {
        let unknown = source.raw_os_error() == Some(libc::ENODEV);
        Self { device: device.into(), others: if unknown { devices() } else { Vec::new() }, source }
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, others, source } = self;
        match source.raw_os_error() {
            Some(libc::ENODEV) if others.is_empty() => write!(f, "there is no network device {device:?}"),
            Some(libc::ENODEV) => {
                write!(f, "there is no network device {device:?} here; there are {}", others.join(", "))
            }
            Some(libc::EPERM | libc::EACCES) => write!(
                f,
                "not allowed to use network device {device:?} ({source}): this kernel wants root or CAP_NET_RAW for it, \
                 Linux 5.7 and later do not"
            ),
            _ => write!(f, "cannot use network device {device:?}: {source}"),
        }
    }
}

impl std::error::Error for DeviceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<DeviceError> for io::Error {
    fn from(error: DeviceError) -> Self {
        Self::new(error.source.kind(), error)
    }
}

/// Ties a socket to a device.
pub(crate) fn tie(socket: &socket2::Socket, device: &str) -> io::Result<()> {
    // Of a longer name the kernel would take the beginning, of an empty one that no device is meant.
    let fits = (1..=LONGEST).contains(&device.len()) && !device.contains('\0');
    let unknown = || io::Error::from_raw_os_error(libc::ENODEV);
    let result = if fits { socket.bind_device(Some(device.as_bytes())) } else { Err(unknown()) };
    result.map_err(|error| DeviceError::new(device, error).into())
}

/// The devices of the network this thread is in.
fn devices() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let names = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests;
