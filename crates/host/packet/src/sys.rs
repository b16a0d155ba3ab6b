//! The system calls, each behind a safe signature. All `unsafe` of the crate is here.
//!
//! Decides nothing but how arguments are laid out, and that `EINTR` is tried again where no time is lost by it.

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::frame::{Batch, Frame};
use crate::socket::Clocks;

/// Bytes of an interface's name in the kernel, its end included.
pub(crate) const NAME: usize = libc::IFNAMSIZ;

/// The result of a system call that answers -1 on failure.
fn once(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// As [`once`], repeated while a signal interrupts it.
fn call(mut f: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match once(f()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What the kernel tells beside a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    /// The frame's length on the wire.
    pub(crate) len: usize,
    /// `CLOCK_REALTIME` in nanoseconds when it arrived.
    pub(crate) wall: Option<u64>,
}

/// Room for one `SCM_TIMESTAMPNS` and as much again, at the alignment of `cmsghdr`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

/// A packet socket bound to an interface. `protocol` 0 receives nothing.
fn packet(index: u32, protocol: u16) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed. Protocol 0: nothing arrives before the socket is bound.
    let fd = call(|| unsafe { libc::socket(libc::AF_PACKET, kind, 0) as isize })?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // SAFETY: plain integers, for which all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index as i32;
    let (raw, len) = (fd.as_raw_fd(), size_of_val(&address) as libc::socklen_t);
    // SAFETY: the descriptor is open; the address lives on the stack and `len` is its size.
    call(|| unsafe { libc::bind(raw, (&raw const address).cast(), len) as isize })?;
    Ok(fd)
}

/// Sets an option whose value is an `int`.
fn set(fd: &OwnedFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let (raw, len) = (fd.as_raw_fd(), size_of::<i32>() as libc::socklen_t);
    // SAFETY: the descriptor is open, the value is an `i32` on the stack and `len` its size.
    call(|| unsafe { libc::setsockopt(raw, level, option, (&raw const value).cast(), len) as isize })
        .map(drop)
}

/// A socket that takes every frame that comes in on an interface.
pub(crate) fn receiver(index: u32, buffer: i32) -> io::Result<OwnedFd> {
    let fd = packet(index, libc::ETH_P_ALL as u16)?;
    set(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
    set(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    if set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, buffer).is_err() {
        set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, buffer)?;
    }
    Ok(fd)
}

/// A socket that only sends.
pub(crate) fn sender(index: u32) -> io::Result<OwnedFd> {
    let fd = packet(index, 0)?;
    set(&fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
    Ok(fd)
}

/// One `recvmmsg`: how many of `frames` and `marks` were filled, at least 1.
pub(crate) fn recv(
    fd: BorrowedFd<'_>,
    frames: &mut [Frame],
    marks: &mut [Mark; Batch::FRAMES],
) -> io::Result<usize> {
    // SAFETY: plain integers and pointers, for which all zeroes is a valid value.
    let mut iovs: [libc::iovec; Batch::FRAMES] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut messages: [libc::mmsghdr; Batch::FRAMES] = unsafe { mem::zeroed() };
    let mut controls = [Control([0; 64]); Batch::FRAMES];
    let mut ready = 0;
    for (((frame, control), iov), message) in
        frames.iter_mut().zip(&mut controls).zip(&mut iovs).zip(&mut messages)
    {
        *iov = libc::iovec { iov_base: frame.room().as_mut_ptr().cast(), iov_len: Frame::ROOM };
        let header = &mut message.msg_hdr;
        header.msg_iov = ptr::from_mut(iov);
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len() as _;
        ready += 1;
    }
    let (raw, list, flags) = (fd.as_raw_fd(), messages.as_mut_ptr(), libc::MSG_DONTWAIT | libc::MSG_TRUNC);
    // SAFETY: the descriptor is borrowed; the first `ready` messages point into `iovs`, into distinct frames and
    // into distinct control buffers, all mutably borrowed here and of the lengths given.
    let count = call(|| unsafe { libc::recvmmsg(raw, list, ready, flags as _, ptr::null_mut()) as isize })?;
    for ((mark, message), control) in marks.iter_mut().zip(&messages[..count]).zip(&controls) {
        #[allow(clippy::unnecessary_cast, reason = "musl has a 32-bit length here")]
        let len = (message.msg_hdr.msg_controllen as usize).min(control.0.len());
        *mark = Mark { len: message.msg_len as usize, wall: timestamp(&control.0[..len]) };
    }
    Ok(count)
}

/// The value of the first control message, if it is a timestamp: `{len: usize, level: i32, type: i32}`, then seconds
/// and nanoseconds.
fn timestamp(control: &[u8]) -> Option<u64> {
    let word = |at: usize| control.get(at..at + 4).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    let long = |at: usize| control.get(at..)?.first_chunk().map(|bytes| i64::from_ne_bytes(*bytes));
    let header = size_of::<usize>() + 8;
    let (level, kind) = (word(header - 8)?, word(header - 4)?);
    if (level, kind) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) || size_of::<libc::timespec>() != 16 {
        return None;
    }
    let (seconds, nanos) = (long(header)?, long(header + 8)?);
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(nanos).ok()?)
}

