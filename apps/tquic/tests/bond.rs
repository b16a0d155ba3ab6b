//! The tool beside daemons that run in the test's own process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tquicd::{Config, Daemon};

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the tool against this socket.
async fn tquic(socket: &Path, args: &str) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tquic"));
    command.args(args.split_whitespace()).arg("--socket").arg(socket).output().await.unwrap()
}

/// What it prints, if it succeeds.
async fn said(socket: &Path, args: &str) -> String {
    let output = tquic(socket, args).await;
    assert!(output.status.success(), "{args}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn start(folder: &Path, name: &str, text: &str) -> (Daemon, PathBuf) {
    let (file, socket) = (folder.join(format!("{name}.toml")), folder.join(format!("{name}.sock")));
    let state = folder.join(name);
    let common = format!("state = {state:?}\n{text}\n[control]\nsocket = {socket:?}\n");
    fs::write(&file, common).unwrap();
    (Daemon::start(Config::load(&file).unwrap()).await.unwrap(), socket)
}

#[test]
fn a_bond_is_set_up_looked_at_and_steered() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), the_whole_way()).await.expect("takes too long");
    });
}

async fn the_whole_way() {
    let folder = Folder(std::env::temp_dir().join(format!("tquic-bond-{}", std::process::id())));
    fs::create_dir_all(&folder.0).unwrap();
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\naddresses = [\"127.0.0.1\"]";
    let (_server, at_server) = start(&folder.0, "server", text).await;
    let token = said(&at_server, "tenant add acme dev van expires 1h").await;
    assert!(token.starts_with("tquic://1/") && token.lines().count() == 1, "{token}");
    let file = folder.0.join("token");
    tq_identity::write_secret(&file, &token).unwrap();
    let text = format!(
        "[router]\ntoken_file = {file:?}\n[[link]]\nname = \"one\"\naddress = \"127.0.0.2\"\n\
        [[link]]\nname = \"two\"\naddress = \"127.0.0.3\""
    );
    let (router, at_router) = start(&folder.0, "router", &text).await;
    let mut session = router.router().unwrap().session();
    session.wait_for(Option::is_some).await.unwrap();

    assert!(said(&at_router, "status").await.contains("session: connected for "));
    assert!(said(&at_server, "status").await.contains("acme/van"));
    let tenants = said(&at_server, "tenant").await;
    assert!(
        tenants.starts_with("tenant  device  standing  session\nacme    van     joined    online\n"),
        "{tenants}"
    );
    let json: serde_json::Value = serde_json::from_str(&said(&at_router, "link show -j").await).unwrap();
    assert_eq!((json["schema"].as_u64(), json["links"][1]["address"].as_str()), (Some(1), Some("127.0.0.3")));
    said(&at_router, "link add three local 127.0.0.4 cost metered backup").await;
    said(&at_router, "link set two down").await;
    let links = said(&at_router, "link").await;
    assert!(
        links.contains("127.0.0.4") && links.contains("metered  backup") && links.contains("off"),
        "{links}"
    );
    said(&at_router, "link del three").await;
    said(&at_router, "path set 0 standby").await;
    assert!(said(&at_router, "path").await.contains("standby"));
    assert!(said(&at_router, "ss -i").await.contains("ESTAB"));
    let stats = said(&at_router, "stats").await;
    let columns: Vec<_> = stats.lines().map(|line| line.split(' ').count()).collect();
    assert!(columns.len() == 2 && columns[0] == columns[1] && columns[0] > 37, "{columns:?}");

    said(&at_router, "link set two up cap 50mbit weight 3 priority 1").await;
    let links = said(&at_router, "link").await;
    assert!(links.contains("priority 1, weight 3, cap 50 Mbit/s"), "{links}");
    let text = said(&at_router, "perf --through --duration 0.3").await;
    assert!(text.starts_with("download of ") && text.contains("\nCPU per Gbit: router "), "{text}");
    let json = said(&at_router, "perf through --upload --streams 2 --duration 0.3 -j").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["schema"].as_u64(), json["direction"].as_str()), (Some(1), Some("upload")));
    assert!(json["bytes"].as_u64() > Some(0) && json["server_cpu_s_per_gbit"].as_f64() > Some(0.0), "{json}");

    // The daemon says no: 1. The words make no sense: 2. Nobody is there: 3.
    for (args, code) in [
        ("link del none", 1),
        ("tenant show", 1),
        ("path del 99", 1),
        ("link set two cap fast", 1),
        ("link set two weight x", 2),
        ("perf --through --duration 70", 1),
        ("perf --through --streams 0", 2),
        ("link", 0),
        ("link burn", 2),
        ("link set", 2),
        ("link show more", 2),
    ] {
        assert_eq!(tquic(&at_router, args).await.status.code(), Some(code), "{args}");
    }
    assert_eq!(tquic(&folder.0.join("nobody.sock"), "status").await.status.code(), Some(3));

    let revoked = said(&at_server, "tenant revoke acme").await;
    assert_eq!(revoked, "revoked acme/van; 1 sessions ended\n");
    session.wait_for(Option::is_none).await.unwrap();
    let fresh = said(&at_server, "tenant rotate acme dev van").await;
    assert!(fresh.starts_with("tquic://1/") && fresh != token);
}
