//! `tquic serve`: the files of a directory, to whoever asks.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tq::{Bytes, Connection, Endpoint, RecvStream, SendStream, ServerConfig, tls};

use crate::files;
use crate::pin::Pin;

/// Bytes read from a file at a time, and how many such blocks may wait to be sent.
const BLOCK: usize = 1 << 20;
const BLOCKS: usize = 4;
/// Files a client may ask for at a time.
const STREAMS: u64 = 64;
/// Code of a stream whose file cannot be read to its end.
const BROKEN: u64 = 1;
/// How long clients are given to hear that the server stops.
const GOODBYE: Duration = Duration::from_secs(1);

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
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let Options { listen, dir, cert, key } = options;
    ensure!(dir.is_dir(), "{}: not a directory", dir.display());
    let settings = tls::ServerConfig::new().alpn([files::ALPN]).key_log(true);
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
    let endpoint = Endpoint::server(config, listen).with_context(|| format!("cannot listen on {listen}"))?;
    match shown {
        Some(pin) => println!("listening on {}, key fingerprint {pin}", endpoint.local_addr()),
        None => println!("listening on {}", endpoint.local_addr()),
    }
    tokio::select! {
        () = accept(&endpoint, dir.into()) => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    endpoint.close(0, b"the server stops");
    let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
    Ok(())
}

async fn accept(endpoint: &Endpoint, root: Arc<Path>) {
    while let Some(incoming) = endpoint.accept().await {
        let root = Arc::clone(&root);
        tokio::spawn(async move {
            let remote = incoming.remote_address();
            match incoming.await {
                Ok(connection) => converse(connection, root).await,
                Err(error) => eprintln!("{remote}: {error}"),
            }
        });
    }
}

async fn converse(connection: Connection, root: Arc<Path>) {
    let remote = connection.remote_address();
    while let Ok((send, recv)) = connection.accept_bi().await {
        let root = Arc::clone(&root);
        tokio::spawn(async move {
            if let Err(error) = answer(&root, send, recv).await {
                eprintln!("{remote}: {error:#}");
            }
        });
    }
}

/// Answers one request.
async fn answer(root: &Path, mut send: SendStream, mut recv: RecvStream) -> Result<()> {
    let name = recv.read_to_end(files::NAME).await?;
    let opened = files::resolve(root, &name).and_then(|path| {
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
