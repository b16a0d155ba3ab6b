//! Fetches every URL on a stream of its own, or exchanges datagrams.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use peer_common::{Case, DATAGRAMS, ENOUGH, MOVE, Url, any, echoed, numbered, one_server, save};
use quiche::{Connection, ConnectionId, RecvInfo};

use crate::server::GOODBYE;
use crate::{config, log_keys, pump, random_id};

/// A version of the pattern reserved for forcing negotiation (RFC 9000 §15).
const RESERVED_VERSION: u32 = 0x2a3a_4a5a;
/// How long a ticket is waited for.
const TICKET: Duration = Duration::from_secs(2);
/// How often a connection that closes may send and wait.
const TURNS: usize = 20;

pub(crate) fn run(options: &peer_common::Client, case: Case) -> Result<()> {
    let urls = one_server(&options.urls)?;
    let server = urls[0];
    let addr = server.authority.to_socket_addrs()?.next().context("no address")?;
    let mut session = None;
    for urls in case.rounds(&urls) {
        let mut client = Client::connect(addr, server.host, case, session.as_deref())?;
        match case {
            Case::Datagram => client.datagrams()?,
            _ => client.fetch_all(&options.downloads, urls)?,
        }
        if matches!(case, Case::Resumption | Case::ZeroRtt) && session.is_none() {
            session = Some(client.ticket()?);
        }
        client.close()?;
    }
    Ok(())
}

struct Client {
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    connection: Connection,
    buffer: Vec<u8>,
    /// When to move to another port.
    moves: Option<Instant>,
}

impl Client {
    fn connect(server: SocketAddr, host: &str, case: Case, session: Option<&[u8]>) -> Result<Self> {
        let (socket, local) = socket(server)?;
        let version =
            if case == Case::VersionNegotiation { RESERVED_VERSION } else { quiche::PROTOCOL_VERSION };
        let mut config = config(version, case, None)?;
        let id = random_id()?;
        let name = host.parse::<std::net::IpAddr>().is_err().then_some(host);
        let mut connection = quiche::connect(name, &ConnectionId::from_ref(&id), local, server, &mut config)?;
        log_keys(&mut connection)?;
        if let Some(session) = session {
            connection.set_session(session)?;
        }
        let moves = (case == Case::Migration).then(|| Instant::now() + MOVE);
        Ok(Self { socket, local, server, connection, buffer: vec![0; 65_535], moves })
    }

    /// Sends, and waits for what comes.
    fn turn(&mut self) -> Result<()> {
        // Spare ids, so that the server can take a fresh one where it sees the client at a new address.
        while self.connection.is_established() && self.connection.scids_left() > 0 {
            let (id, token) = (random_id()?, random_id()?);
            let id = ConnectionId::from_ref(&id);
            if self.connection.new_scid(&id, u128::from_be_bytes(token), false).is_err() {
                break;
            }
        }
        if self.moves.is_some_and(|at| Instant::now() >= at) && self.connection.available_dcids() > 0 {
            // The old socket goes, and what is on its way to it.
            (self.socket, self.local) = socket(self.server)?;
            self.connection.migrate_source(self.local).context("moving")?;
            self.moves = None;
        }
        pump::send(&self.socket, self.local, &mut self.connection)?;
        let due = self.connection.timeout();
        if let Some((len, from)) = pump::receive(&self.socket, due, &mut self.buffer)? {
            let info = RecvInfo { from, to: self.local };
            // What cannot be decrypted is no fault of the connection.
            if let Err(error) = self.connection.recv(&mut self.buffer[..len], info) {
                eprintln!("received {len} bytes from {from}, type {:#x}: {error}", self.buffer[0]);
            }
        }
        pump::tick(&mut self.connection);
        if self.connection.is_closed() {
            let connection = &self.connection;
            let stats = connection.stats();
            bail!(
                "closed: peer {:?}, local {:?}, timed out {}, established {}, {} packets sent, {} received, {} lost",
                connection.peer_error(),
                connection.local_error(),
                connection.is_timed_out(),
                connection.is_established(),
                stats.sent,
                stats.recv,
                stats.lost
            );
        }
        Ok(())
    }

