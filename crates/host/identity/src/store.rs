//! The server's devices: who they belong to, which key each proves itself with, and whether it still may.
//!
//! A database file holds them, this process alone writes it, and what the handshake asks is answered from memory, in the same
//! steps for a device that is known, unknown, revoked or expired. A change is on disk before it is in force.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use redb::{Database, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::files::{check_private, failed};
use crate::{Name, Secret, StoreError};

const DEVICES: TableDefinition<'static, &str, &str> = TableDefinition::new("devices");

/// Devices kept at most.
const MOST: usize = 65_536;

/// A tenant's device; displays as `TENANT/DEVICE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId {
    /// Whose.
    pub tenant: Name,
    /// Which.
    pub device: Name,
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.device)
    }
}

/// How a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its token was not used yet.
    Invited,
    /// Its token was not used in time.
    Expired,
    /// It has a key of its own.
    Joined,
    /// It may not come in any more.
    Revoked,
}

/// What is told of a device: nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which one.
    pub id: DeviceId,
    /// How it stands.
    pub standing: Standing,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When its token expires.
    pub expires: Option<u64>,
}

/// A device that proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which one.
    pub id: DeviceId,
    /// Whether it came with its token's key and has to enrol one of its own.
    pub must_enrol: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    server_name: String,
    key: Vec<u8>,
    joined: bool,
    revoked: bool,
    created: u64,
    expires: Option<u64>,
}

impl Record {
    fn standing(&self, now: u64) -> Standing {
        let late = self.expires.is_some_and(|expires| now > expires);
        match (self.revoked, self.joined) {
            (true, _) => Standing::Revoked,
            (_, true) => Standing::Joined,
            _ if late => Standing::Expired,
            _ => Standing::Invited,
        }
    }

    /// Whether it may come in with this key. A record that was never anybody's takes as long, and one without a key (its
    /// device was revoked) is compared with that of `nobody`.
    fn admits(&self, nobody: &Self, spki: &[u8], now: u64) -> bool {
        let same = self.key.len() == spki.len();
        let key = if same { &self.key } else { &nobody.key };
        let right = same & verify_slices_are_equal(key, spki).is_ok();
        let standing = matches!(self.standing(now), Standing::Invited | Standing::Joined);
        right & standing
    }
}

#[derive(Default)]
struct State {
    devices: BTreeMap<DeviceId, Record>,
    by_name: HashMap<String, DeviceId>,
}

impl State {
    fn put(&mut self, id: DeviceId, record: Record) {
        if let Some(old) = self.devices.get(&id) {
            self.by_name.remove(&old.server_name);
        }
        self.by_name.insert(record.server_name.clone(), id.clone());
        self.devices.insert(id, record);
    }
}

/// All devices of a server.
pub struct Store {
    database: Database,
    state: RwLock<State>,
    /// Looked up and compared with where there is no device.
    nobody: (DeviceId, Record),
}

