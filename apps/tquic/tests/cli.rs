//! The tool as its users run it: two processes on loopback.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A directory that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tquic-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that does not outlive the test, and what it said about itself.
struct Server {
    process: Child,
    addr: String,
    pin: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut process = tquic(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}"));
        let (addr, pin) = line.split_once(", key fingerprint ").unwrap();
        Self { process, addr: addr.into(), pin: pin.into() }
    }

    fn of(dir: &Path) -> Self {
        Self::start(&["serve", "--listen", "127.0.0.1:0", "--dir", dir.to_str().unwrap()])
    }

    fn get(&self, name: &str, out: &Path, more: &[&str]) -> Output {
        let out = out.to_str().unwrap();
        tquic(&["get", &self.addr, name, "--out", out]).args(more).output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tquic(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tquic"));
    command.args(args).stdin(Stdio::null());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_arrives_with_its_checksum() {
    let folder = Folder::new("arrives");
    let data: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + (i >> 9)) as u8).collect();
    fs::write(folder.file("data"), &data).unwrap();
    fs::write(folder.file("empty"), b"").unwrap();
    let server = Server::of(&folder.0);
    let out = folder.file("out");

    let done = server.get("data", &out, &["--pin", &server.pin, "--progress"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(fs::read(&out).unwrap() == data);
    assert!(stderr(&done).contains("3.0 MB") && stderr(&done).contains("bit/s"), "{}", stderr(&done));

    let done = server.get("empty", &out, &["--pin", &server.pin]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert_eq!(fs::read(&out).unwrap(), b"");
    let checksum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(String::from_utf8_lossy(&done.stdout), format!("{checksum}  {}\n", out.display()));
    assert!(stderr(&done).is_empty(), "no rate line where nobody looks: {}", stderr(&done));
}

#[test]
fn a_no_is_exit_code_1_and_says_why() {
    let folder = Folder::new("no");
    fs::create_dir(folder.file("served")).unwrap();
    fs::write(folder.file("secret"), "x").unwrap();
    let server = Server::of(&folder.file("served"));
    let out = folder.file("out");
    for name in ["missing", "../secret", "/etc/passwd"] {
        let done = server.get(name, &out, &["--pin", &server.pin]);
        assert_eq!(done.status.code(), Some(1));
        assert!(stderr(&done).contains("no file"), "{}", stderr(&done));
        assert!(!out.exists());
    }

    // Another valid key: every 32 bytes are one.
    let wrong = format!("ed25519:{}", "5a".repeat(32));
    let done = server.get("missing", &out, &["--pin", &wrong]);
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr(&done).contains("another key than the one pinned"), "{}", stderr(&done));
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let folder = Folder::new("named");
    fs::write(folder.file("data"), "x").unwrap();
    let server = Server::of(&folder.0);
    let done = server.get("data", &folder.file("no/such/place"), &["--pin", &server.pin]);
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr(&done).contains("no/such/place"), "{}", stderr(&done));

    let missing = folder.file("missing.pem");
    let missing = missing.to_str().unwrap();
    let dir = folder.0.to_str().unwrap();
    let done = tquic(&["serve", "--dir", dir, "--cert", missing, "--key", missing]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr(&done).contains("missing.pem"), "{}", stderr(&done));

    let done = tquic(&["serve", "--dir", missing]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr(&done).contains("missing.pem: not a directory"), "{}", stderr(&done));
}

#[test]
fn wrong_use_is_exit_code_2() {
    for args in [
        &["get", "127.0.0.1:1", "x", "--out", "y", "--pin", "sha256:00"][..],
        &["perf", "client", "127.0.0.1:1", "--upload", "--download"],
        &["perf", "client", "127.0.0.1:1", "--cc", "fastest"],
        &["perf", "client", "127.0.0.1:1", "--duration", "0"],
        &["perf", "client", "127.0.0.1:1", "--scheduler", "fastest"],
        &["perf", "client", "127.0.0.1:1", "--link", "lo=here"],
        &["perf", "client", "127.0.0.1:1", "--link", "lo", "--handshakes"],
        &["nothing"],
    ] {
        let done = tquic(args).output().unwrap();
        assert_eq!(done.status.code(), Some(2), "{args:?}: {}", stderr(&done));
    }
}

#[test]
fn every_measurement_has_its_figures() {
    let server = Server::start(&["perf", "server", "--listen", "127.0.0.1:0", "--early-data", "--v2"]);
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--bytes", "20000000"], &["gbit_per_s", "client_cpu_s_per_gb", "server_cpu_s_per_gb"]),
        (&["--bytes", "20000000", "--upload", "--streams", "3", "--cc", "newreno"], &["gbit_per_s"]),
        (&["--duration", "0.3", "--download"], &["gbit_per_s"]),
        (&["--duration", "0.3", "--handshakes", "--outstanding", "4"], &["per_s", "server_cpu_ms"]),
        (&["--duration", "0.3", "--handshakes", "--resume"], &["per_s"]),
        (&["--duration", "0.3", "--handshakes", "--early", "--v2"], &["per_s"]),
        (&["--duration", "0.3", "--requests", "32", "--outstanding", "10"], &["per_s", "client_cpu_ms"]),
    ];
    for (args, figures) in cases {
        let done = tquic(&["perf", "client", &server.addr, "--json"]).args(args).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{args:?}: {}", stderr(&done));
        let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(json["schema"], 1);
        for figure in figures {
            assert!(json[figure].as_f64().is_some_and(|number| number >= 0.0), "{figure} in {json}");
        }
        if args.contains(&"--bytes") {
            assert_eq!(json["bytes"], 20_000_000);
        }
    }
}

