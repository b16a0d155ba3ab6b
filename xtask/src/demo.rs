//! `cargo xtask demo`: the tool's main job in front of one's eyes, on loopback.
//!
//! Two processes of the release build, `tquic serve` and `tquic get`, move a generated file; the rate is
//! shown while they do, and the copy is compared with the original. It decides nothing about the transport.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{self, Process, Watch, say};

#[cfg(test)]
mod tests;

const MIB: u64 = 1 << 20;
const SIZE: u64 = 512 * MIB;
const NAME: &str = "demo.bin";
/// How long the server may take to say where it listens.
const START: Duration = Duration::from_secs(10);
/// Without a byte for this long the transfer is given up.
const STALL: Duration = Duration::from_secs(30);

pub(crate) fn run(keep: bool) -> Result<()> {
    let folder = run::target_dir().join("demo");
    let served = folder.join("served");
    fs::create_dir_all(&served).with_context(|| format!("cannot create {}", served.display()))?;
    say("building the tool (release)");
    run::must(run::cargo("build").args(["--release", "--package", "tquic"]))?;
    say(&format!("generating {} MiB in {}", SIZE / MIB, folder.display()));
    let checksum = generate(&served.join(NAME), SIZE)?;
    let result = transfer(&folder, checksum);
    if !keep {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    result
}

fn transfer(folder: &Path, checksum: u64) -> Result<()> {
    let tool = run::target_dir().join("release/tquic");
    let out = folder.join("received.bin");
    let mut serve = Command::new(&tool);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--dir"]).arg(folder.join("served"));
    say(&run::shown(&serve));
    let server = Process::start(serve.stdout(Stdio::piped()))?;
    let (server, address) = listening(server)?;

    let mut get = Command::new(&tool);
    get.args(["get", &address.at, NAME, "--pin", &address.fingerprint, "--out"]).arg(&out);
    say(&run::shown(&get));
    let watch = Watch::start();
    let client = Process::start(get.stdout(Stdio::null()))?;
    follow(client, &out, &watch)?;
    let took = watch.elapsed();
    drop(server);

    let (received, length) = checksum_of(&out)?;
    ensure!(length == SIZE, "received {length} bytes of {SIZE}");
    ensure!(received == checksum, "received another file: checksum {received:016x}, sent {checksum:016x}");
    println!(
        "{} MiB in {:.2} s, {:.2} Gbit/s; checksum {checksum:016x} on both sides",
        SIZE / MIB,
        took.as_secs_f64(),
        gigabits(SIZE, took)
    );
    Ok(())
}

/// Where a server is, in its own words: `listening on ADDR, key fingerprint FP`.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    at: String,
    fingerprint: String,
}

impl Address {
    fn from_line(line: &str) -> Option<Self> {
        let (at, fingerprint) =
            line.trim().strip_prefix("listening on ")?.split_once(", key fingerprint ")?;
        Some(Self { at: at.to_owned(), fingerprint: fingerprint.to_owned() })
    }
}

/// Waits until the server says where it is; keeps its output flowing afterwards.
fn listening(mut server: Process) -> Result<(Process, Address)> {
    let stdout = server.0.stdout.take().context("the server has no stdout")?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("server: {line}");
            if let Some(address) = Address::from_line(&line) {
                // Nobody listens any more once the transfer runs.
                let _ = tell.send(address);
            }
        }
    });
    match told.recv_timeout(START) {
        Ok(address) => Ok((server, address)),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            bail!("`tquic serve` ended without `listening on ADDR, key fingerprint FP`")
        }
        Err(mpsc::RecvTimeoutError::Timeout) => {
            bail!("`tquic serve` did not say `listening on ADDR, key fingerprint FP` within {START:?}")
        }
    }
}

/// Shows the rate until the client is done.
fn follow(mut client: Process, out: &Path, watch: &Watch) -> Result<()> {
    let terminal = std::io::stdout().is_terminal();
    let tick = Duration::from_millis(if terminal { 200 } else { 1000 });
    let (mut last, mut moved_at, mut shown_at) = (0, Duration::ZERO, Duration::ZERO);
    let status = loop {
        if let Some(status) = client.0.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
        let now = watch.elapsed();
        let length = fs::metadata(out).map_or(0, |file| file.len());
        if now < shown_at + tick {
            continue;
        }
        let rate = gigabits(length.saturating_sub(last), now.saturating_sub(shown_at));
        let line = format!("  {:>4} of {} MiB  {rate:>6.2} Gbit/s", length / MIB, SIZE / MIB);
        if terminal {
            print!("\r{line}");
            std::io::stdout().flush()?;
        } else {
            println!("{line}");
        }
        if length != last {
            moved_at = now;
        }
        (last, shown_at) = (length, now);
        ensure!(now < moved_at + STALL, "nothing arrived for {STALL:?}: `tquic get` was stopped");
    };
    if terminal {
        println!();
    }
    ensure!(status.success(), "`tquic get` failed ({status})");
    Ok(())
}

fn gigabits(bytes: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let bits = bytes as f64 * 8.0;
    bits / 1e9 / time.as_secs_f64().max(1e-9)
}

/// Fills a file with pseudo-random words; returns their checksum.
fn generate(path: &PathBuf, size: u64) -> Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut word, mut sum) = (0x9e37_79b9_7f4a_7c15_u64, Checksum::default());
    for _ in 0..size / 8 {
        // xorshift64: any generator without short cycles will do.
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        file.write_all(&word.to_le_bytes())?;
        sum.add(word);
    }
    file.flush()?;
    Ok(sum.0)
}

fn checksum_of(path: &Path) -> Result<(u64, u64)> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (mut sum, mut length) = (Checksum::default(), 0);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let read = (&mut file).take(MIB).read_to_end(&mut buffer)?;
        if read == 0 {
            return Ok((sum.0, length));
        }
        length += read as u64;
        for chunk in buffer.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            sum.add(u64::from_le_bytes(word));
        }
    }
}

/// FNV-1a over 64-bit words: order matters, speed matters, an adversary does not.
struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
}
