//! Goodput and gaps of known marks, and a transfer by a program that is always there.

use std::process::Command;
use std::time::Duration;

use tq_linkmodel::Instant;

use super::{Download, Marks};

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

#[test]
fn goodput_and_gap_are_those_of_the_window() {
    let mut marks = Marks::default();
    for ms in [100, 200, 900, 1000] {
        marks.add(at(ms), 12_500);
    }
    assert_eq!(marks.bytes(at(0), at(1000)), 50_000);
    assert!((marks.mbps(at(0), at(1000)) - 0.4).abs() < 1e-9);
    assert_eq!(marks.gap(at(0), at(1000)), Duration::from_millis(700));
    assert_eq!(marks.gap(at(900), at(1500)), Duration::from_millis(500));
}

#[test]
fn what_a_program_prints_is_counted_and_digested() {
    let mut command = Command::new("printf");
    command.arg("abc");
    let download = Download::start(command).unwrap();
    while !download.is_over() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let flow = download.finish().unwrap();
    assert_eq!((flow.bytes, flow.error), (3, None));
    assert_eq!(flow.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_program_that_fails_is_an_error_and_one_that_is_stopped_is_none() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo no >&2; exit 3"]);
    let download = Download::start(command).unwrap();
    while !download.is_over() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(download.finish().unwrap().error.unwrap().contains("no"));
    let mut command = Command::new("sleep");
    command.arg("60");
    assert_eq!(Download::start(command).unwrap().finish().unwrap().error, None);
}