#[test]
fn several_links_share_one_connection() {
    let server = Server::start(&["perf", "server", "--listen", "0.0.0.0:0", "--scheduler", "roundrobin"]);
    let addr = server.addr.replace("0.0.0.0", "127.0.0.1");
    let links = ["--link", "lo=127.0.0.1", "--link", "lo=127.0.0.2", "--link", "lo=127.0.0.3"];
    for way in ["--download", "--upload"] {
        // Long enough that the paths opened last are through their slow start
        // on a fast machine too: 30 MB were over after seven round trips.
        let mut run =
            tquic(&["perf", "client", &addr, way, "--bytes", "150000000", "--scheduler", "roundrobin"]);
        let done = run.arg("--json").args(links).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(json["bytes"], 150_000_000);
        let paths = json["paths"].as_array().unwrap();
        assert_eq!(paths.len(), 3, "{json}");
        for (path, link) in paths.iter().zip(links.iter().skip(1).step_by(2)) {
            let figure = if way == "--upload" { "bytes_sent" } else { "bytes_received" };
            assert!(path[figure].as_u64().unwrap() > 5_000_000, "{json}");
            assert!(path["link"] == *link && path["state"] == "active", "{json}");
            assert!(
                path["rtt_ms"].as_f64().unwrap() > 0.0 && path["mtu"].as_u64().unwrap() >= 1200,
                "{json}"
            );
            assert!(path["local"].as_str().unwrap().starts_with(&link[3..]), "{json}");
        }
    }
    let done = tquic(&["perf", "client", &addr, "--bytes", "1000000"]).args(links).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(text.contains("link lo=127.0.0.2: path ") && text.matches(" active, ").count() == 3, "{text}");
}

#[test]
fn a_link_that_cannot_be_used_is_named_with_what_helps() {
    for (link, says) in [
        ("nosuch0", "there is no network device \"nosuch0\" here; there are "),
        ("=192.0.2.99", "192.0.2.99 is not an address of this host"),
    ] {
        let done = tquic(&["perf", "client", "127.0.0.1:1", "--link", link]).output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        let told = stderr(&done);
        assert!(told.contains(&format!("link {link}")) && told.contains(says), "{told}");
    }
}

#[test]
fn a_server_without_multipath_is_used_over_the_first_link() {
    let server = Server::start(&["perf", "server", "--listen", "127.0.0.1:0", "--paths", "0"]);
    let links = ["--link", "=127.0.0.1", "--link", "=127.0.0.2"];
    let mut run = tquic(&["perf", "client", &server.addr, "--bytes", "1000000", "--json"]);
    let done = run.args(links).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    // Whichever link was faster.
    assert!(stderr(&done).contains(" is not used: multipath is not in force"), "{}", stderr(&done));
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let mut states = [json["paths"][0]["state"].as_str(), json["paths"][1]["state"].as_str()];
    states.sort_unstable();
    assert_eq!(states, [Some("active"), Some("unused")]);
}
