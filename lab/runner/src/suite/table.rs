//! Loads and bars of the public suites, by id and by hand.
//!
//! Says what the words in the file mean; a bar is here only if it is a time from the first packet to the last byte.
//! Suites move their limits: another version of picoquic allows pq-sat-basic 6.3 s with BBR and 11 s with CUBIC.

use super::StreamOrder::{Parallel, Serial};
use super::{Bar, Load};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const MB: u64 = 1_000_000;

/// What is known of a scenario.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) load: Option<Load>,
    pub(super) bars: &'static [Bar],
    pub(super) note: &'static str,
}

const fn at(seconds: f64) -> Bar {
    Bar { seconds, cc: None, note: "" }
}

const fn of(cc: &'static str, seconds: f64) -> Bar {
    Bar { seconds, cc: Some(cc), note: "" }
}

const fn draft(seconds: f64) -> Bar {
    Bar { seconds, cc: None, note: "limit of the etosat draft" }
}

const fn one(size: &'static [u64]) -> Option<Load> {
    Some(Load::Streams { sizes: size, order: Parallel })
}

const SAT: Option<Load> = one(&[100 * MB]);
const TEN: Option<Load> = Some(Load::Many { count: 10, size: MB });
const TWO: Option<Load> = Some(Load::Streams { sizes: &[MB, MB], order: Serial });
const MPTCP: Option<Load> = one(&[16 * MIB]);
const SAT_NOTE: &str =
    "theirs goes up from the client; decimal Mbit/s; the bar is the suite's limit, not its result";
const MP_NOTE: &str = "binary Mbit/s; all connection ids must be there at the end";
const MPTCP_NOTE: &str = "90 % of the sum of the rates plus 450 ms, each way; 80 KiB go the other way";

/// The entry of a scenario; one without load and bars for ids that have none.
pub(super) fn entry(id: &str) -> Entry {
    let (load, bars, note): (Option<Load>, &'static [Bar], &'static str) = match id {
        "pq-sat-basic" => (SAT, const { &[of("bbr", 5.5), of("cubic", 6.5), draft(7.0)] }, SAT_NOTE),
        "pq-sat-medium" => (SAT, const { &[of("bbr", 18.2), draft(20.0)] }, SAT_NOTE),
        "pq-sat-small" => (SAT, const { &[of("bbr", 81.5), draft(85.0)] }, SAT_NOTE),
        "pq-sat-small-up" => (
            SAT,
            const { &[of("bbr", 400.0), draft(420.0)] },
            "400 s leave nothing for headers; compare with the draft",
        ),
        "pq-sat-loss" => (SAT, const { &[of("bbr", 8.0), of("cubic", 7.5), draft(10.0)] }, SAT_NOTE),
        "pq-sat-jitter" => (SAT, const { &[of("bbr", 6.7)] }, SAT_NOTE),
        "pq-sat-seeded" => (
            SAT,
            const { &[of("bbr", 4.9), of("cubic", 5.0)] },
            "needs a remembered capacity; cold it is pq-sat-basic",
        ),
        "pq-basic" => (TWO, const { &[at(1.06)] }, "from the moment both paths are up; binary Mbit/s"),
        "pq-drop-first" => (one(&[2 * MB]), const { &[at(1.49)] }, MP_NOTE),
        "pq-drop-second" => (one(&[2 * MB]), const { &[at(1.26)] }, MP_NOTE),
        "pq-sat-plus" => (TEN, const { &[at(10.0)] }, "binary Mbit/s; ideal 7.3 s"),
        "pq-perf" => (TEN, const { &[of("bbr", 1.65)] }, "binary Mbit/s; ideal 0.89 s"),
        "pq-socket-error" => (one(&[2 * MB]), const { &[at(11.0)] }, "10.9 s if path 0 fails"),
        "pq-abandon" => (TWO, const { &[at(3.8)] }, "one path left; its state gone within 1.1 s"),
        "pq-back0" | "pq-back1" => (TWO, const { &[at(3.3)] }, "two paths at the end"),
        "pq-backup" => (one(&[2 * MB]), const { &[at(2.0)] }, "at most 50 kB on the backup path"),
        "pq-nat" | "pq-renew-rotation" => (TWO, const { &[at(3.0)] }, MP_NOTE),
        "mptcp-unbal-old" | "mptcp-unbal-opposed-old" => (MPTCP, const { &[at(4.178)] }, MPTCP_NOTE),
        "mptcp-link-usage" => (None, &[], "the bar is a share of bytes"),
        _ if id.starts_with("mptcp-") => (MPTCP, const { &[at(7.906)] }, MPTCP_NOTE),
        "neqo-delay-drop" | "neqo-fixed-seed" | "neqo-dsl" => {
            (one(&[MIB]), &[], "must complete, whatever the seed")
        }
        _ if id.starts_with("qir-") => return interop(id),
        _ if id.starts_with("msq-") => (Some(Load::Seconds(10)), &[], "a report beside TCP and TLS, no bar"),
        "ours-fibre-sat" => (one(&[1000 * MB]), &[], "the bar is an efficiency"),
        "ours-nat-udp-timeout" => (None, &[], "the bar is a reaction"),
        _ if id.starts_with("ours-") => (Some(Load::Seconds(60)), &[], "the bar is a benefit or a gap"),
        _ => (None, &[], ""),
    };
    Entry { load, bars, note }
}

