//! Sessions there are now: found by device to be replaced or ended, counted against a limit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tq::Connection;
use tq_identity::DeviceId;

use crate::clock;
use crate::transport::code;

/// A session.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: DeviceId,
    pub(crate) connection: Connection,
    pub(crate) software: String,
    pub(crate) since: Instant,
}

/// Connections of a device that have not introduced themselves yet. A router races a few.
const KNOCKING: usize = 16;

#[derive(Default)]
struct Table {
    next: u64,
    entries: BTreeMap<u64, Entry>,
    /// Connections that have not introduced themselves yet.
    knocking: BTreeMap<DeviceId, usize>,
}

/// A connection that has not introduced itself yet; dropped, it has, or never will.
pub(crate) struct Knock {
    sessions: Sessions,
    id: DeviceId,
}

/// All of them.
#[derive(Clone)]
pub(crate) struct Sessions {
    table: Arc<Mutex<Table>>,
    most: usize,
}

/// A session in the table; dropped, it leaves.
pub(crate) struct Seat {
    sessions: Sessions,
    pub(crate) number: u64,
}

impl Sessions {
    pub(crate) fn new(most: usize) -> Self {
        Self { table: Arc::default(), most }
    }

    /// A device's connection is about to introduce itself; `None` if too many of its are.
    pub(crate) fn knock(&self, id: &DeviceId) -> Option<Knock> {
        let mut table = self.lock();
        let count = table.knocking.entry(id.clone()).or_default();
        if *count >= KNOCKING {
            return None;
        }
        *count += 1;
        Some(Knock { sessions: self.clone(), id: id.clone() })
    }

    /// Takes a session in, and closes an older one of the same device; `None` if there are too many.
    pub(crate) fn enter(&self, id: DeviceId, connection: Connection, software: String) -> Option<Seat> {
        let mut table = self.lock();
        let older: Vec<_> = table.entries.values().filter(|entry| entry.id == id).cloned().collect();
        if table.entries.len() >= self.most && older.is_empty() {
            return None;
        }
        table.next += 1;
        let number = table.next;
        table.entries.insert(number, Entry { id, connection, software, since: clock::now() });
        drop(table);
        for entry in older {
            entry.connection.close(code::REPLACED, b"this device came again");
        }
        Some(Seat { sessions: self.clone(), number })
    }

    /// Ends the sessions of a device that may not come any more; how many there were.
    pub(crate) fn end(&self, id: &DeviceId) -> usize {
        let of_it: Vec<_> = self.lock().entries.values().filter(|entry| entry.id == *id).cloned().collect();
        for entry in &of_it {
            entry.connection.close(code::ENDED, b"no longer welcome");
        }
        of_it.len()
    }

    /// All of them, by number.
    pub(crate) fn all(&self) -> Vec<(u64, Entry)> {
        self.lock().entries.iter().map(|(number, entry)| (*number, entry.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Knock {
    fn drop(&mut self) {
        let mut table = self.sessions.lock();
        if let Some(count) = table.knocking.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                table.knocking.remove(&self.id);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sessions.lock().entries.remove(&self.number);
    }
}
