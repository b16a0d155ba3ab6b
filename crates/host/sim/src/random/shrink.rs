//! Makes a failing plan small: items are left out in runs of halving length, then numbers and moments are made smaller,
//! as long as it fails in the same way. Deterministic: same plan, same result.

use super::plan::{Plan, Verb};
use super::verdict::Failure;

/// A plan that got small.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// How it fails.
    pub failure: Failure,
    /// Runs it took.
    pub runs: u32,
}

/// Makes `plan`, which fails with `failure`, as small as `most` runs allow. `fails` says how a plan fails, if it does.
pub fn shrink(
    plan: &Plan,
    failure: Failure,
    most: u32,
    mut fails: impl FnMut(&Plan) -> Option<Failure>,
) -> Shrunk {
    let mut best = Shrunk { plan: plan.clone(), failure, runs: 0 };
    loop {
        let before = best.plan.clone();
        drop_items(&mut best, most, &mut fails);
        simplify(&mut best, most, &mut fails);
        if best.plan == before || best.runs >= most {
            return best;
        }
    }
}

/// Takes `candidate` if it fails in the same way.
fn offer(
    best: &mut Shrunk,
    candidate: Plan,
    most: u32,
    fails: &mut impl FnMut(&Plan) -> Option<Failure>,
) -> bool {
    if best.runs >= most || candidate == best.plan {
        return false;
    }
    best.runs += 1;
    match fails(&candidate).filter(|failure| failure.kind == best.failure.kind) {
        Some(failure) => {
            (best.plan, best.failure) = (candidate, failure);
            true
        }
        None => false,
    }
}

fn drop_items(best: &mut Shrunk, most: u32, fails: &mut impl FnMut(&Plan) -> Option<Failure>) {
    let mut run = best.plan.items.len().div_ceil(2);
    while run > 0 {
        let mut at = best.plan.items.len();
        // from the back: what comes last depends on what came before
        while at > 0 {
            let start = at.saturating_sub(run);
            let mut candidate = best.plan.clone();
            candidate.items.drain(start..at);
            offer(best, candidate, most, fails);
            at = start.min(best.plan.items.len());
        }
        run /= 2;
    }
    drop_streams(best, most, fails);
    drop_links(best, most, fails);
}

/// Leaves out all that is said of a link at once, and then links that nothing is said of.
fn drop_links(best: &mut Shrunk, most: u32, fails: &mut impl FnMut(&Plan) -> Option<Failure>) {
    let paths = |item: &super::plan::Item| {
        matches!(item.verb, Verb::OpenPath | Verb::ClosePath | Verb::Standby | Verb::Knock)
    };
    for link in (0..best.plan.links() as u8).rev() {
        let mut candidate = best.plan.clone();
        candidate.items.retain(|item| {
            let of =
                if paths(item) { item.size(0) == u64::from(link) } else { item.link == link && link > 0 };
            !of
        });
        offer(best, candidate, most, fails);
    }
}

/// Leaves out all that is said of a stream at once.
fn drop_streams(best: &mut Shrunk, most: u32, fails: &mut impl FnMut(&Plan) -> Option<Failure>) {
    let of = |plan: &Plan| -> Vec<u64> {
        let named = plan.items.iter().filter(|item| item.verb == Verb::Open);
        named.map(|item| item.size(0)).collect()
    };
    for stream in of(&best.plan) {
        let mut candidate = best.plan.clone();
        candidate.items.retain(|item| !(item.verb.names_stream() && item.size(0) == stream));
        offer(best, candidate, most, fails);
    }
}

fn simplify(best: &mut Shrunk, most: u32, fails: &mut impl FnMut(&Plan) -> Option<Failure>) {
    for ix in 0..best.plan.items.len() {
        let verb = best.plan.items[ix].verb;
        for number in usize::from(verb.names_stream())..verb.least().len() {
            let least = verb.least()[number];
            let value = |plan: &Plan| plan.items[ix].numbers[number];
            // the least first, then half of what is above it
            let mut next = least;
            while next < value(&best.plan) {
                let mut candidate = best.plan.clone();
                candidate.items[ix].numbers[number] = next;
                if offer(best, candidate, most, fails) {
                    next = least + (value(&best.plan) - least) / 2;
                    continue;
                }
                let gap = value(&best.plan) - next;
                next = if gap <= 1 { value(&best.plan) } else { next + (gap + 1) / 2 };
                if gap < value(&best.plan) / 8 {
                    break;
                }
            }
        }
        while let Some(at) = best.plan.items[ix].at.filter(|at| *at > 0) {
            let mut candidate = best.plan.clone();
            candidate.items[ix].at = Some(at / 2);
            if !offer(best, candidate, most, fails) {
                break;
            }
        }
    }
}
