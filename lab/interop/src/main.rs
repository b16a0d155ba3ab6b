//! `tq-interop`: an endpoint for the public QUIC interop runner, speaking `hq-interop`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tq_interop::case::{Case, UNSUPPORTED};
use tq_interop::url::Url;
use tq_interop::{certificate, client, server};

/// How long connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// QUIC interop runner endpoint. Writes secrets to SSLKEYLOGFILE and qlog files to QLOGDIR if they are set.
/// Exits with 127 for test cases it does not support.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Serves the files of a directory until interrupted or terminated.
    Server {
        /// Address and UDP port to listen on.
        #[arg(long, value_name = "ADDR", default_value = "[::]:443")]
        listen: SocketAddr,
        /// Certificate chain, PEM.
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
        /// Key of the certificate, PEM.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Directory of the files.
        #[arg(long, value_name = "DIR")]
        www: PathBuf,
        /// connectionmigration: address and port of the second socket; any port of LISTEN's address unless given.
        #[arg(long, value_name = "ADDR")]
        also: Option<SocketAddr>,
        /// connectionmigration: where clients reach the second socket, if that is not its own address; one of a family.
        #[arg(long, value_name = "ADDR")]
        preferred: Vec<SocketAddr>,
        /// Speak HTTP/3 and nothing else, as far as sending files goes.
        #[arg(long)]
        http3: bool,
        /// The runner's name of the test case.
        #[arg(long, value_name = "NAME", default_value = "transfer")]
        testcase: String,
    },
    /// Fetches files.
    Client {
        /// The runner's name of the test case.
        #[arg(long, value_name = "NAME", default_value = "transfer")]
        testcase: String,
        /// Directory the files go to.
        #[arg(long, value_name = "DIR")]
        downloads: PathBuf,
        /// Roots the server's certificate must end at, PEM; without it any certificate will do.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// Speak HTTP/3 and nothing else, as far as fetching files goes.
        #[arg(long)]
        http3: bool,
        /// What to fetch: https://HOST[:PORT]/FILE, all from one server.
        #[arg(value_name = "URL", value_parser = Url::parse, required = true)]
        urls: Vec<Url>,
    },
    /// Makes a certificate: `cert.pem` and `key.pem`, and `ca.pem`, in which it ends.
    Certificate {
        /// Certificates in `cert.pem`, each of a kilobyte or so if there are several; one alone is self-signed.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=20))]
        chain: u8,
        /// Directory the files go to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// DNS names and IP addresses it is for.
        #[arg(value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
        names: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().role {
        Role::Server { listen, cert, key, www, also, preferred, http3, testcase } => {
            let Some(case) = supported(&testcase) else { return UNSUPPORTED.into() };
            serve(case, server::Options { listen, cert, key, www, also, preferred, http3 }).await
        }
        Role::Client { testcase, downloads, ca, http3, urls } => {
            let Some(case) = supported(&testcase) else { return UNSUPPORTED.into() };
            let options = client::Options { downloads, ca, http3, urls };
            tokio::select! {
                result = client::run(case, &options) => result,
                // Ending by itself, it leaves complete logs.
                stopped = stopped() => stopped.and_then(|()| bail!("stopped before it was done")),
            }
        }
        Role::Certificate { chain, out, names } => certificate::write(&out, names, chain),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tq-interop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn supported(testcase: &str) -> Option<Case> {
    let case = Case::named(testcase);
    if case.is_none() {
        eprintln!("tq-interop: test case {testcase} is not supported");
    }
    case
}

async fn serve(case: Case, options: server::Options) -> Result<()> {
    let endpoint = server::bind(case, &options)?;
    println!("listening on {}", endpoint.local_addr());
    tokio::select! {
        () = server::serve(&endpoint, case, &options) => {}
        stopped = stopped() => stopped?,
    }
    endpoint.close(0, b"the server is stopped");
    // Whoever does not answer finds out by itself.
    let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
    Ok(())
}

/// Waits until somebody interrupts or terminates the process.
async fn stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => Ok(interrupt?),
    }
}
