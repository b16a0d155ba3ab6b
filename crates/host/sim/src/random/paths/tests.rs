use super::*;

const STATES: [PathState; 7] = [
    PathState::Created,
    PathState::Validating,
    PathState::Validated,
    PathState::Active,
    PathState::Standby,
    PathState::Closing,
    PathState::Failed,
];

#[test]
fn nothing_leads_back_from_the_end_or_to_the_beginning() {
    for state in STATES {
        assert!(leads(state, state));
        assert!(state == PathState::Closing || !leads(PathState::Closing, state));
        assert!(state == PathState::Created || !leads(state, PathState::Created));
        assert!(
            !matches!(state, PathState::Active | PathState::Standby) || !leads(state, PathState::Validating)
        );
        assert!(state == PathState::Failed || leads(state, PathState::Closing), "{state:?}");
    }
    assert!(leads(PathState::Active, PathState::Standby) && leads(PathState::Standby, PathState::Active));
}

#[test]
fn what_is_told_of_a_path_has_an_order() {
    use tq_wire::PathId;
    let (now, id) = (Instant::ZERO, PathId(1));
    let gone = PathEvent::Abandoned { path: id, code: 0, local: true };
    for events in [
        vec![PathEvent::Validated(id)],
        vec![PathEvent::Opened(id), PathEvent::Opened(id)],
        vec![PathEvent::Opened(id), PathEvent::Validated(id), PathEvent::Validated(id)],
        vec![PathEvent::Opened(id), gone, gone],
        vec![PathEvent::Opened(id), gone, PathEvent::Validated(id)],
        vec![PathEvent::Opened(id), PathEvent::Closed(id)],
        vec![PathEvent::Opened(id), gone, PathEvent::Closed(id), PathEvent::Opened(id)],
    ] {
        let mut paths = Paths::default();
        let (last, before) = events.split_last().expect("events");
        for event in before {
            assert_eq!(paths.hear(now, *event), Ok(()), "{events:?}");
        }
        assert!(paths.hear(now, *last).is_err(), "{events:?}");
    }
    let mut paths = Paths::default();
    for event in [PathEvent::Opened(id), PathEvent::Validated(id), gone, PathEvent::Closed(id)] {
        assert_eq!(paths.hear(now, event), Ok(()));
    }
}
