//! Whether a case that ended well was really played: judged by what the relay saw and by our own qlog.
//!
//! It reads traces and decides; files were compared before, and nothing is started here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::matrix::{Case, Cell, Link, Stack};

#[cfg(test)]
mod tests;

/// Streams that must have been open at once.
const AT_ONCE: usize = 100;
/// Version 2 (RFC 9369).
const VERSION_2: &str = "0x6b3343cf";
/// What a server may send per thousand bytes to an address that is not proven: three times as much (RFC 9000 §8.1).
const AMPLIFIED: u64 = 3000;
/// Bytes of CRYPTO frames that a chain of nine certificates takes.
const CHAIN: u64 = 7500;
/// Datagrams that must have come back, as the clients demand.
const ECHOES: usize = 15;
/// Datagrams of a server that must have come through the relay's second door: two thirds of a file of 2 MiB.
const MOVED: u64 = 1000;

/// A defect of quinn 0.11 that some seeds meet.
pub(super) const QUINN_RETRY: &str = "quinn's client takes no Retry packet after one that was corrupted";

/// A defect of quinn 0.11 and noq 1.4: what nobody has authenticated ends a connection.
pub(super) const QUINN_TYPE: &str =
    "quinn's server closes when corruption makes a Retry packet of the client's first one";

/// A defect of quiche 0.30: what was on its way to the address that a client just left may never be sent again.
pub(super) const QUICHE_MOVED: &str = "quiche's server forgets what was lost when its client moved";
/// DATA_BLOCKED frames received since the last STREAM frame that show that the peer lives but sends no data.
const STUCK: usize = 20;

/// A defect of quiche 0.30 that some losses meet: RFC 9000 §12.2 wants the rest of a datagram looked at.
pub(super) const QUICHE_REST: &str =
    "quiche leaves unread what follows a packet whose keys it has given up in the same datagram";
/// Handshake packets sent since anything was received that show that the peer has given up their keys, and with them
/// what came behind.
const UNHEARD: usize = 10;

/// What the relay tells.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Relay {
    clients: u64,
    turned_away: u64,
    rebinds: u64,
    rebinds_answered: u64,
    amplified: u64,
    up: Seen,
    down: Seen,
}

/// Datagrams of one direction.
#[derive(Clone, Debug, Deserialize)]
struct Seen {
    initial: u64,
    zero_rtt_packets: u64,
    retry: u64,
    version_negotiation: u64,
    lost: u64,
    corrupted: u64,
    overflowed: u64,
    outage: u64,
    swallowed: u64,
    /// At the relay's second door.
    also: u64,
    /// Connection ids that were used at two addresses.
    ids_reused: u64,
    versions: Vec<String>,
    handshake_versions: Vec<String>,
}

impl Relay {
    pub(super) fn load(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).context("the relay's summary is not what it used to be")
    }

    /// Whether datagrams met what the cell is called after.
    pub(super) fn impaired(&self, cell: Cell) -> bool {
        (!cell.loses() || self.up.lost + self.down.lost > 0)
            && (!cell.corrupts() || self.up.corrupted + self.down.corrupted > 0)
    }
}

/// What our qlog files of one role tell, those of several connections together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Qlog {
    pub(super) connections: usize,
    /// 1-RTT keys updated on our own accord, or on the peer's.
    own_updates: usize,
    peer_updates: usize,
    /// Packets marked ECT(0).
    marked_sent: usize,
    marked_received: usize,
    /// Largest count of ECT(0) the peer acknowledged.
    marks_acknowledged: u64,
    /// Most streams that were asked for and not answered completely.
    streams_at_once: usize,
    /// DATAGRAM frames.
    datagrams_sent: usize,
    datagrams_received: usize,
    /// Bytes of CRYPTO frames sent and received, repeated ones too.
    crypto_sent: u64,
    crypto_received: u64,
    /// New addresses of the peer, and those to which the first packet carried no PATH_CHALLENGE.
    moves: usize,
    moves_unchallenged: usize,
    challenges_received: usize,
    responses_sent: usize,
    responses_received: usize,
    /// DATA_BLOCKED frames received since the last STREAM frame.
    blocked_alone: usize,
    /// Most Handshake packets sent after the last packet of a connection that was received.
    unheard: usize,
    /// CRYPTO bytes of the server's Handshake packets, of each connection: most of them are the certificate.
    flights: Vec<u64>,
}

