//! A bond without root: the same two daemons on loopback, emulated links between them, SOCKS5 in front.
//!
//! Decides where everything listens and that a killed run's daemons are ended by the next. Beginning with its own address,
//! 127.0.0.2 and on, each of the router's links is known to the [`relay`].

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tq_control::{Method, model};
use tq_netlab::control::Wanted;
use tq_netlab::process::Known;

use self::relay::Relay;
use crate::daemon::{Control, Files, ServerWords};
use crate::place::{Carried, LinkFacts, Place};
use crate::process::Running;
use crate::{stop, web};

mod relay;

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const PREFIX: &str = "tq-demo-";
const PATIENCE: Duration = Duration::from_secs(20);

/// A bond on loopback. Gone with its value.
pub struct Loopback {
    links: Vec<LinkFacts>,
    relay: Relay,
    files: Files,
    folder: PathBuf,
    web: SocketAddr,
    echo: SocketAddr,
    socks: SocketAddr,
    router: Option<Running>,
    server: Option<Running>,
    at_router: Control,
}

/// Who a folder belongs to, for the next run.
#[derive(Deserialize, Serialize)]
struct Owner {
    owner: Known,
    daemons: Vec<Known>,
}

impl Loopback {
    /// Starts everything; `served` is the folder of files.
    pub fn up(links: Vec<LinkFacts>, served: &Path) -> Result<Self> {
        remove_stale();
        ensure!(
            tq_netlab::lab::finds("curl"),
            "`curl` is missing: install it (apt-get install curl, as root) and run this again"
        );
        let folder = parent().join(format!("{PREFIX}{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).with_context(|| folder.display().to_string())?;
        let made = Self::raise(links, served, &folder);
        if made.is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        made
    }

    fn raise(links: Vec<LinkFacts>, served: &Path, folder: &Path) -> Result<Self> {
        let [web, echo] = [(); 2].map(|()| TcpListener::bind((HERE, 0)));
        let (web, echo) = (web?, echo?);
        let [at_web, at_echo] = [web.local_addr()?, echo.local_addr()?];
        web::serve(web, served);
        web::echo(echo);
        let files = Files::new(folder)?;
        let listen = SocketAddr::from((HERE, free_port()?));
        let relay = Relay::start(&links, listen)?;
        let socks = SocketAddr::from((HERE, free_port()?));
        let allow = [at_web, at_echo].map(|at| format!("{} port {}", at.ip(), at.port()));
        files.server(&ServerWords {
            listen: listen.to_string(),
            address: HERE.to_string(),
            port: relay.port(),
            allow: allow.to_vec(),
        })?;
        let mut words = String::new();
        for (i, link) in links.iter().enumerate() {
            writeln!(words, "[[link]]\nname = {:?}\naddress = \"{}\"", link.name, relay::address(i))?;
        }
        writeln!(words, "[tcp]\nsocks5 = [\"{socks}\"]")?;
        files.router(&words)?;
        let mut server = files.start("server", Command::new("env"))?;
        note(folder, &[&server])?;
        files.invite(&mut server)?;
        let mut router = files.start("router", Command::new("env"))?;
        note(folder, &[&server, &router])?;
        files.await_bond(&mut router, links.len())?;
        let at_router = files.control("router")?;
        let (router, server, folder) = (Some(router), Some(server), folder.to_owned());
        Ok(Self { links, relay, files, folder, web: at_web, echo: at_echo, socks, router, server, at_router })
    }

    /// What one may try while it runs.
    pub fn hints(&self) -> Vec<String> {
        let (tquic, socket) = (self.files.programs.join("tquic"), self.files.path("router.sock"));
        vec![
            format!("curl --proxy socks5h://{} -o /dev/null {}", self.socks, self.url("bond")),
            format!("{} status --socket {}", tquic.display(), socket.display()),
            format!("{} ss -i --socket {}", tquic.display(), socket.display()),
        ]
    }
}

impl Place for Loopback {
    fn links(&self) -> &[LinkFacts] {
        &self.links
    }

    fn carried(&self) -> Result<Vec<Carried>> {
        Ok(self.relay.carried())
    }

    fn change(&self, link: usize, change: Wanted) -> Result<()> {
        self.relay.change(link, change);
        Ok(())
    }

    /// The bond's other links are taken out of use.
    fn only(&self, link: Option<usize>) -> Result<()> {
        // On first: a bond has at least one.
        for on in [true, false] {
            for (i, facts) in self.links.iter().enumerate() {
                let up = link.is_none_or(|link| link == i);
                if up == on {
                    let change = model::SetLink { up: Some(up), ..model::SetLink::default() };
                    let path = format!("links/{}", facts.name);
                    let _: model::Done = self.at_router.ask(Method::Patch, &path, &change)?;
                }
            }
        }
        let wanted = if link.is_some() { 1 } else { self.links.len() };
        let so = stop::poll(PATIENCE, || (self.at_router.links_up() == wanted).then_some(()))?;
        so.with_context(|| format!("the bond does not have {wanted} of its links after {PATIENCE:?}"))
    }

    fn curl(&self) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--noproxy", "", "--proxy"]);
        command.arg(format!("socks5h://{}", self.socks));
        command
    }

    fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.web)
    }

    fn dial(&self) -> Result<TcpStream> {
        let mut tcp = TcpStream::connect(self.socks)?;
        let mut answer = [0; 10];
        tcp.write_all(&[5, 1, 0])?;
        tcp.read_exact(&mut answer[..2])?;
        let [high, low] = self.echo.port().to_be_bytes();
        tcp.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low])?;
        tcp.read_exact(&mut answer)?;
        ensure!(answer[1] == 0, "the bond does not connect: code {}", answer[1]);
        Ok(tcp)
    }

    fn router(&self) -> &Control {
        &self.at_router
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        for mut running in [self.router.take(), self.server.take()].into_iter().flatten() {
            running.end("TERM", Duration::from_secs(5));
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn parent() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn note(folder: &Path, daemons: &[&Running]) -> Result<()> {
    let owner = Known::of(std::process::id()).context("who are we?")?;
    let daemons = daemons.iter().filter_map(|running| Known::of(running.id())).collect();
    Ok(fs::write(folder.join("owner.json"), serde_json::to_vec(&Owner { owner, daemons })?)?)
}

/// What killed runs have left: their daemons and folders.
fn remove_stale() {
    let Ok(entries) = fs::read_dir(parent()) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        let Some(text) = named.then(|| fs::read(path.join("owner.json")).ok()).flatten() else { continue };
        let Ok(Owner { owner, daemons }) = serde_json::from_slice(&text) else { continue };
        if !owner.lives() {
            daemons.into_iter().for_each(Known::end);
            // Somebody else's stays.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// A port nobody has now, below those that the kernel gives to connections.
fn free_port() -> Result<u16> {
    let first = 20_000 + u16::try_from(std::process::id() % 100)? * 100;
    let free =
        |port: &u16| TcpListener::bind((HERE, *port)).is_ok() && UdpSocket::bind((HERE, *port)).is_ok();
    (first..first + 2_000).find(free).context("no free port of loopback between 20000 and 32000")
}
