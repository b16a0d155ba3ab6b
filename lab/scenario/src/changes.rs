//! The time line in full: repetitions, `for` and chance made into single moments.
//!
//! Decides when each thing happens and what it is undone to; doing it is the runner's business.

use tq_linkmodel::{Change, Direction, State};
use tq_time::{Duration, Instant};

use crate::event::{Action, Event, Pattern, What};
use crate::random::{self, Rng};
use crate::scenario::Scenario;

/// A change of one direction of a link, for [`tq_linkmodel::Link::set_direction`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When; the scenario starts at [`Instant::ZERO`].
    pub at: Instant,
    /// Which link.
    pub link: usize,
    /// Which direction.
    pub direction: Direction,
    /// What.
    pub change: Change,
}

/// Something that a host or its translator does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// When; the scenario starts at [`Instant::ZERO`].
    pub at: Instant,
    /// On which link, if on one.
    pub link: Option<usize>,
    /// In which direction, if in one.
    pub direction: Option<Direction>,
    /// What.
    pub action: Action,
}

/// What an event changes: two events on the same thing can contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    State,
    Rate,
    Delay,
    Loss,
    Mtu,
}

/// From when to when an event holds; to the end if the second is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stretch {
    pub(crate) from: u64,
    pub(crate) until: Option<u64>,
}

impl What {
    pub(crate) const fn property(&self) -> Option<Property> {
        Some(match self {
            Self::State(_) => Property::State,
            Self::Rate(_) => Property::Rate,
            Self::Delay(_) | Self::DelayMore(_) => Property::Delay,
            Self::Loss(_) => Property::Loss,
            Self::Mtu(_) => Property::Mtu,
            Self::Act(_) => return None,
        })
    }
}

/// Nanoseconds, cut at 584 years.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Event {
    /// More often nothing happens in one scenario.
    pub(crate) const MOST: usize = 100_000;

    /// When it holds, in order; only what begins before `end`. `index` tells the draws of events apart.
    pub(crate) fn stretches(&self, seed: u64, index: usize, end: Duration) -> Vec<Stretch> {
        let mut rng = Rng::new(random::seed(seed, "event", index as u64));
        let end = nanos(end);
        let mut found = Vec::new();
        let mut add = |rng: &mut Rng, from: u64| {
            let lasts = self.lasts.map(|span| rng.between(nanos(span.low), nanos(span.high)));
            found.push(Stretch { from, until: lasts.map(|lasts| from.saturating_add(lasts)) });
            lasts.unwrap_or(0)
        };
        let at = nanos(self.at);
        match self.pattern {
            Pattern::Once if at < end => {
                add(&mut rng, at);
            }
            Pattern::Once => {}
            Pattern::Every { period, count, until } => {
                let (mut at, stop) = (at, end.min(nanos(until)));
                for _ in 0..count.min(Self::MOST as u64) {
                    if at >= stop {
                        break;
                    }
                    add(&mut rng, at);
                    at = at.saturating_add(nanos(period).max(1));
                }
            }
            Pattern::Poisson { mean, count, until } => {
                let (mut at, stop) = (at, end.min(nanos(until)));
                for _ in 0..count.min(Self::MOST as u64) {
                    at = at.saturating_add(rng.exponential(nanos(mean)).max(1));
                    if at >= stop {
                        break;
                    }
                    at = at.saturating_add(add(&mut rng, at));
                }
            }
        }
        found
    }
}

impl Scenario {
    /// Every change of a link with the scenario's own seed, in order of time.
    pub fn changes(&self) -> Vec<Timed> {
        self.changes_with(self.seed)
    }

    /// Every change of a link, in order of time. The seed is the one given to [`Scenario::link_config`]. What is
    /// undone goes before what begins at the same moment.
    pub fn changes_with(&self, seed: u64) -> Vec<Timed> {
        let mut steps: Vec<(u64, bool, Timed)> = Vec::new();
        let held: Vec<_> =
            self.events.iter().enumerate().map(|(i, event)| event.stretches(seed, i, self.time)).collect();
        for (link, _) in self.links.iter().enumerate() {
            for direction in Direction::BOTH {
                for property in
                    [Property::State, Property::Rate, Property::Delay, Property::Loss, Property::Mtu]
                {
                    self.line(seed, &held, (link, direction, property), &mut steps);
                }
            }
        }
        steps.sort_by_key(|(at, begins, timed)| (*at, *begins, timed.link));
        steps.into_iter().map(|(_, _, timed)| timed).collect()
    }

