//! Who listens to a connection's events: a hook per new connection, and qlog files as its common use.
//!
//! A file that cannot be written costs the log, never the connection.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tq_event::Subscriber;
use tq_event::qlog::{Sink, Trace, VantagePoint, Writer};
use tq_wire::Side;

/// Environment variable that names the directory for qlog files.
pub const QLOGDIR: &str = "QLOGDIR";

/// Bytes collected before they are written to a file.
const BUFFER: usize = 64 * 1024;

/// What is known of a connection when it starts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NewConnection<'a> {
    /// Which end this is.
    pub side: Side,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The original destination connection id, which names the connection at both ends.
    pub odcid: &'a [u8],
    /// Now, on the clock of the events, in nanoseconds.
    pub now_ns: u64,
}

/// Decides who listens to the events of a new connection.
pub trait Subscribers: Send + Sync {
    /// The subscriber of this connection, if any. It is called on the driver's thread: keep it short.
    fn subscriber(&self, new: &NewConnection<'_>) -> Option<Box<dyn Subscriber>>;
}

impl<F> Subscribers for F
where
    F: Fn(&NewConnection<'_>) -> Option<Box<dyn Subscriber>> + Send + Sync,
{
    fn subscriber(&self, new: &NewConnection<'_>) -> Option<Box<dyn Subscriber>> {
        self(new)
    }
}

/// Writes `ODCID_client.sqlog` or `ODCID_server.sqlog` per connection into a directory.
#[derive(Clone, Debug)]
pub struct QlogDir(PathBuf);

impl QlogDir {
    /// Into this directory, which must exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// Into the directory [`QLOGDIR`] names, if it is set.
    pub fn from_env() -> Option<Self> {
        std::env::var_os(QLOGDIR).filter(|dir| !dir.is_empty()).map(Self::new)
    }

    /// The file of a connection.
    fn file(&self, new: &NewConnection<'_>) -> PathBuf {
        let mut name: String = new.odcid.iter().map(|byte| format!("{byte:02x}")).collect();
        name.push_str(if new.side.is_client() { "_client.sqlog" } else { "_server.sqlog" });
        self.0.join(name)
    }
}

impl Subscribers for QlogDir {
    fn subscriber(&self, new: &NewConnection<'_>) -> Option<Box<dyn Subscriber>> {
        let file = LogFile::create(&self.file(new))?;
        let vantage_point = match new.side {
            Side::Client => VantagePoint::Client,
            Side::Server => VantagePoint::Server,
        };
        let title = "tq";
        let trace =
            Trace { title, vantage_point, odcid: new.odcid, reference_ns: new.now_ns, wall_clock: None };
        Some(Box::new(Writer::new(file, &trace)))
    }
}

/// A file that stops taking anything at the first failure.
struct LogFile(Option<BufWriter<File>>);

impl LogFile {
    fn create(path: &Path) -> Option<Self> {
        let file = File::create_new(path).ok()?;
        Some(Self(Some(BufWriter::with_capacity(BUFFER, file))))
    }
}

impl Sink for LogFile {
    fn write(&mut self, bytes: &[u8]) {
        if self.0.as_mut().is_some_and(|file| file.write_all(bytes).is_err()) {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests;
