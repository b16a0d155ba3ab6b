//! A real ssh session from a LAN host to the internet host: what is typed comes back, by `cat`.
//!
//! Decides where `sshd` has its keys and its user: in a mount namespace of its own, so that the machine's are untouched.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tq_linkmodel::Instant;
use tq_netlab::lab::finds;
use tq_netlab::names::Host;
use tq_udp::Clock;

use crate::lab::BondLab;
use crate::ping::{Pinger, Times};
use crate::process::{Running, output};
use crate::stop;

const QUICK: Duration = Duration::from_secs(10);
/// `$0` is the folder; it is at /mnt for the program that is then run.
const PRIVATE: &str = "mount --bind \"$0\" /mnt && mount -t tmpfs tmpfs /run && mkdir /run/sshd && \
    mount --bind /mnt/passwd /etc/passwd && exec \"$@\"";
const CONFIG: &str = "Port 22\nListenAddress 0.0.0.0\nHostKey /mnt/host\nPidFile none\nUsePAM no\nStrictModes no\n\
    PasswordAuthentication no\nPermitRootLogin yes\nAuthorizedKeysFile /mnt/client.pub\n";

/// A session that is asked all the time.
pub(super) struct Session {
    begun: Instant,
    asking: Pinger,
    /// After the asking, which has its pipes.
    client: Child,
    _server: Running,
}

/// What is typed and what is shown.
struct Pipes(ChildStdin, ChildStdout);

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer)
    }
}

impl Write for Pipes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Session {
    pub(super) fn start(lab: &BondLab, sshd: &Path) -> Result<Self> {
        for program in ["ssh", "ssh-keygen"] {
            ensure!(finds(program), "`{program}` is missing: apt-get install openssh-client");
        }
        let folder = lab.files.path("ssh");
        DirBuilder::new().mode(0o755).create(&folder)?;
        for key in ["host", "client"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key));
            output(command, QUICK)?;
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let own = if users.contains("\nsshd:") { "" } else { "sshd:x:74:74::/run/sshd:/bin/false\n" };
        fs::write(folder.join("passwd"), users + own)?;
        fs::write(folder.join("config"), CONFIG)?;
        let mut inside = lab.inside(Host::Internet);
        inside.args(["sh", "-c", PRIVATE]).arg(&folder).arg(sshd).args(["-D", "-e", "-f", "/mnt/config"]);
        if let Some(root) = sshd.ancestors().nth(3).filter(|root| *root != Path::new("/")) {
            // Unpacked: what it needs was unpacked beside it.
            inside.env("LD_LIBRARY_PATH", libraries(root));
        }
        let server = Running::start(inside, &lab.files.path("sshd.log"))?;
        let listens =
            || lab.says(Host::Internet, "ss -ltn").is_ok_and(|text| text.contains(":22 ")).then_some(());
        stop::poll(QUICK, listens)?.with_context(|| {
            let said = fs::read_to_string(lab.files.path("sshd.log")).unwrap_or_default();
            format!("sshd does not start: {}", said.trim())
        })?;
        let mut ssh = lab.inside(Host::Lan);
        ssh.args(["ssh", "-q", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-F", "none", "-i"]).arg(folder.join("client"));
        ssh.arg(format!("root@{}", lab.far(false))).arg("exec cat");
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut client = ssh.spawn().context("cannot start ssh")?;
        let pipes = Pipes(client.stdin.take().context("stdin")?, client.stdout.take().context("stdout")?);
        let asking = Pinger::over(pipes);
        let session = Self { begun: Clock::now(), asking, client, _server: server };
        let so = stop::poll(QUICK, || session.times().map(drop))?;
        so.with_context(|| {
            let said = fs::read_to_string(lab.files.path("sshd.log")).unwrap_or_default();
            format!("the session does not begin; sshd said: {}", said.lines().last().unwrap_or_default())
        })?;
        Ok(session)
    }

    /// Since when it is there.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// How long answers took.
    pub(super) fn times(&self) -> Option<Times> {
        self.asking.times(self.begun, Clock::now())
    }

    /// The slowest answers: when was asked, and how long they took, ms.
    pub(super) fn slowest(&self, count: usize) -> Vec<(Instant, f64)> {
        self.asking.slowest(count)
    }

    /// Whether it is there still.
    pub(super) fn finish(mut self) -> Result<()> {
        let ended = self.client.try_wait()?;
        ensure!(ended.is_none(), "ssh has ended: {ended:?}");
        let asking = std::mem::replace(&mut self.asking, Pinger::none());
        asking.finish()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// The folders of libraries below a root.
fn libraries(root: &Path) -> String {
    let below = |folder: &str| fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    let all = ["lib", "usr/lib"].into_iter().flat_map(below).map(|entry| entry.path().display().to_string());
    all.collect::<Vec<_>>().join(":")
}
