//! Crashes between any two moments of applying a plan, on a real kernel in a namespace of its own.

use std::process::Command;

use super::kernel::sysctl;
use super::*;
use crate::netlink::Request;
use crate::netlink::talk::Talk;
use crate::sys;

/// Runs `test` on a thread in a fresh namespace, with an interface `lan0` and one in the place of a TUN.
fn within(test: impl FnOnce() + Send) {
    std::thread::scope(|threads| {
        let thread = threads.spawn(|| {
            if sys::unshare().is_err() || nft::run(None, "list tables\n").is_err() {
                eprintln!("skipped: needs root, network namespaces and nft");
                return;
            }
            for line in [
                "link set lo up",
                "link add lan0 type veth peer name tq0",
                "link set lan0 up",
                "link set tq0 up",
            ] {
                assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "{line}");
            }
            // The kernel makes link-local addresses and routes a little later.
            for device in ["lan0", "tq0"] {
                write(&format!("net/ipv6/conf/{device}/disable_ipv6"), "1").unwrap();
                write(&format!("net/ipv6/conf/{device}/addr_gen_mode"), "1").unwrap();
                write(&format!("net/ipv6/conf/{device}/disable_ipv6"), "0").unwrap();
            }
            test();
        });
        thread.join().unwrap();
    });
}

fn plan() -> Plan {
    Plan {
        lan: vec!["lan0".into()],
        tun: "tq0".into(),
        port_v4: 4001,
        port_v6: Some(4002),
        direct: vec![Prefix { ip: "192.0.2.0".parse().unwrap(), bits: 24 }],
        without: Without::Block,
    }
}

fn options(name: &str) -> Options {
    let folder = std::env::temp_dir().join(format!("tq-net-host-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    Options { folder, ..Options::default() }
}

/// Everything a plan may change, as programs show it.
fn state() -> String {
    let mut text = String::new();
    for line in [
        "ip -4 rule",
        "ip -6 rule",
        "ip -4 route show table all",
        "ip -6 route show table all",
        "nft list ruleset",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
        // The kernel makes these a while after an interface came up.
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().filter(|line| !line.contains("ff00::/8")).for_each(|line| text += &format!("{line}\n"));
    }
    for family in ["ipv4", "ipv6"] {
        for device in sysctl(&format!("net/{family}/conf")).unwrap().split(' ').chain(["all", "default"]) {
            for name in ["forwarding", "force_forwarding", "accept_ra", "rp_filter"] {
                let key = format!("net/{family}/conf/{device}/{name}");
                let _ = writeln!(text, "{key} {:?}", sysctl(&key));
            }
        }
    }
    text
}

/// What a kernel before 6.17 shows.
fn older(key: &str) -> Option<String> {
    if key.ends_with("/force_forwarding") { None } else { sysctl(key) }
}

#[test]
fn a_crash_at_any_moment_is_put_back_by_the_next_start() {
    for (name, read) in [("crash", &sysctl as &(dyn Fn(&str) -> Option<String> + Sync)), ("older", &older)] {
        within(|| {
            write("net/ipv6/conf/tq0/forwarding", "1").unwrap();
            let (before, options) = (state(), options(name));
            let all = plan().steps(0, read).len();
            assert!(all > 12, "{all}");
            for crash in 0..2 * all {
                let mut host = Host::open(&options).unwrap();
                assert_eq!(state(), before, "after a crash at {crash}");
                let steps = plan().steps(0, read);
                for (i, step) in steps.iter().enumerate() {
                    // Dead after the note, or after the change.
                    for (half, act) in [Host::note, Host::make].into_iter().enumerate() {
                        if 2 * i + half <= crash {
                            act(&mut host, step).unwrap();
                        }
                    }
                }
                assert!(crash < 3 || state() != before);
                host.crash();
            }
            drop(Host::open(&options).unwrap());
            assert_eq!(state(), before);
            std::fs::remove_dir_all(&options.folder).unwrap();
        });
    }
}

#[test]
fn a_crash_while_things_are_put_back_is_put_back_too() {
    within(|| {
        write("net/ipv6/conf/tq0/forwarding", "1").unwrap();
        let (before, options) = (state(), options("undoing"));
        let all = plan().steps(0, &older).len();
        for undone in 0..=all {
            let mut host = Host::open(&options).unwrap();
            assert_eq!(state(), before, "after a crash at {undone}");
            for step in plan().steps(0, &older) {
                host.note(&step).and_then(|()| host.make(&step)).unwrap();
            }
            for undo in host.journal.entries().unwrap().iter().rev().take(undone) {
                host.kernel.undo(undo, None).unwrap();
            }
            host.crash();
        }
        drop(Host::open(&options).unwrap());
        assert_eq!(state(), before);
        std::fs::remove_dir_all(&options.folder).unwrap();
    });
}

#[test]
fn a_step_that_fails_leaves_nothing_of_those_before_it() {
    within(|| {
        let (before, options) = (state(), options("fails"));
        let mut host = Host::open(&options).unwrap();
        let error = host.apply(&Plan { tun: "nosuch0".into(), ..plan() }).unwrap_err();
        assert!(matches!(error, SetupError::System { .. }), "{error}");
        assert_eq!(state(), before);
        // The kernel knows no interface of that name, nft does not mind.
        host.apply(&plan()).unwrap();
        assert_ne!(state(), before);
        drop(host);
        assert_eq!(state(), before);
        std::fs::remove_dir_all(&options.folder).unwrap();
    });
}

#[test]
fn what_somebody_else_changed_meanwhile_stays() {
    within(|| {
        let options = options("meanwhile");
        let mut host = Host::open(&options).unwrap();
        host.apply(&plan()).unwrap();
        let key = "net/ipv4/conf/lan0/forwarding";
        assert_eq!(sysctl(key).as_deref(), Some("1"));
        write(key, "0").unwrap();
        write(key, "1").unwrap();
        write("net/ipv6/conf/lan0/force_forwarding", "0").unwrap();
        nft::run(None, "delete table inet tquic\ntable inet other {}\n").unwrap();
        Talk::new()
            .unwrap()
            .ask(Request::new(libc::RTM_DELLINK, libc::NLM_F_ACK, &{
                let mut header = [0; 16];
                header[4..8].copy_from_slice(&sys::index("tq0").unwrap().to_ne_bytes());
                header
            }))
            .unwrap();
        host.undo().unwrap();
        host.undo().unwrap();
        assert!(state().contains("table inet other"));
        let again = state();
        drop(host);
        assert_eq!(state(), again);
        std::fs::remove_dir_all(&options.folder).unwrap();
    });
}

#[test]
fn what_cannot_be_put_back_is_told_and_kept() {
    within(|| {
        let (before, mut options) = (state(), options("kept"));
        let mut host = Host::open(&options).unwrap();
        host.apply(&plan()).unwrap();
        host.nft = Some("/no/such/nft".into());
        let Err(SetupError::Left(left)) = host.undo() else { panic!() };
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].what, "nft tquic");
        drop(host);
        options.nft = Some("/no/such/nft".into());
        assert!(matches!(Host::open(&options), Err(SetupError::Left(_))));
        options.nft = None;
        drop(Host::open(&options).unwrap());
        assert_eq!(state(), before);
        std::fs::remove_dir_all(&options.folder).unwrap();
    });
}
