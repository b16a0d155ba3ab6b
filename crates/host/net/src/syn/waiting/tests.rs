//! Bounds and ages.

use proptest::prelude::*;

use super::*;

fn syn(port: u16) -> Syn {
    Syn { client: ([10, 0, 0, 1], port).into(), destination: ([192, 0, 2, 1], 443).into() }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_oldest_goes_when_there_is_no_room() {
    let mut waiting = Waiting::new(3, SECOND);
    for port in 0..3 {
        assert_eq!(waiting.insert(syn(port), port, Duration::ZERO), None);
    }
    assert_eq!(waiting.insert(syn(3), 3, Duration::ZERO), Some(0));
    assert_eq!(waiting.take(&syn(0)), None);
    assert_eq!(waiting.take(&syn(1)), Some(1));
    // Now there is room.
    assert_eq!(waiting.insert(syn(4), 4, Duration::ZERO), None);
    // The same connection again takes its own place.
    assert_eq!(waiting.insert(syn(4), 5, Duration::ZERO), Some(4));
    assert_eq!(waiting.len(), 3);
}

#[test]
fn what_is_too_old_comes_out_in_order() {
    let mut waiting = Waiting::new(9, SECOND);
    waiting.insert(syn(1), 'a', Duration::ZERO);
    waiting.insert(syn(2), 'b', SECOND / 2);
    waiting.insert(syn(3), 'c', SECOND);
    assert_eq!(waiting.expire(SECOND / 2), None);
    assert_eq!(waiting.expire(SECOND * 3 / 2), Some((syn(1), 'a')));
    assert_eq!(waiting.expire(SECOND * 3 / 2), Some((syn(2), 'b')));
    assert_eq!(waiting.expire(SECOND * 3 / 2), None);
    assert!(!waiting.is_empty());
}

proptest! {
    #[test]
    fn map_and_order_agree(acts in proptest::collection::vec((0_u8..3, 0_u16..8, 0_u64..5), 0..80)) {
        let mut waiting = Waiting::new(5, SECOND);
        let mut now = Duration::ZERO;
        for (act, port, step) in acts {
            now += SECOND / 4 * step as u32;
            match act {
                0 => drop(waiting.insert(syn(port), port, now)),
                1 => drop(waiting.take(&syn(port))),
                _ => drop(waiting.expire(now)),
            }
            prop_assert!(waiting.len() <= 5);
            prop_assert_eq!(waiting.entries.len(), waiting.order.len());
            prop_assert!(waiting.order.iter().all(|(number, (_, syn))| waiting.entries[syn].0 == *number));
        }
    }
}