/// One `sendmmsg` of at most [`Batch::FRAMES`] frames: how many were taken, at least 1.
pub(crate) fn send(fd: BorrowedFd<'_>, frames: &[Frame]) -> io::Result<usize> {
    // SAFETY: plain integers and pointers, for which all zeroes is a valid value.
    let mut iovs: [libc::iovec; Batch::FRAMES] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut messages: [libc::mmsghdr; Batch::FRAMES] = unsafe { mem::zeroed() };
    let mut ready = 0;
    for ((frame, iov), message) in frames.iter().zip(&mut iovs).zip(&mut messages) {
        let bytes = frame.bytes();
        *iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        message.msg_hdr.msg_iov = ptr::from_mut(iov);
        message.msg_hdr.msg_iovlen = 1;
        ready += 1;
    }
    if ready == 0 {
        return Ok(0);
    }
    let (raw, list) = (fd.as_raw_fd(), messages.as_mut_ptr());
    // SAFETY: the descriptor is borrowed; the first `ready` messages point into `iovs` and into frames that are
    // borrowed here, of the lengths given; the kernel only reads frames.
    call(|| unsafe { libc::sendmmsg(raw, list, ready, libc::MSG_DONTWAIT as _) as isize })
}

/// Frames dropped since the last call (`PACKET_STATISTICS`).
pub(crate) fn statistics(fd: BorrowedFd<'_>) -> io::Result<u32> {
    // Packets seen, packets dropped.
    let mut counts = [0_u32; 2];
    let mut len = size_of_val(&counts) as libc::socklen_t;
    let (raw, value, size) = (fd.as_raw_fd(), counts.as_mut_ptr().cast(), &raw mut len);
    let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
    // SAFETY: the descriptor is borrowed; the kernel writes at most `len` bytes, the size of `counts`.
    call(|| unsafe { libc::getsockopt(raw, level, option, value, size) as isize })?;
    Ok(counts[1])
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid `timespec` for the kernel (or the vDSO) to write.
    unsafe { libc::clock_gettime(id, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Both clocks at one moment: read again if something came between.
pub(crate) fn clocks() -> Clocks {
    const APART: u64 = 20_000;
    let mut found = Clocks { monotonic: 0, wall: 0 };
    for _ in 0..4 {
        let before = clock(libc::CLOCK_MONOTONIC);
        let wall = clock(libc::CLOCK_REALTIME);
        let after = clock(libc::CLOCK_MONOTONIC);
        found = Clocks { monotonic: after, wall: wall + (after - before) / 2 };
        if after - before < APART {
            break;
        }
    }
    found
}

/// Waits until a descriptor is ready or the time is up. A signal ends it early.
pub(crate) fn ppoll(fds: &mut [libc::pollfd], nanos: Option<u64>) -> io::Result<usize> {
    let time = nanos.map(|nanos| libc::timespec {
        tv_sec: (nanos / 1_000_000_000) as _,
        tv_nsec: (nanos % 1_000_000_000) as _,
    });
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    let (list, count) = (fds.as_mut_ptr(), fds.len() as libc::nfds_t);
    // SAFETY: `list` are `count` mutably borrowed entries; `time` is null or outlives the call; a null mask is
    // allowed. A descriptor that is closed by now is answered by POLLNVAL.
    once(unsafe { libc::ppoll(list, count, time, ptr::null()) as isize })
}

/// Moves the calling thread into a network namespace.
pub(crate) fn setns(namespace: BorrowedFd<'_>) -> io::Result<()> {
    let raw = namespace.as_raw_fd();
    // SAFETY: takes integers, touches no memory of ours.
    call(|| unsafe { libc::setns(raw, libc::CLONE_NEWNET) as isize }).map(drop)
}

/// Moves the calling thread into a new network namespace.
pub(crate) fn unshare() -> io::Result<()> {
    // SAFETY: takes an integer, touches no memory of ours; the network namespace is a thread's own.
    call(|| unsafe { libc::unshare(libc::CLONE_NEWNET) as isize }).map(drop)
}

/// Puts the calling thread before all ordinary ones (`SCHED_FIFO`), at the lowest such priority.
pub(crate) fn hurry() -> io::Result<()> {
    // SAFETY: plain integers, for which all zeroes is a valid value.
    let mut parameter: libc::sched_param = unsafe { mem::zeroed() };
    parameter.sched_priority = 1;
    // Threads started by this one go back to the ordinary policy.
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 is the calling thread; the parameter lives on the stack and is only read.
    call(|| unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) as isize }).map(drop)
}

/// Gives the calling thread `runtime` of every `period` before all others (`SCHED_DEADLINE`), in nanoseconds.
pub(crate) fn reserve(runtime: u64, period: u64) -> io::Result<()> {
    // SAFETY: plain integers, for which all zeroes is a valid value.
    let mut attributes: libc::sched_attr = unsafe { mem::zeroed() };
    attributes.size = size_of_val(&attributes) as u32;
    attributes.sched_policy = libc::SCHED_DEADLINE as u32;
    // Threads started by this one go back to the ordinary policy; what nobody else has reserved may be had too.
    attributes.sched_flags = (libc::SCHED_FLAG_RESET_ON_FORK | libc::SCHED_FLAG_RECLAIM) as u64;
    (attributes.sched_runtime, attributes.sched_deadline, attributes.sched_period) =
        (runtime, period, period);
    let (call_number, none) = (libc::SYS_sched_setattr, 0_u32);
    // SAFETY: 0 is the calling thread; the attributes live on the stack, say their own size and are only read.
    call(|| unsafe { libc::syscall(call_number, 0, &raw const attributes, none) as isize }).map(drop)
}

/// Keeps all memory of the process in place, what comes later too.
pub(crate) fn stay() -> io::Result<()> {
    // SAFETY: takes an integer; what is mapped stays as it is.
    call(|| unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) as isize }).map(drop)
}

