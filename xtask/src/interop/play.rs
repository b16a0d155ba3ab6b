//! One cell, played: server, relay and client are started, watched and stopped, files compared, traces judged.
//!
//! Logs stay where something went wrong, and elsewhere only if asked for. A cell that fails is played once more; that it took
//! two attempts is part of the result.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::evidence::{self, Qlog, Relay, Traces};
use super::matrix::{Case, Cell, Named, Stack};
use super::programs::{Doors, Programs};
use crate::run::{POLL, Process, Watch};

#[cfg(test)]
mod tests;

/// Exit status of a stack that cannot play a case.
const UNSUPPORTED: i32 = 127;
/// How long a program may take to end when it is told to.
const GOODBYE: Duration = Duration::from_secs(3);
/// After which time the relay's summary is up to date.
const RENEWED: Duration = Duration::from_millis(60);
/// Where that is.
const SUMMARY: &str = "relay.json";
/// Lines of each log that are shown of a failure.
const LINES: usize = 12;

/// How a cell went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Only the second attempt passed; this is why the first did not.
    Flaky(String),
    Fail(String),
    /// It failed by a defect of the peer that is known and left this trace.
    PeersFault(&'static str),
    /// The peer's stack cannot play the case.
    Unsupported,
    /// Ours cannot.
    NotYet,
}

/// A cell and how it went.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) cell: Cell,
    pub(super) verdict: Verdict,
    /// Of the last attempt.
    pub(super) took: Duration,
    /// Kilobits of files per second, if that is what the cell measures.
    pub(super) kbit_s: Option<u64>,
    /// Where the logs of failures are.
    pub(super) logs: Vec<PathBuf>,
}

/// Plays a cell, if need be twice.
pub(super) fn play(cell: Cell, programs: &Programs) -> Played {
    let folder = programs.folder.join(cell.to_string());
    let first = programs.folder.join(format!("{cell}-first"));
    // A folder that cannot be removed is found out when it is made.
    let _ = fs::remove_dir_all(&first);
    let (verdict, took, kbit_s) = attempt(cell, programs, &folder);
    let Verdict::Fail(why) = verdict else {
        return Played { cell, verdict, took, kbit_s, logs: Vec::new() };
    };
    if fs::rename(&folder, &first).is_err() {
        return Played { cell, verdict: Verdict::Fail(why), took, kbit_s, logs: vec![folder] };
    }
    let (again, took, kbit_s) = attempt(cell, programs, &folder);
    match again {
        Verdict::Pass => Played { cell, verdict: Verdict::Flaky(why), took, kbit_s, logs: vec![first] },
        verdict => Played { cell, verdict, took, kbit_s, logs: vec![folder, first] },
    }
}

fn attempt(cell: Cell, programs: &Programs, folder: &Path) -> (Verdict, Duration, Option<u64>) {
    let watch = Watch::start();
    let rate = RefCell::new(None);
    let attempt = Attempt::new(cell, programs, folder, &rate);
    let verdict = match attempt.and_then(|attempt| attempt.run(&watch)) {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Fail(format!("{error:#}")),
    };
    if !programs.keep && !matches!(verdict, Verdict::Fail(_)) {
        // What stays behind takes place, nothing more.
        let _ = fs::remove_dir_all(folder);
    }
    let kbit_s = rate.take().filter(|_| verdict == Verdict::Pass);
    (verdict, watch.elapsed(), kbit_s)
}

struct Attempt<'a> {
    cell: Cell,
    programs: &'a Programs,
    folder: &'a Path,
    doors: Doors,
    kbit_s: &'a RefCell<Option<u64>>,
}

impl<'a> Attempt<'a> {
    fn new(
        cell: Cell,
        programs: &'a Programs,
        folder: &'a Path,
        kbit_s: &'a RefCell<Option<u64>>,
    ) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        for name in ["downloads", "qlog-client", "qlog-server"] {
            let folder = folder.join(name);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let doors = Doors::find().context("no free port")?;
        Ok(Self { cell, programs, folder, doors, kbit_s })
    }

