//! Bytes between a TCP connection and a stream, both ways at once.
//!
//! The end of one direction is passed on and leaves the other alone. What breaks on one side breaks on the other: a reset stream
//! resets the TCP connection, a broken TCP connection resets and stops the stream. Who does not read holds up only itself.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tq::{RecvStream, SendStream};

use crate::{Flow, Pace, Status};

/// Bytes taken from a TCP connection at a time: few of one that has few, so that thousands that wait hold little.
const BLOCKS: (usize, usize) = (4 * 1024, 64 * 1024);

/// Silence after which a TCP peer is asked whether it is there, how often, and how many times.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// Which side broke.
enum Broken {
    Tcp,
    Stream,
}

/// At which end of the bond a relay works.
#[derive(Clone, Copy, Debug)]
pub enum Side<'a> {
    /// Where the program is.
    Near,
    /// Where the target is, for a device whose work is counted.
    Far(&'a Pace),
}

impl Side<'_> {
    /// Bytes were moved.
    async fn moved(self, flow: &Flow, bytes: usize, from_tcp: bool) {
        if from_tcp == matches!(self, Self::Near) {
            flow.up(bytes)
        } else {
            flow.down(bytes)
        }
        if let Self::Far(pace) = self {
            pace.spend(bytes).await;
        }
    }
}

/// Copies until both directions have ended or one has broken; says whether all went to its end.
pub async fn relay(
    mut tcp: TcpStream,
    mut send: SendStream,
    mut recv: RecvStream,
    flow: &Flow,
    side: Side<'_>,
) -> bool {
    prepare(&tcp);
    let result = {
        let (mut from, mut to) = tcp.split();
        let out = async {
            let (mut size, mut block) = (BLOCKS.0, Vec::new());
            loop {
                from.readable().await.map_err(|_| Broken::Tcp)?;
                if block.len() != size {
                    block = vec![0; size];
                }
                let len = from.read(&mut block).await.map_err(|_| Broken::Tcp)?;
                if len == 0 {
                    return send.finish().map_err(|_| Broken::Stream);
                }
                send.write_all(&block[..len]).await.map_err(|_| Broken::Stream)?;
                side.moved(flow, len, true).await;
                if len == size {
                    size = (2 * size).min(BLOCKS.1);
                } else {
                    // Nothing more is there now: nothing is held while that is so.
                    block = Vec::new();
                    size = if len < size / 4 { (size / 2).max(BLOCKS.0) } else { size };
                }
            }
        };
        let back = async {
            while let Some(chunk) = recv.read_chunk(BLOCKS.1).await.map_err(|_| Broken::Stream)? {
                to.write_all(&chunk).await.map_err(|_| Broken::Tcp)?;
                side.moved(flow, chunk.len(), false).await;
            }
            to.shutdown().await.map_err(|_| Broken::Tcp)
        };
        tokio::try_join!(out, back)
    };
    match result {
        Ok(_) => return true,
        Err(Broken::Tcp) => {}
        Err(Broken::Stream) => abort(&tcp),
    }
    let _ = send.reset(Status::Broken.code());
    let _ = recv.stop(Status::Broken.code());
    false
}

/// Small writes leave at once; a peer that vanished is noticed.
fn prepare(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    let (time, interval, retries) = KEEP_ALIVE;
    let params = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
    let _ = SockRef::from(tcp).set_tcp_keepalive(&params);
}

/// Dropped, the connection is reset instead of ended.
pub fn abort(tcp: &TcpStream) {
    let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
}