/// A log being read.
#[derive(Default)]
struct Reading {
    client: bool,
    open: BTreeSet<u64>,
    /// There was a packet, so that addresses are new from now on; and one is, to which nothing was sent yet.
    begun: bool,
    moved: bool,
    /// How far the server's Handshake CRYPTO data goes.
    flight: u64,
    /// Handshake packets sent since one was received.
    unheard: usize,
}

impl Qlog {
    /// All logs of a folder.
    pub(super) fn load(folder: &Path) -> Result<Self> {
        let mut sum = Self::default();
        for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            sum.read(&text).with_context(|| format!("cannot understand {}", path.display()))?;
        }
        Ok(sum)
    }

    /// Whether one connection's flight had a certificate and another's had not.
    fn resumed(&self) -> bool {
        let [Some(least), Some(most)] = [self.flights.iter().min(), self.flights.iter().max()] else {
            return false;
        };
        *least > 0 && least * 2 <= *most
    }

    fn read(&mut self, text: &str) -> Result<()> {
        self.connections += 1;
        let mut reading = Reading::default();
        for (number, line) in text.lines().enumerate() {
            let record: Value = serde_json::from_str(line.trim_start_matches('\u{1e}'))
                .with_context(|| format!("line {}", number + 1))?;
            if number == 0 {
                reading.client = record["trace"]["vantage_point"]["type"] == "client";
            }
            let data = &record["data"];
            match record["name"].as_str() {
                Some("quic:key_updated") if data["key_phase"].as_u64() > Some(0) => {
                    match data["trigger"].as_str() {
                        Some("local_update") => self.own_updates += 1,
                        Some("remote_update") => self.peer_updates += 1,
                        _ => {}
                    }
                }
                Some("quic:tuple_assigned") => {
                    reading.moved = reading.begun;
                    self.moves += usize::from(reading.moved);
                }
                Some("quic:packet_sent") => self.packet(data, true, &mut reading),
                Some("quic:packet_received") => self.packet(data, false, &mut reading),
                _ => {}
            }
        }
        self.flights.push(reading.flight);
        self.unheard = self.unheard.max(reading.unheard);
        Ok(())
    }

    fn packet(&mut self, data: &Value, sent: bool, reading: &mut Reading) {
        if data["ecn"] == "ECT(0)" {
            *if sent { &mut self.marked_sent } else { &mut self.marked_received } += 1;
        }
        reading.begun = true;
        if !sent {
            reading.unheard = 0;
        } else if data["header"]["packet_type"] == "handshake" {
            reading.unheard += 1;
        }
        let frames = || data["frames"].as_array().into_iter().flatten();
        if sent && reading.moved {
            reading.moved = false;
            let challenged = frames().any(|frame| frame["frame_type"] == "path_challenge");
            self.moves_unchallenged += usize::from(!challenged);
        }
        for frame in frames() {
            match frame["frame_type"].as_str() {
                Some("path_challenge") if !sent => self.challenges_received += 1,
                Some("path_response") => {
                    *if sent { &mut self.responses_sent } else { &mut self.responses_received } += 1;
                }
                Some("crypto") => {
                    let length = frame["raw"]["payload_length"].as_u64().or(frame["raw"]["length"].as_u64());
                    let length = length.unwrap_or(0);
                    *if sent { &mut self.crypto_sent } else { &mut self.crypto_received } += length;
                    if sent != reading.client && data["header"]["packet_type"] == "handshake" {
                        let end = frame["offset"].as_u64().unwrap_or(0) + length;
                        reading.flight = reading.flight.max(end);
                    }
                }
                Some("datagram") => {
                    *if sent { &mut self.datagrams_sent } else { &mut self.datagrams_received } += 1;
                }
                Some("ack") if !sent => {
                    self.marks_acknowledged =
                        self.marks_acknowledged.max(frame["ect0"].as_u64().unwrap_or(0));
                }
                Some("data_blocked") if !sent => self.blocked_alone += 1,
                Some("stream") => {
                    if !sent {
                        self.blocked_alone = 0;
                    }
                    let Some(id) = frame["stream_id"].as_u64() else { continue };
                    let request = sent == reading.client;
                    if request && frame["offset"].as_u64().unwrap_or(0) == 0 {
                        reading.open.insert(id);
                    } else if !request && frame["fin"] == true {
                        reading.open.remove(&id);
                    }
                    self.streams_at_once = self.streams_at_once.max(reading.open.len());
                }
                _ => {}
            }
        }
    }
}

