//! The system calls, each behind a safe signature. All `unsafe` of the crate is here.
//!
//! Decides nothing but how arguments are laid out, and that `EINTR` is tried again.

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

#[cfg(test)]
mod tests;

/// Bytes of an interface's name in the kernel, its end included.
pub(crate) const NAME: usize = libc::IFNAMSIZ;

/// An option that `libc` lacks, from `asm-generic/socket.h`.
const SO_NETNS_COOKIE: i32 = 71;

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

fn set<T: Copy>(fd: &impl AsFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let (raw, len) = (fd.as_fd().as_raw_fd(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the descriptor is borrowed; the kernel only reads `len` bytes of `value`, which has that size.
    call(|| unsafe { libc::setsockopt(raw, level, option, std::ptr::from_ref(value).cast(), len) as isize })
        .map(drop)
}

/// A route netlink socket in multicast groups (a mask of `RTMGRP_*`).
pub(crate) fn netlink(groups: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = call(|| unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) as isize })?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // SAFETY: plain integers, for which all zeroes is a valid value.
    let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_groups = groups;
    let (raw, len) = (fd.as_raw_fd(), size_of_val(&address) as libc::socklen_t);
    // SAFETY: the descriptor is open; the address lives on the stack and `len` is its size.
    call(|| unsafe { libc::bind(raw, (&raw const address).cast(), len) as isize })?;
    Ok(fd)
}

/// Joins a multicast group beyond the 32 that a mask has.
pub(crate) fn join(fd: &impl AsFd, group: u32) -> io::Result<()> {
    set(fd, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, &group)
}

/// Asks for more room for what was not read yet: what the kernel grants at least, more with CAP_NET_ADMIN.
pub(crate) fn receive_room(fd: &impl AsFd, bytes: i32) {
    if set(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes).is_err() {
        // Less room only means an overrun sooner, and that is mended.
        let _ = set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes);
    }
}

/// Limits how long a blocking read of a socket takes; it then fails with `WouldBlock`.
pub(crate) fn receive_timeout(fd: &impl AsFd, limit: Duration) -> io::Result<()> {
    let value = libc::timeval {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(limit.subsec_micros()),
    };
    set(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &value)
}

pub(crate) fn nonblocking(fd: &impl AsFd) -> io::Result<()> {
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed; no memory is passed.
    let flags = call(|| unsafe { libc::fcntl(raw, libc::F_GETFL) as isize })?;
    // SAFETY: as above.
    call(|| unsafe { libc::fcntl(raw, libc::F_SETFL, flags as i32 | libc::O_NONBLOCK) as isize }).map(drop)
}

/// Sends one netlink message to the kernel.
pub(crate) fn send(fd: &impl AsFd, bytes: &[u8]) -> io::Result<()> {
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed; the kernel only reads `bytes`.
    call(|| unsafe { libc::send(raw, bytes.as_ptr().cast(), bytes.len(), 0) }).map(drop)
}

/// What a netlink socket gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// The first bytes of the buffer are messages from the kernel.
    Kernel(usize),
    /// The kernel had more to say than fits.
    Cut,
    /// Another process wrote to us; that is nothing to believe.
    Stranger,
}

/// Reads one netlink datagram.
pub(crate) fn receive(fd: &impl AsFd, buffer: &mut [u8]) -> io::Result<Got> {
    // SAFETY: plain integers, for which all zeroes is a valid value.
    let mut from: libc::sockaddr_nl = unsafe { mem::zeroed() };
    let mut len = size_of_val(&from) as libc::socklen_t;
    let raw = fd.as_fd().as_raw_fd();
    let room = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the descriptor is borrowed; the buffer and the address are mutably borrowed and of the lengths given.
    let got = call(|| unsafe {
        libc::recvfrom(raw, room.0, room.1, libc::MSG_TRUNC, (&raw mut from).cast(), &raw mut len)
    })?;
    Ok(match (from.nl_pid, got <= buffer.len()) {
        (0, true) => Got::Kernel(got),
        (0, false) => Got::Cut,
        _ => Got::Stranger,
    })
}

/// A name as the kernel takes it; nothing if it is empty or too long.
fn name(device: &str) -> Option<[libc::c_char; NAME]> {
    let mut name = [0; NAME];
    let fits = (1..NAME).contains(&device.len()) && !device.contains('\0');
    for (to, from) in name.iter_mut().zip(device.bytes()) {
        *to = from as libc::c_char;
    }
    fits.then_some(name)
}

/// The number of an interface.
pub(crate) fn index(device: &str) -> io::Result<u32> {
    let unknown = || io::Error::from_raw_os_error(libc::ENODEV);
    let text = CString::new(device).map_err(|_| unknown())?;
    // SAFETY: the string ends with a zero and outlives the call.
    match unsafe { libc::if_nametoindex(text.as_ptr()) } {
        0 => Err(unknown()),
        index => Ok(index),
    }
}

