use super::*;
use crate::peer::Done;

fn scenario(rest: &str) -> Scenario {
    let text = format!(
        "name = \"x\"\ntime = \"5s\"\n[[link]]\nname = \"a\"\nrate = \"10Mbit/s\"\nrtt = \"20ms\"\n{rest}"
    );
    tq_scenario::parse("x.toml", &text).unwrap()
}

const BULK: &str = "[[traffic]]\nkind = \"bulk\"\nbytes = \"1MB\"\n";

#[test]
fn what_the_lab_cannot_play_is_named() {
    assert_eq!(cannot(&scenario(BULK)), Vec::<String>::new());
    let web = "[[traffic]]\nname = \"w\"\nkind = \"web\"\nobjects = 3\nsize = \"10kB\"\n";
    assert_eq!(cannot(&scenario(web)), ["traffic \"w\": web"]);
    let event = format!("{BULK}[[event]]\nat = \"1s\"\nwhat = \"key-update\"\n");
    assert_eq!(cannot(&scenario(&event)), ["event key-update"]);
    let dropped = format!("{BULK}[[event]]\nat = \"1s\"\nwhat = \"drop-packets\"\nlink = \"a\"\nfirst = 3\n");
    assert!(cannot(&scenario(&dropped)).is_empty());
}

#[test]
fn rates_beyond_the_budget_are_refused() {
    assert_eq!(beyond(&scenario(BULK)), None);
    let fast = "[[link]]\nname = \"b\"\nrate = \"395Mbit/s\"\nrtt = \"20ms\"\n";
    assert!(beyond(&scenario(&format!("{fast}{BULK}"))).unwrap().contains("405 Mbit/s"));
}

#[test]
fn trouble_comes_before_bars_and_bars_before_luck() {
    let (well, ill) = (Health::default(), Health { troubles: vec!["late".into()], ..Health::default() });
    let bar = |holds| Judged { bar: "use >= 1".into(), measured: None, value: None, holds };
    assert_eq!(verdict(&ill, &[], &[bar(Some(false))]).0, Verdict::Invalid);
    assert_eq!(verdict(&well, &[], &[bar(Some(false)), bar(Some(true))]).0, Verdict::Fail);
    assert_eq!(verdict(&well, &[], &[bar(None), bar(Some(true))]), (Verdict::Pass, Vec::new()));
    let done = Done { error: Some("reset".into()), ..Done::default() };
    let broken = Measured { traffic: 0, competing: false, upload: false, start: Instant::ZERO, done };
    assert_eq!(verdict(&well, &[broken], &[]), (Verdict::Fail, vec!["reset".into()]));
}

#[test]
fn both_directions_are_two_transfers_and_end_with_the_scenario() {
    let both = "[[traffic]]\nkind = \"bulk\"\nbytes = \"endless\"\ndirection = \"both\"\nstart = \"1s\"\n";
    let list = transfers(&scenario(both), "cubic", 0, Instant::ZERO);
    let ways: Vec<_> = list.iter().map(|(.., transfer)| transfer.upload).collect();
    assert_eq!(ways, [false, true]);
    assert!(list.iter().all(|(.., t)| t.stop == Instant::from_nanos(5_000_000_000) && t.bytes.is_none()));
}
