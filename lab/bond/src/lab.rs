//! A bond in namespaces: LAN host, router, three links, server, internet host, and `tquicd` at both ends.
//!
//! Decides what is added to a lab of `tq-netlab`: IPv6 on both sides, daemons and servers; and that everything goes when
//! the owner does. A second start of the same lab removes what a killed one has left.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tq_netlab::control::{self, Request, Wanted, Ways};
use tq_netlab::emulator::books::Books;
use tq_netlab::lab::{self as netlab, Lab};
use tq_netlab::names::{self, Host, LabName};
use tq_netlab::process::Known;
use tq_netlab::topology;

use crate::daemon::{Control, Files, ServerWords};
use crate::place::{Carried, LinkFacts, Place};
use crate::process::{Running, output};
use crate::stop;
use crate::web::{self, Uploads};

/// The folder of all labs' files.
const PARENT: &str = "/run/tqbond";
/// Of the daemon's rules, marks and tables: away from the lab's own tables.
const INSTANCE: usize = 20;
const QUICK: Duration = Duration::from_secs(10);
/// LAN host and router; internet host and server.
const V6: [[Ipv6Addr; 2]; 2] = [
    [Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, 2), Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, 1)],
    [Ipv6Addr::new(0xfd77, 2, 0, 0, 0, 0, 0, 2), Ipv6Addr::new(0xfd77, 2, 0, 0, 0, 0, 0, 1)],
];
/// Where the internet host's own servers listen: for files (and uploads), and what only answers.
pub const WEB: u16 = 8080;
/// See [`WEB`].
pub const ECHO: u16 = 7;
/// The router's SOCKS5 port.
pub const SOCKS: u16 = 1080;

/// A lab that is up. Gone with its value.
pub struct BondLab {
    /// Links and hosts.
    pub lab: Lab,
    /// Configurations, state, logs.
    pub files: Files,
    /// What has been uploaded.
    pub uploads: Uploads,
    /// Where the file server is: nginx, or our own.
    web: u16,
    links: Vec<LinkFacts>,
    router: Option<Running>,
    server: Option<Running>,
    nginx: Option<Running>,
    at_router: Control,
}

/// Programs that are not ours, where they are wanted and there, and how the daemons are to schedule.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    /// Both ends' scheduler, instead of the daemon's own choice.
    pub scheduler: Option<String>,
    /// A web server for the internet host.
    pub nginx: Option<PathBuf>,
    /// A server of OpenSSH for the internet host.
    pub sshd: Option<PathBuf>,
}

impl BondLab {
    /// Makes hosts and links, and starts the internet host's servers; `served` is the folder of files.
    pub fn up(name: &LabName, links: Vec<LinkFacts>, served: &Path, tools: &Tools) -> Result<Self> {
        may()?;
        remove(name)?;
        let folder = Path::new(PARENT).join(name.as_str());
        let make = |path: &Path| DirBuilder::new().mode(0o700).recursive(true).create(path);
        make(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let data = fs::symlink_metadata(PARENT)?;
        ensure!(
            data.is_dir() && data.uid() == 0 && data.mode() & 0o022 == 0,
            "{PARENT} is not only ours to write"
        );
        let owner = Known::of(std::process::id()).context("who are we?")?;
        fs::write(folder.join("owner.json"), serde_json::to_vec(&owner)?)?;
        let scenario = folder.join("links.toml");
        fs::write(&scenario, scenario_of(&links))?;
        let files = Files { scheduler: tools.scheduler.clone(), ..Files::new(&folder)? };
        let at_router = files.control("router")?;
        // From here on there is something to put away.
        let guard = Remains(name.clone());
        let lab = Lab::up(name, &scenario, None)?;
        let mut new = Self {
            lab,
            files,
            uploads: Uploads::default(),
            web: WEB,
            links,
            router: None,
            server: None,
            nginx: None,
            at_router,
        };
        std::mem::forget(guard);
        new.addresses()?;
        let any = Ipv6Addr::UNSPECIFIED;
        web::echo(new.listen(Host::Internet, (any, ECHO).into())?);
        new.uploads = web::serve(new.listen(Host::Internet, (any, WEB).into())?, served);
        if let Some(nginx) = &tools.nginx {
            new.start_nginx(nginx, served)?;
        }
        Ok(new)
    }

    /// The internet host.
    pub fn far(&self, v6: bool) -> IpAddr {
        if v6 { V6[1][0].into() } else { names::INTERNET[0].into() }
    }

    /// Where a file is on the internet host.
    pub fn url_at(&self, v6: bool, name: &str) -> String {
        format!("http://{}/{name}", SocketAddr::from((self.far(v6), self.web)))
    }

    /// Where a file may be put on the internet host.
    pub fn put_at(&self, v6: bool, name: &str) -> String {
        format!("http://{}/{name}", SocketAddr::from((self.far(v6), WEB)))
    }

    /// The name of the file server.
    pub fn web_server(&self) -> &'static str {
        if self.nginx.is_some() { "nginx" } else { "our own file server" }
    }

