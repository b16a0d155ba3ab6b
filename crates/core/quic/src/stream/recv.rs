//! The receiving part of a stream (RFC 9000 §3.2): what was received, where it ends, and whether anyone still wants it.
//!
//! Checks everything a frame claims before a byte is stored. Whether the connection's window allows it, and whether
//! the stream may exist, is checked by the owner.

use bytes::Bytes;
use tq_buf::{Assembler, TooFragmented};
use tq_wire::Code;

use super::ReadError;
use super::StreamConfig;
use super::flow::{Clock, Inbound, Settled, Window};

/// What a frame did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault(pub(super) Code, pub(super) &'static str);

/// The peer's reset.
#[derive(Clone, Copy, Debug)]
struct Reset {
    code: u64,
    /// Bytes below this are delivered all the same.
    reliable: u64,
    /// Whether RESET_STREAM_AT said so: its code cannot change later.
    partial: bool,
}

/// Our wish that the peer stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// STOP_SENDING with this code is owed or in flight.
    Asked(u64),
    /// It was acknowledged, or there was no need for it.
    Heard,
}

/// The receiving part.
#[derive(Debug)]
pub(super) struct RecvPart {
    buffer: Assembler,
    window: Window,
    /// End of the highest byte received, or the final size.
    highest: u64,
    final_size: Option<u64>,
    reset: Option<Reset>,
    stop: Stop,
    /// Size the window began with.
    first: u64,
    /// Bytes for which the connection got its credit back, and those of which it knows that they wait to be read.
    released: u64,
    unread: u64,
    /// Whether new bytes are worth an event: at first, and whenever a read was refused.
    armed: bool,
    /// The application saw the end.
    over: bool,
}

impl RecvPart {
    pub(super) fn new(window: u64) -> Self {
        Self {
            buffer: Assembler::new(),
            window: Window::new(window),
            highest: 0,
            final_size: None,
            reset: None,
            stop: Stop::No,
            first: window,
            released: 0,
            unread: 0,
            armed: true,
            over: false,
        }
    }

    /// Becomes the receiving part of another stream, whose window is yet to be set.
    pub(super) fn renew(&mut self) {
        self.buffer.renew();
        let Self {
            buffer: _,
            window,
            highest,
            final_size,
            reset,
            stop,
            first,
            released,
            unread,
            armed,
            over,
        } = self;
        (*window, *first, *unread) = (Window::new(0), 0, 0);
        (*highest, *final_size, *reset, *stop) = (0, None, None, Stop::No);
        (*released, *armed, *over) = (0, true, false);
    }

    /// The first window of a stream that was renewed.
    pub(super) fn set_window(&mut self, window: u64) {
        (self.window, self.first) = (Window::new(window), window);
    }

    /// Whether the peer has something left to send that was asked for.
    pub(super) fn awaits(&self) -> bool {
        let all = self.final_size.is_some_and(|size| self.buffer.received() >= size);
        !(all || self.over || self.reset.is_some() || self.stop != Stop::No)
    }

    /// Checks bytes up to `end`; gives how many of them count as new for the connection's flow control.
    // MUST 9000-4.1-2, 9000-19.10-4
    pub(super) fn check(&self, end: u64, fin: bool) -> Result<u64, Fault> {
        match self.final_size {
            Some(size) if end > size => {
                return Err(Fault(Code::FINAL_SIZE_ERROR, "bytes beyond the final size"));
            }
            Some(size) if fin && end != size => {
                return Err(Fault(Code::FINAL_SIZE_ERROR, "the final size changed"));
            }
            None if fin && end < self.highest => {
                return Err(Fault(Code::FINAL_SIZE_ERROR, "the final size is below what was received"));
            }
            _ => {}
        }
        if end > self.window.limit() {
            return Err(Fault(Code::FLOW_CONTROL_ERROR, "beyond the stream's limit"));
        }
        Ok(end.saturating_sub(self.highest))
    }

