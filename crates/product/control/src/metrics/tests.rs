//! Metrics as a scraper reads them.

use super::prometheus;
use crate::model::{Link, SCHEMA, Stats};

#[test]
fn every_sample_has_its_type_before_it() {
    let stats = Stats { schema: SCHEMA, counters: [("packets_sent".to_owned(), 3)].into() };
    let link = Link {
        name: "a\"b".into(),
        device: None,
        address: None,
        state: "up".into(),
        cost: "flat".into(),
        priority: 0,
        weight: None,
        max_rate: None,
        backup: false,
        path: None,
        error: None,
    };
    let text = prometheus(&stats, &[("sessions", "Sessions now", 2)], &[link], &[]);
    let expected = "# TYPE tquic_packets_sent_total counter\ntquic_packets_sent_total 3\n\
        # HELP tquic_sessions Sessions now\n# TYPE tquic_sessions gauge\ntquic_sessions 2\n\
        # HELP tquic_link_up Whether the link carries a path\n# TYPE tquic_link_up gauge\ntquic_link_up{link=\"a\\\"b\"} 1\n";
    assert_eq!(text, expected);
}