/// Makes a TUN interface of raw IP packets that lives as long as the descriptor, which never blocks.
pub(crate) fn tun(device: &str) -> io::Result<OwnedFd> {
    let name = name(device).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let options = libc::O_RDWR | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the path is a literal that ends with a zero.
    let fd = call(|| unsafe { libc::open(c"/dev/net/tun".as_ptr(), options) as isize })?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // SAFETY: plain integers, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    request.ifr_name = name;
    // Exclusive: a TUN of that name that somebody keeps is not ours.
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_TUN_EXCL) as libc::c_short;
    let raw = fd.as_raw_fd();
    // SAFETY: the descriptor is open and `request` is the `ifreq` that this call reads and writes.
    call(|| unsafe { libc::ioctl(raw, libc::TUNSETIFF as _, &raw mut request) as isize })?;
    Ok(fd)
}

/// Reads one packet.
pub(crate) fn read(fd: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: the descriptor and the buffer are borrowed, and the length is the buffer's.
    call(|| unsafe { libc::read(raw, buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes one packet.
pub(crate) fn write(fd: &impl AsFd, packet: &[u8]) -> io::Result<()> {
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed; the kernel only reads `packet`.
    call(|| unsafe { libc::write(raw, packet.as_ptr().cast(), packet.len()) }).map(drop)
}

/// Lets a descriptor be awaited.
pub(crate) fn awaited(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is open and owned; nobody in this crate replaces or closes it inside the `AsyncFd`.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

/// A number that no other network namespace has had since the machine started. Linux 5.14.
pub(crate) fn netns_cookie(socket: &impl AsFd) -> io::Result<u64> {
    let (raw, mut value) = (socket.as_fd().as_raw_fd(), 0_u64);
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed; `value` has room for the `len` bytes that the kernel may write.
    call(|| unsafe {
        let to = (&raw mut value).cast();
        libc::getsockopt(raw, libc::SOL_SOCKET, SO_NETNS_COOKIE, to, &raw mut len) as isize
    })?;
    Ok(value)
}

/// CPU time of this process.
pub(crate) fn cpu_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes the structure it is given.
    call(|| unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) as isize })?;
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// How many descriptors this process may have, and may allow itself.
pub(crate) fn descriptors() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the structure it is given.
    call(|| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) as isize })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

pub(crate) fn set_descriptors(now: u64, most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: now, rlim_max: most };
    // SAFETY: the kernel only reads the structure.
    call(|| unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) as isize }).map(drop)
}

/// `__user_cap_header_struct` and `__user_cap_data_struct` of version 3, which has two of the latter (capget(2)).
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAP_HEADER: CapHeader = CapHeader { version: 0x2008_0522, pid: 0 };

/// What this thread may do, as a set of bits.
pub(crate) fn capabilities() -> io::Result<u64> {
    let (header, mut data) = (CAP_HEADER, [CapData::default(); 2]);
    // SAFETY: header and data are laid out as version 3 says; the kernel writes two elements.
    call(|| unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) as isize })?;
    Ok(u64::from(data[0].effective) | u64::from(data[1].effective) << 32)
}

/// Makes this thread's sets this one, which must be part of what it has.
pub(crate) fn set_capabilities(set: u64) -> io::Result<()> {
    let half = |bits: u32| CapData { effective: bits, permitted: bits, inheritable: bits };
    let (header, data) = (CAP_HEADER, [half(set as u32), half((set >> 32) as u32)]);
    // SAFETY: as above; the kernel only reads.
    call(|| unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) as isize }).map(drop)
}

fn prctl(option: i32, two: u64, three: u64) -> io::Result<usize> {
    // SAFETY: the options used here take numbers, no memory.
    call(|| unsafe { libc::prctl(option, two, three, 0_u64, 0_u64) as isize })
}

/// No program started from here has more than this set, whoever runs it.
pub(crate) fn bound_capabilities(set: u64) -> io::Result<()> {
    for bit in (0..64).filter(|bit| set & (1 << bit) == 0) {
        // The kernel knows fewer than 64 and says so.
        if prctl(libc::PR_CAPBSET_READ, bit, 0).is_ok() {
            prctl(libc::PR_CAPBSET_DROP, bit, 0)?;
        }
    }
    Ok(())
}

/// No program started from here has more power than this one.
pub(crate) fn no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// Programs started from here have this set, which must be permitted and inheritable. A kernel without that gives them
/// nothing, or, from root, what they may have.
pub(crate) fn set_ambient(set: u64) {
    let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0);
    for bit in (0..64).filter(|bit| set & (1 << bit) != 0) {
        let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, bit);
    }
}

/// Further groups that this process is a member of.
pub(crate) fn groups() -> io::Result<Vec<u32>> {
    // SAFETY: with a size of 0 nothing is written.
    let count = call(|| unsafe { libc::getgroups(0, std::ptr::null_mut()) as isize })?;
    let mut groups = vec![0; count];
    // SAFETY: the kernel writes at most as many as there is room for.
    let count = call(|| unsafe { libc::getgroups(count as i32, groups.as_mut_ptr()) as isize })?;
    groups.truncate(count);
    Ok(groups)
}

pub(crate) fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the kernel reads as many as there are.
    call(|| unsafe { libc::setgroups(groups.len(), groups.as_ptr()) as isize }).map(drop)
}

/// Moves the calling thread to a network namespace of its own.
#[cfg(test)]
pub(crate) fn unshare() -> io::Result<()> {
    // SAFETY: no memory is passed, and only this thread's view of the network changes.
    call(|| unsafe { libc::unshare(libc::CLONE_NEWNET) as isize }).map(drop)
}