/// What a cell left behind. There is a log for each role that was ours.
#[derive(Clone, Debug, Default)]
pub(super) struct Traces {
    pub(super) relay: Option<Relay>,
    pub(super) client: Option<Qlog>,
    pub(super) server: Option<Qlog>,
}

/// What contradicts that the case was played, if anything does.
pub(super) fn contradiction(cell: Cell, traces: &Traces) -> Option<String> {
    if cell.relayed() {
        let Some(relay) = &traces.relay else { return Some("the relay left no summary".to_owned()) };
        if let Some(problem) = on_the_wire(cell, relay) {
            return Some(problem);
        }
    }
    for (role, stack, log) in
        [("client", cell.pair.client, &traces.client), ("server", cell.pair.server, &traces.server)]
    {
        if stack != Stack::Ours {
            continue;
        }
        let Some(log) = log else { return Some(format!("our {role} left no qlog")) };
        if let Some(problem) = in_the_log(cell, role == "client", log) {
            return Some(format!("our {role}'s qlog: {problem}"));
        }
    }
    None
}

/// What is known of a peer that explains why a cell failed, if its trace is there: in what the relay saw, or in our
/// own client's log.
pub(super) fn peers_fault(cell: Cell, relay: &Relay, client: Option<&Qlog>) -> Option<&'static str> {
    // quinn-proto 0.11 counts a Retry packet as authenticated before it looks at the integrity tag, and takes no
    // Retry after anything authenticated. So the server is asked for Retry again and again.
    let asked_again = relay.down.retry > relay.clients + 1 && relay.down.corrupted > 0;
    let quinn = matches!(cell.pair.client, Stack::Quinn | Stack::Noq)
        && cell.case == Case::Retry
        && cell.link == Link::Corruption;
    // quiche 0.30 answers from the old path and the new, gets our acknowledgements, and leaves the gap.
    let moved = matches!(cell.case, Case::RebindPort | Case::RebindAddr) && relay.rebinds_answered > 0;
    let stuck = client.is_some_and(|log| log.blocked_alone >= STUCK);
    // quiche 0.30 gives up its Handshake keys when it is complete; our client, which lost the news, sends 1-RTT packets
    // behind Handshake packets, and quiche's own probes have backed off.
    let losing = matches!(cell.case, Case::HandshakeLoss | Case::HandshakeCorruption);
    let unheard = client.is_some_and(|log| log.unheard >= UNHEARD);
    match () {
        () if cell.pair.server == Stack::Quiche && losing && unheard => Some(QUICHE_REST),
        () if quinn && asked_again => Some(QUINN_RETRY),
        () if cell.pair.server == Stack::Quiche && moved && stuck => Some(QUICHE_MOVED),
        () => None,
    }
}

