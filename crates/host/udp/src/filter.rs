//! Datagrams the kernel is to drop before they are queued, by their source and the first bit of what they carry.
//!
//! Makes the program of a classic socket filter: what a UDP socket's filter sees begins with the UDP header, and the IP header
//! is found at an offset the kernel knows. Decides nothing about who deserves that.

use std::net::{IpAddr, SocketAddr};

/// Datagrams from one address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwanted {
    /// Where they come from.
    pub source: SocketAddr,
    /// Whether they begin with a long header of QUIC (a first bit of 1), or a short one: only such are dropped.
    pub long: bool,
}

/// Of them, a socket can refuse so many at a time.
pub const MAX_UNWANTED: usize = 16;

/// Of what is refused, one in so many is let in, by chance: so whoever refused it hears whether it goes on.
pub const SAMPLE: u32 = 256;

/// Result of a filter that keeps a datagram whole.
const KEEP: u32 = u32::MAX;
/// Where the IP header begins, for loads (`SKF_NET_OFF`).
const IP: u32 = libc::SKF_NET_OFF as u32;
/// Behind the UDP header.
const DATA: u32 = 8;
/// No field: a random number.
const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM) as u32;

/// What is loaded, and what of it has to be what.
struct Check {
    width: u32,
    offset: u32,
    mask: u32,
    value: u32,
}

const fn check(width: u32, offset: u32, mask: u32, value: u32) -> Check {
    Check { width, offset, mask, value }
}

/// The program: a datagram to which all checks of one apply is dropped but for one in [`SAMPLE`], others are kept.
pub(crate) fn program(unwanted: &[Unwanted]) -> Vec<libc::sock_filter> {
    let mut program = Vec::new();
    for one in unwanted.iter().take(MAX_UNWANTED) {
        let checks = checks(one);
        for (at, check) in checks.iter().enumerate() {
            // Three instructions each, then what becomes of it: five.
            let rest = 3 * (checks.len() - at - 1) + 5;
            test(&mut program, check, rest as u8);
        }
        test(&mut program, &check(libc::BPF_W, RANDOM, SAMPLE - 1, 0), 1);
        program.push(step(libc::BPF_RET | libc::BPF_K, 0, KEEP));
        program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0));
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, 0, KEEP));
    program
}

/// A check; `otherwise`: how far to jump if it fails.
fn test(program: &mut Vec<libc::sock_filter>, check: &Check, otherwise: u8) {
    program.push(step(libc::BPF_LD | check.width | libc::BPF_ABS, 0, check.offset));
    program.push(step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, check.mask));
    program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, otherwise, check.value));
}

/// `otherwise`: how far to jump if a comparison fails.
fn step(code: u32, otherwise: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: otherwise, k }
}

/// The cheapest first: few datagrams come from the same port.
fn checks(one: &Unwanted) -> Vec<Check> {
    let (byte, half, word) = (libc::BPF_B, libc::BPF_H, libc::BPF_W);
    let mut checks = vec![check(half, 0, 0xffff, u32::from(one.source.port()))];
    match one.source.ip().to_canonical() {
        IpAddr::V4(ip) => {
            checks.push(check(byte, IP, 0xf0, 0x40));
            checks.push(check(word, IP.wrapping_add(12), u32::MAX, ip.to_bits()));
        }
        IpAddr::V6(ip) => {
            checks.push(check(byte, IP, 0xf0, 0x60));
            for (at, part) in ip.octets().chunks_exact(4).enumerate() {
                let part = part.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
                checks.push(check(word, IP.wrapping_add(8 + 4 * at as u32), u32::MAX, part));
            }
        }
    }
    // A datagram of no bytes ends the program here, and is dropped.
    checks.push(check(byte, DATA, 0x80, u32::from(one.long) << 7));
    checks
}
