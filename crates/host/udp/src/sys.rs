//! The system calls, each behind a safe signature. All `unsafe` of the crate is here.
//!
//! Decides nothing but how arguments are laid out, and that `EINTR` is tried again.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::slice::ChunksExactMut;
use std::sync::OnceLock;

use crate::addr::NAME_LEN;
use crate::control::{RECV_LEN, Writer};
use crate::recv::{RecvBatch, Slot};

/// The result of a system call that answers -1 on failure, repeated while a signal interrupts it.
fn call(mut f: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match usize::try_from(f()) {
            Ok(result) => return Ok(result),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// One `sendmsg`. Datagram sockets take all or nothing.
pub(crate) fn send(socket: &impl AsFd, name: &[u8], control: &[u8], bytes: &[u8]) -> io::Result<()> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: `msghdr` is plain integers and pointers, for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = name.as_ptr().cast_mut().cast();
    message.msg_namelen = name.len() as libc::socklen_t;
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    if !control.is_empty() {
        message.msg_control = control.as_ptr().cast_mut().cast();
        message.msg_controllen = control.len() as _;
    }
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open while `socket` is borrowed; every pointer in `message` comes from a live
    // borrow with the length given beside it, and the kernel only reads through them.
    call(|| unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_NOSIGNAL) }).map(drop)
}

/// One `recvmmsg`: the number of `slots` (and as many `buffers`) that were filled, at least 1.
pub(crate) fn recv(
    socket: &impl AsFd,
    buffers: ChunksExactMut<'_, u8>,
    slots: &mut [Slot; RecvBatch::TRAINS],
) -> io::Result<usize> {
    // SAFETY: plain integers and pointers, for which all zeroes is a valid value.
    let mut iovs: [libc::iovec; RecvBatch::TRAINS] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut messages: [libc::mmsghdr; RecvBatch::TRAINS] = unsafe { mem::zeroed() };
    let mut ready = 0;
    for (((buffer, slot), iov), message) in buffers.zip(slots.iter_mut()).zip(&mut iovs).zip(&mut messages) {
        *iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let header = &mut message.msg_hdr;
        header.msg_iov = ptr::from_mut(iov);
        header.msg_iovlen = 1;
        header.msg_name = slot.name.0.as_mut_ptr().cast();
        header.msg_namelen = NAME_LEN as libc::socklen_t;
        header.msg_control = slot.control.0.as_mut_ptr().cast();
        header.msg_controllen = RECV_LEN as _;
        ready += 1;
    }
    let fd = socket.as_fd().as_raw_fd();
    let list = messages.as_mut_ptr();
    // SAFETY: the descriptor is open while `socket` is borrowed; the first `ready` messages point into `iovs`,
    // into distinct buffers and into distinct slots, all mutably borrowed here and of the lengths given.
    let count = call(|| unsafe {
        libc::recvmmsg(fd, list, ready, libc::MSG_DONTWAIT as _, ptr::null_mut()) as isize
    })?;
    for (slot, message) in slots.iter_mut().zip(&messages[..count]) {
        slot.name_len = message.msg_hdr.msg_namelen as usize;
        #[allow(clippy::unnecessary_cast, reason = "musl has a 32-bit length here")]
        let control_len = message.msg_hdr.msg_controllen as usize;
        slot.control_len = control_len;
        slot.len = message.msg_len as usize;
    }
    Ok(count)
}

/// Sets an option whose value is an `int`.
pub(crate) fn set(socket: &impl AsFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the descriptor is open, the value is an `i32` on the stack and `len` its size.
    call(|| unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), len) as isize }).map(drop)
}

/// `SK_MEMINFO_RMEM_ALLOC`, `SK_MEMINFO_RCVBUF`, `SK_MEMINFO_DROPS` of linux/sock_diag.h.
const HELD: usize = 0;
const ROOM: usize = 1;
const DROPS: usize = 8;

/// Datagrams dropped.
pub(crate) fn dropped(socket: &impl AsFd) -> io::Result<u32> {
    Ok(memory(socket)?[DROPS])
}