/// The same, where the last line of our client's log tells: quinn-proto 0.11 closes with PROTOCOL_VIOLATION when the
/// type bits of a client's long header, which nothing protects, come out as those of Retry.
pub(super) fn peers_word(cell: Cell, log: &str) -> Option<&'static str> {
    let quinn = matches!(cell.pair.server, Stack::Quinn | Stack::Noq) && cell.corrupts();
    let last = log.lines().last().unwrap_or_default();
    (quinn && last.contains("PROTOCOL_VIOLATION: client sent Retry")).then_some(QUINN_TYPE)
}

/// Whether a client that failed was turned away as it may be: a server should close when a Retry token does not
/// hold (RFC 9000 §8.1.3), and a corrupted one does not. The last line of the client's log tells.
pub(super) fn may_be_refused(cell: Cell, log: &str) -> bool {
    let last = log.lines().last().unwrap_or_default();
    let token = last.contains("INVALID_TOKEN") || last.contains("invalid Retry Token");
    cell.case == Case::Retry && cell.link == Link::Corruption && token
}

fn on_the_wire(cell: Cell, relay: &Relay) -> Option<String> {
    let Relay { clients, turned_away, up, down, .. } = relay;
    let problem = |what: String| Some(format!("on the wire: {what}"));
    if up.initial == 0 || *clients == 0 {
        return problem("no Initial packet came through the relay".to_owned());
    }
    let overflowed = turned_away + up.overflowed + down.overflowed;
    let (lost, corrupted) = (up.lost + down.lost, up.corrupted + down.corrupted);
    if overflowed > 0 {
        return problem(format!("the relay was overrun by {overflowed} datagrams"));
    }
    if (lost > 0) != cell.loses() || (corrupted > 0) != cell.corrupts() {
        return problem(format!("the relay lost {lost} and corrupted {corrupted} datagrams"));
    }
    if let Some(what) = runners(cell, relay) {
        return problem(what);
    }
    if (down.retry > 0) != (cell.case == Case::Retry) {
        return problem(format!("{} Retry packets", down.retry));
    }
    let negotiated = down.version_negotiation;
    match cell.case {
        Case::VersionNegotiation if !up.versions.iter().any(|version| is_reserved(version)) => {
            problem(format!("the client offered no reserved version, only {}", up.versions.join(", ")))
        }
        Case::VersionNegotiation if negotiated == 0 => problem("no Version Negotiation packet".to_owned()),
        // A corrupted version is answered so, too.
        Case::VersionNegotiation => None,
        _ if negotiated > 0 && !cell.corrupts() => {
            problem(format!("{negotiated} Version Negotiation packets"))
        }
        _ => None,
    }
}

/// What the public runner asks of its own cases, as far as it shows without keys.
fn runners(cell: Cell, relay: &Relay) -> Option<String> {
    let Relay { clients, rebinds, rebinds_answered, amplified, up, down, .. } = relay;
    match cell.case {
        Case::LongRtt if up.initial < 2 => Some("the ClientHello was not sent again".to_owned()),
        Case::Blackhole if up.outage + down.outage == 0 => Some("nothing was lost in an outage".to_owned()),
        Case::AmplificationLimit if up.swallowed < 6 => {
            Some(format!("only {} datagrams of the client were kept from the server", up.swallowed))
        }
        Case::AmplificationLimit if *amplified > AMPLIFIED => {
            Some(format!("the server sent {amplified} bytes per 1000 to an address not proven"))
        }
        Case::RebindPort | Case::RebindAddr if *rebinds_answered == 0 || rebinds_answered < rebinds => {
            Some(format!("the server answered at {rebinds_answered} of {rebinds} new addresses"))
        }
        Case::ConnectionMigration | Case::CrossTraffic if cell.two_doors() && down.also < MOVED => {
            Some(format!("only {} datagrams of a server came through the second door", down.also))
        }
        Case::Migration if *clients < 2 => Some("the client was seen at one address alone".to_owned()),
        Case::ConnectionMigration | Case::Migration if up.ids_reused > 0 => {
            Some(format!("{} datagrams of the client with an id used at another address", up.ids_reused))
        }
        Case::ConnectionMigration | Case::Migration
            if cell.pair.server == Stack::Ours && down.ids_reused > 0 =>
        {
            Some(format!("{} datagrams of the server with an id used at another address", down.ids_reused))
        }
        Case::ZeroRtt if up.zero_rtt_packets == 0 => Some("no 0-RTT packets".to_owned()),
        Case::V2 if down.handshake_versions != [VERSION_2] => {
            Some(format!("Handshake packets of version {}", down.handshake_versions.join(", ")))
        }
        _ => None,
    }
}

