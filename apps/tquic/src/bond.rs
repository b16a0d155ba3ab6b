//! What a running daemon tells and does: `status`, `path`, `link`, `tenant`, `monitor`, `ss`, `stats`.
//!
//! The words are those of `ip mptcp` where they mean the same. Everything is asked over the daemon's socket; with `-j` its
//! answer is passed on as it came.

mod qr;
mod show;
mod words;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tq_control::{Client, Method, model};
use words::Words;

use crate::exit::{Usage, say};

const RUN: &str = "/run/tquic";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// How a daemon stands: session, links, traffic.
    Status(Ask),
    /// Paths: show; add dev DEVICE|local ADDRESS [backup]; set ID standby|available; del ID.
    Path(Object),
    /// Links of a router: show; add NAME dev DEVICE|local ADDRESS [cost flat|metered] [cap RATE] [weight N] [priority N]
    /// [backup]; set NAME [up|down] [cost flat|metered] [cap RATE|nocap] [weight N|noweight] [priority N]
    /// [backup|nobackup]; del NAME. A RATE is 20mbit, or 20 Mbit/s; priority 0 comes first.
    Link(Object),
    /// Tenants of a server: show; add TENANT [dev DEVICE] [expires 7d]; rotate TENANT [dev DEVICE] [expires 7d];
    /// revoke TENANT [dev DEVICE].
    Tenant(Object),
    /// What happens from now on: everything, or [session|path|link|tenant].
    Monitor(Object),
    /// Connections, with -i their paths.
    Ss(Sockets),
    /// Counters since the daemon's start, in two lines.
    Stats(Ask),
}

/// Which daemon, and how it is told.
#[derive(Args)]
pub(crate) struct Ask {
    /// The daemon's name; needed if several run here.
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    /// Its socket, if it is not /run/tquic/NAME.sock.
    #[arg(long, value_name = "FILE", env = "TQUIC_SOCKET", conflicts_with = "name")]
    socket: Option<PathBuf>,
    /// As JSON.
    #[arg(short, long)]
    pub(crate) json: bool,
}

/// Something, and what to do with it.
#[derive(Args)]
pub(crate) struct Object {
    /// What to do; `show` unless told.
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
    #[command(flatten)]
    ask: Ask,
}

/// As `ss` has it.
#[derive(Args)]
pub(crate) struct Sockets {
    /// Show each path's round trip, window and rate.
    #[arg(short, long)]
    info: bool,
    #[command(flatten)]
    ask: Ask,
}

pub(crate) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Status(ask) => ask.show("status", show::status).await,
        Command::Stats(ask) => ask.show("stats", show::stats).await,
        Command::Ss(Sockets { info, ask }) => {
            ask.show("connections", |all| show::connections(all, info)).await
        }
        Command::Path(Object { words, ask }) => path(Words::new(words), &ask).await,
        Command::Link(Object { words, ask }) => link(Words::new(words), &ask).await,
        Command::Tenant(Object { words, ask }) => tenant(Words::new(words), &ask).await,
        Command::Monitor(Object { words, ask }) => monitor(Words::new(words), &ask).await,
    }
}

async fn path(mut words: Words, ask: &Ask) -> Result<()> {
    match words.verb(&["show", "add", "set", "del"])? {
        "show" => {
            words.end()?;
            ask.show("paths", show::paths).await
        }
        "add" => {
            let link = words.link()?;
            let name = link.device.clone().or(link.address.clone()).unwrap_or_default();
            words.end()?;
            ask.tell(Method::Post, &format!("links/{name}"), &link).await
        }
        "set" => {
            let id: u64 = words.number("ID")?;
            let status = words.one_of(&["standby", "available"])?.to_owned();
            words.end()?;
            ask.tell(Method::Patch, &format!("paths/{id}"), &model::SetPath { status }).await
        }
        _ => {
            let id: u64 = words.number("ID")?;
            words.end()?;
            ask.tell(Method::Delete, &format!("paths/{id}"), &()).await
        }
    }
}