    fn start_nginx(&mut self, nginx: &Path, served: &Path) -> Result<()> {
        let own = self.files.path("nginx");
        fs::create_dir(&own)?;
        let temps: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {}/{what};\n", own.display()))
            .concat();
        let text = format!(
            "daemon off;\nuser root;\npid {}/pid;\nworker_processes 1;\nevents {{ worker_connections 2048; }}\n\
            http {{\n{temps}access_log off;\nsendfile on;\nserver {{ listen 80; listen [::]:80; root {:?}; }}\n}}\n",
            own.display(),
            served
        );
        let config = own.join("nginx.conf");
        fs::write(&config, text)?;
        let mut command = self.inside(Host::Internet);
        command.arg(nginx).args(["-e", "stderr", "-p"]).arg(&own).arg("-c").arg(&config);
        let log = self.files.path("nginx.log");
        let mut running = Running::start(command, &log)?;
        let listens = || self.says(Host::Internet, "ss -ltn").is_ok_and(|text| text.contains(":80 "));
        let mut ended = false;
        let up = stop::poll(QUICK, || {
            ended = running.ended().is_some();
            (ended || listens()).then_some(())
        })?;
        if ended || up.is_none() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            eprintln!("nginx does not start, our own file server takes its place: {}", said.trim());
            return Ok(());
        }
        (self.nginx, self.web) = (Some(running), 80);
        Ok(())
    }

    fn addresses(&self) -> Result<()> {
        let hosts = [(Host::Lan, "eth0", V6[0][0]), (Host::Router, "lan0", V6[0][1])];
        let far = [(Host::Internet, "eth0", V6[1][0]), (Host::Server, "inet0", V6[1][1])];
        for (host, device, address) in hosts.into_iter().chain(far) {
            self.ip(host, &format!("addr add {address}/64 dev {device} nodad"))?;
        }
        self.ip(Host::Lan, &format!("route add default via {}", V6[0][1]))?;
        self.ip(Host::Internet, &format!("route add default via {}", V6[1][1]))
    }

    /// `ip` in a host.
    pub fn ip(&self, host: Host, words: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.lab.name.namespace(host)]).args(words.split(' '));
        output(command, QUICK).map(drop)
    }

    /// A command that runs in a host what is added to it.
    pub fn inside(&self, host: Host) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.lab.name.namespace(host)]);
        command
    }

    /// What a program prints in a host.
    pub fn says(&self, host: Host, words: &str) -> Result<String> {
        let mut command = self.inside(host);
        command.args(words.split(' '));
        output(command, QUICK)
    }

    /// A listener in a host.
    pub fn listen(&self, host: Host, at: SocketAddr) -> Result<TcpListener> {
        topology::inside(&self.lab.name, host, || TcpListener::bind(at))?
            .with_context(|| format!("cannot listen at {at}"))
    }

    /// A connection from the LAN.
    pub fn connect(&self, to: SocketAddr) -> Result<TcpStream> {
        topology::inside(&self.lab.name, Host::Lan, || TcpStream::connect_timeout(&to, QUICK))?
            .with_context(|| format!("cannot connect to {to}"))
    }

    /// Writes both configurations and starts both daemons, the router with a token that the server made for it.
    pub fn start_bond(&mut self) -> Result<()> {
        let listen = "0.0.0.0:443".to_owned();
        let address = names::INTERNET[1].to_string();
        self.files.server(&ServerWords { listen, address, port: 443, allow: Vec::new() })?;
        let mut words = String::new();
        for (i, link) in self.links.iter().enumerate() {
            writeln!(words, "[[link]]\nname = {:?}\ndevice = {:?}", link.name, names::wan(i))?;
        }
        writeln!(words, "[tcp]\nsocks5 = [\"{}:{SOCKS}\"]", names::LAN[1])?;
        writeln!(words, "[lan]\ninterfaces = [\"lan0\"]\ninstance = {INSTANCE}")?;
        self.files.router(&words)?;
        self.start_server()?;
        let server = self.server.as_mut().context("no server")?;
        self.files.invite(server)?;
        self.start_router()?;
        self.await_bond()
    }

    /// Starts the server's daemon.
    pub fn start_server(&mut self) -> Result<()> {
        self.server = Some(self.files.start("server", self.inside(Host::Server))?);
        Ok(())
    }

    /// Starts the router's daemon.
    pub fn start_router(&mut self) -> Result<()> {
        // What it notes about this host's network is kept with the lab.
        let notes = self.files.path("undo");
        fs::create_dir_all(&notes)?;
        let mut inside = self.inside(Host::Router);
        inside
            .args(["sh", "-c", "mkdir -p /run/tquic && mount --bind \"$0\" /run/tquic && exec \"$@\""])
            .arg(notes);
        self.router = Some(self.files.start("router", inside)?);
        Ok(())
    }

    /// Waits until the router has a path over each link.
    pub fn await_bond(&mut self) -> Result<()> {
        let router = self.router.as_mut().context("no router")?;
        self.files.await_bond(router, self.links.len())
    }

    /// Ends the server's daemon by a signal.
    pub fn end_server(&mut self, signal: &str) {
        end(self.server.take(), signal);
    }

    /// Ends the router's daemon by a signal.
    pub fn end_router(&mut self, signal: &str) {
        end(self.router.take(), signal);
    }

    /// Rules, routes and packet filter of the router, without what the kernel adds by itself; of listeners not the port, which is
    /// another one at each start.
    pub fn router_state(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for words in [
            "ip rule",
            "ip -6 rule",
            "ip route show table all",
            "ip -6 route show table all",
            "nft list ruleset",
        ] {
            let text = self.says(Host::Router, words)?;
            lines.extend(text.lines().filter(|line| !line.contains("proto kernel")).map(without_port));
        }
        Ok(lines)
    }

    /// What one may try while it runs.
    pub fn hints(&self) -> Vec<String> {
        let lan = self.lab.name.namespace(Host::Lan);
        let socket = self.files.path("router.sock");
        let tquic = self.files.programs.join("tquic");
        vec![
            format!("ip netns exec {lan} curl -o /dev/null {}", self.url("bond")),
            format!("{} status --socket {}", tquic.display(), socket.display()),
            format!("{} ss -i --socket {}", tquic.display(), socket.display()),
            format!("ip -n {} link set user0 down    # the first link loses its carrier; up: it is back", {
                self.lab.name.namespace(Host::Links)
            }),
        ]
    }

    /// What the emulator did.
    pub fn books(&self) -> Result<Books> {
        control::books(&self.lab.folder)
    }

    /// `curl` in the LAN, through whatever takes its connections.
    pub fn curl_via(&self, proxy: Option<&str>) -> Command {
        let mut command = self.inside(Host::Lan);
        command.args(["curl", "--silent", "--show-error", "--fail", "--globoff"]);
        match proxy {
            Some(proxy) => command.args(["--proxy", proxy]),
            None => command.args(["--noproxy", "*"]),
        };
        command
    }
}

