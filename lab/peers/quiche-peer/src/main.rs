//! quiche as a partner for interop tests: HTTP/0.9 over `hq-interop`, as the public interop runner speaks it.
//!
//! quiche has no sockets of its own: one thread with one blocking socket drives it here.
//! Exit status: 0 all went well, 1 it did not, 127 the test case is not one this stack can play.

#![expect(clippy::disallowed_methods, reason = "quiche reads the clock itself; so does what drives it")]

mod client;
mod pump;
mod server;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use peer_common::{ALPN, Case, Role};

/// UDP payload sent at most: what the public runner's network carries.
const PAYLOAD: usize = 1350;
/// Flow control, bytes of a stream and of the connection.
const WINDOW: u64 = 8 << 20;

/// quiche neither marks packets nor counts marks, speaks version 1 alone and reads and writes no preferred address; TLS
/// 1.3's suites are BoringSSL's choice, and nobody can ask for a key update.
fn lacks(case: Case, is_client: bool) -> bool {
    match case {
        Case::ChaCha20 | Case::KeyUpdate => is_client,
        Case::Ecn | Case::Version2 | Case::Preferred => true,
        _ => false,
    }
}

fn main() -> ExitCode {
    let (role, case) = match peer_common::asked(lacks) {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    peer_common::ended(match role {
        Role::Server(options) => server::run(&options, case),
        Role::Client(options) => client::run(&options, case),
    })
}

/// What both roles want of a connection.
fn config(version: u32, case: Case, identity: Option<(&Path, &Path)>) -> Result<quiche::Config> {
    let mut config = quiche::Config::new(version)?;
    if let Some((cert, key)) = identity {
        config.load_cert_chain_from_pem_file(cert.to_str().context("path")?)?;
        config.load_priv_key_from_pem_file(key.to_str().context("path")?)?;
    }
    config.set_application_protos(&[ALPN])?;
    config.verify_peer(false);
    config.log_keys();
    config.set_max_idle_timeout(30_000);
    config.set_max_recv_udp_payload_size(65_527);
    config.set_max_send_udp_payload_size(PAYLOAD);
    config.set_initial_max_data(WINDOW);
    config.set_initial_max_stream_data_bidi_local(WINDOW);
    config.set_initial_max_stream_data_bidi_remote(WINDOW);
    config.set_initial_max_streams_bidi(100);
    config.set_initial_max_streams_uni(100);
    config.set_active_connection_id_limit(4);
    config.enable_dgram(true, 200, 200);
    if case == Case::ZeroRtt {
        config.enable_early_data();
    }
    Ok(config)
}

/// Secrets go to `SSLKEYLOGFILE`.
fn log_keys(connection: &mut quiche::Connection) -> Result<()> {
    let Some(file) = std::env::var_os("SSLKEYLOGFILE") else { return Ok(()) };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(file).context("SSLKEYLOGFILE")?;
    connection.set_keylog(Box::new(file));
    Ok(())
}

/// A connection id nobody can guess.
fn random_id() -> Result<[u8; 16]> {
    let mut id = [0; 16];
    let source = std::fs::File::open("/dev/urandom").context("/dev/urandom")?;
    std::io::Read::read_exact(&mut &source, &mut id)?;
    Ok(id)
}
