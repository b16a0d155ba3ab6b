//! The machine before, during and after: stopped, killed, in the way of others, told to do nothing.

mod common;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Net, block, runs, says};
use tq_net::host::{Host, Options, Plan, SetupError, Without, preview};
use tq_net::intake::Settings;
use tq_net::listener::Listener;
use tq_net::tun::Tun;

/// Set for a process that is to be killed: its folder.
const HOLD: &str = "TQ_NET_TEST_HOLD";
/// Set if it is to use an interface that is there: in some places only root may open /dev/net/tun.
const WITHOUT: &str = "TQ_NET_TEST_WITHOUT_TUN";

fn plan() -> Plan {
    Plan {
        lan: vec!["lan0".into()],
        tun: "tq0".into(),
        port_v4: 4001,
        port_v6: Some(4002),
        direct: Vec::new(),
        without: Without::Direct,
    }
}

fn options(name: &str) -> Options {
    let folder = std::env::temp_dir().join(format!("tq-net-it-{name}-{}", std::process::id()));
    Options { folder, ..Options::default() }
}

/// A router whose administrator has rules, routes and a table of nft already.
fn router() -> Option<Net> {
    let net = Net::fresh()?;
    if !net.run(|| runs("nft list tables")) {
        eprintln!("skipped: needs nft");
        return None;
    }
    net.commands(&[
        "ip link add lan0 type veth peer name lan1",
        "ip addr add 10.1.0.1/24 dev lan0",
        "ip link set lan0 up",
        "ip link set lan1 up",
        "ip rule add priority 500 from 10.9.0.0/16 lookup 77",
        "ip route add 10.8.0.0/16 dev lan0 table 77",
        "ip -6 rule add priority 10010 fwmark 0x100/0xff00 lookup 78",
        "nft add table inet filter",
        "nft add chain inet filter forward { type filter hook forward priority 0 ; }",
    ]);
    Some(net)
}

/// Everything a plan may change, as programs show it.
fn state(net: &Net) -> String {
    let lists = [
        "ip -4 rule",
        "ip -6 rule",
        "ip -4 route show table all",
        "ip -6 route show table all",
        "nft list ruleset",
    ];
    let mut text: String = lists.iter().map(|line| net.says(line)).collect();
    // Which interfaces there are, not how they are.
    text += &net
        .says("ip -o link")
        .lines()
        .map(|line| line.split('<').next().unwrap().to_owned() + "\n")
        .collect::<String>();
    text += &net.says("grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf");
    // The kernel makes these a while after an interface came up; and what changes by itself.
    let changing =
        |line: &&str| !["ff00::/8", "fe80::", "stable_secret"].iter().any(|word| line.contains(word));
    let mut lines: Vec<&str> = text.lines().filter(changing).collect();
    lines.dedup();
    lines.join("\n")
}

/// Everything but the interface, which costs a little time to make.
fn applied(options: &Options) -> (Host, Tun, Listener, Listener) {
    let mut host = Host::open(options).unwrap();
    let tun = Tun::open("tq0", 1360).unwrap();
    let (v4, v6) = (Listener::bind(false).unwrap(), Listener::bind(true).unwrap());
    let plan = Plan { port_v4: v4.port(), port_v6: Some(v6.port()), ..plan() };
    host.apply(&plan).unwrap();
    (host, tun, v4, v6)
}

#[test]
fn stopping_leaves_the_machine_as_it_was() {
    let Some(net) = router() else { return };
    let (before, options) = (state(&net), options("stop"));
    for _ in 0..2 {
        net.run(|| {
            block(async {
                let (mut host, _tun, _v4, _v6) = applied(&options);
                let during = state(&net);
                assert_ne!(during, before);
                // Applied again, nothing is different; undone, it can be applied again.
                let list = says("nft list table inet tquic");
                assert!(list.contains("tproxy ip6 to [::1]") && list.contains("iifname \"lan0\""), "{list}");
                host.undo().unwrap();
                host.undo().unwrap();
                host.apply(&plan()).unwrap();
                host.apply(&plan()).unwrap();
            });
        });
        assert_eq!(state(&net), before);
    }
    std::fs::remove_dir_all(options.folder).unwrap();
}

/// No test: what the next one kills. It does nothing unless it is asked to.
#[test]
fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(HOLD) else { return };
    block(async {
        let options = Options { folder: PathBuf::from(folder), ..Options::default() };
        println!("begins");
        if std::env::var_os(WITHOUT).is_some() {
            let mut host = Host::open(&options).unwrap();
            let _listeners = (Listener::bind(false).unwrap(), Listener::bind(true).unwrap());
            host.apply(&plan()).unwrap();
            println!("ready");
            std::future::pending::<()>().await;
        }
        let _held = applied(&options);
        println!("ready");
        std::future::pending::<()>().await;
    });
}