/// The public interop runner: files must be equal within 60 s.
fn interop(id: &str) -> Entry {
    const MINUTE: &[Bar] = &[Bar { seconds: 60.0, cc: None, note: "time limit of the test" }];
    const FIVE: &[Bar] = &[Bar { seconds: 300.0, cc: None, note: "time limit of the test" }];
    let (load, bars, note): (Option<Load>, &'static [Bar], &'static str) = match id {
        "qir-handshake" | "qir-v2" => (one(&[KIB]), MINUTE, ""),
        "qir-longrtt" => (one(&[KIB]), &[], "one handshake; at least two ClientHellos"),
        "qir-transfer" => (one(&[2 * MIB, 3 * MIB, 5 * MIB]), MINUTE, ""),
        "qir-chacha20" | "qir-keyupdate" => (one(&[3 * MIB]), MINUTE, ""),
        "qir-multiplexing" => {
            (Some(Load::Many { count: 1999, size: 32 }), MINUTE, "at most 1000 streams at once")
        }
        "qir-retry" => (one(&[10 * KIB]), MINUTE, ""),
        "qir-resumption" | "qir-ipv6" => (one(&[5 * KIB, 10 * KIB]), MINUTE, ""),
        "qir-zerortt" => (Some(Load::Many { count: 40, size: 32 }), MINUTE, ""),
        "qir-http3" => (one(&[5 * KIB, 10 * KIB, 500 * KIB]), MINUTE, ""),
        "qir-ecn" => (one(&[100 * KIB]), MINUTE, ""),
        "qir-blackhole" => (one(&[10 * MIB]), MINUTE, "5 s on, 2 s off"),
        "qir-handshakeloss" => {
            (Some(Load::Many { count: 50, size: KIB }), FIVE, "a connection for each file")
        }
        "qir-transferloss" => (one(&[2 * MIB]), MINUTE, "bursts of at most three"),
        "qir-rebind" => (one(&[10 * MIB]), &[], "the bar is a PATH_CHALLENGE"),
        "qir-migration" => (one(&[2 * MIB]), &[], "the bar is a connection id"),
        "qir-goodput" => (one(&[10 * MIB]), &[], "good stacks reach 9300 to 9600 kbit/s"),
        "qir-crosstraffic" => {
            (one(&[25 * MIB]), &[], "against one CUBIC flow; a fair share is 4000 to 6000 kbit/s")
        }
        _ => (None, &[], ""),
    };
    Entry { load, bars, note }
}

/// Why a scenario is not run here, if it is not.
pub(super) fn elsewhere(id: &str) -> Option<&'static str> {
    Some(match id {
        "neqo-crazy" => "no transfer: connects and idles for a thousand weeks",
        "qir-chacha20" | "qir-retry" | "qir-resumption" | "qir-zerortt" | "qir-keyupdate" | "qir-ecn"
        | "qir-v2" | "qir-ipv6" | "qir-http3" | "qir-amplification" | "qir-corruption" => {
            "about packets, not time"
        }
        "qir-rebind" | "qir-migration" | "ours-nat-udp-timeout" => "about addresses, not time",
        "qir-crosstraffic" => "needs a TCP flow beside it",
        _ => return None,
    })
}
