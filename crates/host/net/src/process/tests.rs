//! In a process of its own each: this program, started again for one test.

use std::process::Command;

use super::*;

/// Runs the named test in another process, where `TQ_NET_ALONE` is set; true in that process.
fn alone(test: &str) -> bool {
    if std::env::var_os("TQ_NET_ALONE").is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let name = format!("process::tests::{test}");
    let output = Command::new(program).args([&name, "--exact"]).env("TQ_NET_ALONE", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    false
}

fn status(key: &str) -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned()
}

#[test]
fn what_is_not_kept_is_gone_for_children_too() {
    if !alone("what_is_not_kept_is_gone_for_children_too") {
        return;
    }
    let had = sys::capabilities().unwrap();
    let kept = keep_only(&[Capability::NetRaw, Capability::NetAdmin], &[4242]).unwrap();
    let set = kept.iter().fold(0, |set, one| set | one.bit());
    assert_eq!(set, had & (1 << 12 | 1 << 13));
    for key in ["CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(status(key), format!("{set:016x}"), "{key}");
    }
    assert_eq!(status("NoNewPrivs:"), "1");
    let child = Command::new("cat").arg("/proc/self/status").output().unwrap();
    let child = String::from_utf8(child.stdout).unwrap();
    assert!(child.contains(&format!("CapEff:\t{set:016x}")), "{child}");
    if had & (1 << 6) != 0 {
        assert!(status("Groups:").split(' ').any(|group| group == "4242"));
    }
    // It cannot be had back.
    assert!(had == set || sys::set_capabilities(had).is_err());
}

#[test]
fn descriptors_are_raised_to_what_may_be() {
    if !alone("descriptors_are_raised_to_what_may_be") {
        return;
    }
    let (_, most) = sys::descriptors().unwrap();
    sys::set_descriptors(most.min(256), most).unwrap();
    assert_eq!(descriptors(), most.min(256));
    assert_eq!(raise_descriptors().unwrap(), most);
    assert_eq!(descriptors(), most);
}
