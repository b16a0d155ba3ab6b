//! The backlog rule: a slower path gets data only if more waits than the faster ones deliver in its extra delay.
//!
//! For a candidate `s`, x = Σ over faster paths f of what f delivers in `eta_pes(s) − eta_opt(f)`; `s` is used if
//! the backlog exceeds λ·x. In the fluid limit all paths then finish together, whatever the backlog: the sum for
//! long transfers, the best path for short ones. The path with the least `eta_opt` is never asked for anything.
//! A path's number in memory is λ less its start value, in thousandths.

use crate::demand::{Class, Pick};
use crate::eta::{delivers, eta_optimistic, eta_pessimistic};
use crate::field::{Field, wait_for};
use crate::math::narrow;
use crate::memory::Memory;
use crate::reinject;
use crate::scheduler::Feedback;
use crate::view::PathView;
use crate::{Health, PathSet};

/// To begin with all paths finish together. A quarter more, for estimates that are wrong, was measured: the last path idles for
/// a quarter of what the others come later, and estimates are pessimistic as it is (docs/bonding.md).
const LAMBDA: i64 = 1000;
const LAMBDA_RANGE: (i64, i64) = (1000, 1600);
/// λ of a path that is in probation or degraded.
const LAMBDA_WARY: i64 = 1600;

fn lambda(memory: &Memory, view: &PathView) -> i64 {
    if view.degraded || view.health == Health::Probation {
        return LAMBDA_WARY;
    }
    (LAMBDA + memory.of(view.id, 0)).clamp(LAMBDA_RANGE.0, LAMBDA_RANGE.1)
}

pub(super) fn pick(memory: &Memory, field: &Field<'_>) -> Pick {
    match field.demand.class {
        Class::Realtime | Class::Interactive => urgent(field),
        Class::Bulk | Class::Background => bulk(memory, field),
    }
}

/// Least expected arrival first; ids break ties.
fn order(view: &PathView) -> (i64, u32) {
    (eta_optimistic(view), view.id)
}

fn fastest<'a>(field: &Field<'a>) -> Option<&'a PathView> {
    field.serving().min_by_key(|view| order(view))
}

fn bulk(memory: &Memory, field: &Field<'_>) -> Pick {
    let Some(fastest) = fastest(field) else { return Pick::Nothing };
    let allowed = |view: &&PathView| view.id == fastest.id || worth(memory, field, view, fastest);
    // Cheaper paths first; within a class the one whose bytes arrive first.
    let best = field.ready().filter(allowed).min_by_key(|view| (view.cost, order(view)));
    if let Some(view) = best {
        return Pick::Send(view.id);
    }
    reinject::pick(field).unwrap_or_else(|| wait_for(field.fitting().filter(allowed)))
}

/// Whether enough waits for a path that is not the fastest.
fn worth(memory: &Memory, field: &Field<'_>, view: &PathView, fastest: &PathView) -> bool {
    let demand = field.demand;
    let late = eta_pessimistic(view, view.burst()).saturating_sub(eta_optimistic(fastest));
    if u64::try_from(late).is_ok_and(|late| late > demand.hold_budget) {
        return false;
    }
    demand.backlog.min(demand.stream_backlog) > needed(memory, field, view)
}

/// λ·x of a path.
fn needed(memory: &Memory, field: &Field<'_>, view: &PathView) -> u64 {
    let eta = eta_pessimistic(view, view.burst());
    let faster = field.serving().filter(|other| other.id != view.id);
    let x = faster.fold(0u64, |sum, other| {
        let ahead = u64::try_from(eta.saturating_sub(eta_optimistic(other))).unwrap_or(0);
        sum.saturating_add(delivers(other, ahead))
    });
    narrow(u128::from(x) * u128::from(lambda(memory, view).unsigned_abs()) / 1000)
}

pub(super) fn threshold(memory: &Memory, field: &Field<'_>, id: u32) -> u64 {
    if fastest(field).is_none_or(|view| view.id == id) {
        return 0;
    }
    field.serving().find(|view| view.id == id).map_or(u64::MAX, |view| needed(memory, field, view))
}

/// Best path by `eta_opt + 2σ`; realtime a copy on another link as well.
fn urgent(field: &Field<'_>) -> Pick {
    let rank = |view: &&PathView| {
        (eta_optimistic(view).saturating_add_unsigned(view.sigma.saturating_mul(2)), view.id)
    };
    let Some(best) = field.ready().min_by_key(rank) else { return field.wait() };
    if field.demand.class == Class::Realtime {
        let apart = |view: &&PathView| {
            view.link != best.link && (view.group == 0 || view.group != best.group) && view.id != best.id
        };
        if let Some(second) = field.ready().filter(apart).min_by_key(rank) {
            return Pick::Duplicate(PathSet::from_iter([best.id, second.id]));
        }
    }
    Pick::Send(best.id)
}

pub(super) fn on_feedback(memory: &mut Memory, feedback: Feedback) {
    let (id, step) = match feedback {
        Feedback::Blocked(id) => (id, 50),
        Feedback::Round(id) => (id, -10),
        Feedback::Closed(id) => return memory.forget(id),
    };
    let lambda = (LAMBDA + memory.of(id, 0) + step).clamp(LAMBDA_RANGE.0, LAMBDA_RANGE.1);
    memory.set(id, lambda - LAMBDA);
}
