//! A qlog file as it is written: JSON text sequences (RFC 7464), one record per event
//! (draft-ietf-quic-qlog-main-schema-14, quic-events-13).
//!
//! [`Writer`] turns events into bytes for a [`Sink`]; it never opens a file, keeps no clock and holds one
//! record in memory. A record that cannot be written is the sink's to count: logging never fails a connection.

use crate::json::{self, Object};
use crate::mem::{String, Vec};
use crate::{Event, Subscriber};

mod field;
mod frame;

#[cfg(test)]
mod tests;

pub(crate) use field::{Field, put_alpn, put_code, put_parameters, put_space, put_timer, put_versions};

/// Starts a record (RFC 7464 §2.2).
const RECORD_SEPARATOR: char = '\u{1e}';
/// Largest buffer kept between records, bytes.
const KEPT: usize = 16 * 1024;

/// Takes the bytes of a log, always whole records.
pub trait Sink: Send {
    /// Appends `bytes`.
    fn write(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Which end is writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VantagePoint {
    /// The end that connects.
    Client,
    /// The end that accepts.
    Server,
}

/// What the first record of a log says.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// Free text.
    pub title: &'a str,
    /// Which end.
    pub vantage_point: VantagePoint,
    /// The original destination connection id, which names the connection at both ends.
    pub odcid: &'a [u8],
    /// The moment records count from, on the clock `on_event` is called with, in nanoseconds.
    pub reference_ns: u64,
    /// That moment on the wall, RFC 3339, if known.
    pub wall_clock: Option<&'a str>,
}

/// A subscriber that writes qlog.
pub struct Writer<S> {
    sink: S,
    reference_ns: u64,
    line: String,
}

impl<S: Sink> Writer<S> {
    /// Writes the header at once.
    pub fn new(mut sink: S, trace: &Trace<'_>) -> Self {
        let mut line = String::new();
        record(&mut line, |o| header(o, trace));
        sink.write(line.as_bytes());
        Self { sink, reference_ns: trace.reference_ns, line }
    }

    /// The sink, to flush it.
    pub const fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// The sink back.
    pub fn into_sink(self) -> S {
        self.sink
    }
}

impl<S: Sink> Subscriber for Writer<S> {
    fn on_event(&mut self, now_ns: u64, event: &Event<'_>) {
        self.line.clear();
        self.line.shrink_to(KEPT);
        record(&mut self.line, |o| {
            // An event before the reference counts as at the reference.
            json::millis(o.key("time"), u128::from(now_ns.saturating_sub(self.reference_ns)));
            o.text("name", event.name());
            if let Some(path) = event.path() {
                json::quoted_number(o.key("tuple"), u64::from(path));
            }
            o.object("data", |o| event.put_data(o));
        });
        self.sink.write(self.line.as_bytes());
    }
}

fn record(line: &mut String, fields: impl FnOnce(&mut Object<'_>)) {
    line.push(RECORD_SEPARATOR);
    Object::write(line, fields);
    line.push('\n');
}

fn header(o: &mut Object<'_>, trace: &Trace<'_>) {
    o.text("file_schema", "urn:ietf:params:qlog:file:sequential");
    o.text("serialization_format", "application/qlog+json-seq");
    o.text("title", trace.title);
    o.object("trace", |o| {
        o.object("common_fields", |o| {
            o.hex("group_id", trace.odcid);
            o.text("time_format", "relative_to_epoch");
            o.object("reference_time", |o| {
                o.text("clock_type", "monotonic");
                o.text("epoch", "unknown");
                if let Some(time) = trace.wall_clock {
                    o.text("wall_clock_time", time);
                }
            });
        });
        o.object("vantage_point", |o| {
            o.text(
                "type",
                match trace.vantage_point {
                    VantagePoint::Client => "client",
                    VantagePoint::Server => "server",
                },
            );
        });
        o.array(
            "event_schemas",
            ["urn:ietf:params:qlog:events:quic-13", "urn:x-tquic:qlog:events:tquic"],
            json::text,
        );
    });
}
