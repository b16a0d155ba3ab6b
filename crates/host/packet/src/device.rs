//! Interfaces of the calling thread's namespace: carrier and offloads.
//!
//! Decides which offloads make frames longer or leave checksums open; an emulator can have none of them. Creates and
//! removes no interfaces; `ip link` does.

use std::io;
use std::os::fd::OwnedFd;

use crate::sys;

/// An interface.
#[derive(Debug)]
pub struct Device {
    asker: OwnedFd,
    name: [u8; sys::NAME],
}

impl Device {
    /// `ETHTOOL_STSO`, `ETHTOOL_SGSO`, `ETHTOOL_SGRO` and `ETHTOOL_STXCSUM` of linux/ethtool.h. The checksums last:
    /// segmentation needs them.
    const OFFLOADS: [u32; 4] = [0x1f, 0x24, 0x2c, 0x17];
    /// `ETHTOOL_SGRO`.
    const MERGING: u32 = 0x2c;

    /// The interface `name` of the calling thread's namespace. What is done to it later is done there, by whatever
    /// thread.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> io::Result<Self> {
        sys::index(name)?;
        let mut bytes = [0; sys::NAME];
        // A name that exists fits.
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        Ok(Self { asker: sys::asker()?, name: bytes })
    }

    /// Takes it up or down. The other end of a `veth` pair sees it as its carrier.
    ///
    /// # Errors
    /// No CAP_NET_ADMIN; the interface is gone.
    pub fn set_up(&self, up: bool) -> io::Result<()> {
        const UP: i16 = libc::IFF_UP as i16;
        let before = sys::flags(&self.asker, &self.name)?;
        let after = if up { before | UP } else { before & !UP };
        if before == after { Ok(()) } else { sys::set_flags(&self.asker, &self.name, after) }
    }

    /// Whether it is up.
    ///
    /// # Errors
    /// The interface is gone.
    pub fn is_up(&self) -> io::Result<bool> {
        Ok(i32::from(sys::flags(&self.asker, &self.name)?) & libc::IFF_UP != 0)
    }

    /// Makes it send frames as they are on a wire: none longer than its MTU, every checksum filled in.
    ///
    /// # Errors
    /// No CAP_NET_ADMIN; the interface is gone or cannot do that.
    pub fn plain(&self) -> io::Result<()> {
        Self::OFFLOADS.iter().try_for_each(|command| sys::ethtool(&self.asker, &self.name, *command, 0))
    }

    /// Lets its host merge frames of one flow that come at once (GRO), as it does with those of a card: they are handed
    /// on as one, and cost it as one. On a `veth` pair this needs a peer that is [plain](Self::plain).
    ///
    /// # Errors
    /// As [`Device::plain`].
    pub fn merging(&self) -> io::Result<()> {
        sys::ethtool(&self.asker, &self.name, Self::MERGING, 1)
    }
}
