//! `tquic serve`: the files of a directory, to whoever asks.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Args;
use tokio::sync::mpsc;
use tq::{Bytes, EndpointConfig, RecvStream, SendStream, ServerConfig, tls};

use crate::pin::Pin;
use crate::{files, host};

/// Bytes read from a file at a time, and how many such blocks may wait to be sent.
const BLOCK: usize = 1 << 20;
const BLOCKS: usize = 4;
/// Files a client may ask for at a time.
const STREAMS: u64 = 64;
/// Code of a stream whose file cannot be read to its end.
const BROKEN: u64 = 1;

#[derive(Args)]
pub(crate) struct Options {
    /// Address and UDP port to listen on; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR", default_value = "[::]:4433")]
    listen: SocketAddr,
    /// Directory whose files may be fetched.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Certificate chain, PEM. Without it a raw public key is made for this run, for `tquic get --pin`.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Key of the certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Take requests in 0-RTT: somebody on the path can then make the server answer one of them twice.
    #[arg(long)]
    early_data: bool,
    /// Address and UDP port that clients are asked to move to once they are connected; also listened on. One of a family.
    #[arg(long, value_name = "ADDR")]
    preferred: Vec<SocketAddr>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let Options { listen, dir, cert, key, early_data, preferred } = options;
    ensure!(dir.is_dir(), "{}: not a directory", dir.display());
    let settings = tls::ServerConfig::new().alpn([files::ALPN]).key_log(true).early_data(early_data);
    let (settings, shown) = match cert.zip(key) {
        Some((cert, key)) => (settings.certificate(tls::CertificateIdentity::load(cert, key)?), None),
        None => {
            let identity = tls::RawIdentity::generate();
            let pin = Pin::of(&identity);
            (settings.raw_key(identity), Some(pin))
        }
    };
    let mut config = ServerConfig::new(settings)?;
    config.transport(|transport| transport.stream.max_bidi = STREAMS);
    for addr in &preferred {
        ensure!(!addr.ip().is_unspecified() && addr.port() != 0, "{addr}: clients cannot be sent there");
        config.transport(|transport| match addr {
            SocketAddr::V4(addr) => transport.preferred_v4 = Some(*addr),
            SocketAddr::V6(addr) => transport.preferred_v6 = Some(*addr),
        });
    }
    let endpoint = host::bind(EndpointConfig::default(), config, listen)?;
    for addr in preferred {
        endpoint.bind_also(addr).with_context(|| format!("cannot listen on {addr}"))?;
    }
    match shown {
        Some(pin) => {
            crate::exit::say(&format!("listening on {}, key fingerprint {pin}", endpoint.local_addr()))?
        }
        None => crate::exit::say(&format!("listening on {}", endpoint.local_addr()))?,
    }
    let root: Arc<Path> = dir.into();
    host::serve(&endpoint, early_data, move |send, recv| answer(Arc::clone(&root), send, recv)).await
}

/// Answers one request.
async fn answer(root: Arc<Path>, mut send: SendStream, mut recv: RecvStream) -> Result<()> {
    let name = recv.read_to_end(files::NAME).await?;
    let opened = files::resolve(&root, &name).and_then(|path| {
        let file = File::open(&path).map_err(|error| format!("the file cannot be read: {error}"))?;
        let size = file.metadata().map_err(|error| format!("the file cannot be read: {error}"))?.len();
        Ok((file, size))
    });
    let (file, size) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            send.write_all(&[files::NO]).await?;
            send.write_all(&reason.as_bytes()[..reason.len().min(files::REASON)]).await?;
            send.finish()?;
            return Ok(());
        }
    };
    let mut head = [files::OK; 9];
    head[1..].copy_from_slice(&size.to_be_bytes());
    send.write_all(&head).await?;
    let (blocks, mut read) = mpsc::channel(BLOCKS);
    // A file that grows meanwhile is sent as it was announced.
    let reading = tokio::task::spawn_blocking(move || read_blocks(file.take(size), &blocks));
    while let Some(block) = read.recv().await {
        send.write_chunk(block).await?;
    }
    if let Err(error) = reading.await? {
        send.reset(BROKEN)?;
        return Err(error).context("reading a file");
    }
    send.finish()?;
    Ok(())
}

/// Reads until the end, or until nobody wants more.
fn read_blocks(mut file: impl Read, blocks: &mpsc::Sender<Bytes>) -> io::Result<()> {
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        file.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() || blocks.blocking_send(block.into()).is_err() {
            return Ok(());
        }
    }
}
