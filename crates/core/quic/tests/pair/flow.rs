//! Moving bytes over a stream in a [`Pair`].

use tq_quic::time::Duration;
use tq_quic::wire::{Dir, Side, StreamId};
use tq_quic::{Connection, Handle, WriteError};

use super::Pair;

pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Writes as much of `data[*at..]` as fits, then finishes.
pub fn pump(connection: &mut Connection, id: StreamId, data: &[u8], at: &mut usize) {
    while *at < data.len() {
        match connection.write_slice(id, &data[*at..]) {
            Ok(written) => *at += written,
            Err(WriteError::Blocked) => return,
            Err(error) => panic!("write failed: {error:?}"),
        }
    }
    if *at == data.len() {
        *at += 1;
        connection.finish(id).expect("first finish");
    }
}

/// Reads what is there; `true` at the end of the stream.
pub fn drain(connection: &mut Connection, id: StreamId, into: &mut Vec<u8>) -> bool {
    loop {
        match connection.read(id, usize::MAX) {
            Ok(Some(bytes)) => into.extend_from_slice(&bytes),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// A unidirectional stream under way.
pub struct Flow {
    pub from: Side,
    pub client: Handle,
    pub server: Handle,
    pub id: StreamId,
    pub data: Vec<u8>,
    pub got: Vec<u8>,
    pub done: bool,
    at: usize,
}

impl Flow {
    /// `len` bytes from `from` to the other side of a fresh connection.
    pub fn connect(pair: &mut Pair, from: Side, len: usize) -> Self {
        let (client, server) = pair.connected();
        Self::over(pair, (client, server), from, len)
    }

    pub fn over(pair: &mut Pair, (client, server): (Handle, Handle), from: Side, len: usize) -> Self {
        let sender = if from.is_client() { pair.client(client) } else { pair.server(server) };
        let id = sender.open(Dir::Uni).expect("streams are allowed");
        Self { from, client, server, id, data: pattern(len), got: Vec::new(), done: false, at: 0 }
    }

    /// Writes and reads what is possible now; `true` when all has arrived.
    pub fn work(&mut self, pair: &mut Pair) -> bool {
        let ends =
            (pair.client.connections.get_mut(&self.client), pair.server.connections.get_mut(&self.server));
        let (sender, receiver) = if self.from.is_client() { ends } else { (ends.1, ends.0) };
        if let Some(sender) = sender.filter(|connection| !connection.is_closed()) {
            pump(sender, self.id, &self.data, &mut self.at);
        }
        if let Some(receiver) = receiver {
            while receiver.accept(Dir::Uni).is_some() {}
            self.done |= drain(receiver, self.id, &mut self.got);
        }
        self.done
    }

    /// Writes what is possible now and reads nothing.
    pub fn feed(&mut self, pair: &mut Pair) {
        let ends =
            (pair.client.connections.get_mut(&self.client), pair.server.connections.get_mut(&self.server));
        if let Some(sender) = if self.from.is_client() { ends.0 } else { ends.1 } {
            pump(sender, self.id, &self.data, &mut self.at);
        }
    }

    /// Runs until all has arrived, at most `limit`; returns the seconds it took.
    pub fn run(&mut self, pair: &mut Pair, limit: Duration) -> f64 {
        let start = pair.now;
        pair.drive_for(limit, |pair| self.work(pair));
        assert!(
            self.done,
            "only {} of {} bytes in {:?}; client {:?}, server {:?}",
            self.got.len(),
            self.data.len(),
            pair.now - start,
            pair.client.closed(self.client),
            pair.server.closed(self.server),
        );
        assert!(self.got == self.data, "bytes were altered");
        (pair.now - start).as_secs_f64()
    }

    /// Runs for `time` of virtual time.
    pub fn run_for(&mut self, pair: &mut Pair, time: Duration) {
        pair.drive_for(time, |pair| {
            self.work(pair);
            false
        });
    }
}
