//! The near side's way to the far side: the session there is now, or the next one.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tq::{Connection, RecvStream, SendStream};

use crate::header::read_answer;
use crate::{Open, Status};

/// How long a program is held while there is no session.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than the far side takes to give up.
const ANSWER: Duration = Duration::from_secs(40);

/// Opens streams on the session of the moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Way(watch::Receiver<Option<Connection>>);

impl Way {
    /// Over the session this channel tells of.
    pub fn new(session: watch::Receiver<Option<Connection>>) -> Self {
        Self(session)
    }

    /// Asks the far side to connect, and waits for its answer.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn open(&self, open: &Open) -> Result<(SendStream, RecvStream), Status> {
        let connection = timeout(PATIENCE, self.session()).await.map_err(|_| Status::NoSession)??;
        let ask = async {
            let (mut send, mut recv) = connection.open_bi().await.map_err(|_| Status::Broken)?;
            send.write_all(&open.encode()).await.map_err(|_| Status::Broken)?;
            match read_answer(&mut recv).await {
                Ok(Status::Ok) => Ok((send, recv)),
                Ok(status) => Err(status),
                Err(_) => Err(Status::Broken),
            }
        };
        timeout(ANSWER, ask).await.map_err(|_| Status::Timeout)?
    }

    async fn session(&self) -> Result<Connection, Status> {
        let mut session = self.0.clone();
        let alive =
            |session: &Option<Connection>| session.as_ref().is_some_and(|c| c.close_reason().is_none());
        let found = session.wait_for(alive).await.map_err(|_| Status::NoSession)?;
        found.clone().ok_or(Status::NoSession)
    }
}