/// What is held of what may be, for receiving.
pub(crate) fn fullness(socket: &impl AsFd) -> io::Result<f32> {
    let info = memory(socket)?;
    Ok(info[HELD] as f32 / info[ROOM].max(1) as f32)
}

/// `SO_MEMINFO`.
fn memory(socket: &impl AsFd) -> io::Result<[u32; DROPS + 1]> {
    let mut info = [0_u32; DROPS + 1];
    let mut len = size_of_val(&info) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    let (value, size) = (info.as_mut_ptr().cast(), &raw mut len);
    // SAFETY: the descriptor is open; the kernel writes at most `len` bytes, the size of `info`.
    call(|| unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, value, size) as isize })?;
    Ok(info)
}

/// Lets `program` look at what arrives.
pub(crate) fn attach_filter(socket: &impl AsFd, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    let fd = socket.as_fd().as_raw_fd();
    let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    let size = size_of_val(&filter) as libc::socklen_t;
    // SAFETY: the descriptor is open; `filter` and the `len` instructions it points to live here, and the kernel copies them.
    call(|| unsafe { libc::setsockopt(fd, level, option, (&raw const filter).cast(), size) as isize })
        .map(drop)
}

/// Nothing looks any more.
pub(crate) fn detach_filter(socket: &impl AsFd) -> io::Result<()> {
    match set(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0) {
        // There was none.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

/// Segments the kernel takes per train: 128 if a train of 128 to ourselves is accepted, else 64. Asked once.
pub(crate) fn max_segments() -> usize {
    const OLD: usize = 64;
    const NEW: usize = 128;
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let probe = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let to = socket.local_addr()?;
            let (name, len) = crate::addr::Name::encode(to, crate::addr::Family::V4)
                .ok_or(io::ErrorKind::AddrNotAvailable)?;
            let mut control = Writer::new();
            control.segment(1);
            send(&socket, &name.0[..len], control.bytes(), &[0; NEW])
        };
        if probe().is_ok() { NEW } else { OLD }
    })
}

/// Whether `ip` is an address of this host that sockets may send from.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip.to_canonical(), 0)).is_ok()
}

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid `timespec` for the kernel (or the vDSO) to write.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A new non-blocking `CLOCK_MONOTONIC` timer.
pub(crate) fn timerfd() -> io::Result<OwnedFd> {
    let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = call(|| unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) as isize })?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Arms a timer for `nanos` of the monotonic clock, or disarms it with 0.
pub(crate) fn timerfd_set(timer: BorrowedFd<'_>, nanos: u64) -> io::Result<()> {
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let at = libc::timespec { tv_sec: (nanos / 1_000_000_000) as _, tv_nsec: (nanos % 1_000_000_000) as _ };
    let spec = libc::itimerspec { it_interval: zero, it_value: at };
    let (fd, flags) = (timer.as_raw_fd(), libc::TFD_TIMER_ABSTIME);
    // SAFETY: the descriptor is open; `spec` outlives the call; a null old value is allowed.
    call(|| unsafe { libc::timerfd_settime(fd, flags, &raw const spec, ptr::null_mut()) as isize }).map(drop)
}

/// Reads the expiry count away, or `WouldBlock`.
pub(crate) fn timerfd_take(timer: BorrowedFd<'_>) -> io::Result<()> {
    let mut count = 0_u64;
    let fd = timer.as_raw_fd();
    // SAFETY: the descriptor is open; eight bytes are written into the `u64`.
    call(|| unsafe { libc::read(fd, (&raw mut count).cast(), size_of::<u64>()) }).map(drop)
}

/// `PR_SET_TIMERSLACK` for the calling thread.
pub(crate) fn timer_slack(nanos: u32) -> io::Result<()> {
    // Zero would mean "the default".
    let nanos = libc::c_ulong::from(nanos.max(1));
    // SAFETY: takes an integer, touches no memory of ours.
    call(|| unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanos) as isize }).map(drop)
}

/// Waits until a descriptor is ready or `millis` have passed; the number that are ready. For tests.
#[cfg(test)]
pub(crate) fn poll(fd: &mut libc::pollfd, millis: i32) -> usize {
    // SAFETY: one valid `pollfd`.
    call(|| unsafe { libc::poll(fd, 1, millis) as isize }).unwrap()
}
