//! The real program: exit codes, signals, restarts.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{Folder, comes_back, echo, free_port, run, socks, until};
use tq_control::{Client, Method, model};

fn tquicd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tquicd")).args(args).output().unwrap()
}

/// A daemon that is killed with the test.
struct Running(Child);

impl Running {
    fn start(file: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tquicd"));
        Self(command.arg("run").arg(file).stderr(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        // The shell's own: `kill` as a program is not everywhere.
        let line = format!("kill {name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_wrong_configuration_ends_with_78_and_says_where() {
    let folder = Folder::new();
    let file = folder.write("home.toml", "[server]\naddresses = [\"203.0.113.7\"]\nlisen = []\n");
    for verb in ["check", "run"] {
        let output = tquicd(&[verb, file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(78));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("home.toml:3: lisen: unknown key `lisen`, expected one of `listen`"), "{said}");
    }
    let right = folder.write("right.toml", "[server]\naddresses = [\"203.0.113.7\"]\n");
    let output = tquicd(&["check", right.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("tokens say 203.0.113.7 port 443"));
    assert_eq!(tquicd(&["check", &folder.path("none.toml")]).status.code(), Some(78));
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let folder = Folder::new();
    let file = folder.router("tquic://1/AAAA", 1);
    let token = folder.0.join("token");
    let output = tquicd(&["run", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("join token is not whole"), "{said}");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = tquicd(&["run", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("chmod 600"), "{said}");
}

#[test]
fn a_token_that_is_not_there_is_told_with_what_to_do() {
    let folder = Folder::new();
    let file = folder.router("tquic://1/AAAA", 1);
    std::fs::remove_file(folder.0.join("token")).unwrap();
    let output = tquicd(&["run", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("tquic tenant add"), "{said}");
}

#[test]
fn a_port_in_use_is_told() {
    let folder = Folder::new();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = folder.server(taken.local_addr().unwrap().port(), &[]);
    let output = tquicd(&["run", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another program has this port"), "{said}");
}

/// Both daemons as processes; the router has joined.
async fn pair(
    folder: &Folder,
    allow: &[std::net::SocketAddr],
) -> (Running, Running, Client, Client, std::path::PathBuf) {
    let file = folder.server(free_port(), allow);
    let server = Running::start(&file);
    let at_server = Client::new(&folder.0.join("server.sock"));
    let token: model::NewToken = until("the server answers", || async {
        at_server.ask(Method::Post, "tenants/acme/van", &serde_json::json!({})).await.ok()
    })
    .await;
    let router = Running::start(&folder.router(&token.token, 2));
    let at_router = Client::new(&folder.0.join("router.sock"));
    connected(&at_router, 0).await;
    (server, router, at_server, at_router, file)
}

/// Waits for a session beyond so many.
async fn connected(at_router: &Client, before: u64) -> u64 {
    until("a session", || async {
        let status: model::Status = at_router.get("status").await.ok()?;
        let session = status.session?;
        (session.state == "connected" && session.sessions > before).then_some(session.sessions)
    })
    .await
}

#[test]
fn routers_are_back_after_their_server_was_killed_and_after_they_were() {
    run(async {
        let folder = Folder::new();
        let target = echo("127.0.0.1:0").await;
        let (server, router, _, at_router, file) = pair(&folder, &[target]).await;
        let config = tquicd::Config::load(&folder.0.join("router.toml")).unwrap();
        let tquicd::config::Role::Router(role) = config.role else { panic!("a router") };
        assert!(comes_back(socks(role.socks5[0], &target.to_string()).await.unwrap(), 1 << 20).await);
        drop(server);
        let _server = Running::start(&file);
        assert_eq!(connected(&at_router, 1).await, 2);
        assert!(comes_back(socks(role.socks5[0], &target.to_string()).await.unwrap(), 1 << 20).await);
        // Killed, it needs no token any more.
        drop(router);
        std::fs::remove_file(folder.0.join("token")).unwrap();
        let _router = Running::start(&folder.0.join("router.toml"));
        connected(&at_router, 0).await;
        assert!(comes_back(socks(role.socks5[0], &target.to_string()).await.unwrap(), 1 << 20).await);
    });
}

#[test]
fn signals_reload_and_end() {
    run(async {
        let folder = Folder::new();
        let target = echo("127.0.0.1:0").await;
        let (mut server, mut router, _, at_router, file) = pair(&folder, &[]).await;
        let config = tquicd::Config::load(&folder.0.join("router.toml")).unwrap();
        let tquicd::config::Role::Router(role) = config.role else { panic!("a router") };
        assert_eq!(socks(role.socks5[0], &target.to_string()).await.unwrap_err(), 2);
        // A rule more, and a link more: neither ends the session. A wrong file changes nothing.
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, "nonsense").unwrap();
        server.signal("-HUP");
        let allow = format!("allow = [\"127.0.0.1 port {}\"]", target.port());
        std::fs::write(&file, text.replace("allow = []", &allow)).unwrap();
        server.signal("-HUP");
        let links = folder.0.join("router.toml");
        let text = std::fs::read_to_string(&links).unwrap();
        std::fs::write(&links, text + "[[link]]\nname = \"more\"\naddress = \"127.0.0.7\"\n").unwrap();
        router.signal("-HUP");
        until("the new rule and the new link", || async {
            let status: model::Status = at_router.get("status").await.unwrap();
            let up = status.links.iter().filter(|link| link.state == "up").count();
            (up == 3 && socks(role.socks5[0], &target.to_string()).await.is_ok()).then_some(())
        })
        .await;
        let status: model::Status = at_router.get("status").await.unwrap();
        assert_eq!(status.session.unwrap().sessions, 1);
        for daemon in [&mut router, &mut server] {
            daemon.signal("-TERM");
            let code = until("it ends", || {
                let ended = daemon.0.try_wait().unwrap();
                async move { ended }
            });
            assert_eq!(tokio::time::timeout(Duration::from_secs(10), code).await.unwrap().code(), Some(0));
        }
        assert!(!folder.0.join("server.sock").exists() && !folder.0.join("router.sock").exists());
    });
}

#[test]
fn a_daemon_keeps_no_power_it_does_not_need() {
    run(async {
        let folder = Folder::new();
        let (server, router, ..) = pair(&folder, &[]).await;
        for (daemon, may) in [(&server, 1u64 << 10 | 1 << 12), (&router, 1 << 10 | 1 << 12 | 1 << 13)] {
            for thread in std::fs::read_dir(format!("/proc/{}/task", daemon.0.id())).unwrap() {
                let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
                let value = |key: &str| {
                    let found = status.lines().find_map(|line| line.strip_prefix(key));
                    found.unwrap().trim().to_owned()
                };
                for key in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
                    let set = u64::from_str_radix(&value(key), 16).unwrap();
                    assert_eq!(set & !may, 0, "{key} {set:x}");
                }
                assert_eq!(value("NoNewPrivs:"), "1");
            }
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.0.id())).unwrap();
            let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
            let words: Vec<_> = files.split_whitespace().collect();
            assert_eq!(words[3], words[4], "{files}");
        }
    });
}
