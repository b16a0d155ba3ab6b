//! Network namespaces, entered by threads.
//!
//! Decides that only threads made for it live in another namespace: the caller's own is never changed, unless it asks
//! for that by [`Namespace::enter`]. Makes and removes no names under `/run/netns`; `ip netns` does.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::{self, JoinHandle};

use crate::sys;

/// A network namespace, kept alive.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// Where `ip netns` keeps names.
    pub const FOLDER: &str = "/run/netns";

    /// The namespace with a name of `ip netns`.
    ///
    /// # Errors
    /// There is no such name, or what has it is no network namespace (`InvalidData`).
    pub fn named(name: &str) -> io::Result<Self> {
        let file = File::open(Path::new(Self::FOLDER).join(name))?;
        let found = Self { file };
        // All namespaces live on one file system of the kernel; a plain file of that name does not.
        if found.id()?.0 != Self::current()?.id()?.0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a network namespace"));
        }
        Ok(found)
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// No `/proc`.
    pub fn current() -> io::Result<Self> {
        Ok(Self { file: File::open("/proc/thread-self/ns/net")? })
    }

    /// A new namespace without a name, gone when nobody is in it and this value is dropped.
    ///
    /// # Errors
    /// No CAP_SYS_ADMIN.
    pub fn fresh() -> io::Result<Self> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| sys::unshare().and_then(|()| Self::current()));
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }

    /// Device and inode: equal for the same namespace only.
    ///
    /// # Errors
    /// None are known.
    pub fn id(&self) -> io::Result<(u64, u64)> {
        let data = self.file.metadata()?;
        Ok((data.dev(), data.ino()))
    }

    /// Moves the calling thread in, for good. Threads it starts later are inside too.
    ///
    /// # Errors
    /// No CAP_SYS_ADMIN.
    pub fn enter(&self) -> io::Result<()> {
        sys::setns(self.file.as_fd())
    }

    /// Runs `f` inside, on a thread of its own, and waits for it.
    ///
    /// # Errors
    /// As [`Namespace::enter`]; if `f` panics.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| self.enter().map(|()| f()));
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }

    /// Starts a thread inside. It ends with an error if it cannot enter.
    ///
    /// # Errors
    /// No more threads or descriptors.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<io::Result<T>>> {
        let own = Self { file: self.file.try_clone()? };
        thread::Builder::new().name(name.to_owned()).spawn(move || own.enter().map(|()| f()))
    }
}
