//! A TUN interface: packets that the kernel routes there are read here, and what is written comes in there.
//!
//! Decides how it is set up: raw IP, without addresses, up, and lenient about where packets come from. It exists as
//! long as the [`Tun`] and leaves nothing behind.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

use crate::host::SetupError;
use crate::netlink::Request;
use crate::netlink::talk::Talk;
use crate::sys;

/// The shortest MTU with which IPv6 works (RFC 8200 §5), and the longest packet there is.
const MTU: std::ops::RangeInclusive<u32> = 1280..=65_535;

/// A TUN interface.
#[derive(Debug)]
pub struct Tun {
    fd: AsyncFd<OwnedFd>,
    name: String,
}

impl Tun {
    /// Makes one and brings it up. `mtu` is in bytes of IP, at least 1280.
    ///
    /// # Errors
    /// [`SetupError::NoTun`] says what is missing; no CAP_NET_ADMIN.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn open(name: &str, mtu: u32) -> Result<Self, SetupError> {
        let trouble = |why: &str| SetupError::NoTun { device: name.into(), why: why.into() };
        if !crate::host::is_name(name) || !MTU.contains(&mtu) {
            return Err(trouble("a name has 1 to 15 characters, an MTU is 1280 to 65535"));
        }
        let fd = sys::tun(name).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                trouble("the kernel has no /dev/net/tun: load the module tun (modprobe tun)")
            }
            Some(libc::EACCES) => trouble(
                "this user may not open /dev/net/tun: make its mode 0666, as most systems do, or run as root",
            ),
            Some(libc::EBUSY | libc::EEXIST) => trouble("an interface of that name exists: choose another"),
            _ => SetupError::system(format!("make TUN interface {name}"), error),
        })?;
        set_up(name, mtu).map_err(|error| SetupError::system(format!("bring {name} up"), error))?;
        let fd = sys::awaited(fd).map_err(|error| SetupError::system(format!("await {name}"), error))?;
        Ok(Self { fd, name: name.into() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next packet: how many bytes of `buffer` it has. One that is longer is cut.
    ///
    /// # Errors
    /// The interface is gone.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.fd.readable().await?;
            if let Ok(read) = ready.try_io(|fd| sys::read(fd.get_ref(), buffer)) {
                return read;
            }
        }
    }

    /// Lets a packet come in. Never waits: TUN takes it or loses it, as a cable would.
    ///
    /// # Errors
    /// The interface is gone or down; it is no IP packet (`EINVAL`).
    pub fn write(&self, packet: &[u8]) -> io::Result<()> {
        sys::write(self.fd.get_ref(), packet)
    }
}

fn set_up(name: &str, mtu: u32) -> io::Result<()> {
    // Packets that are written back have sources of the local network. 2 is the most lenient where the machine as a
    // whole is strict (the higher value counts), 0 where it is not.
    let strict = std::fs::read_to_string("/proc/sys/net/ipv4/conf/all/rp_filter").unwrap_or_default();
    let lenient = if strict.trim() == "1" { "2" } else { "0" };
    crate::host::write(&format!("net/ipv4/conf/{name}/rp_filter"), lenient)?;
    // No IPv6 here is nothing to complain about; our own chatter on the interface would be.
    for (key, value) in [("disable_ipv6", "0"), ("accept_ra", "0"), ("addr_gen_mode", "1")] {
        let _ = crate::host::write(&format!("net/ipv6/conf/{name}/{key}"), value);
    }
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&sys::index(name)?.to_ne_bytes());
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    header[8..12].copy_from_slice(&up);
    header[12..16].copy_from_slice(&up);
    let request = Request::new(libc::RTM_NEWLINK, libc::NLM_F_ACK, &header);
    Talk::new()?.ask(request.with_u32(libc::IFLA_MTU, mtu))
}
