//! Packet sockets on a real pair of interfaces in a namespace without a name. Without root these tests have nothing
//! to stand on; they say so and pass.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use tq_packet::{Batch, Device, Frame, Namespace, Receiver, Sender, Waiting, wait};
use tq_time::Duration;
use tq_udp::Clock;

const BUFFER: usize = 16 << 20;

/// Runs `f` beside a pair `left`, `right` in a namespace of its own.
fn with_pair(f: impl FnOnce() + Send) {
    let Ok(namespace) = Namespace::fresh() else {
        eprintln!("skipped: needs CAP_SYS_ADMIN");
        return;
    };
    namespace
        .run(|| {
            let ip = |words: &str| Command::new("ip").args(words.split(' ')).status().unwrap().success();
            assert!(ip("link add left type veth peer name right"));
            assert!(ip("link set left up") && ip("link set right up"));
            f();
        })
        .unwrap();
}

fn frame(number: u32, len: usize) -> Frame {
    let mut frame = Frame::new();
    let mut bytes = vec![0xaa; len];
    bytes[..6].copy_from_slice(&[0xff; 6]);
    // A type for experiments: nobody but us minds it (IEEE 802 local experimental).
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes[14..18].copy_from_slice(&number.to_be_bytes());
    frame.write(&bytes);
    frame
}

/// The number in one of our frames; the kernel's own chatter has none.
fn number(bytes: &[u8]) -> Option<u32> {
    (bytes.get(12..14)? == [0x88, 0xb5]).then_some(())?;
    Some(u32::from_be_bytes(bytes.get(14..18)?.try_into().ok()?))
}

fn ready(receiver: &Receiver) -> bool {
    wait(&mut [Waiting::new(receiver.as_fd())], Some(Duration::from_millis(500))).unwrap() > 0
}

#[test]
fn what_is_sent_at_one_end_arrives_at_the_other_with_the_time_it_came() {
    with_pair(|| {
        let (to, from) = (Sender::open("left").unwrap(), Receiver::open("right", BUFFER).unwrap());
        let own = Receiver::open("left", BUFFER).unwrap();
        let before = Clock::now();
        let frames: Vec<_> = (0..5).map(|i| frame(i, 60 + 100 * i as usize)).collect();
        assert_eq!(to.send(&frames).unwrap(), 5);
        let sent = Clock::now();
        std::thread::sleep(std::time::Duration::from_millis(30));
        let (mut batch, mut seen) = (Batch::new(), Vec::new());
        while seen.len() < 5 {
            assert!(ready(&from));
            from.recv(&mut batch).unwrap();
            for frame in batch.frames().iter().filter(|frame| number(frame.bytes()).is_some()) {
                // A busy kernel may take its time to hand it over, but not as long as this waited before it looked.
                let (early, late) = (Duration::from_millis(1), Duration::from_millis(25));
                assert!(frame.at() + early > before && frame.at() < sent + late, "{frame:?} of {before:?}");
                seen.push((number(frame.bytes()).unwrap(), frame.bytes().len()));
            }
        }
        assert_eq!(seen, [(0, 60), (1, 160), (2, 260), (3, 360), (4, 460)]);
        // The sending end's receiver ignores what goes out.
        let mut echoes = 0;
        while own.recv(&mut batch).is_ok() {
            echoes += batch.frames().iter().filter(|frame| number(frame.bytes()).is_some()).count();
        }
        assert_eq!(echoes, 0);
    });
}

#[test]
fn nobody_loses_count_under_stress() {
    const FRAMES: u32 = 40_000;
    with_pair(|| {
        let (to, from) = (Sender::open("left").unwrap(), Receiver::open("right", 1 << 16).unwrap());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let frames: Vec<_> = (0..Batch::FRAMES as u32).map(|i| frame(i, 1514)).collect();
                let mut left = FRAMES;
                while left > 0 {
                    let part = frames.len().min(left as usize);
                    match to.send(&frames[..part]) {
                        Ok(sent) => left -= sent as u32,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
                done.store(true, Ordering::Release);
            });
            let (mut batch, mut seen, mut spare) = (Batch::new(), 0_u64, Frame::new());
            loop {
                let finished = done.load(Ordering::Acquire);
                match from.recv(&mut batch) {
                    Ok(_) => {
                        for slot in batch.frames() {
                            // A kept frame takes its bytes along.
                            std::mem::swap(slot, &mut spare);
                            seen += u64::from(number(spare.bytes()).is_some_and(|n| n < 64));
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock && finished => break,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            // What did not fit the small buffer is counted; the kernel's own frames may be among it.
            let dropped = from.dropped().unwrap();
            assert!(seen <= u64::from(FRAMES) && seen + dropped >= u64::from(FRAMES), "{seen} + {dropped}");
            assert_eq!(from.dropped().unwrap(), dropped, "reading the count does not change it");
        });
    });
}

#[test]
fn an_interface_that_goes_down_takes_its_peers_carrier_and_comes_back() {
    with_pair(|| {
        let (to, from) = (Sender::open("left").unwrap(), Receiver::open("right", BUFFER).unwrap());
        let device = Device::named("right").unwrap();
        device.plain().unwrap();
        assert!(device.is_up().unwrap());
        device.set_up(false).unwrap();
        let mut batch = Batch::new();
        let kinds: Vec<_> =
            std::iter::repeat_with(|| from.recv(&mut batch)).take(8).filter_map(Result::err).collect();
        assert!(kinds.iter().any(|error| error.kind() == ErrorKind::NetworkDown), "{kinds:?}");
        device.set_up(true).unwrap();
        let mut arrived = false;
        for _ in 0..50 {
            // The carrier takes a moment to be seen by the other end.
            if to.send(&[frame(7, 100)]).is_ok() && ready(&from) && from.recv(&mut batch).is_ok() {
                arrived |= batch.frames().iter().any(|frame| number(frame.bytes()) == Some(7));
            }
            if arrived {
                break;
            }
        }
        assert!(arrived);
    });
}

#[test]
fn a_namespace_is_entered_by_its_own_threads_only() {
    let here = Namespace::current().unwrap().id().unwrap();
    let Ok(there) = Namespace::fresh() else { return };
    let inside = there.run(|| Namespace::current().unwrap().id().unwrap()).unwrap();
    assert_eq!(inside, there.id().unwrap());
    assert_ne!(inside, here);
    assert_eq!(Namespace::current().unwrap().id().unwrap(), here);
    let thread = there.spawn("inside", || Namespace::current().unwrap().id().unwrap()).unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), inside);
}

#[test]
fn what_does_not_exist_is_an_error() {
    assert_eq!(Namespace::named("tqlab-no-such").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(Device::named("tqlab-no-such-device").is_err());
    assert!(Receiver::open("tq\0", 1).is_err());
    assert!(Sender::open("tqlab-none").is_err());
}

#[test]
fn waiting_ends_when_the_time_is_up_and_not_before() {
    tq_udp::set_timer_slack(1).unwrap();
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut fds = [Waiting::new(one.as_fd())];
    let before = Clock::now();
    assert_eq!(wait(&mut fds, Some(Duration::from_micros(1500))).unwrap(), 0);
    assert!(Clock::now() - before >= Duration::from_micros(1500) && !fds[0].is_ready());
    drop(other);
    assert_eq!(wait(&mut fds, None).unwrap(), 1);
    assert!(fds[0].is_ready());
}
