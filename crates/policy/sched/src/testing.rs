//! Paths and demands for tests.

use std::vec::Vec;

use proptest::prelude::*;

use crate::math::MS;
use crate::{CapacityState, Class, Demand, Health, PathView, Status};

/// A good path with room: RTT in ms, rate in bytes per second, window of 100 packets.
pub(crate) fn path(id: u32, rtt_ms: u64, rate: u64) -> PathView {
    PathView {
        id,
        link: id,
        validated: true,
        min_rtt: rtt_ms * MS,
        srtt: rtt_ms * MS,
        rel_owd: i64::try_from(rtt_ms * MS / 2).unwrap_or(0),
        capacity: rate,
        capacity_state: CapacityState::Measured,
        capacity_age: 0,
        r_measured: rate,
        cwnd: 140_000,
        mtu: 1400,
        ..PathView::default()
    }
}

pub(crate) fn bulk(backlog: u64) -> Demand {
    Demand { backlog, ..Demand::default() }
}

prop_compose! {
    fn some_state()(
        health in prop::sample::select(Health::ALL.to_vec()),
        backup in any::<bool>(),
        validated in prop::bool::weighted(0.8),
        blocked in prop::bool::weighted(0.2),
        degraded in any::<bool>(),
        state in 0..4usize,
    ) -> (Health, Status, bool, bool, bool, CapacityState) {
        let states =
            [CapacityState::Unknown, CapacityState::Measured, CapacityState::Growing, CapacityState::Stale];
        let status = if backup { Status::Backup } else { Status::Available };
        (health, status, validated, blocked, degraded, states[state])
    }
}

prop_compose! {
    /// Any path, sane or not.
    pub(crate) fn any_path(id: u32)(
        (health, status, validated, blocked, degraded, capacity_state) in some_state(),
        (min_rtt, srtt, queue, sigma) in
            (0..800 * MS, prop_oneof![0..900 * MS, any::<u64>()], 0..100 * MS, 0..50 * MS),
        (capacity, r_measured, cwnd, in_flight) in
            (prop_oneof![0..100_000_000u64, any::<u64>()], 0..100_000_000u64, 0..3_000_000u64, 0..3_000_000u64),
        (rel_owd, next_departure, amplification_room) in
            (prop_oneof![-300_000_000..300_000_000i64, any::<i64>()], 0..2 * MS,
             prop_oneof![Just(u64::MAX), 0..5000u64]),
        (mtu, cost, weight, link) in (1200..9000u16, 0..3u8, any::<u16>(), 0..4u32),
    ) -> PathView {
        PathView {
            id, link, status, health, validated, blocked, degraded, min_rtt, srtt, queue, sigma, capacity,
            capacity_state, r_measured, cwnd, in_flight, rel_owd, next_departure, amplification_room, mtu, cost,
            weight, ..PathView::default()
        }
    }
}

/// One to eight paths.
pub(crate) fn any_paths() -> impl Strategy<Value = Vec<PathView>> {
    (1..=8u32).prop_flat_map(|count| (0..count).map(any_path).collect::<Vec<_>>())
}

prop_compose! {
    pub(crate) fn any_demand()(
        backlog in prop_oneof![Just(0u64), 1..10_000_000u64, any::<u64>()],
        packet in prop_oneof![Just(0u16), 1..2000u16],
        class in prop::sample::select(std::vec![Class::Realtime, Class::Interactive, Class::Bulk, Class::Background]),
        hold_budget in prop_oneof![Just(u64::MAX), 0..300 * MS],
        send_window in prop_oneof![Just(u64::MAX), 0..3_000_000u64],
    ) -> Demand {
        Demand { backlog, packet, class, hold_budget, send_window, ..Demand::default() }
    }
}
