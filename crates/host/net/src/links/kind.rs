//! What an interface is made of, and which kinds are links.
//!
//! Decides by what the kernel says of the driver, then by `DEVTYPE` of `/sys`, then by systemd's names. An interface
//! somebody made out of others (bridge, VLAN, tunnel, veth, …) is virtual; PPP is not, since it ends at a modem.

#[cfg(test)]
mod tests;

/// What an interface is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Ethernet, or PPP over a line.
    Physical,
    /// Wireless LAN.
    Wifi,
    /// A modem of a mobile network.
    Wwan,
    /// Made of software: a link only if allowed.
    Virtual,
}

/// What bytes cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cost {
    /// Nothing more than the line does.
    Flat,
    /// By volume, or slower after a volume.
    Metered,
}

impl Kind {
    /// The guess for links of this kind.
    pub fn cost(self) -> Cost {
        if self == Self::Wwan { Cost::Metered } else { Cost::Flat }
    }
}

/// What is known about an interface that tells its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `ARPHRD_*` of the interface.
    pub hardware: u16,
    /// `IFF_LOOPBACK` is set.
    pub loopback: bool,
    /// `IFLA_INFO_KIND`: what made it, for interfaces that were made on request.
    pub made_by: Option<String>,
    /// `DEVTYPE` in `/sys/class/net/*/uevent`.
    pub device_type: Option<String>,
}

const ETHERNET: u16 = 1;
const PPP: u16 = 512;
const RAW_IP: u16 = 519;

impl Marks {
    /// The kind of an interface of this name.
    pub fn kind(&self, device: &str) -> Kind {
        let device_type = self.device_type.as_deref();
        match self.made_by.as_deref() {
            _ if self.loopback => Kind::Virtual,
            Some("wwan" | "rmnet") => Kind::Wwan,
            Some("ppp") => Kind::Physical,
            Some(_) => Kind::Virtual,
            None if device_type == Some("wwan") => Kind::Wwan,
            None if device_type == Some("wlan") => Kind::Wifi,
            // Drivers name what they made of other interfaces there: bridge, bond, vlan, wireguard, …
            None if device_type.is_some_and(|made| !matches!(made, "dsa" | "gadget" | "ppp")) => {
                Kind::Virtual
            }
            None => match self.hardware {
                ETHERNET | RAW_IP if device.starts_with("ww") => Kind::Wwan,
                ETHERNET if device.starts_with("wl") => Kind::Wifi,
                ETHERNET | PPP => Kind::Physical,
                RAW_IP => Kind::Wwan,
                _ => Kind::Virtual,
            },
        }
    }
}

/// Which interfaces may be links. In patterns `*` stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select {
    /// Virtual interfaces that are links all the same.
    pub allow: Vec<String>,
    /// Interfaces that are no links, whatever they are. Comes before `allow`.
    pub deny: Vec<String>,
}

impl Select {
    /// Whether an interface may be a link.
    pub fn takes(&self, device: &str, kind: Kind) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, device));
        !any(&self.deny) && (kind != Kind::Virtual || any(&self.allow))
    }
}

/// Whether `text` is what `pattern` says, where `*` stands for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}