async fn link(mut words: Words, ask: &Ask) -> Result<()> {
    match words.verb(&["show", "add", "set", "del"])? {
        "show" => {
            words.end()?;
            ask.show("links", show::links).await
        }
        "add" => {
            let name = words.name("NAME")?;
            let link = words.link()?;
            words.end()?;
            ask.tell(Method::Post, &format!("links/{name}"), &link).await
        }
        "set" => {
            let name = words.name("NAME")?;
            let change = words.change()?;
            words.end()?;
            ask.tell(Method::Patch, &format!("links/{name}"), &change).await
        }
        _ => {
            let name = words.name("NAME")?;
            words.end()?;
            ask.tell(Method::Delete, &format!("links/{name}"), &()).await
        }
    }
}

async fn tenant(mut words: Words, ask: &Ask) -> Result<()> {
    let verb = words.verb(&["show", "list", "add", "rotate", "revoke", "del"])?;
    if ["show", "list"].contains(&verb) {
        words.end()?;
        return ask.show("tenants", show::tenants).await;
    }
    let tenant = words.name("TENANT")?;
    let (device, expires_in_s) = words.device()?;
    words.end()?;
    match verb {
        "add" | "rotate" => {
            let device = device.unwrap_or_else(|| "router".into());
            let rotate = if verb == "rotate" { "/rotate" } else { "" };
            let what = format!("tenants/{tenant}/{device}{rotate}");
            let token: model::NewToken =
                ask.client()?.ask(Method::Post, &what, &model::AddTenant { expires_in_s }).await?;
            if ask.json {
                return say(&serde_json::to_string(&token)?);
            }
            say(&token.token)?;
            // Only where a camera may see it.
            let code = std::io::stdout().is_terminal().then(|| qr::qr(&token.token)).flatten();
            code.map_or(Ok(()), |code| say(&code))
        }
        _ if expires_in_s.is_some() => Err(Usage("nothing expires that is revoked".into()).into()),
        _ => {
            let device = device.map(|device| format!("/{device}")).unwrap_or_default();
            let what = format!("tenants/{tenant}{device}");
            let revoked: model::Revoked = ask.client()?.ask(Method::Delete, &what, &()).await?;
            if ask.json {
                return say(&serde_json::to_string(&revoked)?);
            }
            let ended = revoked.sessions_ended;
            say(&format!("revoked {}; {ended} sessions ended", revoked.revoked.join(", ")))
        }
    }
}

async fn monitor(mut words: Words, ask: &Ask) -> Result<()> {
    let object = words.next_if(&["session", "path", "link", "tenant", "daemon"]).map(str::to_owned);
    words.end()?;
    let mut events = ask.client()?.events().await?;
    while let Some(event) = events.next().await? {
        if object.as_ref().is_none_or(|object| *object == event.object) {
            say(&if ask.json { serde_json::to_string(&event)? } else { show::event(&event) })?;
        }
    }
    Ok(())
}

impl Ask {
    /// Prints an answer.
    async fn show<T: DeserializeOwned + Serialize>(
        &self,
        what: &str,
        show: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        if self.json {
            // Passed on whole: a daemon may know more than this tool.
            let answer: serde_json::Value = self.client()?.get(what).await?;
            return say(&answer.to_string());
        }
        let answer = self.client()?.get(what).await?;
        say(show(&answer).trim_end())
    }

    /// Has something done.
    async fn tell(&self, method: Method, what: &str, body: &impl Serialize) -> Result<()> {
        let done: model::Done = self.client()?.ask(method, what, body).await?;
        if self.json { say(&serde_json::to_string(&done)?) } else { Ok(()) }
    }

    /// The daemon that is asked.
    pub(crate) fn client(&self) -> Result<Client> {
        let socket = match (&self.socket, &self.name) {
            (Some(socket), _) => socket.clone(),
            (None, Some(name)) => tq_control::socket_path(name),
            (None, None) => only_one(Path::new(RUN))?,
        };
        Ok(Client::new(&socket))
    }
}

/// The socket of the one daemon that runs here.
fn only_one(folder: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "sock") {
            found.push(path);
        }
    }
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => {
            let why = format!("no daemon has a socket in {}: is tquicd running?", folder.display());
            Err(crate::exit::Unreachable(why).into())
        }
        several => {
            let names = several.iter().filter_map(|path| path.file_stem()?.to_str());
            let names = names.collect::<Vec<_>>().join(", ");
            Err(Usage(format!("several daemons run here: say which with --name, of {names}")).into())
        }
    }
}
