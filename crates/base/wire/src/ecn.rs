//! ECN codepoints of the IP header and the counters ACK frames carry (RFC 9000 §13.4).

/// The two ECN bits of a datagram's IP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0,
    /// ECN-capable, codepoint ECT(1) (L4S).
    Ect1 = 1,
    /// ECN-capable, codepoint ECT(0).
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// From the low two bits of a TOS or traffic class octet.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The low two bits of a TOS or traffic class octet.
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// Packets received with each codepoint, cumulative per packet number space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnCounts {
    /// Packets marked ECT(0).
    pub ect0: u64,
    /// Packets marked ECT(1).
    pub ect1: u64,
    /// Packets marked CE.
    pub ce: u64,
}

impl EcnCounts {
    /// Counts one received packet.
    // MUST 9000-13.4.1-1
    pub fn count(&mut self, ecn: Ecn) {
        match ecn {
            Ecn::NotEct => {}
            Ecn::Ect0 => self.ect0 += 1,
            Ecn::Ect1 => self.ect1 += 1,
            Ecn::Ce => self.ce += 1,
        }
    }

    /// Whether no marked packet was received.
    pub fn is_zero(&self) -> bool {
        self.ect0 == 0 && self.ect1 == 0 && self.ce == 0
    }
}
