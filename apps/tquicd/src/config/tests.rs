//! Configurations that mean something, and those that say where they are wrong.

use std::path::Path;

use super::{Begins, Config, Cost, Role};

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/tquic/home.toml"), text).map_err(|error| error.to_string())
}

/// What `check` prints.
fn config_text(text: &str) -> String {
    parse(text).unwrap().to_string()
}

#[test]
fn a_server_says_where_it_is() {
    let config = parse("[server]\naddresses = [\"203.0.113.7\", \"2001:db8::7\"]\n").unwrap();
    assert_eq!((config.name.as_str(), config.control.to_str()), ("home", Some("/run/tquic/home.sock")));
    let Role::Server(server) = config.role else { panic!("a server") };
    assert_eq!(server.listen, ["[::]:443".parse().unwrap()]);
    assert_eq!((server.port, server.egress.own.len()), (443, 2));
}

#[test]
fn a_router_has_links_and_listeners() {
    let text = r#"
        [router]
        token_file = "/etc/tquic/home.token"
        [[link]]
        device = "eth0"
        [[link]]
        name = "lte"
        address = "127.0.0.3"
        cost = "metered"
        priority = 3
        weight = 20
        cap = "2.5 Mbit/s"
        backup = true
        [[link]]
        match = "ww*"
        cap = "1Gbit"
        [tcp]
        socks5 = ["127.0.0.1:1080"]
        [transport]
        scheduler = "minrtt"
    "#;
    let config = parse(text).unwrap();
    assert_eq!(config.transport.scheduler.map(|kind| kind.name()), Some("minrtt"));
    assert_eq!(config.transport.congestion.name(), "auto");
    let Role::Router(router) = config.role else { panic!("a router") };
    assert_eq!(router.links[0].name.as_str(), "eth0");
    assert_eq!(router.links[1].begins, Begins::Address("127.0.0.3".parse().unwrap()));
    assert_eq!((router.links[0].terms.cost, router.links[1].terms.cost), (None, Some(Cost::Metered)));
    let policy = router.links[1].terms.policy(Cost::Flat);
    assert_eq!((policy.cost, policy.weight, policy.max_rate), (13, Some(20), Some(312_500)));
    let (found, any) = (&router.matches[0], &router.matches[0].terms);
    assert_eq!(
        (found.pattern.as_str(), any.cap.map(|cap| cap.to_string())),
        ("ww*", Some("1 Gbit/s".into()))
    );
    assert!(any.policy(Cost::Metered).cost > any.policy(Cost::Flat).cost);
    let said = config_text(text);
    assert!(
        said.contains(
            "link lte: address 127.0.0.3, metered, priority 3, weight 20, at most 2.5 Mbit/s, backup"
        )
    );
    assert!(said.contains("links ww*: cost as guessed, at most 1 Gbit/s"), "{said}");
}

#[test]
fn what_is_wrong_is_said_with_line_and_key() {
    const SERVER: &str = "[server]\naddresses = [\"203.0.113.7\"]\n";
    let link = "[router]\n[[link]]\ndevice = \"eth0\"\n";
    for (text, says) in [
        ("[server]\naddresses = [\"203.0.113.7\"]\nlisen = [\"[::]:1\"]\n", &[":3: lisen: ", "`listen`"][..]),
        ("[server]\naddresses = [\n  \"203.0.113.7\",\n  \"x\"\n]\n", &[":2: addresses: ", "\"x\""]),
        ("[server]\naddresses = []\n", &["[server] addresses: expected 1 to 8"]),
        (
            "[server]\naddresses = [\"hub.example\"]\n",
            &[":2: addresses: ", "such as \"203.0.113.7\"", "no name"],
        ),
        (&format!("{SERVER}listen = [\"443\"]\n"), &[":3: listen: ", "such as", "\"[::]:443\""]),
        (&format!("{SERVER}max_sessions = 0\n"), &["[server] max_sessions: 0 ", "1 or more"]),
        ("[server]\naddresses = [\"0.0.0.0\"]\n", &["0.0.0.0"]),
        ("[server]\nport = 70000\n", &[":2: port: "]),
        ("[server]\n", &["[server] addresses: expected 1 to 8", "[\"203.0.113.7\"]"]),
        ("[sever]\n", &[":1: ", "`sever`", "`server`"]),
        ("", &["neither [server] nor [router]"]),
        ("[router]\n[lan]\ninterfaces = []\n", &["[lan] interfaces is empty"]),
        (
            "[router]\n[lan]\ninterfaces = [\"lan0\"]\nwithout = \"maybe\"\n",
            &[":4: without: ", "`direct` or `block`"],
        ),
        (&format!("{link}cost = \"free\"\n"), &[":4: cost: ", "`flat` or `metered`"]),
        (&format!("{link}address = \"127.0.0.1\"\n"), &["one of device, address or match"]),
        (&format!("{link}cap = \"20\"\n"), &[":4: cap: ", "\"20 Mbit/s\""]),
        (&format!("{link}cap = \"1 kbit/s\"\n"), &[":4: cap: ", "at least 64 kbit/s"]),
        (&format!("{link}priority = 10\n"), &["10 is no priority", "0 (first) to 9"]),
        (&format!("{link}weight = 0\n"), &["0 is no weight", "1 to 1000"]),
        (&format!("{link}weight = -1\n"), &[":4: weight: "]),
        ("[router]\n[[link]]\nmatch = \"ww*\"\nname = \"x\"\n", &["\"ww*\"", "has no name"]),
        (&format!("{link}[[link]]\ndevice = \"eth0\"\n"), &["[[link]] eth0", "same name"]),
        (&format!("{link}[transport]\nscheduler = \"fast\"\n"), &[":5: scheduler: ", "minrtt"]),
        (&format!("{link}[transport]\ncongestion = \"fast\"\n"), &[":5: congestion: ", "cubic"]),
        (&format!("{link}[egress]\ndeny = []\n"), &["[egress] is for servers"]),
        (&format!("{link}[egress]\ndeny = [\"x\"]\n"), &[":5: deny: ", "no rule"]),
        ("[router\n", &[":1: "]),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with("/etc/tquic/home.toml:"), "{error}");
        for say in says {
            assert!(error.contains(say), "{text:?} should say {say:?}: {error}");
        }
    }
}

#[test]
fn the_files_name_is_the_daemons() {
    let text = "[server]\naddresses = [\"203.0.113.7\"]\n";
    let error = Config::parse(Path::new("/etc/tquic/my home.toml"), text).unwrap_err().to_string();
    assert!(error.contains("\"my home\" is no name"), "{error}");
}

#[test]
fn the_examples_are_right_as_they_are_and_with_all_they_leave_out() {
    for text in [include_str!("../../dist/server.toml"), include_str!("../../dist/router.toml")] {
        parse(text).unwrap();
        // What is commented out is there to be used.
        let line = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest.starts_with('[') => rest.to_owned(),
            _ => line.to_owned(),
        };
        let all = text.lines().map(line).collect::<Vec<_>>().join("\n");
        parse(&all).unwrap_or_else(|error| panic!("{error}\n{all}"));
    }
}
