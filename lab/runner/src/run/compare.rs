//! What each link carries alone, to hold what all carry together against: same stack, same controller, same seed, same
//! window. A link that is out for a part of the window counts with what it carries without outages, times the part of
//! the window in which it works; a transfer that ends counts as it was.

use std::collections::BTreeMap;

use tq_linkmodel::Change;
use tq_scenario::{Scenario, Window};
use tq_time::{Duration, Instant};

use super::outcome::Outcome;
use super::{figures, main_direction};
use crate::stats::{self, Gain};

/// Goodputs of links alone, bytes per second, by link and seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alone(BTreeMap<(usize, u64), f64>);

/// Whether a link has outages that its comparison must be freed of.
pub fn is_calmed(scenario: &Scenario, link: usize, seed: u64) -> bool {
    let bytes = super::tell::fluid_load(scenario);
    let endless = !matches!(bytes, Some(crate::fluid::Load::Bytes(_)));
    let out = |timed: &tq_scenario::Timed| timed.link == link && matches!(timed.change, Change::State(_));
    endless && scenario.links.len() > 1 && scenario.changes_with(seed).iter().any(out)
}

impl Alone {
    /// From runs over single links, those of links with outages without these ([`is_calmed`]).
    pub fn of<'a>(scenario: &Scenario, outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let mut alone = Self::default();
        for outcome in outcomes {
            let [lane] = &outcome.lanes[..] else { continue };
            let goodput = figures::goodput(scenario, outcome, None);
            let works = match is_calmed(scenario, lane.link, outcome.seed) {
                true => works(scenario, lane.link, outcome),
                false => 1.0,
            };
            alone.0.insert((lane.link, outcome.seed), goodput * works);
        }
        alone
    }

    /// Of the links of a run, in their order, if all are known.
    pub fn beside(&self, outcome: &Outcome) -> Option<Vec<f64>> {
        let of = |link: usize| self.0.get(&(link, outcome.seed)).copied();
        outcome.lanes.iter().map(|lane| of(lane.link)).collect()
    }

    /// The median of a link over all seeds.
    pub fn median(&self, link: usize) -> Option<f64> {
        let of: Vec<f64> =
            self.0.iter().filter(|((known, _), _)| *known == link).map(|(_, goodput)| *goodput).collect();
        stats::median(&of)
    }

    /// How a run over several links compares.
    pub fn gain(&self, scenario: &Scenario, outcome: &Outcome) -> Option<Gain> {
        Gain::of(&self.beside(outcome)?, figures::goodput(scenario, outcome, None))
    }
}

/// The part of the window in which a link works, in the direction of the scenario's bytes.
fn works(scenario: &Scenario, link: usize, outcome: &Outcome) -> f64 {
    let (from, to) = match scenario.measure.window {
        Window::Warm { from, length } => (from, from + length),
        Window::Cold => (Duration::ZERO, scenario.time),
    };
    let to = to.min(outcome.end.saturating_since(Instant::ZERO)).max(from);
    let works = scenario.works(link, main_direction(scenario), outcome.seed, from, to);
    if to > from { works.as_secs_f64() / (to - from).as_secs_f64() } else { 1.0 }
}
