//! Where the qlogs of a simulated host go: one log per connection, into memory or into any writer. Times are virtual,
//! counted from the simulator's zero, so that logs of both ends fit together and the same seed gives the same bytes.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tq_event::qlog::{Sink, Trace, VantagePoint, Writer};
use tq_event::{Event, Subscriber};
use tq_wire::Side;

/// Names a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId {
    /// Which end writes.
    pub side: Side,
    /// The connection's place among those of its host, from 0.
    pub index: u64,
    /// The original destination connection id: the same at both ends.
    pub odcid: Vec<u8>,
}

impl LogId {
    /// A file name: `<odcid>_<client|server>.sqlog`.
    pub fn file_name(&self) -> String {
        let odcid: String = self.odcid.iter().map(|byte| format!("{byte:02x}")).collect();
        let side = if self.side.is_client() { "client" } else { "server" };
        format!("{odcid}_{side}.sqlog")
    }
}

type Open = dyn FnMut(&LogId) -> Option<Box<dyn io::Write + Send>> + Send;

/// Opens a log for each connection of a host. Clones share where the logs go.
#[derive(Clone)]
pub struct Qlog {
    title: String,
    open: Arc<Mutex<Box<Open>>>,
    made: u64,
}

impl Qlog {
    /// Asks `open` where each log goes; `None`: nowhere. What a writer refuses is lost, the connection goes on.
    pub fn new(
        title: impl Into<String>,
        open: impl FnMut(&LogId) -> Option<Box<dyn io::Write + Send>> + Send + 'static,
    ) -> Self {
        Self { title: title.into(), open: Arc::new(Mutex::new(Box::new(open))), made: 0 }
    }

    /// Keeps all logs in memory.
    pub fn memory(title: impl Into<String>) -> (Self, Logs) {
        let logs = Logs::default();
        let kept = logs.clone();
        let open = move |id: &LogId| {
            let buffer = Buffer::default();
            kept.lock().push((id.clone(), buffer.clone()));
            Some(Box::new(buffer) as Box<dyn io::Write + Send>)
        };
        (Self::new(title, open), logs)
    }

    /// The subscriber of the next connection.
    pub fn subscriber(&mut self, side: Side) -> Box<dyn Subscriber> {
        let index = self.made;
        self.made += 1;
        Box::new(Log {
            title: self.title.clone(),
            open: Arc::clone(&self.open),
            side,
            index,
            state: State::New,
        })
    }
}

/// Logs kept in memory, in the order in which their connections began.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<(LogId, Buffer)>>>);

impl Logs {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(LogId, Buffer)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was written so far.
    pub fn all(&self) -> Vec<(LogId, Vec<u8>)> {
        self.lock().iter().map(|(id, buffer)| (id.clone(), buffer.bytes())).collect()
    }
}

/// A log in memory.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Out(Box<dyn io::Write + Send>);

impl Sink for Out {
    fn write(&mut self, bytes: &[u8]) {
        // a full disk must not end a simulated connection
        let _ = self.0.write_all(bytes);
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let _ = self.0.flush();
    }
}

enum State {
    New,
    Open(Box<Writer<Out>>),
    Off,
}

/// Opens its log with the first event, which alone names the connection.
struct Log {
    title: String,
    open: Arc<Mutex<Box<Open>>>,
    side: Side,
    index: u64,
    state: State,
}

impl Log {
    fn begin(&self, odcid: &[u8]) -> State {
        let id = LogId { side: self.side, index: self.index, odcid: odcid.to_vec() };
        let opened = (self.open.lock().unwrap_or_else(PoisonError::into_inner))(&id);
        let vantage_point = if self.side.is_client() { VantagePoint::Client } else { VantagePoint::Server };
        let title = &self.title;
        let trace = Trace { title, vantage_point, odcid, reference_ns: 0, wall_clock: None };
        opened.map_or(State::Off, |out| State::Open(Box::new(Writer::new(Out(out), &trace))))
    }
}

impl Subscriber for Log {
    fn on_event(&mut self, now_ns: u64, event: &Event<'_>) {
        if let (State::New, Event::ConnectionStarted(started)) = (&self.state, event) {
            self.state = self.begin(started.odcid);
        }
        if let State::Open(writer) = &mut self.state {
            writer.on_event(now_ns, event);
        }
    }
}
