//! Answers `GET /name` with the file, and datagrams with themselves.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use peer_common::{Case, REQUEST, file};
use quiche::{Config, Connection, ConnectionId, Header, RecvInfo, Type};

use crate::{config, log_keys, pump, random_id};

/// Connection ids are of this length.
const ID: usize = 16;

/// A connection and what it still has to send.
struct Client {
    connection: Connection,
    requests: HashMap<u64, Vec<u8>>,
    answers: HashMap<u64, (Vec<u8>, usize)>,
}

struct Server<'a> {
    socket: UdpSocket,
    local: SocketAddr,
    config: Config,
    case: Case,
    www: &'a Path,
    clients: HashMap<u64, Client>,
    /// Which client an id leads to.
    ids: HashMap<ConnectionId<'static>, u64>,
    number: u64,
    /// Part of every token, so that tokens of another run are worth nothing.
    secret: [u8; ID],
}

pub(crate) fn run(options: &peer_common::Server, case: Case) -> Result<()> {
    let (listen, www) = (options.listen, &options.www);
    let socket = UdpSocket::bind(listen).with_context(|| format!("binding {listen}"))?;
    let local = socket.local_addr()?;
    let config = config(quiche::PROTOCOL_VERSION, case, Some((&options.cert, &options.key)))?;
    println!("listening {local}");
    let (clients, ids) = (HashMap::new(), HashMap::new());
    let mut server =
        Server { socket, local, config, case, www, clients, ids, number: 0, secret: random_id()? };
    let mut buffer = vec![0; 65_535];
    loop {
        let due = server.clients.values().filter_map(|client| client.connection.timeout()).min();
        let mut received = pump::receive(&server.socket, due, &mut buffer)?;
        while let Some((len, from)) = received {
            if let Err(error) = server.datagram(&mut buffer[..len], from) {
                eprintln!("{from}: {error:#}");
            }
            // Whatever else is there, before anything is sent.
            server.socket.set_nonblocking(true)?;
            received = server.socket.recv_from(&mut buffer).ok();
            server.socket.set_nonblocking(false)?;
        }
        server.turn();
    }
}

impl Server<'_> {
    fn datagram(&mut self, datagram: &mut [u8], from: SocketAddr) -> Result<()> {
        let header = Header::from_slice(datagram, ID)?;
        let number = match self.ids.get(&header.dcid) {
            Some(number) => *number,
            None => match self.accept(&header, from)? {
                Some(number) => number,
                None => return Ok(()),
            },
        };
        let info = RecvInfo { from, to: self.local };
        let client = self.clients.get_mut(&number).context("a client that is gone")?;
        // What cannot be decrypted is no fault of the connection.
        client.connection.recv(datagram, info)?;
        Ok(())
    }

    /// A new connection, or an answer that asks for another attempt.
    fn accept(&mut self, header: &Header<'_>, from: SocketAddr) -> Result<Option<u64>> {
        let mut out = [0; 1500];
        if header.ty == Type::Short {
            return Ok(None);
        }
        if !quiche::version_is_supported(header.version) {
            let len = quiche::negotiate_version(&header.scid, &header.dcid, &mut out)?;
            self.socket.send_to(&out[..len], from)?;
            return Ok(None);
        }
        if header.ty != Type::Initial {
            return Ok(None);
        }
        let mut odcid = None;
        let mut scid = ConnectionId::from_vec(random_id()?.to_vec());
        if self.case == Case::Retry {
            let token = header.token.as_deref().unwrap_or_default();
            if token.is_empty() {
                let token = [&self.secret[..], &octets(from), &header.dcid].concat();
                let version = header.version;
                let len = quiche::retry(&header.scid, &header.dcid, &scid, &token, version, &mut out)?;
                self.socket.send_to(&out[..len], from)?;
                return Ok(None);
            }
            let known = [&self.secret[..], &octets(from)].concat();
            let Some(dcid) = token.strip_prefix(&known[..]) else { bail!("not a token of ours") };
            odcid = Some(ConnectionId::from_vec(dcid.to_vec()));
            scid = header.dcid.clone().into_owned();
        }
        let mut connection = quiche::accept(&scid, odcid.as_ref(), self.local, from, &mut self.config)?;
        log_keys(&mut connection)?;
        self.number += 1;
        self.ids.insert(header.dcid.clone().into_owned(), self.number);
        self.ids.insert(scid.into_owned(), self.number);
        let client = Client { connection, requests: HashMap::new(), answers: HashMap::new() };
        self.clients.insert(self.number, client);
        Ok(Some(self.number))
    }

    /// Lets every connection read, answer, and send.
    fn turn(&mut self) {
        for (number, client) in &mut self.clients {
            pump::tick(&mut client.connection);
            if let Err(error) = client.turn(self.www) {
                eprintln!("{error:#}");
            }
            // Spare ids, so that a client that moves can take a fresh one.
            while client.connection.scids_left() > 0 && client.connection.is_established() {
                let (Ok(id), Ok(token)) = (random_id(), random_id()) else { break };
                let id = ConnectionId::from_vec(id.to_vec());
                if client.connection.new_scid(&id, u128::from_be_bytes(token), false).is_err() {
                    break;
                }
                self.ids.insert(id, *number);
            }
            while let Some(id) = client.connection.retired_scid_next() {
                self.ids.remove(&id);
            }
            if let Err(error) = pump::send(&self.socket, self.local, &mut client.connection) {
                eprintln!("{error:#}");
            }
        }
        self.clients.retain(|_, client| !client.connection.is_closed());
        self.ids.retain(|_, number| self.clients.contains_key(number));
    }
}

impl Client {
    fn turn(&mut self, www: &Path) -> Result<()> {
        let Self { connection, requests, answers } = self;
        if !connection.is_established() && !connection.is_in_early_data() {
            return Ok(());
        }
        let mut part = [0; 4096];
        while let Ok(len) = connection.dgram_recv(&mut part) {
            // A full queue drops the echo, as any network might.
            connection.dgram_send(&part[..len]).ok();
        }
        for stream in connection.readable() {
            while let Ok((len, fin)) = connection.stream_recv(stream, &mut part) {
                let request = requests.entry(stream).or_default();
                request.extend_from_slice(&part[..len]);
                if request.len() > REQUEST {
                    bail!("a request that does not end");
                }
                if fin {
                    match file(&requests.remove(&stream).unwrap_or_default(), www) {
                        Ok(contents) => drop(answers.insert(stream, (contents, 0))),
                        Err(error) => {
                            // HTTP/0.9 has no status to say it with.
                            connection.stream_shutdown(stream, quiche::Shutdown::Write, 1).ok();
                            eprintln!("{error:#}");
                        }
                    }
                }
            }
        }
        // Those asked for first go first, so that early ones end.
        let mut streams: Vec<u64> = answers.keys().copied().collect();
        streams.sort_unstable();
        for stream in streams {
            let Some((contents, sent)) = answers.get_mut(&stream) else { continue };
            match connection.stream_send(stream, &contents[*sent..], true) {
                Ok(len) => *sent += len,
                Err(quiche::Error::Done) => {}
                Err(_) => *sent = contents.len(),
            }
            if *sent == contents.len() {
                answers.remove(&stream);
            }
        }
        Ok(())
    }
}

fn octets(addr: SocketAddr) -> Vec<u8> {
    match addr.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// How long a client may take for its goodbye.
pub(crate) const GOODBYE: Duration = Duration::from_millis(300);
