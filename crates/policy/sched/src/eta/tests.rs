use super::*;
use crate::math::{MS, halved};
use crate::testing::path;

#[test]
fn the_faster_is_judged_by_its_queue_and_the_slower_by_all_it_holds() {
    let view = PathView { queue: 3 * MS, in_flight: 60_000, ..path(0, 20, 1_000_000) };
    assert_eq!(eta_optimistic(&view), 13 * MS as i64);
    assert_eq!(eta_pessimistic(&view, 1000), (10 + 61 - 20) * MS as i64);
    assert_eq!(eta_pessimistic(&PathView { r_measured: 0, ..view }, 1000), 13 * MS as i64);
}

#[test]
fn a_path_that_is_filling_is_judged_by_its_window_until_a_queue_is_seen() {
    let slow = PathView { in_flight: 60_000, ..path(0, 100, 100_000) };
    let filling = PathView { capacity_state: CapacityState::Growing, ..slow };
    assert_eq!(eta_pessimistic(&slow, 0), (50 + 600 - 100) * MS as i64);
    assert_eq!(eta_pessimistic(&filling, 0), 50 * MS as i64, "less than a window is in flight");
    let queued = PathView { srtt: 113 * MS, ..filling };
    assert_eq!(eta_pessimistic(&queued, 0), (50 + 600 - 100) * MS as i64);
}

#[test]
fn a_path_with_a_queue_delivers_no_more_than_it_does() {
    let growing = PathView { capacity_state: CapacityState::Growing, cwnd: 14_000, ..path(0, 20, 200_000) };
    assert_eq!(delivers(&growing, 60 * MS), 98_000);
    assert_eq!(delivers(&PathView { queue: 4 * MS, ..growing }, 60 * MS), 98_000);
    assert_eq!(delivers(&PathView { queue: 5 * MS, ..growing }, 60 * MS), 12_000);
}

#[test]
fn what_a_path_delivers_depends_on_what_is_known() {
    let measured = path(0, 20, 1_000_000);
    assert_eq!(delivers(&measured, 100 * MS), 100_000);
    let growing = PathView { capacity_state: CapacityState::Growing, cwnd: 14_000, ..measured };
    assert_eq!(delivers(&growing, 20 * MS), 14_000);
    assert_eq!(delivers(&growing, 60 * MS), 98_000);
    let busy = PathView { in_flight: 14_000, ..growing };
    assert_eq!(delivers(&busy, 60 * MS), 196_000, "twice, each acknowledgement releasing two packets");
    assert_eq!(delivers(&PathView { capacity_cap: 500_000, ..growing }, 60 * MS), 30_000);
    assert_eq!(delivers(&growing, u64::MAX), u64::MAX - 14_000);
    let stale = PathView { capacity_state: CapacityState::Stale, ..growing };
    assert_eq!(delivers(&stale, 60 * MS), 42_000);
    let unknown = PathView { capacity_state: CapacityState::Unknown, srtt: 0, ..measured };
    assert_eq!(delivers(&unknown, 60 * MS), 60_000, "by its profile");
    assert_eq!(delivers(&PathView { srtt: 0, ..growing }, 60 * MS), 0);
}

#[test]
fn doubling_and_halving_follow_straight_lines_between_powers() {
    assert_eq!((doubled(100, 0, 10), doubled(100, 5, 10), doubled(100, 30, 10)), (100, 150, 800));
    assert_eq!((doubled(1, 640, 10), doubled(0, 640, 10), doubled(1, 1, 0)), (u64::MAX, 0, 2));
    assert_eq!((halved(100, 0, 10), halved(100, 5, 10), halved(100, 20, 10)), (100, 75, 25));
    assert_eq!(halved(u64::MAX, 640, 10), 0);
}