/// A line of nft without the port that TPROXY leads to.
fn without_port(line: &str) -> String {
    let mut words: Vec<_> = line.split(' ').collect();
    if let Some(to) = words.iter().position(|word| *word == "tproxy").and_then(|at| words.get_mut(at + 3)) {
        *to = to.rsplit_once(':').map_or(*to, |(address, _)| address);
    }
    words.join(" ")
}

fn end(running: Option<Running>, signal: &str) {
    if let Some(mut running) = running {
        running.end(signal, Duration::from_secs(5));
    }
}

impl Place for BondLab {
    fn links(&self) -> &[LinkFacts] {
        &self.links
    }

    fn carried(&self) -> Result<Vec<Carried>> {
        let books = self.books()?;
        let of = |link: &tq_netlab::emulator::books::LinkBooks| Carried {
            up: link.up.delivered_bytes,
            down: link.down.delivered_bytes,
        };
        Ok(books.links.iter().map(of).collect())
    }

    fn change(&self, link: usize, change: Wanted) -> Result<()> {
        let link = self.links[link].name.to_owned();
        control::ask(&self.lab.folder, &Request::Change { link, direction: Ways::Both, change }).map(drop)
    }

    /// Without a bond: the LAN's way to the internet and back.
    fn only(&self, link: Option<usize>) -> Result<()> {
        for i in 0..self.links.len() {
            let wan = names::wan(i);
            let routes = [
                (Host::Router, format!("default via {} dev {wan} metric 50", names::network(i))),
                (Host::Server, format!("{}/24 via {} dev {wan} metric 50", names::LAN_NET, names::user(i))),
            ];
            for (host, route) in routes {
                if link == Some(i) {
                    self.ip(host, &format!("route replace {route}"))?;
                } else {
                    // Most are not there.
                    let _ = self.ip(host, &format!("route del {route}"));
                }
            }
        }
        Ok(())
    }

