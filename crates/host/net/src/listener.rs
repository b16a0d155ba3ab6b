//! Listeners that TPROXY gives connections to: they were meant for somebody else.
//!
//! Decides that nobody reaches them but by TPROXY: they are bound to loopback, and a connection to their own address
//! is refused. A connection's local address is the destination that its client asked for.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::host::SetupError;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// A transparent listener.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    own: SocketAddr,
}

/// A connection that was taken.
#[derive(Debug)]
pub struct Taken {
    /// The connection to the client. To it, we are the destination.
    pub stream: TcpStream,
    /// Who asked.
    pub client: SocketAddr,
    /// For whom.
    pub destination: SocketAddr,
}

impl Listener {
    /// Listens on 127.0.0.1, or on ::1, on a port of the kernel's choice, which is for the [`crate::host::Plan`].
    ///
    /// # Errors
    /// No CAP_NET_ADMIN; no IPv6.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn bind(v6: bool) -> Result<Self, SetupError> {
        let bound = || -> io::Result<Self> {
            let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            let address: SocketAddr = if v6 {
                socket.set_only_v6(true)?;
                socket.set_ip_transparent_v6(true)?;
                (Ipv6Addr::LOCALHOST, 0).into()
            } else {
                socket.set_ip_transparent_v4(true)?;
                (Ipv4Addr::LOCALHOST, 0).into()
            };
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let inner = TcpListener::from_std(socket.into())?;
            Ok(Self { own: inner.local_addr()?, inner })
        };
        bound().map_err(|error| SetupError::system("open a transparent listener", error))
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.own.port()
    }

    /// The next connection.
    ///
    /// # Errors
    /// No more descriptors or memory. A connection that is over before it was accepted is none.
    pub async fn accept(&self) -> io::Result<Taken> {
        loop {
            let (stream, client) = match self.inner.accept().await {
                Ok(accepted) => accepted,
                Err(error) if gone(&error) => continue,
                Err(error) => return Err(error),
            };
            match stream.local_addr() {
                // Somebody on this machine found the port: there is no destination.
                Ok(destination) if destination == self.own => {}
                Ok(destination) => return Ok(Taken { stream, client, destination }),
                Err(error) if gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Errors of one connection, not of the listener.
fn gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | NotConnected)
}
