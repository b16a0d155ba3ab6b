use super::*;
use crate::Health;
use crate::testing::{bulk, path};
use std::vec::Vec;

#[test]
fn paths_are_sorted_by_what_they_may_do() {
    let views = [
        PathView { in_flight: 140_000, ..path(0, 20, 1) },
        PathView { next_departure: 900, ..path(1, 20, 1) },
        path(2, 20, 1),
        PathView { health: Health::Suspect, ..path(3, 20, 1) },
    ];
    let demand = bulk(1);
    let field = Field::new(Instant::from_nanos(5), &views, &demand);
    let ids = |paths: &mut dyn Iterator<Item = &PathView>| paths.map(|view| view.id).collect::<Vec<_>>();
    assert_eq!(ids(&mut field.serving()), [0, 1, 2]);
    assert_eq!(ids(&mut field.fitting()), [1, 2]);
    assert_eq!(ids(&mut field.ready()), [2]);
    assert_eq!(field.wait(), Pick::WaitUntil(Instant::from_nanos(900)));
}

#[test]
fn views_beyond_the_bound_are_ignored() {
    let views: Vec<PathView> = (0..40).map(|id| path(id, 20, 1)).collect();
    let demand = bulk(1);
    assert_eq!(Field::new(Instant::ZERO, &views, &demand).ready().count(), MAX_PATHS);
}
