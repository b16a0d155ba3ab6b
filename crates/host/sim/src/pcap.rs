//! Captures that other tools read.
//!
//! A [`Pcap`] is a [`Tap`] that writes what it sees as classic pcap with nanoseconds and raw IP packets
//! (LINKTYPE_RAW), headers and checksums included. Virtual time counts from 1970. Decides which points are captured;
//! after the first error it writes nothing more.

use std::io::{self, Write};

use crate::packet;
use crate::tap::{Point, Seen, Tap, Where};
use crate::topology::{LinkId, NodeId};
use crate::world::World;

/// Magic number of pcap with nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Packets begin with their IP header.
const LINKTYPE_RAW: u32 = 101;
const SNAPLEN: u32 = 262_144;

/// Writes packets to a file, or whatever takes bytes. Give it something that buffers, and flushes when dropped.
#[derive(Debug)]
pub struct Pcap<W: Write> {
    /// `None` after an error.
    out: Option<W>,
    /// Whether packets are captured where they come out of a link too.
    arrivals: bool,
    packet: Vec<u8>,
}

impl<W: Write> Pcap<W> {
    /// A capture of what is sent and what arrives, which at a node is what `tcpdump` there would show.
    ///
    /// # Errors
    /// If the file header cannot be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut header = [0; 24];
        let fields = [MAGIC, 2 | 4 << 16, 0, 0, SNAPLEN, LINKTYPE_RAW];
        for (octets, field) in header.chunks_exact_mut(4).zip(fields) {
            octets.copy_from_slice(&field.to_le_bytes());
        }
        out.write_all(&header)?;
        Ok(Self { out: Some(out), arrivals: true, packet: Vec::new() })
    }

    /// A capture of what is sent alone: each packet once for each link it is handed to.
    ///
    /// # Errors
    /// If the file header cannot be written.
    pub fn of_sent(out: W) -> io::Result<Self> {
        Ok(Self { arrivals: false, ..Self::new(out)? })
    }

    fn record(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        packet::write(seen.header, seen.bytes, &mut self.packet);
        let nanos = seen.at.as_nanos();
        let len = self.packet.len() as u32;
        let fields = [(nanos / 1_000_000_000) as u32, (nanos % 1_000_000_000) as u32, len, len];
        let mut header = [0; 16];
        for (octets, field) in header.chunks_exact_mut(4).zip(fields) {
            octets.copy_from_slice(&field.to_le_bytes());
        }
        out.write_all(&header)?;
        out.write_all(&self.packet)
    }
}

impl<W: Write> Tap for Pcap<W> {
    fn on_packet(&mut self, seen: &Seen<'_>) {
        let wanted = match seen.point {
            Point::Sent => true,
            Point::Arrived => self.arrivals,
            Point::Delivered | Point::Dropped(_) => false,
        };
        if wanted && self.record(seen).is_err() {
            self.out = None;
        }
    }
}

impl World {
    /// Captures what a node sends and what arrives there, from now on.
    ///
    /// # Errors
    /// If the file header cannot be written.
    pub fn capture_node(&mut self, node: NodeId, out: impl Write + 'static) -> io::Result<()> {
        self.tap(Where::Node(node), Pcap::new(out)?);
        Ok(())
    }

    /// Captures what is handed to a link at either end, from now on: each packet once, with the moment it was sent,
    /// whether or not it arrives.
    ///
    /// # Errors
    /// If the file header cannot be written.
    pub fn capture_link(&mut self, link: LinkId, out: impl Write + 'static) -> io::Result<()> {
        self.tap(Where::Link(link), Pcap::of_sent(out)?);
        Ok(())
    }
}
