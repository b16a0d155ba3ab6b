//! The journal's lines, and commands as they are shown.

use proptest::prelude::*;

use super::*;

fn all() -> Vec<Undo> {
    let rule = Rule { v6: true, priority: 10_000, mark: 2, table: 254, no_default: true };
    let route = |to| Undo::Route(Route { v6: false, table: 101, to });
    vec![
        Undo::Rule(rule),
        Undo::Rule(Rule { no_default: false, v6: false, ..rule }),
        route(To::Local),
        route(To::Device("tq0".into())),
        route(To::Nowhere),
        Undo::Nft("tquic".into()),
        Undo::Nft("tquic12".into()),
        Undo::Sysctl { key: "net/ipv4/conf/lan0/forwarding".into(), was: "0".into(), now: "1".into() },
    ]
}

#[test]
fn lines_are_read_as_they_were_written() {
    for undo in all() {
        assert_eq!(undo.to_string().parse(), Ok(undo.clone()), "{undo}");
    }
}

#[test]
fn lines_that_reach_beyond_what_is_ours_are_not_taken() {
    for line in [
        "",
        "nft filter",
        "nft tquic;x",
        "sysctl kernel/panic 0 1",
        "sysctl net/../kernel/panic 0 1",
        "sysctl net/ipv4/ip_forward 0",
        "rule 5 1 1 1 0",
        "route 4 101 elsewhere",
        "run rm",
    ] {
        assert_eq!(line.parse::<Undo>(), Err(NotOurs), "{line}");
    }
}

#[test]
fn steps_are_shown_as_the_commands_an_administrator_knows() {
    let rule = Rule { v6: false, priority: 10_020, mark: 2, table: 101, no_default: false };
    assert_eq!(rule.to_string(), "ip -4 rule add priority 10020 fwmark 0x2/0xff lookup 101");
    let route = Route { v6: true, table: 101, to: To::Device("tq0".into()) };
    assert_eq!(route.to_string(), "ip -6 route add default dev tq0 table 101");
}

proptest! {
    #[test]
    fn any_line_is_read_without_harm(line in "\\PC{0,60}") {
        if let Ok(undo) = line.parse::<Undo>() {
            prop_assert_eq!(undo.to_string().parse::<Undo>(), Ok(undo));
        }
    }
}
