//! The order in which everything is asked of the kernel, and when its answer is whole.
//!
//! Decides which request is next, and that an answer which was changed while it was given is asked for again. No I/O.

use crate::netlink::{Message, Request};

#[cfg(test)]
mod tests;

/// Interfaces before addresses before routes.
const QUESTIONS: [u16; 3] = [libc::RTM_GETLINK, libc::RTM_GETADDR, libc::RTM_GETROUTE];

/// Where we are in asking for everything.
#[derive(Debug, Default)]
pub(crate) struct Dump {
    /// The question that is being answered.
    at: Option<usize>,
    /// Of that question. Answers to older ones are not taken.
    seq: u32,
    /// The answer is not of one moment.
    torn: bool,
    /// Everything is to be asked once more when this is done.
    again: bool,
}

/// What is to be done after a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Take what the message says.
    Take,
    /// Its content is of no use: it ends an answer, or answers what nobody asked.
    Skip,
    /// Send this.
    Ask(Vec<u8>),
    /// The whole is known.
    Done,
    /// The whole is not known; begin again.
    Restart,
}

impl Dump {
    /// Begins: what to send first.
    pub(crate) fn start(&mut self) -> Vec<u8> {
        self.torn = false;
        self.again = false;
        self.ask(0)
    }

    /// Whether answers are awaited.
    pub(crate) fn running(&self) -> bool {
        self.at.is_some()
    }

    /// Everything is to be asked: now (then what to send comes back), or once more after what is running.
    pub(crate) fn wish(&mut self) -> Option<Vec<u8>> {
        self.again = self.running();
        (!self.running()).then(|| self.start())
    }

    fn ask(&mut self, at: usize) -> Vec<u8> {
        self.at = Some(at);
        self.seq = self.seq.wrapping_add(1).max(1);
        // An `ifinfomsg`, the longest of the three headers, of no family and no interface.
        Request::new(QUESTIONS[at], libc::NLM_F_DUMP, &[0; 16]).bytes(self.seq)
    }

    /// Takes notice of a message.
    pub(crate) fn on_message(&mut self, message: &Message<'_>) -> Next {
        let Some(at) = self.at.filter(|_| message.seq == self.seq) else {
            // Events have no number, except those of requests that others made.
            return if message.error().is_none() { Next::Take } else { Next::Skip };
        };
        self.torn |= i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0;
        match message.error() {
            None => Next::Take,
            Some(0) if at + 1 < QUESTIONS.len() => Next::Ask(self.ask(at + 1)),
            Some(0) if !self.torn && !self.again => {
                self.at = None;
                Next::Done
            }
            Some(_) => {
                self.at = None;
                Next::Restart
            }
        }
    }
}
