//! Network namespaces without names, entered by threads, for what needs a kernel. Where privileges or programs are
//! missing the tests say so and pass.
#![allow(dead_code, reason = "each test uses a part")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

/// A network namespace, gone with the last thread in it and this value.
pub(crate) struct Net {
    file: File,
}

impl Net {
    /// A fresh one with loopback up, or nothing where that cannot be.
    pub(crate) fn fresh() -> Option<Self> {
        let made = std::thread::spawn(|| {
            // SAFETY: concerns only the namespace of this thread.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return None;
            }
            let file = File::open("/proc/thread-self/ns/net").unwrap();
            runs("ip link set lo up").then_some(Self { file })
        });
        let made = made.join().unwrap();
        if made.is_none() {
            eprintln!("skipped: needs root, network namespaces and `ip`");
        }
        made
    }

    /// Runs `f` inside, on a thread of its own.
    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|threads| {
            let thread = threads.spawn(|| {
                // SAFETY: concerns only the namespace of this thread; the descriptor is open.
                assert_eq!(unsafe { libc::setns(self.file.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
                f()
            });
            thread.join().unwrap()
        })
    }

    /// Runs commands inside.
    pub(crate) fn commands(&self, lines: &[&str]) {
        self.run(|| lines.iter().for_each(|line| assert!(runs(line), "{line}")));
    }

    /// What a command prints inside.
    pub(crate) fn says(&self, line: &str) -> String {
        self.run(|| says(line))
    }

    /// A cable from `device` here to `peer` in another namespace, both up.
    pub(crate) fn cable(&self, device: &str, other: &Self, peer: &str) {
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.file.as_raw_fd());
        self.commands(&[
            &format!("ip link add {device} type veth peer name {peer} netns {path}"),
            &format!("ip link set {device} up"),
        ]);
        other.commands(&[&format!("ip link set {peer} up")]);
    }
}

fn command(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}

/// Whether a command succeeds in this thread's namespace.
pub(crate) fn runs(line: &str) -> bool {
    command(line).status().is_ok_and(|status| status.success())
}

/// What a command prints in this thread's namespace.
pub(crate) fn says(line: &str) -> String {
    let output = command(line).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs a future to its end on this thread.
pub(crate) fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What a future yields; it has ten seconds.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("nothing happened for ten seconds")
}
