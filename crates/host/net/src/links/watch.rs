//! Links of the network namespace in which this was made, followed by rtnetlink.
//!
//! Decides when to ask for everything: at the start, after an overrun, and when routes may have gone without a word.
//! Changes nothing on the machine and needs no privileges.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use super::dump::{Dump, Next};
use super::fact::{self, Fact};
use super::table::Table;
use super::{Link, LinkEvent, Select};
use crate::netlink::messages;
use crate::netlink::talk::ROOM;
use crate::sys::{self, Got};

const GROUPS: i32 = libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE;
/// `RTNLGRP_NEXTHOP`.
const NEXT_HOPS: u32 = 32;
/// Messages of the kernel that may wait for us.
const BACKLOG: i32 = 1 << 20;
/// Between two attempts to learn everything, when the first was disturbed.
const BREATH: Duration = Duration::from_millis(20);

/// Follows links.
#[derive(Debug)]
pub struct Watcher {
    fd: AsyncFd<OwnedFd>,
    backlog: i32,
    dump: Dump,
    table: Table,
    events: VecDeque<LinkEvent>,
    /// Wait a moment, then ask for everything.
    disturbed: bool,
    buffer: Vec<u8>,
}

impl Watcher {
    /// Begins to watch. What is there is told first, as [`super::Change::Up`].
    ///
    /// # Errors
    /// No more descriptors.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub fn new(select: Select) -> io::Result<Self> {
        Self::with_backlog(select, BACKLOG)
    }

    /// As [`Watcher::new`], with room for so many bytes of messages that were not read yet (the kernel's least is about
    /// 2 KiB). More messages than that cost another look at everything, and nothing else.
    ///
    /// # Errors
    /// As [`Watcher::new`].
    pub fn with_backlog(select: Select, bytes: i32) -> io::Result<Self> {
        let fd = open(bytes)?;
        let mut dump = Dump::default();
        sys::send(fd.get_ref(), &dump.start())?;
        Ok(Self {
            fd,
            backlog: bytes,
            dump,
            table: Table::new(select),
            events: VecDeque::new(),
            disturbed: false,
            buffer: vec![0; ROOM],
        })
    }

    /// The next change. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The kernel refuses to talk; not known to happen.
    pub async fn next(&mut self) -> io::Result<LinkEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            if self.disturbed {
                tokio::time::sleep(BREATH).await;
                self.restart()?;
                self.disturbed = false;
            }
            let mut ready = self.fd.readable().await?;
            let read = ready.try_io(|fd| sys::receive(fd.get_ref(), &mut self.buffer));
            match read {
                Err(_) => {}
                Ok(Ok(Got::Kernel(len))) => self.take(len)?,
                Ok(Ok(Got::Stranger)) => {}
                Ok(Ok(Got::Cut)) => self.disturbed = true,
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => self.disturbed = true,
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    /// The links as they were last told.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.table.links()
    }

    /// Takes other interfaces for links from now on.
    pub fn set_select(&mut self, select: Select) {
        self.table.set_select(select);
        if !self.dump.running() {
            self.events.extend(self.table.changes());
        }
    }

    /// Asks for everything over a new socket: in the old one may be anything, and an answer under way bars another.
    fn restart(&mut self) -> io::Result<()> {
        self.fd = open(self.backlog)?;
        self.table.forget();
        sys::send(self.fd.get_ref(), &self.dump.start())
    }

    /// Reads the messages in the first `len` bytes of the buffer.
    fn take(&mut self, len: usize) -> io::Result<()> {
        let (mut facts, mut doubt) = (Vec::new(), false);
        for message in messages(&self.buffer[..len]) {
            match self.dump.on_message(&message) {
                Next::Take => fact::read(&message, &mut facts),
                Next::Skip | Next::Done => {}
                Next::Ask(bytes) => sys::send(self.fd.get_ref(), &bytes)?,
                Next::Restart => self.disturbed = true,
            }
        }
        for mut fact in facts {
            if let Fact::Interface(interface) = &mut fact {
                interface.marks.device_type = device_type(&interface.device);
            }
            doubt |= self.table.apply(fact);
        }
        if !self.dump.running() && !self.disturbed {
            self.events.extend(self.table.changes());
        }
        if doubt && let Some(bytes) = self.dump.wish() {
            self.table.forget();
            sys::send(self.fd.get_ref(), &bytes)?;
        }
        Ok(())
    }
}

/// A socket that hears events from now on.
fn open(backlog: i32) -> io::Result<AsyncFd<OwnedFd>> {
    let socket = sys::netlink(GROUPS as u32)?;
    // Kernels before 5.3 have no next hops of their own.
    let _ = sys::join(&socket, NEXT_HOPS);
    sys::nonblocking(&socket)?;
    sys::receive_room(&socket, backlog);
    sys::awaited(socket)
}

/// `DEVTYPE` of an interface. In a namespace without its own `/sys` there is none, or another's of the same name.
fn device_type(device: &str) -> Option<String> {
    if device.contains('/') {
        return None;
    }
    let text = std::fs::read_to_string(format!("/sys/class/net/{device}/uevent")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("DEVTYPE=")).map(str::to_owned)
}
