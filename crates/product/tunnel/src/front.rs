//! Where programs come in that know of us: SOCKS5 and HTTP CONNECT.
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

use crate::relay::{Side, relay};
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
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
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
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((tcp, _)) => {
                let (way, traffic) = (way.clone(), Arc::clone(&traffic));
                tokio::spawn(one(tcp, front, way, permit, traffic));
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
) {
    let target = match timeout(REQUEST, target(&mut tcp, front)).await {
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
    };
    if let (Ok(()), Ok((send, recv))) = (told, opened) {
        let flow = traffic.flow();
        relay(tcp, send, recv, &flow, Side::Near).await;
    }
    drop(permit);
}

/// What the program wants.
async fn target(tcp: &mut TcpStream, front: Front) -> Result<Target, FrontError> {
    match front {
        Front::Socks5 => socks::request(tcp).await,
        Front::Http => http::request(tcp).await,
    }
}
