//! Where programs come in: SOCKS5, HTTP CONNECT, or connections the kernel diverts here.
//!
//! Accepts no more than it may hold; the kernel's queue is the only one behind that.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::relay::{abort, relay};
use crate::{Open, Status, Target, Traffic, Way, http, socks};

/// A program says what it wants within this time.
const REQUEST: Duration = Duration::from_secs(15);
/// Out of descriptors: others have to end first.
const BREATHER: Duration = Duration::from_millis(100);
const BACKLOG: i32 = 1024;

/// How programs say where they want to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// SOCKS5.
    Socks5,
    /// HTTP CONNECT.
    Http,
    /// They do not: the address they connected to is where they want to go (TPROXY).
    Transparent,
}

/// Why a program was turned away before anything was opened: its own doing.
#[derive(Debug)]
pub(crate) enum FrontError {
    /// It speaks something else, or asks for something else.
    NotSpoken,
    /// It left.
    Io,
}

impl From<io::Error> for FrontError {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// A listening socket.
///
/// # Errors
/// The address is in use or is not ours.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    open(addr, false)
}

/// A listening socket that takes connections to any address, as TPROXY rules hand them over. Takes CAP_NET_ADMIN.
///
/// # Errors
/// As [`listen`], or the capability is missing.
pub fn listen_transparent(addr: SocketAddr) -> io::Result<TcpListener> {
    open(addr, true)
}

fn open(addr: SocketAddr, transparent: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    match addr {
        SocketAddr::V4(_) if transparent => socket.set_ip_transparent_v4(true)?,
        SocketAddr::V6(_) if transparent => socket.set_ip_transparent_v6(true)?,
        _ => {}
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves programs until dropped, as many at a time as `room` has permits.
pub async fn serve(
    listener: TcpListener,
    front: Front,
    way: Way,
    room: Arc<Semaphore>,
    traffic: Arc<Traffic>,
) {
    let own = listener.local_addr().ok();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((tcp, _)) => {
                let (way, traffic) = (way.clone(), Arc::clone(&traffic));
                tokio::spawn(one(tcp, front, way, permit, traffic, own));
            }
            Err(_) => sleep(BREATHER).await,
        }
    }
}

async fn one(
    mut tcp: TcpStream,
    front: Front,
    way: Way,
    permit: OwnedSemaphorePermit,
    traffic: Arc<Traffic>,
    own: Option<SocketAddr>,
) {
    let target = match timeout(REQUEST, target(&mut tcp, front, own)).await {
        Ok(Ok(target)) => target,
        // What there was to say was said.
        _ => return traffic.outcome(Status::BadRequest),
    };
    let opened = way.open(&Open::tcp(target)).await;
    let status = opened.as_ref().err().copied().unwrap_or(Status::Ok);
    traffic.outcome(status);
    let told = match front {
        Front::Socks5 => socks::reply(&mut tcp, status).await,
        Front::Http => http::reply(&mut tcp, status).await,
        Front::Transparent if status != Status::Ok => {
            abort(&tcp);
            return;
        }
        Front::Transparent => Ok(()),
    };
    if let (Ok(()), Ok((send, recv))) = (told, opened) {
        let flow = traffic.flow();
        relay(tcp, send, recv, &flow, true).await;
    }
    drop(permit);
}

/// What the program wants.
async fn target(tcp: &mut TcpStream, front: Front, own: Option<SocketAddr>) -> Result<Target, FrontError> {
    match front {
        Front::Socks5 => socks::request(tcp).await,
        Front::Http => http::request(tcp).await,
        Front::Transparent => {
            let addr = tcp.local_addr()?;
            // Somebody connected to the listener itself: that would go round in circles.
            let here = own.is_some_and(|own| own.port() == addr.port());
            let tied = own.is_some_and(|own| own.ip() == addr.ip() || own.ip().is_unspecified());
            if here && tied && is_local(addr) {
                abort(tcp);
                return Err(FrontError::NotSpoken);
            }
            Ok(Target::Addr(addr))
        }
    }
}

/// Whether an interface of this host has this address.
fn is_local(addr: SocketAddr) -> bool {
    std::net::UdpSocket::bind((addr.ip(), 0)).is_ok()
}
