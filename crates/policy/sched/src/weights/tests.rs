use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::Weights;
use crate::testing::{any_paths, path};
use crate::{CapacityState, Health};

#[test]
fn shares_follow_delivery_rates_and_have_a_floor() {
    let mut weights = Weights::default();
    let views = [path(0, 10, 9_000_000), path(1, 40, 1_000_000), path(2, 600, 1_000)];
    weights.refresh(Instant::ZERO, &views);
    assert_eq!([0, 1, 2].map(|id| weights.of(id)), [Some(89), Some(9), Some(5)]);
    assert!(!weights.is_due(Instant::ZERO + Duration::from_millis(9)));
    assert!(weights.is_due(Instant::ZERO + Duration::from_millis(10)));
}

#[test]
fn without_a_measurement_window_over_round_trip_counts_and_held_paths_have_no_share() {
    let mut weights = Weights::default();
    let mut views = [path(0, 10, 1), path(1, 10, 1), path(2, 10, 1)];
    for view in &mut views {
        view.capacity_state = CapacityState::Unknown;
    }
    views[1].cwnd *= 3;
    views[2].health = Health::Held;
    weights.refresh(Instant::ZERO, &views);
    assert_eq!([0, 1, 2].map(|id| weights.of(id)), [Some(25), Some(75), None]);
}

proptest! {
    #[test]
    fn any_views_give_shares_between_floor_and_all(views in any_paths()) {
        let mut weights = Weights::default();
        weights.refresh(Instant::ZERO, &views);
        for view in &views {
            match weights.of(view.id) {
                Some(share) => prop_assert!((5..=100).contains(&share) && view.tier() == Some(0)),
                None => prop_assert!(view.tier() != Some(0)),
            }
        }
    }
}