    fn fetch_all(&mut self, downloads: &Path, urls: &[Url<'_>]) -> Result<()> {
        let mut waiting: Vec<&Url<'_>> = urls.iter().rev().collect();
        let mut open: BTreeMap<u64, (&Url<'_>, Vec<u8>)> = BTreeMap::new();
        let mut next = 0;
        // What did not fit of the last request.
        let mut rest = Vec::new();
        loop {
            let connection = &mut self.connection;
            let ready = connection.is_established() || connection.is_in_early_data();
            loop {
                if !rest.is_empty() {
                    match connection.stream_send(next - 4, &rest, true) {
                        Ok(len) => drop(rest.drain(..len)),
                        Err(quiche::Error::Done) => break,
                        Err(error) => return Err(error.into()),
                    }
                    continue;
                }
                if !ready || connection.peer_streams_left_bidi() == 0 {
                    break;
                }
                let Some(url) = waiting.pop() else { break };
                rest = url.request().into_bytes();
                open.insert(next, (url, Vec::new()));
                next += 4;
            }
            let mut part = [0; 65_535];
            for stream in connection.readable() {
                loop {
                    let (len, fin) = match connection.stream_recv(stream, &mut part) {
                        Ok(received) => received,
                        Err(quiche::Error::Done) => break,
                        Err(error) => return Err(error).context("receiving"),
                    };
                    let Some((url, contents)) = open.get_mut(&stream) else {
                        bail!("a stream of the server")
                    };
                    contents.extend_from_slice(&part[..len]);
                    if fin {
                        save(&url.target(downloads)?, contents)?;
                        open.remove(&stream);
                        break;
                    }
                }
            }
            // quiche tells of no stream that ends by an octet sent before and now once more with the end.
            let asked = |stream: &u64| rest.is_empty() || *stream != next - 4;
            let ended: Vec<u64> =
                open.keys().copied().filter(asked).filter(|id| connection.stream_finished(*id)).collect();
            for (url, contents) in ended.iter().filter_map(|stream| open.remove(stream)) {
                save(&url.target(downloads)?, &contents)?;
            }
            if waiting.is_empty() && open.is_empty() && rest.is_empty() {
                return Ok(());
            }
            self.turn()?;
        }
    }

    /// Sends numbered datagrams again and again until enough of them have come back unchanged.
    fn datagrams(&mut self) -> Result<()> {
        while !self.connection.is_established() {
            self.turn()?;
        }
        let mut back = BTreeSet::new();
        for _ in 0..100 {
            for i in (0..DATAGRAMS).filter(|i| !back.contains(i)) {
                self.connection.dgram_send(&numbered(i))?;
            }
            let end = Instant::now() + Duration::from_millis(100);
            while Instant::now() < end && back.len() < usize::from(DATAGRAMS) {
                self.turn()?;
                let mut part = [0; 4096];
                while let Ok(len) = self.connection.dgram_recv(&mut part) {
                    back.insert(echoed(&part[..len])?);
                }
            }
            if back.len() >= ENOUGH {
                return Ok(());
            }
        }
        bail!("{} of {DATAGRAMS} datagrams came back", back.len())
    }

    /// The session to resume.
    fn ticket(&mut self) -> Result<Vec<u8>> {
        let end = Instant::now() + TICKET;
        while Instant::now() < end {
            if let Some(session) = self.connection.session() {
                return Ok(session.to_vec());
            }
            self.turn()?;
        }
        bail!("the server issued no ticket")
    }

    fn close(&mut self) -> Result<()> {
        self.connection.close(true, 0, b"")?;
        pump::send(&self.socket, self.local, &mut self.connection)?;
        // Whoever answers may still hear that it is over.
        let end = Instant::now() + GOODBYE;
        for _ in 0..TURNS {
            if Instant::now() >= end || self.turn().is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// A socket, and the address that packets to it have: quiche wants to know which it is, not just the port.
fn socket(server: SocketAddr) -> Result<(UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind(any(server))?;
    socket.connect(server)?;
    let local = socket.local_addr()?;
    drop(socket);
    Ok((UdpSocket::bind(local)?, local))
}