    /// Takes what [`RecvPart::check`] found right.
    pub(super) fn take(
        &mut self,
        clock: &Clock,
        offset: u64,
        data: &[u8],
        fin: bool,
    ) -> Result<(), TooFragmented> {
        self.window.start(clock.now);
        let end = offset + data.len() as u64;
        self.highest = self.highest.max(end);
        if fin {
            self.final_size = Some(end);
        }
        if self.discards() {
            return Ok(());
        }
        let wanted = match self.reset {
            Some(reset) => reset.reliable.saturating_sub(offset).min(data.len() as u64) as usize,
            None => data.len(),
        };
        self.buffer.insert(offset, &data[..wanted])
    }

    /// The peer reset the stream. What counts as new was found by [`RecvPart::check`] with `final_size` as a FIN.
    pub(super) fn reset(
        &mut self,
        code: u64,
        final_size: u64,
        reliable: u64,
        partial: bool,
    ) -> Result<(), Fault> {
        if let Some(reset) = &mut self.reset {
            // reliable reset §4: the code stays, the reliable size only falls
            if reset.code != code && (partial || reset.partial) {
                return Err(Fault(Code::STREAM_STATE_ERROR, "the code of a reset changed"));
            }
            reset.reliable = reset.reliable.min(reliable);
        } else if self.is_complete() {
            // everything is here: there is nothing a reset could take back (RFC 9000 §3.2)
            return Ok(());
        } else {
            self.highest = final_size;
            self.final_size = Some(final_size);
            self.reset = Some(Reset { code, reliable, partial });
        }
        if reliable <= self.buffer.consumed() {
            self.buffer.clear();
        }
        Ok(())
    }

    /// Whether bytes that come are of no use.
    pub(super) const fn discards(&self) -> bool {
        self.over || !matches!(self.stop, Stop::No)
    }

    /// Every byte and the end are here, read or not.
    fn is_complete(&self) -> bool {
        let all = || self.final_size.is_some_and(|size| self.buffer.received() == size);
        self.over || (self.stop == Stop::No && all())
    }

    /// Whether a read would give something else than `Blocked`.
    fn is_readable(&self) -> bool {
        match self.reset {
            Some(reset) if self.buffer.consumed() >= reset.reliable => true,
            _ => self.buffer.ready() > 0 || self.is_complete(),
        }
    }

    /// Whether to tell the application now; once until it read all.
    pub(super) fn notice(&mut self) -> bool {
        let tell = self.armed && !self.discards() && self.is_readable();
        self.armed &= !tell;
        tell
    }

    /// Bytes that may be read now; `Ok(None)` at the end.
    // MUST 9000-2.2-1
    fn readable(&mut self) -> Result<Option<usize>, ReadError> {
        if self.discards() {
            return Err(ReadError::Closed);
        }
        let left = match self.reset {
            Some(reset) => reset.reliable.saturating_sub(self.buffer.consumed()),
            None => u64::MAX,
        };
        let ready = self.buffer.ready().min(usize::try_from(left).unwrap_or(usize::MAX));
        if ready > 0 {
            return Ok(Some(ready));
        }
        match self.reset {
            Some(reset) if left == 0 => {
                self.end();
                Err(ReadError::Reset(reset.code))
            }
            _ if self.is_complete() => {
                self.end();
                Ok(None)
            }
            _ => {
                self.armed = true;
                Err(ReadError::Blocked)
            }
        }
    }

    /// Reads up to `max` bytes without a copy; `None` at the end.
    pub(super) fn read(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        match self.readable()? {
            Some(ready) => Ok(Some(self.buffer.read(ready.min(max)).unwrap_or_default())),
            None => Ok(None),
        }
    }

    /// Takes the end if it is what comes next.
    pub(super) fn read_end(&mut self) -> bool {
        let next = self.reset.is_none()
            && !self.discards()
            && self.final_size.is_some_and(|size| self.buffer.consumed() == size);
        if next {
            self.end();
        }
        next
    }