    /// The steps of one property of one direction.
    fn line(
        &self,
        seed: u64,
        held: &[Vec<Stretch>],
        (link, direction, property): (usize, Direction, Property),
        steps: &mut Vec<(u64, bool, Timed)>,
    ) {
        let here = |event: &Event| {
            event.what.property() == Some(property)
                && event.links.contains(&link)
                && event.direction.is_none_or(|only| only == direction)
        };
        let mut stretches: Vec<(Stretch, usize)> = Vec::new();
        for (index, _) in self.events.iter().enumerate().filter(|(_, event)| here(event)) {
            stretches.extend(held[index].iter().map(|stretch| (*stretch, index)));
        }
        if stretches.is_empty() {
            return;
        }
        stretches.sort_unstable();
        let mut base = self.base(seed, link, direction, property);
        let mut step = |at: u64, begins: bool, change: Change| {
            let at_instant = Instant::from_nanos(at);
            steps.push((at, begins, Timed { at: at_instant, link, direction, change }));
        };
        for (stretch, index) in stretches {
            let change = self.wanted(link, direction, &self.events[index].what);
            step(stretch.from, true, change.clone());
            match stretch.until {
                None => base = change,
                Some(until) if until <= nanos(self.time) => step(until, false, base.clone()),
                Some(_) => {}
            }
        }
    }

    /// What holds before any event.
    fn base(&self, seed: u64, link: usize, direction: Direction, property: Property) -> Change {
        let way = self.links[link].way(direction);
        match property {
            Property::State => Change::State(State::Up),
            Property::Rate => Change::Rate(self.links[link].rate(direction, seed)),
            Property::Delay => Change::Delay(way.delay),
            Property::Loss => Change::Loss(way.loss_ppm),
            Property::Mtu => Change::Mtu(way.mtu),
        }
    }

    /// What an event makes of a direction.
    fn wanted(&self, link: usize, direction: Direction, what: &What) -> Change {
        let delay = self.links[link].way(direction).delay;
        match what {
            What::State(state) => Change::State(*state),
            What::Rate(rate) => Change::Rate(tq_linkmodel::Rate::Fixed(*rate)),
            What::Delay(delay) => Change::Delay(*delay),
            What::DelayMore(more) => Change::Delay(delay.saturating_add(*more)),
            What::Loss(ppm) => Change::Loss(*ppm),
            What::Mtu(mtu) => Change::Mtu(Some(*mtu)),
            // Has no property, so no line asks for it.
            What::Act(_) => Change::State(State::Up),
        }
    }

    /// Everything that hosts and translators do, with the scenario's own seed, in order of time.
    pub fn acts(&self) -> Vec<Act> {
        self.acts_with(self.seed)
    }

    /// Everything that hosts and translators do, in order of time.
    pub fn acts_with(&self, seed: u64) -> Vec<Act> {
        let mut acts = Vec::new();
        for (index, event) in self.events.iter().enumerate() {
            let What::Act(action) = &event.what else { continue };
            let links: Vec<Option<usize>> = match event.links.is_empty() {
                true => vec![None],
                false => event.links.iter().copied().map(Some).collect(),
            };
            for stretch in event.stretches(seed, index, self.time) {
                for link in &links {
                    let mut add = |at: u64, action: Action| {
                        let at = Instant::from_nanos(at);
                        acts.push(Act { at, link: *link, direction: event.direction, action });
                    };
                    let lasts = stretch.until.map(|until| until.saturating_sub(stretch.from));
                    add(stretch.from, begun(action, lasts));
                    if let (Some(undone), Some(until)) = (undone(action), stretch.until) {
                        add(until, undone);
                    }
                }
            }
        }
        acts.sort_by_key(|act| act.at);
        acts
    }
}

/// An action as it begins; a stall carries how long it lasts this time.
fn begun(action: &Action, lasts: Option<u64>) -> Action {
    match (action, lasts) {
        (Action::Stall(side, _), Some(lasts)) => Action::Stall(*side, Duration::from_nanos(lasts)),
        _ => action.clone(),
    }
}

/// What undoes an action, if something does.
pub(crate) fn undone(action: &Action) -> Option<Action> {
    Some(match action {
        Action::Unreachable(on) => Action::Unreachable(!on),
        Action::Reader { traffic, reads } => Action::Reader { traffic: *traffic, reads: !reads },
        Action::Abandon => Action::Open,
        Action::Standby => Action::Available,
        Action::Available => Action::Standby,
        _ => return None,
    })
}
