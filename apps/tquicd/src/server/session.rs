//! One device's session: who it is, what it says first, then its streams.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::timeout;
use tq::{Connection, Incoming, PathId, PathPolicy, PeerIdentity, RecvStream, SendStream};
use tq_identity::DeviceId;
use tq_tunnel::{ControlError, Crew, PathTerms, ToRouter, ToServer, read_message, write_message};

use super::Server;
use crate::transport::{self, code};
use crate::{clock, debug};

/// From the first packet to the end of the introduction.
const INTRODUCTION: Duration = Duration::from_secs(30);
/// Streams taken in before others have their turn.
const OPENS: usize = 16;
const SOFTWARE: &str = concat!("tquicd ", env!("CARGO_PKG_VERSION"));
/// Bytes of a peer's own description that are kept.
const DESCRIPTION: usize = 64;

/// A device that said who it is.
struct Introduced {
    id: DeviceId,
    key: Vec<u8>,
    software: String,
    send: SendStream,
    recv: RecvStream,
}

/// A device says how its paths are to be used: its own, and nobody else's. What it says of others is nothing.
fn obey(connection: &Connection, paths: &[PathTerms]) {
    for terms in paths.iter().take(transport::PATHS as usize) {
        let mut policy = PathPolicy::default();
        (policy.cost, policy.weight, policy.max_rate) = (terms.cost, terms.weight, terms.max_rate);
        let _ = connection.path(PathId(terms.path)).set_policy(policy);
    }
}

impl Server {
    /// From a first packet to the end of the session.
    pub(super) async fn serve(self: Arc<Self>, incoming: Incoming) {
        let remote = incoming.remote_address();
        let connection = match timeout(INTRODUCTION, incoming).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return debug!("{remote}: {error}"),
            Err(_) => return,
        };
        match timeout(INTRODUCTION, self.introduce(&connection)).await {
            Ok(Ok(introduced)) => self.attend(connection, introduced).await,
            Ok(Err(why)) => {
                debug!("{remote}: {why}");
                connection.close(code::PROTOCOL, b"not understood");
            }
            Err(_) => connection.close(code::PROTOCOL, b"too slow"),
        }
    }

    async fn introduce(self: &Arc<Self>, connection: &Connection) -> Result<Introduced, ControlError> {
        let malformed = |why: &str| ControlError::Malformed(why.to_owned());
        let PeerIdentity::RawKey(key) = connection.peer() else { return Err(malformed("no key")) };
        let name = connection.server_name().unwrap_or_default();
        let access = self.store.access(&name, &key, clock::unix_now());
        let access = access.ok_or_else(|| malformed("not welcome any more"))?;
        let knock = self.sessions.knock(&access.id);
        let _knock = knock.ok_or_else(|| malformed("too many connections that say nothing"))?;
        let (mut send, mut recv) = connection.accept_bi().await.map_err(|_| ControlError::Lost)?;
        let software = loop {
            match read_message(&mut recv).await? {
                ToServer::Hello { software, .. } => break software,
                ToServer::Enrol { .. } => return Err(malformed("a key before a hello")),
                _ => {}
            }
        };
        let welcome =
            ToRouter::Welcome { version: 1, software: SOFTWARE.to_owned(), enrol: access.must_enrol };
        write_message(&mut send, &welcome).await?;
        let software = software.chars().filter(|c| !c.is_control()).take(DESCRIPTION).collect();
        if !access.must_enrol {
            return Ok(Introduced { id: access.id, key, software, send, recv });
        }
        let own = loop {
            if let ToServer::Enrol { key } = read_message(&mut recv).await? {
                break key;
            }
        };
        let public = own.get(own.len().wrapping_sub(32)..).and_then(|public| public.try_into().ok());
        if public.is_none_or(|public| tq::tls::ed25519_spki(public) != own) {
            return Err(malformed("a key that is no Ed25519 key"));
        }
        let (server, id, new) = (Arc::clone(self), access.id.clone(), own.clone());
        // The disk may take its time.
        let enrolled = tokio::task::spawn_blocking(move || server.store.enrol(&id, &key, &new)).await;
        enrolled.map_err(|_| ControlError::Lost)?.map_err(|error| malformed(&error.to_string()))?;
        self.hub.tell("tenant", "joined", &access.id, "");
        write_message(&mut send, &ToRouter::Enrolled).await?;
        Ok(Introduced { id: access.id, key: own, software, send, recv })
    }

    /// Serves streams until the connection ends.
    async fn attend(self: Arc<Self>, connection: Connection, who: Introduced) {
        let Introduced { id, key, software, send, mut recv } = who;
        let Some(seat) = self.sessions.enter(id.clone(), connection.clone(), software) else {
            return connection.close(code::FULL, b"too many sessions");
        };
        // It may have been revoked before it was in the table, where it would have been found.
        let name = connection.server_name().unwrap_or_default();
        if self.store.access(&name, &key, clock::unix_now()).is_none() {
            return connection.close(code::ENDED, b"no longer welcome");
        }
        self.hub.tell(
            "session",
            "up",
            &id,
            format_args!("session {}, from {}", seat.number, connection.remote_address()),
        );
        let streams = tokio::spawn(Arc::clone(&self).streams(connection.clone(), id.to_string()));
        let control = async {
            loop {
                match read_message::<ToServer>(&mut recv).await {
                    Ok(ToServer::Alive) => {}
                    Ok(ToServer::Policy { paths }) => obey(&connection, &paths),
                    Ok(message) => debug!("session {}: {message:?}", seat.number),
                    // The connection ends, too, or is of no use any more.
                    Err(ControlError::Lost) => break,
                    Err(error) => {
                        debug!("session {}: {error}", seat.number);
                        connection.close(code::PROTOCOL, b"not understood");
                        break;
                    }
                }
            }
            connection.closed().await
        };
        let why = control.await;
        // They end with the connection, each in its own way.
        let _ = streams.await;
        drop(send);
        self.hub.tell("session", "down", &id, why);
    }
    /// Serves what a device opens, all of it in one task: see [`Crew`].
    async fn streams(self: Arc<Self>, connection: Connection, device: String) {
        let room = self.exit.room(&device);
        let mut crew = Crew::new();
        for opened in 1.. {
            let (send, recv) = tokio::select! {
                opened = connection.accept_bi() => match opened {
                    Ok(streams) => streams,
                    Err(_) => break,
                },
                () = crew.work(), if !crew.is_empty() => continue,
            };
            let (server, room, pace) = (Arc::clone(&self), Arc::clone(&room), crew.pace());
            crew.join(async move { server.exit.answer(send, recv, &room, &pace).await });
            if opened % OPENS == 0 {
                yield_now().await;
            }
        }
        crew.work().await;
    }
}
