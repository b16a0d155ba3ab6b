//! The table against a model written the other way round: by what may never happen.

use super::{Cause, PathState};

const STATES: [PathState; 7] = [
    PathState::Created,
    PathState::Validating,
    PathState::Validated,
    PathState::Active,
    PathState::Standby,
    PathState::Closing,
    PathState::Failed,
];
const CAUSES: [Cause; 6] =
    [Cause::Challenge, Cause::Proof, Cause::Available, Cause::Backup, Cause::Abandon, Cause::Expire];

#[test]
fn nothing_comes_back_from_closing_or_failed() {
    for cause in CAUSES {
        assert!(PathState::Failed.after(cause).is_err());
        if let Ok(next) = PathState::Closing.after(cause) {
            assert!(matches!(next, PathState::Closing | PathState::Failed));
        }
    }
}

#[test]
fn abandonment_closes_from_any_state_that_lives() {
    for state in STATES.into_iter().filter(|state| *state != PathState::Failed) {
        assert_eq!(state.after(Cause::Abandon), Ok(PathState::Closing));
    }
}

#[test]
fn a_path_fails_only_by_closing_and_is_used_only_when_validated() {
    for state in STATES {
        for cause in CAUSES {
            let Ok(next) = state.after(cause) else { continue };
            assert!(next != PathState::Failed || state == PathState::Closing, "{state:?} {cause:?}");
            assert!(!next.is_usable() || cause == Cause::Proof || state.is_usable(), "{state:?} {cause:?}");
            assert!(next != PathState::Created, "{state:?} {cause:?}");
        }
    }
}

#[test]
fn status_takes_effect_only_where_it_may() {
    for state in STATES {
        for (cause, to) in [(Cause::Available, PathState::Active), (Cause::Backup, PathState::Standby)] {
            assert_eq!(state.after(cause).ok(), state.is_usable().then_some(to), "{state:?} {cause:?}");
        }
    }
}

#[test]
fn exactly_sixteen_of_forty_two_arrows_are_drawn() {
    let drawn = STATES.iter().flat_map(|state| CAUSES.map(|cause| state.after(cause))).filter(Result::is_ok);
    assert_eq!(drawn.count(), 16);
}
