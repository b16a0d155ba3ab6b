use super::*;
use crate::Monitor;

/// Every arrow drawn.
const DRAWN: [(Health, Health, Cause); 16] = [
    (Health::Good, Health::Suspect, Cause::Silence),
    (Health::Suspect, Health::Good, Cause::Progress),
    (Health::Suspect, Health::Out, Cause::Silence),
    (Health::Probation, Health::Out, Cause::Silence),
    (Health::Held, Health::Out, Cause::Silence),
    (Health::Good, Health::Out, Cause::LinkDown),
    (Health::Suspect, Health::Out, Cause::LinkDown),
    (Health::Probation, Health::Out, Cause::LinkDown),
    (Health::Held, Health::Out, Cause::LinkDown),
    (Health::Good, Health::Out, Cause::PeerDown),
    (Health::Suspect, Health::Out, Cause::PeerDown),
    (Health::Probation, Health::Out, Cause::PeerDown),
    (Health::Held, Health::Out, Cause::PeerDown),
    (Health::Out, Health::Probation, Cause::Replies),
    (Health::Probation, Health::Good, Cause::Rounds),
    (Health::Good, Health::Held, Cause::Guard),
];
const DRAWN_TOO: [(Health, Health, Cause); 2] =
    [(Health::Probation, Health::Held, Cause::Guard), (Health::Held, Health::Probation, Cause::Evidence)];

/// Drawn arrows that lead from good to a state.
fn reach(state: Health) -> Monitor {
    let now = Instant::ZERO;
    let mut monitor = Monitor::new(now);
    let way: &[(Health, Cause)] = match state {
        Health::Good => &[],
        Health::Suspect => &[(Health::Suspect, Cause::Silence)],
        Health::Out => &[(Health::Out, Cause::LinkDown)],
        Health::Probation => &[(Health::Out, Cause::LinkDown), (Health::Probation, Cause::Replies)],
        Health::Held => &[(Health::Held, Cause::Guard)],
    };
    for (to, cause) in way {
        monitor.shift(now, *to, *cause).unwrap();
    }
    monitor
}

#[test]
fn every_arrow_not_drawn_is_refused() {
    let now = Instant::from_nanos(7);
    for from in Health::ALL {
        for to in Health::ALL {
            for cause in Cause::ALL {
                let drawn = DRAWN.contains(&(from, to, cause)) || DRAWN_TOO.contains(&(from, to, cause));
                let mut monitor = reach(from);
                let answer = monitor.shift(now, to, cause);
                if drawn {
                    let lasted = Duration::from_nanos(7);
                    assert_eq!(answer, Ok(Change { from, to, cause, at: now, lasted }));
                    assert_eq!(monitor.state(), to);
                } else {
                    assert_eq!(answer, Err(Refused { from, to, cause }));
                    assert_eq!(monitor.state(), from, "a refusal changes nothing");
                }
            }
        }
    }
}

#[test]
fn a_refusal_says_what_was_wanted() {
    use std::string::ToString;
    let refused = Refused { from: Health::Out, to: Health::Good, cause: Cause::Progress };
    assert_eq!(refused.to_string(), "no path goes from out to good by progress");
}
