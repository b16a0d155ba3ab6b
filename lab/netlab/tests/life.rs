//! A lab's life on a real kernel: up, changed, crashed, down. Without root these tests have nothing to stand on; they
//! say so and pass.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TOOL: &str = env!("CARGO_BIN_EXE_tq-netlab");

/// Whether labs can be made here.
fn possible() -> bool {
    let unshare =
        Command::new("unshare").args(["--net", "ip", "link", "add", "probe", "type", "veth"]).output();
    let possible = unshare.is_ok_and(|output| output.status.success());
    if !possible {
        eprintln!("skipped: needs root and network namespaces");
    }
    possible
}

fn tool(lab: &str, words: &[&str]) -> Output {
    Command::new(TOOL).args(["--lab", lab]).args(words).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeeds(lab: &str, words: &[&str]) -> String {
    let output = tool(lab, words);
    assert!(output.status.success(), "{words:?}: {}", text(&output));
    text(&output)
}

fn smoke() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("smoke.toml")
}

fn up(lab: &'static str) -> Down {
    tool(lab, &["down"]);
    let guard = Down(lab);
    succeeds(lab, &["up", smoke().to_str().unwrap()]);
    guard
}

/// Takes a lab down when a test is over, however it ends.
struct Down(&'static str);

impl Drop for Down {
    fn drop(&mut self) {
        tool(self.0, &["down"]);
    }
}

fn namespaces(lab: &str) -> usize {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return 0 };
    let own = format!("tqlab-{lab}-");
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(&own)).count()
}

fn state(lab: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(format!("/run/tqlab/{lab}/lab.json")).unwrap()).unwrap()
}

/// Bytes of a small UDP datagram from router to server and back, if the links carry it.
fn carries(lab: &str) -> bool {
    // bash can open UDP sockets; what is offered to the links is in their books.
    let offered = |status: &str| -> u64 {
        let books: serde_json::Value = serde_json::from_str(status).unwrap();
        books["links"][0]["up"]["delivered"].as_u64().unwrap()
    };
    let before = offered(&succeeds(lab, &["status"]));
    for _ in 0..3 {
        tool(lab, &["exec", "router", "--", "bash", "-c", "echo tq > /dev/udp/10.77.0.2/9"]);
    }
    offered(&succeeds(lab, &["status"])) > before
}

#[test]
fn a_lab_comes_up_carries_packets_is_changed_and_goes_down_twice() {
    if !possible() {
        return;
    }
    let lab = "life1";
    let _guard = up(lab);
    assert_eq!(namespaces(lab), 5);
    assert!(carries(lab));
    succeeds(lab, &["set", "wide", "rate=1Mbit/s", "delay=5ms", "loss=1%"]);
    succeeds(lab, &["cut", "wide"]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    let shown = succeeds(lab, &["exec", "router", "--", "ip", "link", "show", "wan0"]);
    assert!(shown.contains("NO-CARRIER"), "{shown}");
    assert!(!carries(lab));
    succeeds(lab, &["heal", "wide"]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    succeeds(lab, &["cut", "wide", "--silent"]);
    let shown = succeeds(lab, &["exec", "router", "--", "ip", "link", "show", "wan0"]);
    assert!(!shown.contains("NO-CARRIER"), "{shown}");
    assert!(!carries(lab));
    succeeds(lab, &["down"]);
    assert_eq!(namespaces(lab), 0);
    assert!(!Path::new("/run/tqlab").join(lab).exists());
    assert!(succeeds(lab, &["down"]).contains("nothing to remove"));
}

#[test]
fn after_a_crash_down_removes_what_is_left() {
    if !possible() {
        return;
    }
    let lab = "life2";
    let _guard = up(lab);
    let pid = state(lab)["emulator"]["pid"].as_u64().unwrap().to_string();
    assert!(Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap().success());
    let again = tool(lab, &["up", smoke().to_str().unwrap()]);
    assert!(!again.status.success() && text(&again).contains("down"), "{}", text(&again));
    assert!(!tool(lab, &["status"]).status.success());
    // As if the folder had been lost too.
    std::fs::remove_file(format!("/run/tqlab/{lab}/lab.json")).unwrap();
    succeeds(lab, &["down"]);
    assert_eq!(namespaces(lab), 0);
    let _guard = up(lab);
    assert!(carries(lab));
}

#[test]
fn what_is_wrong_is_refused_and_leaves_nothing() {
    let refused = |words: &[&str], says: &str| {
        let output = tool("life3", words);
        assert!(!output.status.success() && text(&output).contains(says), "{words:?}: {}", text(&output));
    };
    refused(&["exec", "host", "--", "ls"], "no host");
    refused(&["set", "wide", "rate=10"], "rate");
    let escaping = tool("../etc", &["down"]);
    assert!(!escaping.status.success() && text(&escaping).contains("a lab's name is"), "{}", text(&escaping));
    if !possible() {
        return;
    }
    refused(&["up", "/no/such/file.toml"], "no/such/file");
    refused(&["cut", "wide"], "not up");
    let bad = std::env::temp_dir().join(format!("tq-netlab-{}.toml", std::process::id()));
    std::fs::write(&bad, "name = \"bad\"\ntime = \"1s\"\nspeed = 3\n").unwrap();
    refused(&["up", bad.to_str().unwrap()], "speed");
    std::fs::remove_file(&bad).unwrap();
    assert_eq!(namespaces("life3"), 0);
    assert!(!Path::new("/run/tqlab/life3").exists());
}

#[test]
fn a_name_that_leads_to_the_machines_own_network_is_not_touched() {
    if !possible() {
        return;
    }
    let lab = "life4";
    let path = format!("/run/netns/tqlab-{lab}-rtr");
    std::fs::create_dir_all("/run/netns").unwrap();
    std::fs::write(&path, "").unwrap();
    let bound =
        Command::new("mount").args(["--bind", "/proc/self/ns/net", &path]).status().unwrap().success();
    if bound {
        let output = tool(lab, &["down"]);
        assert!(!output.status.success() && text(&output).contains("own network"), "{}", text(&output));
        assert!(Path::new(&path).exists());
        assert!(Command::new("umount").arg(&path).status().unwrap().success());
    }
    std::fs::remove_file(&path).unwrap();
}
