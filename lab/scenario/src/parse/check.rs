//! Events that contradict each other.
//!
//! Two changes of the same thing must not hold at the same time: what would be undone to what could not be said.
//! Decides that from the time line in full; random events count as holding all the time in which they may come.

use std::collections::BTreeSet;

use tq_linkmodel::Direction;
use tq_time::Duration;

use super::events::Placed;
use super::read::Log;
use crate::changes::{Stretch, nanos};
use crate::event::Pattern;
use crate::unit::Time;

/// Tells of each pair of events that contradict each other, once.
pub(super) fn contradictions(log: &Log<'_>, events: &[Placed], links: &[&str], seed: u64, end: Duration) {
    let held: Vec<Vec<Stretch>> = events
        .iter()
        .enumerate()
        .map(|(index, (event, _))| match event.pattern {
            Pattern::Poisson { until, .. } => {
                vec![Stretch { from: nanos(event.at), until: Some(nanos(until)) }]
            }
            Pattern::Once | Pattern::Every { .. } => event.stretches(seed, index, end),
        })
        .collect();
    let mut told = BTreeSet::new();
    for (link, name) in links.iter().enumerate() {
        for direction in Direction::BOTH {
            let here: Vec<usize> = (0..events.len())
                .filter(|index| {
                    let event = &events[*index].0;
                    event.links.contains(&link) && event.direction.is_none_or(|only| only == direction)
                })
                .collect();
            for (nth, first) in here.iter().enumerate() {
                for second in &here[nth + 1..] {
                    let property = events[*first].0.what.property();
                    if property.is_none() || property != events[*second].0.what.property() {
                        continue;
                    }
                    if let Some((a, b)) = clash(&held[*first], &held[*second])
                        && told.insert((*first, *second))
                    {
                        tell(log, events, (*first, *second), (a, b), name);
                    }
                }
            }
        }
    }
}

/// The first two stretches that cannot both hold.
fn clash(first: &[Stretch], second: &[Stretch]) -> Option<(Stretch, Stretch)> {
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (first.get(i), second.get(j)) {
        let inside =
            |outer: &Stretch, at: u64| at >= outer.from && outer.until.is_some_and(|until| at < until);
        if a.from == b.from || inside(a, b.from) || inside(b, a.from) {
            return Some((*a, *b));
        }
        if a.from < b.from {
            i += 1;
        } else {
            j += 1;
        }
    }
    None
}

fn tell(log: &Log<'_>, events: &[Placed], pair: (usize, usize), held: (Stretch, Stretch), link: &str) {
    let moment = |at: u64| Time(Duration::from_nanos(at));
    let (first, second) = pair;
    let until =
        held.0.until.map_or_else(|| "for good".to_owned(), |until| format!("until {}", moment(until)));
    let line = log.line(events[first].1);
    let what = format!(
        "contradicts event {} in line {line}, which holds from {} {until} on link \"{link}\"",
        first + 1,
        moment(held.0.from)
    );
    let allowed = "two changes of the same thing must not overlap".to_owned();
    log.add(events[second].1, &format!("event {}", second + 1), "at", what, allowed);
}