    /// Plays it; whatever comes of it, programs end by themselves if they can, so that logs are whole.
    fn run(&self, watch: &Watch) -> Result<Verdict> {
        let server = self.programs.server(self.cell, self.doors);
        let (mut server, at) = match self.listening(server, "server", self.cell.pair.server, watch)? {
            Started::Listening(server, at) => (server, at),
            Started::Ended(status) => return self.ended(status, "server", self.cell.pair.server),
        };
        let verdict = self.relayed(&at, watch);
        let ended = server.0.try_wait()?;
        server.stop("TERM", GOODBYE)?;
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => return self.peers_fault().ok_or(error),
        };
        if let Some(status) = ended {
            bail!("the server ended early ({status})");
        }
        if verdict != Verdict::Pass {
            return Ok(verdict);
        }
        let contradiction = evidence::contradiction(self.cell, &self.traces()?);
        Ok(contradiction.map_or(Verdict::Pass, Verdict::Fail))
    }

    /// Runs clients, through the relay if the cell has one.
    fn relayed(&self, server: &str, watch: &Watch) -> Result<Verdict> {
        if !self.cell.relayed() {
            return self.fetch_all(server, watch);
        }
        let (also, mut rival) = match self.cell.case {
            Case::CrossTraffic => {
                let (process, at) =
                    self.helper(self.programs.rivals_server(self.cell), "rivals-server", watch)?;
                (Some(at), vec![process])
            }
            Case::ConnectionMigration if self.cell.pair.server == Stack::Ours => {
                (Some(self.doors.server.to_string()), Vec::new())
            }
            // Behind both doors is the same server.
            _ => (self.cell.two_doors().then(|| server.to_owned()), Vec::new()),
        };
        let also = also.as_deref().map(|at| (self.doors.relay, at));
        let command = self.programs.relay(self.cell, server, also, &self.folder.join(SUMMARY));
        let (relay, at) = self.helper(command, "relay", watch)?;
        if self.cell.case == Case::CrossTraffic {
            rival.push(self.rival(self.doors.relay)?);
        }
        let verdict = self.fetch_all(&at, watch);
        let ended = rival.iter_mut().find_map(|process| process.0.try_wait().transpose()).transpose()?;
        drop(rival);
        relay.stop("INT", GOODBYE)?;
        match ended {
            Some(status) if verdict.is_ok() => bail!("the flow beside it ended early ({status})"),
            _ => verdict,
        }
    }

    /// Starts what listens and belongs to nobody.
    fn helper(&self, command: Command, name: &str, watch: &Watch) -> Result<(Process, String)> {
        match self.listening(command, name, Stack::Quinn, watch)? {
            Started::Listening(process, at) => Ok((process, at)),
            Started::Ended(status) => bail!("the {name} ended at once ({status})"),
        }
    }

    /// Starts the client of a flow that takes its share of the link.
    fn rival(&self, door: SocketAddr) -> Result<Process> {
        let downloads = self.folder.join("rival");
        fs::create_dir_all(&downloads)?;
        let mut command = self.programs.rival(self.cell, door, &downloads);
        self.observe(&mut command, "rival", Stack::Quinn)?;
        Process::start(&mut command)
    }

    /// Runs the client as often as the cell wants it, and then until the link was not clean.
    fn fetch_all(&self, to: &str, watch: &Watch) -> Result<Verdict> {
        let mut left = self.cell.runs();
        while left > 0 || !self.impaired()? {
            match self.fetch(to, watch)? {
                Fetched::All => left = left.saturating_sub(1),
                Fetched::Refused => {}
                Fetched::None(verdict) => return Ok(verdict),
            }
            if left == 0 && self.cell.impaired() {
                std::thread::sleep(RENEWED);
            }
        }
        Ok(Verdict::Pass)
    }

    /// Whether the relay did already what the link is called after.
    fn impaired(&self) -> Result<bool> {
        if !self.cell.impaired() {
            return Ok(true);
        }
        Ok(Relay::load(&self.folder.join(SUMMARY))?.impaired(self.cell))
    }

    /// Starts what says in the first line of its output where it listens.
    fn listening(&self, mut command: Command, name: &str, stack: Stack, watch: &Watch) -> Result<Started> {
        let out = self.folder.join(format!("{name}.out"));
        command.stdout(File::create(&out)?);
        self.observe(&mut command, name, stack)?;
        let mut process = Process::start(&mut command)?;
        loop {
            let text = fs::read_to_string(&out)?;
            if let Some(at) = address(&text) {
                return Ok(Started::Listening(process, at));
            }
            if let Some(status) = process.0.try_wait()? {
                return Ok(Started::Ended(status));
            }
            if watch.elapsed() > self.cell.limit() {
                bail!("the {name} did not say where it listens within {:?}", self.cell.limit());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Runs the client once.
    fn fetch(&self, to: &str, watch: &Watch) -> Result<Fetched> {
        let downloads = self.folder.join("downloads");
        let mut command = self.programs.client(self.cell, to, &downloads);
        self.observe(&mut command, "client", self.cell.pair.client)?;
        let begun = Watch::start();
        let mut client = Process::start(&mut command)?;
        let Some(status) = client.wait_until(watch, self.cell.limit())? else {
            client.stop("TERM", GOODBYE)?;
            bail!("not done within {:?}", self.cell.limit());
        };
        if !status.success() {
            if evidence::may_be_refused(self.cell, &fs::read_to_string(self.folder.join("client.log"))?) {
                return Ok(Fetched::Refused);
            }
            return self.ended(status, "client", self.cell.pair.client).map(Fetched::None);
        }
        if matches!(self.cell.case, Case::Goodput | Case::CrossTraffic) {
            let bytes: usize = self.cell.files().iter().map(|(_, size)| size).sum();
            let kbit_s = bytes as f64 * 8e-3 / begun.elapsed().as_secs_f64();
            self.kbit_s.replace(Some(kbit_s as u64));
        }
        if self.cell.case != Case::Datagram {
            self.compare(&downloads)?;
        }
        Ok(Fetched::All)
    }

    /// Errors go to `NAME.log`; ours leave qlog and secrets, too.
    fn observe(&self, command: &mut Command, name: &str, stack: Stack) -> Result<()> {
        let log = self.folder.join(format!("{name}.log"));
        command.stderr(OpenOptions::new().append(true).create(true).open(log)?);
        command.env_remove("QLOGDIR").env_remove("SSLKEYLOGFILE");
        if stack == Stack::Ours {
            command.env("QLOGDIR", self.folder.join(format!("qlog-{name}")));
            command.env("SSLKEYLOGFILE", self.folder.join(format!("{name}.keylog")));
        }
        Ok(())
    }

    /// Whether all files came as they are, and leaves none of them for the next run.
    fn compare(&self, downloads: &Path) -> Result<()> {
        let www = self.programs.www(self.cell);
        for (name, size) in self.cell.files() {
            let file = downloads.join(&name);
            let got = fs::read(&file).with_context(|| format!("{name} was not fetched"))?;
            let sent = fs::read(www.join(&name))?;
            if got != sent {
                let at = got.iter().zip(&sent).take_while(|(a, b)| a == b).count();
                bail!("{name} differs from byte {at} on; {} of {size} bytes came", got.len());
            }
            fs::remove_file(&file)?;
        }
        Ok(())
    }

    /// The verdict over a program that ended with anything but success.
    fn ended(&self, status: ExitStatus, role: &str, stack: Stack) -> Result<Verdict> {
        if status.code() == Some(UNSUPPORTED) {
            return Ok(if stack == Stack::Ours { Verdict::NotYet } else { Verdict::Unsupported });
        }
        bail!("the {role} ({}) ended with {status}", stack.name())
    }

    /// Whether a failure is explained by what is known of the peer.
    fn peers_fault(&self) -> Option<Verdict> {
        let relay = Relay::load(&self.folder.join(SUMMARY)).ok()?;
        let client = (self.cell.pair.client == Stack::Ours).then(|| self.ours("client").ok()).flatten();
        let log = fs::read_to_string(self.folder.join("client.log")).unwrap_or_default();
        let fault = evidence::peers_fault(self.cell, &relay, client.as_ref());
        fault.or_else(|| evidence::peers_word(self.cell, &log)).map(Verdict::PeersFault)
    }

    fn traces(&self) -> Result<Traces> {
        let log = |stack, role: &str| {
            (stack == Stack::Ours).then(|| self.ours(role)).transpose().with_context(|| format!("our {role}"))
        };
        let relay = self.cell.relayed().then(|| Relay::load(&self.folder.join(SUMMARY)));
        Ok(Traces {
            relay: relay.transpose()?,
            client: log(self.cell.pair.client, "client")?,
            server: log(self.cell.pair.server, "server")?,
        })
    }

    /// What our end in this role left behind.
    fn ours(&self, role: &str) -> Result<Qlog> {
        let secrets = fs::read_to_string(self.folder.join(format!("{role}.keylog"))).context("no key log")?;
        if !secrets.lines().any(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) {
            bail!("the key log has no CLIENT_TRAFFIC_SECRET_0");
        }
        Qlog::load(&self.folder.join(format!("qlog-{role}")))
    }
}

/// What a client brought.
enum Fetched {
    All,
    /// It was turned away, as it may be; that run does not count.
    Refused,
    /// Its stack cannot play the case.
    None(Verdict),
}

/// What became of a program that should listen.
enum Started {
    Listening(Process, String),
    Ended(ExitStatus),
}

/// The last word of a first line that is complete.
fn address(output: &str) -> Option<String> {
    let (line, _) = output.split_once('\n')?;
    line.split_whitespace().last().map(str::to_owned)
}

/// The last lines of every log in a folder.
pub(super) fn tail(folder: &Path) -> String {
    let mut text = String::new();
    for name in ["client.log", "server.log", "relay.log"] {
        let Ok(log) = fs::read(folder.join(name)) else { continue };
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            text.push_str(&format!("      {name}: {line}\n"));
        }
    }
    text
}