#[test]
fn after_a_kill_the_next_start_puts_everything_back() {
    let Some(net) = router() else { return };
    net.commands(&["ip route add default via 10.1.0.9"]);
    let (before, options) = (state(&net), options("kill"));
    // Some die while they change things, the last when all is done.
    for wait in [Some(0), Some(1), Some(2), Some(4), Some(6), Some(9), Some(13), Some(20), None] {
        net.run(|| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "the_process_that_is_killed", "--nocapture"]).env(HOLD, &options.folder);
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            let word = if wait.is_some() { "begins" } else { "ready" };
            assert!(lines.any(|line| line.contains(word)), "the other process says nothing");
            std::thread::sleep(Duration::from_millis(wait.unwrap_or(0)));
            if wait.is_none() {
                assert!(says("nft list tables").contains("tquic"));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // Nobody is there to take connections, so they are not led anywhere. What it had just started may hold on to its
            // descriptors for a moment.
            let mut tries = 0;
            while !says("ip route get 198.51.100.1 mark 2").contains("via 10.1.0.9") {
                tries += 1;
                assert!(tries < 200, "killed after {wait:?} ms");
                std::thread::sleep(Duration::from_millis(10));
            }
            drop(Host::open(&options).unwrap());
        });
        assert_eq!(state(&net), before, "killed after {wait:?} ms");
    }
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn a_dry_run_shows_everything_and_changes_nothing() {
    let Some(net) = router() else { return };
    let (before, options) = (state(&net), options("dry"));
    let text = net.run(|| preview(&options, &plan()).unwrap());
    assert_eq!(state(&net), before);
    assert!(!options.folder.exists());
    let settings = Settings { lan: vec!["lan0".into()], ..Settings::default() };
    assert_eq!(net.run(|| settings.preview(&options).unwrap()).lines().count(), text.lines().count());
    for part in [
        "ip tuntap add dev tq0 mode tun",
        "sysctl -w net/ipv4/conf/lan0/forwarding=1",
        "ip -6 rule add priority 10010 fwmark 0x1/0xff lookup 100",
        "ip -4 route add default dev tq0 table 101",
        "table inet tquic",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn marks_and_tables_of_others_are_not_touched() {
    let Some(net) = router() else { return };
    let options = options("others");
    let conflict = |make: &str, unmake: &str| {
        net.commands(&[make]);
        let before = state(&net);
        net.run(|| {
            block(async {
                let _tun = Tun::open("tq0", 1360).unwrap();
                let mut host = Host::open(&options).unwrap();
                let error = host.apply(&plan()).unwrap_err();
                assert!(matches!(error, SetupError::Conflict(_)), "{make}: {error}");
                assert!(matches!(preview(&options, &plan()), Err(SetupError::Conflict(_))));
                // Another index has other numbers.
                let mut other = Host::open(&Options { index: 1, ..options.clone() }).unwrap();
                other.apply(&plan()).unwrap();
            });
        });
        assert_eq!(state(&net), before, "{make}");
        net.commands(&[unmake]);
    };
    conflict("ip rule add priority 9 fwmark 2 lookup 55", "ip rule del priority 9");
    conflict("ip rule add priority 9 fwmark 0x1/0xf lookup 55", "ip rule del priority 9");
    conflict("ip -6 rule add priority 9 lookup 101", "ip -6 rule del priority 9");
    conflict("ip route add 10.7.0.0/16 dev lan0 table 100", "ip route flush table 100");
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn rules_that_are_there_already_are_left_there() {
    let Some(net) = router() else { return };
    net.commands(&["ip rule add priority 10010 fwmark 0x1/0xff lookup 100"]);
    let (before, options) = (state(&net), options("there"));
    net.run(|| block(async { drop(applied(&options)) }));
    assert_eq!(state(&net), before);
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn one_instance_has_one_process() {
    let Some(net) = router() else { return };
    let options = options("one");
    net.run(|| {
        let _first = Host::open(&options).unwrap();
        let error = Host::open(&options).unwrap_err();
        assert!(error.to_string().contains("another index"), "{error}");
    });
    // Other namespaces have their own.
    if let Some(other) = Net::fresh() {
        let first = net.run(|| Host::open(&options).unwrap());
        other.run(|| drop(Host::open(&options).unwrap()));
        drop(first);
    }
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let Some(net) = router() else { return };
    let before = state(&net);
    let options = Options { nft: Some("/no/such/nft".into()), ..options("missing") };
    net.run(|| {
        let error = Host::open(&options).unwrap().apply(&plan()).unwrap_err();
        assert!(error.to_string().contains("install nftables"), "{error}");
        block(async {
            runs("ip link add tq0 type veth");
            let error = Tun::open("tq0", 1360).unwrap_err();
            assert!(error.to_string().contains("choose another"), "{error}");
            assert!(Tun::open("tq 0", 1360).is_err() && Tun::open("tq1", 1279).is_err());
            runs("ip link del tq0");
        });
    });
    assert_eq!(state(&net), before);
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn while_nobody_takes_connections_they_go_as_the_plan_says() {
    let Some(net) = router() else { return };
    let options = options("without");
    net.run(|| {
        block(async {
            let _tun = Tun::open("tq0", 1360).unwrap();
            let way = || says("ip route get 198.51.100.1 mark 2");
            assert!(runs("ip route add default via 10.1.0.9"));
            for (without, word) in [(Without::Direct, "via 10.1.0.9"), (Without::Block, "No route to host")] {
                let mut host = Host::open(&options).unwrap();
                host.apply(&Plan { without, ..plan() }).unwrap();
                for _ in 0..2 {
                    assert!(way().contains("dev tq0"), "{}", way());
                    host.set_capture(false).unwrap();
                    host.set_capture(false).unwrap();
                    assert!(way().contains(word), "{}", way());
                    host.set_capture(true).unwrap();
                    host.set_capture(true).unwrap();
                }
                host.set_capture(false).unwrap();
            }
        });
    });
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn what_others_flush_is_made_again_but_not_what_they_set() {
    let Some(net) = router() else { return };
    let (before, options) = (state(&net), options("repair"));
    net.run(|| {
        block(async {
            let (mut host, _tun, _v4, _v6) = applied(&options);
            let during = state(&net);
            assert!(host.repair().unwrap().is_empty());
            let all =
                ["ip rule del priority 10010", "ip -6 route flush table 100", "ip route flush table 101"];
            for line in all.into_iter().chain(["nft delete table inet tquic"]) {
                assert!(runs(line), "{line}");
                assert_eq!(host.repair().unwrap().len(), 1, "{line}");
                assert_eq!(state(&net), during, "{line}");
            }
            let forwarding = "/proc/sys/net/ipv4/conf/lan0/forwarding";
            std::fs::write(forwarding, "0").unwrap();
            host.set_capture(false).unwrap();
            assert!(host.repair().unwrap().is_empty());
            assert!(says("ip route show table 101").is_empty());
            std::fs::write(forwarding, "1").unwrap();
        });
    });
    assert_eq!(state(&net), before);
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn a_local_interface_that_comes_later_is_set_up_and_put_back() {
    let Some(net) = router() else { return };
    let (before, options) = (state(&net), options("later"));
    net.run(|| {
        block(async {
            let _tun = Tun::open("tq0", 1360).unwrap();
            let mut host = Host::open(&options).unwrap();
            host.apply(&Plan { lan: vec!["lan0".into(), "usb0".into()], ..plan() }).unwrap();
            assert!(runs("ip link add usb0 type veth peer name usb1"));
            let made = host.repair().unwrap();
            assert_eq!(made.len(), 2, "{made:?}");
            assert!(host.repair().unwrap().is_empty());
            let forwarding = "/proc/sys/net/ipv4/conf/usb0/forwarding";
            assert_eq!(std::fs::read_to_string(forwarding).unwrap(), "1\n");
            host.undo().unwrap();
            assert_eq!(std::fs::read_to_string(forwarding).unwrap(), "0\n");
            assert!(runs("ip link del usb0"));
        });
    });
    assert_eq!(state(&net), before);
    std::fs::remove_dir_all(options.folder).unwrap();
}

#[test]
fn two_capabilities_are_enough() {
    let Some(net) = router() else { return };
    net.commands(&["ip link add tq0 type veth peer name tq1", "ip link set tq0 up"]);
    let (before, options) = (state(&net), options("caps"));
    std::fs::create_dir_all(&options.folder).unwrap();
    std::os::unix::fs::chown(&options.folder, Some(65534), Some(65534)).unwrap();
    net.run(|| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]);
        command.args([
            "--inh-caps",
            "-all,+net_admin,+net_raw",
            "--ambient-caps",
            "-all,+net_admin,+net_raw",
        ]);
        // Unprivileged users may not read the folder that the test was built in.
        let program = options.folder.join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        command.arg(&program).args(["--exact", "the_process_that_is_killed", "--nocapture"]);
        let Ok(mut child) =
            command.env(HOLD, &options.folder).env(WITHOUT, "1").stdout(Stdio::piped()).spawn()
        else {
            eprintln!("skipped: needs setpriv");
            return;
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("ready")), "the other process cannot");
        assert!(says("nft list tables").contains("tquic"));
        child.kill().unwrap();
        child.wait().unwrap();
        drop(Host::open(&options).unwrap());
    });
    assert_eq!(state(&net), before);
    std::fs::remove_dir_all(options.folder).unwrap();
}
