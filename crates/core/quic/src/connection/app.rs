//! What an application does with a connection: streams, datagrams, who the peer is. Thin doors to the components.

use bytes::Bytes;
use tq_buf::mem::{String, ToString, Vec};
use tq_wire::{Dir, PathId, StreamId};

use super::Connection;
use crate::datagram::SendDatagramError;
use crate::handshake::{ExportError, PeerIdentity};
use crate::stream::{ClosedStream, ReadError, WriteError};

/// Bytes of messages waiting for one path in particular: about what a link sends in 10 ms.
const MESSAGES_ON_A_PATH: usize = 64 << 10;

impl Connection {
    /// Opens a stream; `None` while the peer allows no more ([`StreamEvent::Available`] tells when it does).
    ///
    /// [`StreamEvent::Available`]: crate::StreamEvent::Available
    pub fn open(&mut self, dir: Dir) -> Option<StreamId> {
        if self.is_closed() { None } else { self.streams.open(dir) }
    }

    /// Takes a stream the peer opened.
    pub fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        self.streams.accept(dir)
    }

    /// Queues bytes for a stream, as many as fit; they are taken off the front of `data`.
    ///
    /// # Errors
    /// [`WriteError::Blocked`] if none fit; the stream is stopped or closed.
    pub fn write(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, WriteError> {
        if self.is_closed() {
            return Err(WriteError::Closed);
        }
        self.streams.write(id, data)
    }

    /// Copies bytes into a stream's queue, as many as fit.
    ///
    /// # Errors
    /// As [`Connection::write`].
    pub fn write_slice(&mut self, id: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        if self.is_closed() {
            return Err(WriteError::Closed);
        }
        self.streams.write_slice(id, data)
    }

    /// Ends a stream after what was written.
    ///
    /// # Errors
    /// The stream is finished, reset or unknown already.
    pub fn finish(&mut self, id: StreamId) -> Result<(), ClosedStream> {
        self.streams.finish(id)
    }

    /// Ends a stream at once; what was not delivered is dropped.
    ///
    /// # Errors
    /// The stream is unknown or over.
    pub fn reset(&mut self, id: StreamId, code: u64) -> Result<(), ClosedStream> {
        self.streams.reset(id, code)
    }

    /// Asks the peer to stop sending on a stream; what has arrived is dropped.
    ///
    /// # Errors
    /// The stream is unknown or over.
    pub fn stop(&mut self, id: StreamId, code: u64) -> Result<(), ClosedStream> {
        self.streams.stop(id, code)
    }

    /// Sets a stream's priority: higher goes first, the default is 0.
    ///
    /// # Errors
    /// The stream is unknown or over.
    pub fn set_priority(&mut self, id: StreamId, priority: i32) -> Result<(), ClosedStream> {
        self.streams.set_priority(id, priority)
    }

    /// A stream's priority.
    ///
    /// # Errors
    /// The stream is unknown or over.
    pub fn priority(&mut self, id: StreamId) -> Result<i32, ClosedStream> {
        self.streams.priority(id)
    }

    /// The next bytes of a stream without a copy, at most `max`; `None` at its end.
    ///
    /// # Errors
    /// [`ReadError::Blocked`] if none are there yet; the stream was reset or is unknown.
    pub fn read(&mut self, id: StreamId, max: usize) -> Result<Option<Bytes>, ReadError> {
        self.streams.read(id, max)
    }

    /// The next bytes of a stream, copied into `out`; `None` at its end.
    ///
    /// # Errors
    /// As [`Connection::read`].
    pub fn read_into(&mut self, id: StreamId, out: &mut [u8]) -> Result<Option<usize>, ReadError> {
        self.streams.read_into(id, out)
    }

    /// Takes note of a stream's end if everything before it was read: true is as good as a read that gave `None`.
    pub fn read_end(&mut self, id: StreamId) -> bool {
        self.streams.read_end(id)
    }

    /// Largest message [`Connection::send_datagram`] takes: what every path in use carries. `None` if the peer takes none.
    /// Changes with the paths.
    pub fn max_datagram_size(&self) -> Option<usize> {
        let room = self.datagram_rooms().min()?;
        self.datagrams.max_size(room)
    }

    /// Bytes for frames in a packet of each path in use.
    fn datagram_rooms(&self) -> impl Iterator<Item = usize> + '_ {
        let used = (0..self.paths.len()).filter(|ix| self.paths[*ix].state.is_usable());
        used.filter_map(|ix| self.datagram_room(ix))
    }

    fn datagram_room(&self, ix: usize) -> Option<usize> {
        // short header with the longest packet number, tag, frame type and two bytes of length
        let dcid = self.peer_cid(ix)?.len();
        usize::from(self.paths[ix].mtu.current()).checked_sub(1 + dcid + 4 + 16)
    }

    /// Drops messages that no path in use carries any more.
    pub(crate) fn drop_larger_datagrams(&mut self) {
        let room = self.datagram_rooms().max();
        if let Some(max) = room.and_then(|room| self.datagrams.max_size(room)) {
            self.datagrams.drop_larger(max);
        }
    }

    /// Largest message [`Connection::send_datagram_on`] takes for a path; `None` if the peer takes none or the path may carry
    /// no data.
    pub fn max_datagram_size_on(&self, path: PathId) -> Option<usize> {
        let ix = self.live_path(path).ok().filter(|ix| self.paths[*ix].state.is_usable())?;
        self.datagrams.max_size(self.datagram_room(ix)?)
    }

    /// Queues a message that goes on this path and no other. It is lost with the path.
    ///
    /// # Errors
    /// The peer takes none, it is too large for the path, the path may carry no data (then it counts as blocked), or its
    /// queue is full.
    pub fn send_datagram_on(&mut self, path: PathId, data: Bytes) -> Result<(), SendDatagramError> {
        let ix = self.live_path(path).map_err(|_| SendDatagramError::Blocked)?;
        let room = self.datagram_room(ix).filter(|_| self.paths[ix].state.is_usable());
        let room = room.ok_or(SendDatagramError::Blocked)?;
        let max = self.datagrams.max_size(room).ok_or(SendDatagramError::Unsupported)?;
        let queue = &mut self.paths[ix].messages;
        let queued: usize = queue.iter().map(Bytes::len).sum();
        if max == 0 || data.len() > max {
            return Err(SendDatagramError::TooLarge);
        }
        if !queue.is_empty() && queued + data.len() > MESSAGES_ON_A_PATH {
            return Err(SendDatagramError::Blocked);
        }
        queue.push_back(data);
        Ok(())
    }

    /// Queues a message.
    ///
    /// # Errors
    /// The peer takes none, it is too large, or the queue is full (then [`Event::DatagramSpace`] follows).
    ///
    /// [`Event::DatagramSpace`]: crate::Event::DatagramSpace
    pub fn send_datagram(&mut self, data: Bytes) -> Result<(), SendDatagramError> {
        let max = self.max_datagram_size();
        self.datagrams.send(data, max.ok_or(SendDatagramError::Unsupported)?)
    }

    /// The oldest message received.
    pub fn read_datagram(&mut self) -> Option<Bytes> {
        self.datagrams.read()
    }

    /// Who the peer proved to be.
    pub fn peer(&self) -> PeerIdentity {
        match &self.hs.session {
            Some(session) if self.hs.complete => session.peer(),
            _ => PeerIdentity::Anonymous,
        }
    }

    /// Whether a ticket of an earlier connection stood in for certificates, once the handshake is complete.
    pub fn is_resumed(&self) -> bool {
        self.hs.complete && self.hs.session.as_ref().is_some_and(|session| session.is_resumed())
    }

    /// Application protocol agreed on, once known.
    pub fn alpn(&self) -> Option<Vec<u8>> {
        self.hs.session.as_ref()?.alpn().map(<[u8]>::to_vec)
    }

    /// Name the client asked for, once known (server).
    pub fn server_name(&self) -> Option<String> {
        self.hs.session.as_ref()?.server_name().map(ToString::to_string)
    }

    /// Keying material both ends can derive (RFC 8446 §7.5).
    ///
    /// # Errors
    /// The handshake is not complete, or `out` is too long.
    pub fn export(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), ExportError> {
        self.hs.session.as_ref().ok_or(ExportError)?.export(out, label, context)
    }

    /// Sends a PING soon, on the first path.
    pub fn ping(&mut self) {
        let ix = self.first_live();
        self.paths[ix].ping = true;
    }

    /// The host's word that one of its sockets takes nothing at the moment, or does again. Until it does, its paths get
    /// nothing that another can carry, and schedulers leave them out. Of use if the connection has paths over several
    /// sockets.
    pub fn set_writable(&mut self, socket: u32, writable: bool) {
        self.full.retain(|full| *full != socket);
        if !writable {
            self.full.push(socket);
        }
    }

    #[inline]
    pub(crate) fn is_full(&self, socket: u32) -> bool {
        !self.full.is_empty() && self.full.contains(&socket)
    }

    /// Which scheduler says where data goes.
    pub fn scheduler(&self) -> tq_sched::Kind {
        self.scheduler.kind()
    }

    /// Chooses another scheduler than the configuration's, which begins with nothing learnt.
    pub fn set_scheduler(&mut self, kind: tq_sched::Kind) {
        self.scheduler = tq_sched::Scheduler::new(kind);
    }
}