    fn curl(&self) -> Command {
        self.curl_via(None)
    }

    fn url(&self, name: &str) -> String {
        self.url_at(false, name)
    }

    fn dial(&self) -> Result<TcpStream> {
        self.connect((names::INTERNET[0], ECHO).into())
    }

    fn router(&self) -> &Control {
        &self.at_router
    }
}

impl Drop for BondLab {
    fn drop(&mut self) {
        // The router first: it puts its host's network back and says goodbye.
        self.end_router("TERM");
        self.end_server("TERM");
        end(self.nginx.take(), "TERM");
        tell(remove(&self.lab.name));
    }
}

/// A lab that is half made.
struct Remains(LabName);

impl Drop for Remains {
    fn drop(&mut self) {
        tell(remove(&self.0));
    }
}

fn tell(removed: Result<()>) {
    if let Err(error) = removed {
        eprintln!("something is left behind: {error:#}; `tq-bond-lab down` tries again");
    }
}

/// Refuses what cannot work, saying what is missing.
pub fn may() -> Result<()> {
    netlab::may()?;
    for (program, package) in [("nft", "nftables"), ("curl", "curl")] {
        ensure!(
            netlab::finds(program),
            "`{program}` is missing: apt-get install --yes --no-install-recommends {package}"
        );
    }
    ensure!(Path::new("/dev/net/tun").exists(), "there is no /dev/net/tun: modprobe tun");
    Ok(())
}

/// Removes a lab, whatever is left of it, unless its owner still runs.
pub fn remove(name: &LabName) -> Result<()> {
    let folder = Path::new(PARENT).join(name.as_str());
    let owner = fs::read(folder.join("owner.json")).ok();
    let owner: Option<Known> = owner.and_then(|text| serde_json::from_slice(&text).ok());
    let other = owner.filter(|owner| owner.pid != std::process::id() && owner.lives());
    ensure!(
        other.is_none(),
        "a lab {:?} runs already: process {}",
        name.as_str(),
        other.map_or(0, |o| o.pid)
    );
    netlab::down(name)?;
    let _ = fs::remove_dir_all(&folder);
    // Both stay if there is something of somebody else's in them.
    let _ = fs::remove_dir(PARENT);
    let _ = fs::remove_dir("/run/tquic");
    Ok(())
}

/// The links in the words of scenarios.
fn scenario_of(links: &[LinkFacts]) -> String {
    let mut text = "name = \"bond\"\nabout = \"links of a bond\"\ntime = \"1h\"\n\n".to_owned();
    for LinkFacts { name, rate_mbps, rtt_ms, queue_ms } in links {
        let kbps = (rate_mbps * 1e3).round();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "[[link]]\nname = {name:?}\nrate = \"{kbps}kbit/s\"\nrtt = \"{rtt_ms}ms\"\nqueue = \"{queue_ms}ms\"\n"
        );
    }
    text + "[[traffic]]\nkind = \"bulk\"\nbytes = \"endless\"\n"
}

#[cfg(test)]
mod tests;
