//! Steps come, replace each other and are forgotten.

use super::*;
use crate::testing::ms;

#[test]
fn a_value_holds_from_its_step_to_the_next() {
    let mut line = Timeline::new('a');
    assert!(!line.changes());
    line.set(ms(20), 'c');
    line.set(ms(10), 'b');
    assert!(line.changes());
    let values = [0, 9, 10, 19, 20, 99].map(|at| *line.at(ms(at)));
    assert_eq!(values, ['a', 'a', 'b', 'b', 'c', 'c']);
    let span = line.span(ms(15));
    assert_eq!((*span.value, span.from, span.until), ('b', ms(10), Some(ms(20))));
    assert_eq!(line.span(ms(20)).until, None);
    assert_eq!((line.span(ms(5)).from, line.span(ms(5)).until), (Instant::ZERO, Some(ms(10))));
}

#[test]
fn the_later_call_wins_a_moment() {
    let mut line = Timeline::new(0);
    line.set(ms(10), 1);
    line.set(ms(10), 2);
    assert_eq!((*line.at(ms(10)), line.steps.len()), (2, 1));
}

#[test]
fn between_includes_both_ends() {
    let mut line = Timeline::new(0);
    [10, 20, 30].iter().for_each(|at| line.set(ms(*at), *at));
    let steps = |from, to| line.between(ms(from), ms(to)).map(|(_, value)| *value).sum::<u64>();
    assert_eq!([steps(10, 30), steps(11, 29), steps(0, 9), steps(31, 99), steps(30, 10)], [60, 20, 0, 0, 0]);
}

#[test]
fn a_minute_later_a_step_is_history() {
    let mut line = Timeline::new(0);
    (1..=100).for_each(|second| {
        line.forget(ms(second * 1000));
        line.set(ms(second * 1000), second);
    });
    assert_eq!(line.steps.len(), 61);
    assert_eq!((*line.at(ms(39_000)), *line.at(ms(40_500)), *line.at(ms(100_000))), (39, 40, 100));
    assert_eq!(line.span(ms(39_500)).from, ms(39_000), "a forgotten step still knows when it began");
}