impl Store {
    /// Opens the file, which is made if it is not there.
    ///
    /// # Errors
    /// The file cannot be used, others may read it, or another process has it.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        match made {
            // One that is there is checked, not read: it may be long.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => check_private(file)?,
            Err(error) => return Err(failed(file)(error).into()),
            Ok(_) => {}
        }
        let database = Database::create(file).map_err(broken)?;
        let mut state = State::default();
        let write = database.begin_write().map_err(broken)?;
        {
            let table = write.open_table(DEVICES).map_err(broken)?;
            for entry in table.iter().map_err(broken)? {
                let (id, record) = entry.map_err(broken)?;
                let id = parse_id(id.value()).ok_or_else(|| broken("a device's name cannot be"))?;
                state.put(id, serde_json::from_str(record.value()).map_err(broken)?);
            }
        }
        write.commit().map_err(broken)?;
        let nobody = Record {
            server_name: String::new(),
            key: Secret::generate().join_key().spki().to_vec(),
            joined: true,
            revoked: true,
            created: 0,
            expires: None,
        };
        let name = || Secret::generate().server_name().replace(".tq", "").parse().map_err(broken);
        let nobody = (DeviceId { tenant: name()?, device: name()? }, nobody);
        Ok(Self { database, state: RwLock::new(state), nobody })
    }

    /// Invites a device; the secret is for its token and is not kept.
    ///
    /// # Errors
    /// There is such a device that was not revoked, there are too many, or the file cannot be written.
    pub fn add(&self, id: &DeviceId, now: u64, expires: Option<u64>) -> Result<Secret, StoreError> {
        let state = self.read();
        match state.devices.get(id) {
            Some(record) if !record.revoked => return Err(StoreError::Exists(id.clone())),
            None if state.devices.len() >= MOST => return Err(StoreError::Full(MOST)),
            _ => {}
        }
        drop(state);
        self.invite(id, now, expires)
    }

    /// Makes a new token for a device that is there, revoked or not; the old one, and the key it has enrolled, open nothing
    /// any more.
    ///
    /// # Errors
    /// There is no such device, or the file cannot be written.
    pub fn rotate(&self, id: &DeviceId, now: u64, expires: Option<u64>) -> Result<Secret, StoreError> {
        if !self.read().devices.contains_key(id) {
            return Err(StoreError::Unknown(id.to_string()));
        }
        self.invite(id, now, expires)
    }

    fn invite(&self, id: &DeviceId, now: u64, expires: Option<u64>) -> Result<Secret, StoreError> {
        let secret = Secret::generate();
        let record = Record {
            server_name: secret.server_name(),
            key: secret.join_key().spki().to_vec(),
            joined: false,
            revoked: false,
            created: now,
            expires,
        };
        self.write(vec![(id.clone(), record)])?;
        Ok(secret)
    }

    /// Lets a tenant's device in no more, or all its devices. Returns those that are revoked by this.
    ///
    /// # Errors
    /// There is no such tenant or device, or the file cannot be written.
    pub fn revoke(&self, tenant: &Name, device: Option<&Name>) -> Result<Vec<DeviceId>, StoreError> {
        let meant = |id: &DeviceId| id.tenant == *tenant && device.is_none_or(|device| id.device == *device);
        let mut changed = Vec::new();
        let mut any = false;
        for (id, record) in self.read().devices.iter().filter(|(id, _)| meant(id)) {
            any = true;
            if !record.revoked {
                // What it proved itself with is forgotten.
                changed.push((id.clone(), Record { revoked: true, key: Vec::new(), ..record.clone() }));
            }
        }
        if !any {
            return Err(StoreError::Unknown(match device {
                Some(device) => format!("device {tenant}/{device}"),
                None => format!("tenant {tenant}"),
            }));
        }
        let ids = changed.iter().map(|(id, _)| id.clone()).collect();
        self.write(changed)?;
        Ok(ids)
    }

    /// Gives a device that proved itself with `proof` its own key instead.
    ///
    /// # Errors
    /// That key is not its token's any more: somebody else was first, or it was revoked. Or the file cannot be written.
    pub fn enrol(&self, id: &DeviceId, proof: &[u8], key: &[u8]) -> Result<(), StoreError> {
        let gone = || StoreError::Unknown(format!("open invitation of {id}"));
        // Held until it is written: of two that come with one token, one is first.
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let record = state.devices.get(id).ok_or_else(gone)?;
        if record.revoked || record.joined || record.key != proof {
            return Err(gone());
        }
        let record = Record { joined: true, key: key.to_vec(), ..record.clone() };
        self.save(&[(id.clone(), record.clone())])?;
        state.put(id.clone(), record);
        Ok(())
    }

    /// Whether whoever asks for `server_name` may come in with the key `spki`.
    pub fn admits(&self, server_name: &str, spki: &[u8], now: u64) -> bool {
        let state = self.read();
        // The same look-ups and comparisons, whoever it is.
        let (nobody, record) = &self.nobody;
        let id = state.by_name.get(server_name).unwrap_or(nobody);
        state.devices.get(id).unwrap_or(record).admits(record, spki, now)
    }

    /// Who it is that came in so; `None` if that would not be let in now.
    pub fn access(&self, server_name: &str, spki: &[u8], now: u64) -> Option<Access> {
        let state = self.read();
        let id = state.by_name.get(server_name)?;
        let record = state.devices.get(id)?;
        record
            .admits(&self.nobody.1, spki, now)
            .then(|| Access { id: id.clone(), must_enrol: !record.joined })
    }

    /// All devices, by name.
    pub fn devices(&self, now: u64) -> Vec<Device> {
        let state = self.read();
        let device = |(id, record): (&DeviceId, &Record)| Device {
            id: id.clone(),
            standing: record.standing(now),
            created: record.created,
            expires: record.expires,
        };
        state.devices.iter().map(device).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, changed: Vec<(DeviceId, Record)>) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        self.save(&changed)?;
        for (id, record) in changed {
            state.put(id, record);
        }
        Ok(())
    }

    fn save(&self, changed: &[(DeviceId, Record)]) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(broken)?;
        {
            let mut table = write.open_table(DEVICES).map_err(broken)?;
            for (id, record) in changed {
                let text = serde_json::to_string(record).map_err(broken)?;
                table.insert(id.to_string().as_str(), text.as_str()).map_err(broken)?;
            }
        }
        write.commit().map_err(broken)
    }

    /// Whether the file holds what memory does.
    #[cfg(test)]
    fn is_in_step(&self) -> bool {
        use redb::ReadableDatabase;
        let read = self.database.begin_read().unwrap();
        let table = read.open_table(DEVICES).unwrap();
        let saved: Vec<_> = table.iter().unwrap().map(|e| e.unwrap().1.value().to_owned()).collect();
        let held: Vec<_> = self.read().devices.values().map(|r| serde_json::to_string(r).unwrap()).collect();
        saved == held
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({} devices)", self.read().devices.len())
    }
}

fn broken(why: impl fmt::Display) -> StoreError {
    StoreError::Database(why.to_string())
}

fn parse_id(text: &str) -> Option<DeviceId> {
    let (tenant, device) = text.split_once('/')?;
    Some(DeviceId { tenant: tenant.parse().ok()?, device: device.parse().ok()? })
}

#[cfg(test)]
mod tests;
