//! Between a socket and connections: sends what is to be sent, waits for what comes or is due.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Result;
use quiche::Connection;

/// Longest wait, so that nothing depends on a timer being right.
const MOST: Duration = Duration::from_millis(200);
/// Most datagrams sent at once, so that reading gets its turn. A connection that closes while a Handshake probe is due
/// has no end of them: `send` gives the probe without the PING that would settle it, again and again.
const BATCH: usize = 1000;
const LAST: usize = 10;

/// Sends everything a connection has to send now from this address. What is for an address that is left is lost.
pub(crate) fn send(socket: &UdpSocket, local: SocketAddr, connection: &mut Connection) -> Result<()> {
    let mut out = [0; 1500];
    for _ in 0..if connection.local_error().is_some() { LAST } else { BATCH } {
        match connection.send(&mut out) {
            Ok((_, info)) if info.from != local => {}
            // Pacing is turned off by not looking at `info.at`: the congestion window is what holds back.
            Ok((len, info)) => match socket.send_to(&out[..len], info.to) {
                Err(error) if error.kind() != ErrorKind::ConnectionRefused => return Err(error.into()),
                _ => {}
            },
            Err(quiche::Error::Done) => return Ok(()),
            Err(error) => {
                connection.close(false, 1, b"cannot send").ok();
                return Err(error.into());
            }
        }
    }
    Ok(())
}

/// Waits for a datagram until `due`; `None` if there was none.
pub(crate) fn receive(
    socket: &UdpSocket,
    due: Option<Duration>,
    buffer: &mut [u8],
) -> Result<Option<(usize, SocketAddr)>> {
    // A timeout of zero would mean for ever.
    let wait = due.unwrap_or(MOST).clamp(Duration::from_micros(100), MOST);
    socket.set_read_timeout(Some(wait))?;
    let end = Instant::now() + wait;
    loop {
        match socket.recv_from(buffer) {
            Ok(received) => return Ok(Some(received)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            // An ICMP error about an earlier datagram, or a signal.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted) => {
                if Instant::now() >= end {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs timers that are due.
pub(crate) fn tick(connection: &mut Connection) {
    if connection.timeout() == Some(Duration::ZERO) {
        connection.on_timeout();
    }
}
