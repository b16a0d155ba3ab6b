//! Who listens to a connection's events: a hook per new connection, and qlog files as its common use.
//!
//! A file that cannot be written costs the log, never the connection.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tq_event::qlog::{Sink, Trace, VantagePoint, Writer};
use tq_event::{Event, Subscriber};
use tq_wire::Side;

/// Environment variable that names the directory for qlog files.
pub const QLOGDIR: &str = "QLOGDIR";

/// Bytes collected before they are written to a file.
const BUFFER: usize = 64 * 1024;

/// What is known of a connection when it starts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NewConnection {
    /// Which end this is.
    pub side: Side,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// Decides who listens to the events of a new connection.
pub trait Subscribers: Send + Sync {
    /// The subscriber of this connection, if any. It is called on the driver's thread: keep it short.
    fn subscriber(&self, new: &NewConnection) -> Option<Box<dyn Subscriber>>;
}

impl<F> Subscribers for F
where
    F: Fn(&NewConnection) -> Option<Box<dyn Subscriber>> + Send + Sync,
{
    fn subscriber(&self, new: &NewConnection) -> Option<Box<dyn Subscriber>> {
        self(new)
    }
}

/// Writes `ODCID_client.sqlog` or `ODCID_server.sqlog` per connection into a directory, ODCID being the original
/// destination connection id, which is the same at both ends.
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

    /// The log of a connection, once it says which.
    fn open(&self, side: Side, odcid: &[u8], now_ns: u64) -> Option<Writer<LogFile>> {
        let (vantage_point, end) = match side {
            Side::Client => (VantagePoint::Client, "client"),
            Side::Server => (VantagePoint::Server, "server"),
        };
        let name: String = odcid.iter().map(|byte| format!("{byte:02x}")).collect();
        let file = LogFile::create(&self.0.join(format!("{name}_{end}.sqlog")))?;
        let trace = Trace { title: "tq", vantage_point, odcid, reference_ns: now_ns, wall_clock: None };
        Some(Writer::new(file, &trace))
    }
}

impl Subscribers for QlogDir {
    fn subscriber(&self, new: &NewConnection) -> Option<Box<dyn Subscriber>> {
        Some(Box::new(Log { dir: self.clone(), side: new.side, writer: None }))
    }
}

/// Opens its file when the connection's first event names it.
struct Log {
    dir: QlogDir,
    side: Side,
    writer: Option<Writer<LogFile>>,
}

impl Subscriber for Log {
    fn on_event(&mut self, now_ns: u64, event: &Event<'_>) {
        if let Event::ConnectionStarted(started) = event {
            self.writer = self.dir.open(self.side, started.odcid, now_ns);
        }
        if let Some(writer) = &mut self.writer {
            writer.on_event(now_ns, event);
        }
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
