//! Raw UDP from one thread to another over loopback: what the kernel costs with trains of a given length.
//!
//! `blast [SECONDS] [SIZE] [SEGMENTS]`, 3 s of 44 x 1452 bytes unless told. Prints goodput of the receiver and
//! CPU seconds per 1e9 bytes of each thread. No flow control: what the receiver cannot take is lost, and
//! counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tq_udp::{Clock, Ecn, Options, RecvBatch, SendError, Socket, Transmit};

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>().expect("a number"));
    let (seconds, size, segments) =
        (args.next().unwrap_or(3), args.next().unwrap_or(1452), args.next().unwrap_or(44));
    let bind = || Socket::bind("127.0.0.1:0".parse().expect("an address"), &Options::default());
    let (from, to) = (bind().expect("a socket"), bind().expect("a socket"));
    let remote = to.local_addr().expect("bound");
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let (tx, rx) = std::thread::scope(|threads| {
        let sender = threads.spawn(|| {
            pin(0);
            // Written once, so that it is memory rather than the zero page.
            let contents: Vec<u8> = (0..size * segments).map(|i| i as u8).collect();
            let end = Clock::now() + Duration::from_secs(seconds as u64);
            let segment = Some(u16::try_from(size).expect("a datagram size"));
            let transmit = Transmit { remote, local_ip: None, ecn: Ecn::Ect0, segment, contents: &contents };
            while Clock::now() < end {
                match from.send(&transmit) {
                    Ok(()) => sent.fetch_add(contents.len() as u64, Ordering::Relaxed),
                    Err(SendError::WouldBlock { .. }) => 0,
                    Err(other) => panic!("{other}"),
                };
            }
            done.store(true, Ordering::Release);
            cpu()
        });
        let receiver = threads.spawn(|| {
            pin(1);
            let mut batch = RecvBatch::new();
            let (mut bytes, mut trains, begin) = (0_u64, 0_u64, Clock::now());
            loop {
                match to.recv(&mut batch) {
                    Ok(count) => {
                        trains += count as u64;
                        bytes += batch.trains().map(|train| train.data.len() as u64).sum::<u64>();
                    }
                    Err(_) if done.load(Ordering::Acquire) => break,
                    Err(_) => wait(&to),
                }
            }
            (bytes, trains, (Clock::now() - begin).as_secs_f64(), cpu())
        });
        (sender.join().expect("sender"), receiver.join().expect("receiver"))
    });
    let sent = sent.into_inner() as f64;
    let (bytes, trains, elapsed, rx) = (rx.0 as f64, rx.1, rx.2, rx.3);
    println!(
        "{segments} x {size}: sent {:.1} Gbit/s, received {:.1} Gbit/s, mean train {:.0} bytes",
        sent * 8e-9 / elapsed,
        bytes * 8e-9 / elapsed,
        bytes / trains as f64
    );
    println!(
        "tx {:.3} s/GB, rx {:.3} s/GB, dropped {}",
        tx / sent * 1e9,
        rx / bytes * 1e9,
        to.dropped().expect("a count")
    );
}

/// CPU time of this thread in seconds.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid `timespec` to write.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Ties this thread to one core, if there are enough.
fn pin(core: usize) {
    // SAFETY: an all-zero set is empty and valid; it lives through the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

/// Until the socket is readable or 10 ms have passed.
fn wait(socket: &Socket) {
    use std::os::fd::AsRawFd;
    let mut fd = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid `pollfd`.
    unsafe { libc::poll(&mut fd, 1, 10) };
}
