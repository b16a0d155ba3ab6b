//! What must be true of the paths of one end: a model of their states, told only what a program can see. Written from the
//! states' table in the requirements (M2), by which ways there are; every other step is wrong. It knows nothing of how an
//! end comes to its decisions.

use std::collections::{BTreeMap, BTreeSet};

use tq_quic::{PathEvent, PathInfo, PathState, Status};
use tq_time::{Duration, Instant};

/// How long a path that was given up may linger: three probe timeouts, which are never more than a minute.
const LINGERS: Duration = Duration::from_secs(61);

/// The steps there are. A path that is over is not shown any more.
const STEPS: [(PathState, PathState); 12] = {
    use PathState::{Active, Closing, Created, Standby, Validated, Validating};
    [
        (Created, Validating),
        (Created, Validated),
        (Validating, Validated),
        (Validated, Active),
        (Validated, Standby),
        (Active, Standby),
        (Standby, Active),
        (Created, Closing),
        (Validating, Closing),
        (Validated, Closing),
        (Active, Closing),
        (Standby, Closing),
    ]
};

/// Whether steps lead from one state to the other; any number may be taken between two looks.
fn leads(from: PathState, to: PathState) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(state) = reached.get(at).copied() {
        at += 1;
        for (_, next) in STEPS.iter().filter(|(start, _)| *start == state) {
            if !reached.contains(next) {
                reached.push(*next);
            }
        }
    }
    reached.contains(&to)
}

/// One path id.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The state it was last seen in.
    seen: Option<PathState>,
    opened: bool,
    validated: bool,
    failed: bool,
    abandoned: Option<Instant>,
    /// The peer's last wish.
    wish: Status,
}

/// The paths of one end.
#[derive(Debug, Default)]
pub(super) struct Paths {
    known: BTreeMap<u32, Known>,
    over: BTreeSet<u32>,
    /// Given up by this end: asked for by its program, or because an address did not answer.
    pub(super) dropped: usize,
    /// Given up by either end.
    pub(super) given_up: usize,
}

impl Paths {
    /// Whether paths were given up and none is left that ever was validated.
    pub(super) fn is_stranded(&self) -> bool {
        let proven = |(id, known): (&u32, &Known)| {
            known.abandoned.is_none() && known.seen.is_some() && (known.validated || *id == 0)
        };
        self.given_up > 0 && !self.known.iter().any(proven)
    }

    /// The end tells its program something.
    pub(super) fn hear(&mut self, now: Instant, event: PathEvent) -> Result<(), String> {
        let (PathEvent::Opened(id)
        | PathEvent::Validated(id)
        | PathEvent::Rebound(id)
        | PathEvent::Failed(id)
        | PathEvent::Closed(id)
        | PathEvent::Status { path: id, .. }
        | PathEvent::Abandoned { path: id, .. }) = event
        else {
            return Ok(());
        };
        if self.over.contains(&id.0) {
            return Err(format!("{event:?} of a path that is over"));
        }
        let known = self.known.entry(id.0).or_default();
        // the first path is there from the start
        let there = known.opened || id.0 == 0;
        let right = match event {
            PathEvent::Opened(_) => !std::mem::replace(&mut known.opened, true) && known.abandoned.is_none(),
            PathEvent::Validated(_) => {
                there && known.abandoned.is_none() && !std::mem::replace(&mut known.validated, true)
            }
            PathEvent::Rebound(_) => there && known.abandoned.is_none(),
            PathEvent::Failed(_) => {
                there && known.abandoned.is_none() && !std::mem::replace(&mut known.failed, true)
            }
            // ids that no path was made of can be given up too
            PathEvent::Abandoned { local, .. } => {
                self.dropped += usize::from(local);
                self.given_up += 1;
                known.abandoned.replace(now).is_none()
            }
            PathEvent::Status { status, .. } => {
                known.wish = status;
                known.abandoned.is_none()
            }
            PathEvent::Closed(_) => {
                let right = known.abandoned.is_some();
                self.known.remove(&id.0);
                self.over.insert(id.0);
                right
            }
            _ => true,
        };
        if right { Ok(()) } else { Err(format!("{event:?} where it cannot be")) }
    }

    /// What the end shows when it has told everything.
    pub(super) fn look(
        &mut self,
        now: Instant,
        shown: impl Iterator<Item = PathInfo>,
        most: usize,
    ) -> Result<(), String> {
        let mut ids = Vec::new();
        let mut live = 0;
        for path in shown {
            let id = path.id.0;
            if self.over.contains(&id) {
                return Err(format!("path {id} is used again"));
            }
            if ids.contains(&id) {
                return Err(format!("path {id} is there twice"));
            }
            ids.push(id);
            live += usize::from(path.state.is_live());
            let known = self.known.entry(id).or_default();
            check(known, &path, now).map_err(|why| format!("path {id}: {why}: {path:?}, {known:?}"))?;
            known.seen = Some(path.state);
        }
        let gone = self.known.iter().find(|(id, known)| known.seen.is_some() && !ids.contains(id));
        if let Some((id, known)) = gone {
            return Err(format!("path {id} is gone and nobody said so: {known:?}"));
        }
        if live > most {
            return Err(format!("{live} paths at a time, of {most} that may be"));
        }
        Ok(())
    }
}

/// What is shown of a path against what was told and shown before.
fn check(known: &Known, path: &PathInfo, now: Instant) -> Result<(), &'static str> {
    let first = path.id.0 == 0;
    if !known.opened && !first {
        return Err("it was never opened");
    }
    if let Some(seen) = known.seen
        && !leads(seen, path.state)
    {
        return Err("no step leads there");
    }
    let backup = path.local_status == Status::Backup || path.peer_status == Status::Backup;
    let told = known.validated || first;
    match path.state {
        PathState::Created | PathState::Validating if known.validated => Err("it was validated before"),
        PathState::Created if !first => Err("nothing is done about it"),
        PathState::Validated => Err("its status does not count"),
        PathState::Active | PathState::Standby if !told => Err("it is in use before it is validated"),
        PathState::Active if backup => Err("in use against a wish"),
        PathState::Standby if !backup => Err("on standby against all wishes"),
        PathState::Closing if known.abandoned.is_none() => Err("nobody said that it was given up"),
        PathState::Closing if known.abandoned.is_some_and(|at| at + LINGERS < now) => Err("it lingers"),
        PathState::Failed => Err("it is over and still there"),
        state if state.is_live() && known.abandoned.is_some() => Err("it was given up and lives"),
        state if state.is_live() && path.peer_status != known.wish => Err("the peer's wish was not told"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
