//! `tquic get`: one file from `tquic serve`, with its checksum.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::digest;
use clap::Args;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tq::{Bytes, ClientConfig, ConnectionError, EndpointConfig, RecvStream, tls};

use crate::exit::Unreachable;
use crate::files;
use crate::pin::Pin;
use crate::progress::Progress;
use crate::remote::Remote;

/// Chunks that may wait to be written to the file.
const CHUNKS: usize = 64;

#[derive(Args)]
pub(crate) struct Options {
    /// Server, HOST:PORT.
    #[arg(value_name = "ADDR")]
    addr: String,
    /// File to fetch, relative to the server's directory.
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to put it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The server's key, as it prints it. Without it the server must have a certificate for HOST.
    #[arg(long, value_name = "FP", conflicts_with = "ca")]
    pin: Option<Pin>,
    /// Roots the server's certificate must end at, PEM; the system's unless given.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print the rate even if stderr is no terminal.
    #[arg(long)]
    progress: bool,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let Options { addr, name, out, pin, ca, progress } = options;
    ensure!(name.len() <= files::NAME, "the name is longer than {} bytes", files::NAME);
    let trust = match (pin, ca) {
        (Some(pin), _) => tls::ClientConfig::pinned_key(&pin.spki()),
        (None, Some(file)) => tls::ClientConfig::with_roots(tls::Roots::load(file)?),
        (None, None) => tls::ClientConfig::with_roots(tls::Roots::system()?),
    };
    let config = ClientConfig::new(trust.alpn([files::ALPN]).key_log(true))?;
    let remote = Remote::resolve(&addr).await?;
    let endpoint = remote.endpoint(EndpointConfig::default())?;
    let connected = remote.connect(&endpoint, &config).await;
    let connection = connected.map_err(|error| match (is_about_trust(&error), pin) {
        (false, _) => error,
        (true, Some(_)) => error.context("the server has another key than the one pinned"),
        (true, None) => {
            error.context("give the fingerprint that the server prints as --pin, or its roots as --ca")
        }
    })?;
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(name.as_bytes()).await?;
    send.finish()?;
    let size = announced(&mut recv).await?;
    let received = save(&mut recv, size, &out, Progress::new(size, progress)).await?;
    connection.close(0, b"done");
    endpoint.wait_idle().await;
    crate::exit::say(&format!("{received}  {}", out.display()))?;
    Ok(())
}

/// Whether TLS failed at either end.
fn is_about_trust(error: &anyhow::Error) -> bool {
    let code = match error.chain().find_map(|error| error.downcast_ref()) {
        Some(ConnectionError::Violation(violation)) => violation.code,
        Some(ConnectionError::PeerTransport { code, .. }) => *code,
        _ => return false,
    };
    code.alert().is_some()
}

/// The size of what is coming, or the server's reason why nothing does.
async fn announced(recv: &mut RecvStream) -> Result<u64> {
    let mut status = [0];
    recv.read_exact(&mut status).await?;
    if status[0] != files::OK {
        let reason = recv.read_to_end(files::REASON).await?;
        bail!("the server says: {}", String::from_utf8_lossy(&reason).replace(char::is_control, "\u{fffd}"));
    }
    let mut size = [0; 8];
    recv.read_exact(&mut size).await?;
    Ok(u64::from_be_bytes(size))
}

/// Writes what comes to `out`; returns its SHA-256 in hex.
async fn save(
    recv: &mut RecvStream,
    size: u64,
    out: &Path,
    mut progress: Option<Progress>,
) -> Result<String> {
    let (chunks, writing) = writer(out)?;
    let mut received = 0;
    while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
        received += chunk.len() as u64;
        if let Some(progress) = &mut progress {
            progress.at(received);
        }
        if chunks.send(chunk).await.is_err() {
            // The writer stopped, and says why below.
            break;
        }
    }
    drop(chunks);
    let checksum = writing.await?.with_context(|| format!("cannot write {}", out.display()))?;
    if received != size {
        return Err(Unreachable(format!("{received} bytes came of the {size} announced")).into());
    }
    if let Some(progress) = progress {
        progress.end(received);
    }
    Ok(checksum)
}

type Writing = JoinHandle<std::io::Result<String>>;

/// A thread that writes chunks to a file and adds them to a checksum.
fn writer(out: &Path) -> Result<(mpsc::Sender<Bytes>, Writing)> {
    let mut file = File::create(out).with_context(|| format!("cannot create {}", out.display()))?;
    let (chunks, mut coming) = mpsc::channel::<Bytes>(CHUNKS);
    let writing = tokio::task::spawn_blocking(move || {
        let mut hash = digest::Context::new(&digest::SHA256);
        while let Some(chunk) = coming.blocking_recv() {
            hash.update(&chunk);
            file.write_all(&chunk)?;
        }
        file.flush()?;
        Ok(hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    });
    Ok((chunks, writing))
}