    /// Reads into `into`; `None` at the end.
    pub(super) fn read_into(&mut self, into: &mut [u8]) -> Result<Option<usize>, ReadError> {
        match self.readable()? {
            Some(ready) => {
                let len = into.len().min(ready);
                Ok(Some(self.buffer.read_into(&mut into[..len])))
            }
            None => Ok(None),
        }
    }

    /// The application knows how it ended.
    fn end(&mut self) {
        self.over = true;
        self.buffer.clear();
    }

    /// The application wants no more. Says whether STOP_SENDING is owed; `Err` if it knows the end already.
    pub(super) fn stop(&mut self, code: u64) -> Result<bool, super::ClosedStream> {
        if self.discards() {
            return Err(super::ClosedStream);
        }
        let needed = self.reset.is_none() && !self.is_complete();
        self.stop = if needed { Stop::Asked(code) } else { Stop::Heard };
        self.buffer.clear();
        Ok(needed)
    }

    /// The code STOP_SENDING is to carry, while it still serves.
    pub(super) fn stop_code(&self) -> Option<u64> {
        match self.stop {
            Stop::Asked(code) if self.reset.is_none() => Some(code),
            _ => None,
        }
    }

    /// STOP_SENDING was acknowledged.
    pub(super) fn on_stop_acked(&mut self) {
        if matches!(self.stop, Stop::Asked(_)) {
            self.stop = Stop::Heard;
        }
    }

    /// Bytes that are in order and wait to be read.
    pub(super) fn waiting(&self) -> u64 {
        self.buffer.received() - self.buffer.consumed()
    }

    /// How many waited when the connection was told last, and how many do now.
    #[inline]
    pub(super) fn arrived(&mut self) -> (u64, u64) {
        let unread = self.waiting();
        (core::mem::replace(&mut self.unread, unread), unread)
    }

    /// What goes back to the connection's window, read or never to be read, and what waits.
    pub(super) fn settle(&mut self) -> Settled {
        let done = if self.discards() {
            self.highest
        } else {
            match self.reset {
                // what is held keeps its credit, wanted or not, so that credit bounds memory
                Some(reset) => {
                    let held = reset.reliable.max(self.buffer.highest()) - self.buffer.consumed();
                    self.highest.saturating_sub(held)
                }
                None => self.buffer.consumed(),
            }
        };
        let read = done.saturating_sub(self.released);
        self.released += read;
        Settled { read, unread: self.arrived() }
    }

    /// The stream begins; says whether MAX_STREAM_DATA is owed.
    pub(super) fn begin(&mut self, config: &StreamConfig, inbound: &mut Inbound) -> bool {
        inbound.begin(&mut self.window, config)
    }

    /// Moves the window after a read; says whether MAX_STREAM_DATA is owed.
    pub(super) fn widen(&mut self, config: &StreamConfig, clock: &Clock, inbound: &mut Inbound) -> bool {
        let read = self.buffer.consumed();
        if self.discards() {
            inbound.narrow(self.window.size() - self.first);
            self.first = self.window.size();
        }
        self.is_growing() && inbound.widen(&mut self.window, read, (self.first, config), clock)
    }

    /// The limit to announce, while the peer can have more to send.
    pub(super) fn limit(&self) -> Option<u64> {
        self.is_growing().then(|| self.window.limit())
    }

    /// The peer says that `limit` holds it back; says whether MAX_STREAM_DATA is owed again.
    pub(super) fn is_missed(&mut self, limit: u64) -> bool {
        self.is_growing() && self.window.is_missed(limit)
    }

    const fn is_growing(&self) -> bool {
        self.final_size.is_none() && !self.discards()
    }

    /// Nothing is left to happen: the end is known here, and to the application or of no interest to it.
    pub(super) const fn is_done(&self) -> bool {
        let unheard = matches!(self.stop, Stop::Asked(_)) && self.reset.is_none();
        self.final_size.is_some() && self.discards() && !unheard
    }

    /// Size of the window now.
    #[cfg(test)]
    pub(super) fn window(&self) -> u64 {
        self.window.size()
    }
}
