//! Sequence numbers: older frames change nothing, and only the newest of ours goes again.

use tq_wire::PathId;

use super::{Status, Statuses};
use crate::payload::Payload;

fn written(statuses: &mut Statuses) -> Vec<u8> {
    let mut room = [0; 32];
    let mut payload = Payload::new(&mut room);
    statuses.write(PathId(1), &mut payload);
    payload.out.written().to_vec()
}

use tq_buf::mem::Vec;

// MUST mp21-4.3-2
#[test]
fn an_older_or_equal_frame_is_ignored() {
    let mut statuses = Statuses::default();
    assert!(statuses.on_frame(Status::Backup, 7));
    assert!(!statuses.on_frame(Status::Available, 7));
    assert!(!statuses.on_frame(Status::Available, 6));
    assert_eq!(statuses.agreed(), Status::Backup);
    assert!(statuses.on_frame(Status::Available, 8));
    assert_eq!(statuses.agreed(), Status::Available);
}

#[test]
fn either_end_puts_a_path_on_standby() {
    let mut statuses = Statuses::default();
    statuses.set(Status::Backup);
    assert_eq!((statuses.agreed(), statuses.remote()), (Status::Backup, Status::Available));
    statuses.set(Status::Available);
    statuses.on_frame(Status::Backup, 0);
    assert_eq!((statuses.agreed(), statuses.local()), (Status::Backup, Status::Available));
}

// MUST mp21-4.3-1
#[test]
fn only_the_newest_goes_again_when_lost() {
    let mut statuses = Statuses::default();
    assert_eq!(written(&mut statuses), []);
    statuses.set(Status::Backup);
    assert_eq!(written(&mut statuses), [0x7e, 0x76, 1, 0]);
    statuses.set(Status::Available);
    assert_eq!(written(&mut statuses), [0x7e, 0x77, 1, 1]);
    statuses.on_lost(0);
    assert!(!statuses.wants());
    statuses.on_lost(1);
    assert_eq!(written(&mut statuses), [0x7e, 0x77, 1, 1]);
}

#[test]
fn a_lost_link_is_told_twice_and_taken_back_once() {
    let mut statuses = Statuses::default();
    statuses.set(Status::Available);
    let wanted = written(&mut statuses);
    statuses.set_down(false);
    assert!(!statuses.wants(), "nothing changed");
    statuses.set_down(true);
    let down = written(&mut statuses);
    assert_eq!(written(&mut statuses), down);
    assert!(written(&mut statuses).is_empty());
    assert_ne!(down[..2], wanted[..2], "another frame");
    assert_eq!((statuses.local(), statuses.agreed()), (Status::Available, Status::Available));
    statuses.set_down(false);
    let up = written(&mut statuses);
    assert_eq!(up[..up.len() - 1], wanted[..wanted.len() - 1]);
    assert!(!statuses.wants());
}
