//! A stream through a network that loses, repeats and reorders, against the bytes that were written.

use std::ops::Range;

use bytes::Bytes;
use proptest::prelude::*;
use tq_buf::{Assembler, SendBuffer};

/// What the network does with a packet, and how the application behaves at that moment.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Deliver,
    Lose,
    /// Delivered, but the acknowledgement comes after the sender gave it up.
    LoseAck,
    /// Delivered now and once more at the end.
    Repeat,
    /// Delivered that many packets later.
    Delay(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        5 => Just(Fate::Deliver),
        2 => Just(Fate::Lose),
        1 => Just(Fate::LoseAck),
        1 => Just(Fate::Repeat),
        2 => (1..30usize).prop_map(Fate::Delay),
    ]
}

#[derive(Default)]
struct Link {
    /// Packets on the way: how many packets must still leave before it arrives, where it starts, its bytes.
    delayed: Vec<(usize, u64, Vec<u8>)>,
    repeated: Vec<(u64, Vec<u8>)>,
}

/// Both ends of a stream.
#[derive(Default)]
struct Pair {
    sender: SendBuffer,
    receiver: Assembler,
    read: Vec<u8>,
    link: Link,
}

fn range(start: u64, data: &[u8]) -> Range<u64> {
    start..start + data.len() as u64
}

impl Pair {
    fn transmit(&mut self, max: usize, limit: u64, fate: Fate) -> bool {
        let Some(sent) = self.sender.next(max, limit) else { return false };
        let mut data = vec![0; (sent.end - sent.start) as usize];
        assert_eq!(self.sender.copy(sent.clone(), &mut data), data.len());
        match fate {
            Fate::Deliver => self.arrive(sent.start, &data),
            Fate::Lose => self.sender.lose(sent),
            Fate::LoseAck => {
                self.receiver.insert(sent.start, &data).unwrap();
                self.sender.lose(sent.clone());
                self.sender.ack(sent);
            }
            Fate::Repeat => {
                self.arrive(sent.start, &data);
                self.link.repeated.push((sent.start, data));
            }
            Fate::Delay(packets) => self.link.delayed.push((packets, sent.start, data)),
        }
        self.tick();
        true
    }

    fn arrive(&mut self, start: u64, data: &[u8]) {
        self.receiver.insert(start, data).unwrap();
        self.sender.ack(range(start, data));
    }

    /// Delivers the delayed packets whose time has come.
    fn tick(&mut self) {
        let delayed = std::mem::take(&mut self.link.delayed);
        for (packets, start, data) in delayed {
            match packets {
                0 => self.arrive(start, &data),
                _ => self.link.delayed.push((packets - 1, start, data)),
            }
        }
    }

    fn drain(&mut self, max: usize, copying: bool) {
        if copying {
            let mut into = vec![0; max];
            let count = self.receiver.read_into(&mut into);
            self.read.extend_from_slice(&into[..count]);
        } else if let Some(bytes) = self.receiver.read(max) {
            self.read.extend_from_slice(&bytes);
        }
        assert_eq!(self.read.len() as u64, self.receiver.consumed());
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        writes in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..5000), any::<bool>()), 1..20),
        fates in prop::collection::vec((fate(), 1..1500usize, 0..3000usize, any::<bool>()), 1..50),
        window in 1..20_000u64,
    ) {
        let written: Vec<u8> = writes.iter().flat_map(|(data, _)| data.clone()).collect();
        let mut pair = Pair::default();
        let mut writes = writes.into_iter();
        let mut fates = fates.iter().cycle();
        let mut quiet = 0;
        while pair.read.len() < written.len() {
            if let Some((data, shared)) = writes.next() {
                if shared { pair.sender.write(Bytes::from(data)) } else { pair.sender.write_slice(&data) }
            }
            let &(fate, max, read, copying) = fates.next().unwrap();
            let limit = pair.receiver.consumed() + window;
            // A list of fates without a delivery must not stop the world.
            let fate = if quiet > 100 { Fate::Deliver } else { fate };
            quiet = if matches!(fate, Fate::Lose) { quiet + 1 } else { 0 };
            if !pair.transmit(max, limit, fate) {
                pair.tick();
            }
            pair.drain(read + 1, copying);
            prop_assert!(pair.receiver.highest() <= limit);
        }
        for (start, data) in std::mem::take(&mut pair.link.repeated) {
            pair.arrive(start, &data);
        }
        while !pair.link.delayed.is_empty() {
            pair.tick();
        }
        prop_assert_eq!(&pair.read, &written);
        prop_assert_eq!((pair.receiver.buffered(), pair.receiver.ready()), (0, 0));
        prop_assert_eq!((pair.sender.unacked(), pair.sender.unsent(), pair.sender.has_lost()), (0, 0, false));
    }
}
