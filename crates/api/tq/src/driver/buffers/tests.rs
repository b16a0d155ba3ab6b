use tq_time::Instant;
use tq_wire::Ecn;

use super::*;

fn fill(buffers: &mut Buffers, len: usize, byte: u8) -> Transmit {
    buffers.current()[..len].fill(byte);
    Transmit {
        remote: ([127, 0, 0, 1], 1).into(),
        local_ip: None,
        socket: 0,
        ecn: Ecn::NotEct,
        len,
        segment: Some(1000),
        depart_at: Instant::ZERO,
    }
}

#[test]
fn trains_wait_unharmed_while_others_are_sent() {
    let mut buffers = Buffers::new();
    for len in [1000, COPY, COPY + 1, TRANSMIT_BUFFER] {
        let transmit = fill(&mut buffers, len, 1);
        let held = buffers.hold(transmit, 0);
        fill(&mut buffers, TRANSMIT_BUFFER, 2);
        let restored = buffers.restore(held);
        assert_eq!(restored, transmit);
        assert!(buffers.contents(&restored).iter().all(|byte| *byte == 1), "{len}");
    }
}

#[test]
fn what_has_left_is_not_sent_again() {
    let mut buffers = Buffers::new();
    for len in [3500, 35_000] {
        let transmit = fill(&mut buffers, len, 1);
        buffers.current()[2000..len].fill(9);
        let held = buffers.hold(transmit, 2000);
        fill(&mut buffers, TRANSMIT_BUFFER, 2);
        let restored = buffers.restore(held);
        assert_eq!(restored.len, len - 2000);
        assert!(buffers.contents(&restored).iter().all(|byte| *byte == 9));
        // Some of the rest leaves, and it waits again.
        let held = buffers.hold(restored, 1000);
        assert_eq!(buffers.restore(held).len, len - 3000);
    }
}

#[test]
fn buffers_are_reused_and_few_are_kept() {
    let mut buffers = Buffers::new();
    let held: Vec<Held> = (0..3 * SPARES)
        .map(|_| {
            let transmit = fill(&mut buffers, TRANSMIT_BUFFER, 1);
            buffers.hold(transmit, 0)
        })
        .collect();
    for held in held {
        buffers.restore(held);
    }
    assert_eq!(buffers.spare.len(), SPARES);
}
