use super::*;

const COMMON: Common = Common {
    client_cpu_s: 1.0,
    server_cpu_s: 2.0,
    rtt_ms: 0.5,
    mtu: 1452,
    packets_lost: 3,
    paths: Vec::new(),
};

#[test]
fn rates_are_per_gigabyte_of_payload() {
    let time = Duration::from_secs(2);
    let report = Report::Bulk(BulkReport::new(false, 1, Algorithm::Cubic, 2_000_000_000, time, COMMON));
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["measured"], "bulk");
    assert_eq!(json["direction"], "download");
    assert_eq!(json["gbit_per_s"], 8.0);
    assert_eq!(json["client_cpu_s_per_gb"], 0.5);
    assert_eq!(json["server_cpu_s_per_gb"], 1.0);
    assert!(report.text().contains("8.000 Gbit/s"));
}

#[test]
fn nothing_measured_is_zero_and_no_nonsense() {
    let report = Report::Requests(RateReport::new(Some(32), 1, &Latencies::new(), Duration::ZERO, COMMON));
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!((&json["per_s"], &json["client_cpu_ms"]), (&0.0.into(), &0.0.into()));
    assert_eq!(json["size"], 32);
    let mut one = Latencies::new();
    one.add(Duration::from_millis(1));
    let handshakes = Report::Handshakes(RateReport::new(None, 1, &one, Duration::from_secs(1), COMMON));
    assert!(!handshakes.json().unwrap().contains("size"));
}

#[test]
fn a_link_that_was_not_used_is_told_as_such() {
    let used = Used { link: "wwan0".into(), path: Err("the server did not answer over this path".into()) };
    let common = Common { paths: vec![PathReport::new(&used)], ..COMMON };
    let report = Report::Requests(RateReport::new(Some(32), 1, &Latencies::new(), Duration::ZERO, common));
    assert!(report.text().ends_with("link wwan0: unused"), "{}", report.text());
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!((&json["paths"][0]["link"], &json["paths"][0]["path"]), (&"wwan0".into(), &().into()));
}
