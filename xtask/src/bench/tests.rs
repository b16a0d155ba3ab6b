use super::stacks::{number, parse};
use super::*;

fn sample(gbit_s: f64, sender: f64, receiver: f64) -> Sample {
    Sample { gbit_s, sender, receiver }
}

fn rate(per_s: f64) -> Rate {
    Rate { per_s, client_cpu_ms: 0.5, server_cpu_ms: 0.25, p50_us: 20.0, p99_us: 90.0 }
}

#[test]
fn ratios_are_taken_round_by_round_to_the_best_peer() {
    // A machine that is slow in one round is slow for all. The one that is fastest need not be the thriftiest.
    let ours = vec![sample(20.0, 0.3, 0.3), sample(10.0, 0.6, 0.6), sample(20.0, 0.3, 0.3)];
    let quinn = vec![sample(10.0, 0.6, 0.6), sample(5.0, 1.2, 1.2), sample(10.0, 0.6, 0.6)];
    let s2n = vec![sample(8.0, 0.4, 0.4), sample(4.0, 0.8, 0.8), sample(8.0, 0.4, 0.4)];
    let (bulk, ratios) = bulk(&[(Stack::Ours, ours), (Stack::Quinn, quinn), (Stack::S2n, s2n)]);
    assert_eq!((bulk.ratio_goodput_best_peer, ratios), (2.0, vec![2.0; 3]));
    assert!((bulk.ratio_cpu_best_peer - 0.75).abs() < 1e-9);
    assert_eq!(bulk.peers[1], Peer { stack: "s2n-quic", result: sample(8.0, 0.4, 0.4) });
}

#[test]
fn rates_are_beside_the_best_peer_of_as_many_at_a_time() {
    let medians =
        [vec![rate(30.0), rate(100.0)], vec![rate(20.0), rate(200.0)], vec![rate(15.0), rate(50.0)]];
    let counted = counted(&[Stack::Ours, Stack::Quinn, Stack::Noq], &medians, &[1, 20]);
    let ratios: Vec<_> = counted.ours.by_outstanding.iter().map(|one| one.ratio_best_peer).collect();
    assert_eq!(ratios, [Some(1.5), Some(0.5)]);
    assert_eq!(counted.peers[0].result.by_outstanding[1].ratio_best_peer, None);
}

#[test]
fn everybody_begins_as_often_as_ends() {
    assert_eq!(order(4, 0), [0, 1, 2, 3]);
    assert_eq!(order(4, 1), [3, 2, 1, 0]);
    assert_eq!(order(4, 2), [1, 2, 3, 0]);
    let begins: Vec<usize> = (0..8).map(|round| order(4, round)[0]).collect();
    assert!((0..4).all(|stack| begins.iter().filter(|first| **first == stack).count() == 2), "{begins:?}");
}

#[test]
fn the_json_has_the_fields_that_others_read() {
    let rates = || Rates {
        by_outstanding: vec![Outstanding { outstanding: 1, rate: rate(2.0), ratio_best_peer: None }],
    };
    let (bulk, _) =
        bulk(&[(Stack::Ours, vec![sample(2.0, 1.0, 1.0)]), (Stack::Noq, vec![sample(1.0, 2.0, 2.0)])]);
    let verdict = Verdict { valid: false, why: vec!["busy".into()] };
    let counted = || Some(Counted { ours: rates(), peers: vec![Peer { stack: "noq", result: rates() }] });
    let report = Report {
        rounds: 1,
        seconds: 1,
        verdict,
        bulk: Some(bulk),
        handshakes: counted(),
        requests: counted(),
    };
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["bulk"]["ours"]["gbit_s"], 2.0);
    assert_eq!(json["bulk"]["peers"][0]["stack"], "noq");
    assert_eq!(json["bulk"]["peers"][0]["receiver"], 2.0);
    assert_eq!(
        (&json["bulk"]["ratio_goodput_best_peer"], &json["bulk"]["ratio_cpu_best_peer"]),
        (&2.0.into(), &0.5.into())
    );
    assert_eq!(json["handshakes"]["ours"]["by_outstanding"][0]["per_s"], 2.0);
    assert_eq!(json["requests"]["peers"][0]["by_outstanding"][0]["outstanding"], 1);
    assert_eq!(json["requests"]["ours"]["by_outstanding"][0]["p99_us"], 90.0);
    assert_eq!(json["verdict"]["valid"], false);
    let text = table(&report);
    assert!(
        text.contains("| noq | 1.00 | 2.000 | 2.000 |") && text.contains("verdict: invalid: busy"),
        "{text}"
    );
}

#[test]
fn options_are_understood_or_refused_with_what_there_is() {
    let options = Options::parse(&["--json", "--rounds", "3", "--peer", "noq"]).unwrap();
    assert_eq!((options.rounds, options.seconds, options.json), (3, 4, true));
    assert_eq!(options.peers, [Stack::Noq]);
    for wrong in [&["--rounds"][..], &["--rounds", "0"], &["--peer", "nginx"], &["--fast"]] {
        assert!(Options::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_report_is_found_behind_other_output() {
    let value = parse("listening\n{\"gbit_s\":1.5}\n").expect("JSON is there");
    assert_eq!(number(&value, "gbit_s").expect("a number"), 1.5);
    assert!(number(&value, "missing").is_err());
    assert!(parse("nothing").is_err());
}

#[test]
fn the_median_of_an_even_count_is_the_upper_middle() {
    assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 3.0);
    assert_eq!(median(Vec::new()), 0.0);
}
