use super::*;
use crate::emulator::books::{LaneBooks, LinkBooks};
use crate::emulator::watch::Stall;

fn books(edit: impl FnOnce(&mut LaneBooks)) -> Books {
    let mut link = LinkBooks { name: "a".into(), ..LinkBooks::default() };
    (0..1000).for_each(|_| link.down.lateness.add(20_000));
    edit(&mut link.down);
    Books { links: vec![link], ..Books::default() }
}

fn troubles(now: &Reading, books: &Books) -> Vec<String> {
    let before = Reading { busy: 100, idle: 100, emulator: vec![0], ..Reading::default() };
    now.since(&before, books, 10.0, Limits::USUAL).troubles
}

fn quiet() -> Reading {
    Reading { busy: 150, idle: 250, emulator: vec![1_000_000_000], ..Reading::default() }
}

#[test]
fn a_quiet_machine_has_no_troubles() {
    assert_eq!(troubles(&quiet(), &books(|_| ())), Vec::<String>::new());
}

#[test]
fn each_trouble_is_told_by_its_own_name() {
    let told = |now: &Reading, books: &Books, word: &str| {
        let found = troubles(now, books);
        assert!(found.len() == 1 && found[0].contains(word), "{found:?}");
    };
    told(&Reading { busy: 1100, idle: 150, ..quiet() }, &books(|_| ()), "processors");
    told(&Reading { emulator: vec![9_900_000_000], ..quiet() }, &books(|_| ()), "thread of the emulator");
    let counts = [("UdpRcvbufErrors of router".to_owned(), 3)].into();
    told(&Reading { counts, ..quiet() }, &books(|_| ()), "3 UdpRcvbufErrors of router");
    told(&quiet(), &books(|lane| lane.faults.not_fetched = 1), "a down");
    told(&quiet(), &books(|lane| (0..20).for_each(|_| lane.lateness.add(5_000_000))), "2000 us late");
    told(&quiet(), &books(|lane| lane.lateness.add(60_000_000)), "60.0 ms late");
    let stalls = vec![Stall::default(), Stall { late: 60_000_000, queued: 59_000_000, ..Stall::default() }];
    let stalled = Books { stalls, ..books(|lane| lane.lateness.add(60_000_000)) };
    told(&quiet(), &stalled, "waited 59.0 ms for a processor");
    told(&quiet(), &Books { clock_steps: 1, ..books(|_| ()) }, "clock");
}

#[test]
fn the_kernels_tables_are_read_by_name() {
    let snmp = "Ip: Forwarding OutDiscards\nIp: 1 7\nUdp: InDatagrams RcvbufErrors\nUdp: 5 2\nUdpLite: RcvbufErrors\nUdpLite: 9\n";
    assert_eq!(table(snmp, "Udp", "RcvbufErrors"), Some(2));
    assert_eq!(table(snmp, "Ip", "OutDiscards"), Some(7));
    assert_eq!(table(snmp, "Tcp", "InSegs"), None);
    assert_eq!(processors("cpu  10 0 5 80 5 0 1 2 0 0\ncpu0 1"), [18, 85, 2]);
}
