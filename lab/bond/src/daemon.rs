//! Both daemons of a bond: their files, their start with a real token, and what they tell.
//!
//! Decides how a lab's daemons are configured. What they do is theirs.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use tq_control::{Client, Method, model};

use crate::process::{Running, output};
use crate::stop;

/// How long a daemon may take to begin, and a bond to have all its paths.
const START: Duration = Duration::from_secs(20);

/// A daemon's socket, asked and waited for.
#[derive(Debug)]
pub struct Control {
    client: Client,
    runtime: Runtime,
}

impl Control {
    /// Of the daemon at this socket.
    pub fn new(socket: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client: Client::new(socket), runtime })
    }

    /// Asks for something to be told.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(self.runtime.block_on(self.client.get(path))?)
    }

    /// Asks for something to be done.
    pub fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T> {
        Ok(self.runtime.block_on(self.client.ask(method, path, body))?)
    }

    /// How many links carry a path.
    pub fn links_up(&self) -> usize {
        let status: Result<model::Status> = self.get("status");
        status.map_or(0, |status| status.links.iter().filter(|link| link.state == "up").count())
    }

    /// Sessions a router has had so far, and whether one is there now.
    pub fn sessions(&self) -> Option<(u64, bool)> {
        let status: model::Status = self.get("status").ok()?;
        status.session.map(|session| (session.sessions, session.state == "connected"))
    }
}

/// Where the programs are and where a bond's files go.
#[derive(Clone, Debug)]
pub struct Files {
    /// The folder of `tquicd` and `tquic`.
    pub programs: PathBuf,
    /// Of configurations, state, sockets and logs; only we can read it.
    pub folder: PathBuf,
    /// Both ends' scheduler, instead of the daemon's own choice.
    pub scheduler: Option<String>,
}

/// A server's configuration, beyond its folder.
#[derive(Clone, Debug)]
pub struct ServerWords {
    /// Where it listens.
    pub listen: String,
    /// Where routers find it.
    pub address: String,
    /// At which port.
    pub port: u16,
    /// What tenants may reach of what they usually may not.
    pub allow: Vec<String>,
}

impl Files {
    /// The programs beside our own, and this folder.
    pub fn new(folder: &Path) -> Result<Self> {
        let own = std::env::current_exe()?;
        let programs = own.parent().context("no folder")?.to_owned();
        for program in ["tquicd", "tquic"] {
            ensure!(
                programs.join(program).is_file(),
                "{program} is not in {}: cargo build --release -p tquicd -p tquic -p tq-bond-lab",
                programs.display()
            );
        }
        Ok(Self { programs, folder: folder.to_owned(), scheduler: None })
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A daemon's socket.
    pub fn control(&self, name: &str) -> Result<Control> {
        Control::new(&self.path(&format!("{name}.sock")))
    }

    /// Writes the server's configuration.
    pub fn server(&self, words: &ServerWords) -> Result<PathBuf> {
        let mut text = self.common("server");
        let ServerWords { listen, address, port, allow } = words;
        writeln!(text, "[server]\nlisten = [{listen:?}]\naddresses = [{address:?}]\nport = {port}")?;
        writeln!(text, "[egress]\nallow = {allow:?}")?;
        self.write("server.toml", &text)
    }

    /// Writes the router's configuration, of which `words` is all but the token and the folder.
    pub fn router(&self, words: &str) -> Result<PathBuf> {
        let text =
            format!("{}[router]\ntoken_file = {:?}\n{words}", self.common("router"), self.path("token"));
        self.write("router.toml", &text)
    }

    fn common(&self, name: &str) -> String {
        let (state, socket) = (self.path(name), self.path(&format!("{name}.sock")));
        let own = self.scheduler.as_ref().map(|name| format!("transport = {{ scheduler = {name:?} }}\n"));
        format!("state = {state:?}\ncontrol = {{ socket = {socket:?} }}\n{}", own.unwrap_or_default())
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// `tquicd run FILE`, started by `inside`, which is where a command is put to be run at that end.
    pub fn start(&self, name: &str, mut inside: Command) -> Result<Running> {
        inside.arg(self.programs.join("tquicd")).arg("run").arg(self.path(&format!("{name}.toml")));
        Running::start(inside, &self.log(name))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.log"))
    }

    /// `tquic tenant add`: a token in a file of its own.
    pub fn invite(&self, server: &mut Running) -> Result<()> {
        let control = self.control("server")?;
        self.wait("server", server, "answer", || control.get::<model::Status>("status").is_ok())?;
        let mut command = Command::new(self.programs.join("tquic"));
        command.args(["tenant", "add", "lab", "dev", "router", "--socket"]).arg(self.path("server.sock"));
        let token = output(command, START)?;
        let path = self.path("token");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(file.write_all(token.as_bytes())?)
    }

    /// Waits until the router has a path over each of `links` links.
    pub fn await_bond(&self, router: &mut Running, links: usize) -> Result<()> {
        let control = self.control("router")?;
        self.wait("router", router, "have all its paths", || control.links_up() == links)
    }

    fn wait(
        &self,
        name: &str,
        running: &mut Running,
        what: &str,
        mut so: impl FnMut() -> bool,
    ) -> Result<()> {
        let mut gone = false;
        let done = stop::poll(START, || {
            gone = running.ended().is_some();
            (gone || so()).then_some(())
        })?;
        if done.is_none() || gone {
            let log = fs::read_to_string(self.log(name)).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(5).collect();
            let last: Vec<_> = last.into_iter().rev().collect();
            let how = if gone { "ended".to_owned() } else { format!("did not {what} within {START:?}") };
            bail!("the {name}'s tquicd {how}; it said: {}", last.join(" / "));
        }
        Ok(())
    }
}