/// Of the pattern 0x?a?a?a?a (RFC 9000 §15).
fn is_reserved(version: &str) -> bool {
    let number = version.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
    number.is_some_and(|number| number & 0x0f0f_0f0f == 0x0a0a_0a0a)
}

fn in_the_log(cell: Cell, client: bool, log: &Qlog) -> Option<String> {
    if log.connections == 0 {
        return Some("there is none".to_owned());
    }
    if client && log.connections != cell.connections() * cell.runs() && !cell.in_turn() {
        return Some(format!("{} connections instead of {}", log.connections, cell.connections()));
    }
    match cell.case {
        Case::AmplificationLimit if log.crypto_sent.max(log.crypto_received) < CHAIN => {
            Some(format!("only {} bytes of CRYPTO", log.crypto_sent.max(log.crypto_received)))
        }
        Case::RebindPort | Case::RebindAddr if client && log.responses_sent == 0 => {
            Some(format!("{} challenges received, none answered", log.challenges_received))
        }
        Case::RebindPort | Case::RebindAddr if !client && log.moves == 0 => {
            Some("the peer never moved".to_owned())
        }
        Case::RebindPort | Case::RebindAddr if !client && log.moves_unchallenged > 0 => Some(format!(
            "the first packet to {} of {} new addresses carried no PATH_CHALLENGE",
            log.moves_unchallenged, log.moves
        )),
        Case::RebindPort | Case::RebindAddr if !client && log.responses_received < log.moves => {
            Some(format!("{} of {} new addresses were proven", log.responses_received, log.moves))
        }
        Case::ConnectionMigration | Case::Migration if log.moves == 0 => {
            Some("the connection never moved".to_owned())
        }
        Case::ConnectionMigration | Case::Migration if log.responses_received == 0 => {
            Some("the new way was never proven".to_owned())
        }
        Case::Resumption | Case::ZeroRtt if !log.resumed() => Some(format!(
            "no second flight without a certificate: Handshake packets of {:?} bytes of CRYPTO",
            log.flights
        )),
        Case::KeyUpdate if client && log.own_updates == 0 => Some("we updated no keys".to_owned()),
        Case::KeyUpdate if !client && log.peer_updates == 0 => Some("the peer updated no keys".to_owned()),
        Case::Ecn => {
            let counts = [
                (log.marked_sent as u64, "packets sent marked"),
                (log.marked_received as u64, "packets received marked"),
                (log.marks_acknowledged, "marks acknowledged"),
            ];
            counts.iter().find(|(count, _)| *count == 0).map(|(_, what)| format!("no {what}"))
        }
        // Lost requests may be sent after answers to others.
        Case::Multiplexing if cell.link == Link::Clean && log.streams_at_once < AT_ONCE => {
            Some(format!("only {} streams at once", log.streams_at_once))
        }
        Case::Datagram if log.datagrams_sent < ECHOES || log.datagrams_received < ECHOES => Some(format!(
            "only {} DATAGRAM frames sent, {} received",
            log.datagrams_sent, log.datagrams_received
        )),
        _ => None,
    }
}
