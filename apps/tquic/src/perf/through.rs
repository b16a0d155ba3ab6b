//! What goes through a bond: the router's daemon measures, this asks it to and says what it found.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tq_control::Method;
use tq_control::model::{Measure, Measured};

use crate::bond::Ask;
use crate::exit::say;

#[derive(Args)]
pub(crate) struct Options {
    /// Measure for so many seconds, 60 at most.
    #[arg(long, value_name = "S", default_value = "5", value_parser = super::seconds)]
    duration: Duration,
    /// Towards the server; else from it.
    #[arg(long)]
    upload: bool,
    /// Streams at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    streams: u32,
    #[command(flatten)]
    ask: Ask,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let Options { duration, upload, streams, ask } = options;
    let order = Measure { upload, streams: streams.into(), seconds: duration.as_secs_f64() };
    let measured: Measured = ask.client()?.ask(Method::Post, "measure", &order).await?;
    say(&if ask.json { serde_json::to_string(&measured)? } else { text(&measured) })
}

fn text(measured: &Measured) -> String {
    let mut text = format!(
        "{} of {:.3} GB in {:.2} s over {} stream(s): {:.3} Gbit/s\n\
         CPU per Gbit: router {:.3} s, server {:.3} s (all they did meanwhile)",
        measured.direction,
        measured.bytes as f64 / 1e9,
        measured.seconds,
        measured.streams,
        measured.gbit_per_s,
        measured.router_cpu_s_per_gbit,
        measured.server_cpu_s_per_gbit
    );
    for path in &measured.paths {
        let (sent, received) = (path.bytes_sent as f64 / 1e6, path.bytes_received as f64 / 1e6);
        let link = path.link.as_deref().unwrap_or("-");
        let _ = write!(text, "\nlink {link}: {sent:.1} MB out, {received:.1} MB in");
    }
    text
}