/// The index of an interface of the calling thread's namespace.
pub(crate) fn index(device: &str) -> io::Result<u32> {
    let name = CString::new(device).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: a string that ends with a zero and outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// Any socket, to ask for interfaces by.
pub(crate) fn asker() -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd =
        call(|| unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) as isize })?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The flags of an interface.
pub(crate) fn flags(asker: &OwnedFd, name: &[u8; NAME]) -> io::Result<i16> {
    let mut request = request(name);
    let (raw, argument) = (asker.as_raw_fd(), &raw mut request);
    // SAFETY: the descriptor is open; the kernel reads and writes one `ifreq`, borrowed here.
    call(|| unsafe { libc::ioctl(raw, libc::SIOCGIFFLAGS as _, argument) as isize })?;
    // SAFETY: SIOCGIFFLAGS has filled this member; any bits are a valid integer.
    Ok(unsafe { request.ifr_ifru.ifru_flags })
}

/// Sets the flags of an interface.
pub(crate) fn set_flags(asker: &OwnedFd, name: &[u8; NAME], flags: i16) -> io::Result<()> {
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = flags;
    let (raw, argument) = (asker.as_raw_fd(), &raw mut request);
    // SAFETY: the descriptor is open; the kernel reads one `ifreq`, borrowed here.
    call(|| unsafe { libc::ioctl(raw, libc::SIOCSIFFLAGS as _, argument) as isize }).map(drop)
}

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// One of ethtool's old commands that switch a feature.
pub(crate) fn ethtool(asker: &OwnedFd, name: &[u8; NAME], command: u32, data: u32) -> io::Result<()> {
    let mut value = EthtoolValue { command, data };
    let mut request = request(name);
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    let (raw, argument) = (asker.as_raw_fd(), &raw mut request);
    // SAFETY: the descriptor is open; the kernel reads one `ifreq` and through it one `ethtool_value`, both alive.
    call(|| unsafe { libc::ioctl(raw, libc::SIOCETHTOOL as _, argument) as isize }).map(drop)
}

fn request(name: &[u8; NAME]) -> libc::ifreq {
    // SAFETY: integers and pointers, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as _;
    }
    request
}
