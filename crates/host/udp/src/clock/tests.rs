//! The clock advances and the timer keeps to it.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use super::{Clock, Timer, set_timer_slack};
use crate::sys;

/// Waits until `timer` is readable, or `millis`.
fn readable(timer: &Timer, millis: i32) -> bool {
    let mut fd = libc::pollfd { fd: timer.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    sys::poll(&mut fd, millis) == 1
}

#[test]
fn the_clock_never_goes_back() {
    let mut last = Clock::now();
    for _ in 0..1000 {
        let now = Clock::now();
        assert!(now >= last);
        last = now;
    }
}

#[test]
fn a_timer_fires_after_its_deadline_and_once() {
    let timer = Timer::new().unwrap();
    let at = Clock::now() + Duration::from_micros(700);
    timer.set(Some(at)).unwrap();
    assert!(readable(&timer, 5000));
    assert!(Clock::now() >= at);
    timer.take().unwrap();
    assert_eq!(timer.take().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(!readable(&timer, 0));
}

#[test]
fn a_moment_in_the_past_fires_at_once() {
    let timer = Timer::new().unwrap();
    timer.set(Some(tq_time::Instant::ZERO)).unwrap();
    assert!(readable(&timer, 5000));
    timer.take().unwrap();
    timer.set(Some(Clock::now())).unwrap();
    assert!(readable(&timer, 5000));
}

#[test]
fn the_last_deadline_set_counts() {
    let timer = Timer::new().unwrap();
    timer.set(Some(Clock::now())).unwrap();
    timer.set(Some(tq_time::Instant::MAX)).unwrap();
    assert!(!readable(&timer, 5));
    timer.set(Some(Clock::now())).unwrap();
    assert!(readable(&timer, 5000));
    timer.set(None).unwrap();
    assert!(!readable(&timer, 5));
    assert_eq!(timer.take().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_same_deadline_fires_again_after_it_was_taken() {
    let timer = Timer::new().unwrap();
    let at = Clock::now();
    for _ in 0..3 {
        timer.set(Some(at)).unwrap();
        timer.set(Some(at)).unwrap();
        assert!(readable(&timer, 5000));
        timer.take().unwrap();
    }
}

#[test]
fn timer_slack_can_be_taken_away() {
    set_timer_slack(1).unwrap();
    set_timer_slack(0).unwrap();
}
