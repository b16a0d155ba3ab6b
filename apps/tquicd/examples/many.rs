//! Many devices on one server process, one of them flooding: what the others get of their even share.
//!
//! First all download as fast as they can: an even share is a part of that. Then one floods, in each way it can, while the others
//! ask for 0.85 of an even share (`--asked 1`: for all they can get), and must get 0.8; after each flood an even share is taken
//! again, and counts is the mean. The server is a process of its own on the first core, which it shares with one that only counts, so that the second, where all devices are, has time left: the server is what is short. The flooder is beside
//! them and has what they leave, so that it takes from the others nothing but what the server gives it. Whether the cores were
//! used like that is looked at with each measurement, and nothing is said of a server that was not what devices shared.
//!
//! `cargo run --release -p tquicd --example many [-- --devices 100 --seconds 5]`

#[path = "../tests/flood/mod.rs"]
mod flood;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use flood::{Flood, Joined};
use tokio::time::sleep;
use tq_identity::{DeviceId, Token};
use tquicd::{Config, Daemon};

/// What the others must get of an even share.
const BAR: f64 = 0.8;
/// Of the server's half of its core: with less the server is not what is measured.
const BUSY: f64 = 0.85;
/// What the devices may be at work or wait for it, of their core: with more they are what is measured.
const FREE: f64 = 0.9;
/// Even shares taken at most until they grow no more.
const GROWING: usize = 8;
/// Between even shares before and after a flood, if the machine was the same.
const STEADY: f64 = 0.15;
/// Of the server's core, what others on this machine may take.
const FOREIGN: f64 = 0.05;
const WARM: Duration = Duration::from_secs(1);

/// Many devices on one server process, one of them flooding.
#[derive(Parser)]
struct Options {
    /// Devices.
    #[arg(long, default_value_t = 100)]
    devices: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only this flood: bytes, opens, tiny, unread or noise; or, to compare with, nothing or elsewhere (noise that the server does
    /// not get).
    #[arg(long)]
    only: Option<String>,
    /// What the others ask for, of an even share; from 1 on all they can get.
    #[arg(long, default_value_t = 0.85)]
    asked: f64,
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
    #[arg(long, hide = true)]
    count: bool,
    #[arg(long, hide = true, num_args = 2)]
    flood: Option<Vec<String>>,
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    match &options {
        Options { count: true, .. } => loop {
            std::hint::spin_loop();
        },
        Options { serve: Some(folder), .. } => runtime.block_on(serve(folder, &options)),
        Options { flood: Some(words), .. } => {
            let kind = Flood::ALL.iter().find(|(name, _)| *name == words[0]).unwrap().1;
            runtime.block_on(async {
                flood::flood(kind, words[1].parse().unwrap(), flood::target().await).await
            });
        }
        _ => {
            let passed = match &options.only {
                Some(only) => runtime.block_on(measure(&options, only)),
                None => Flood::ALL.iter().fold(true, |passed, (name, _)| alone(&options, name) && passed),
            };
            runtime.shutdown_background();
            std::process::exit(i32::from(!passed));
        }
    }
}

/// Ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program again on one core, if `idle` with nothing but what others leave of it.
fn again(core: &str, idle: bool, args: &[&str]) -> Process {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("taskset");
    command.args(["-c", core]).args(if idle { &["chrt", "--idle", "0"][..] } else { &[] });
    command.arg(program).args(args).stdout(Stdio::piped()).stderr(Stdio::null());
    Process(command.spawn().expect("taskset and chrt (util-linux)"))
}

/// The server: prints a token for each device and each flood, and runs until killed.
async fn serve(folder: &Path, options: &Options) {
    let file = folder.join("server.toml");
    let text = format!(
        "state = {:?}\n[server]\nlisten = [\"127.0.0.1:0\"]\naddresses = [\"127.0.0.1\"]\n[egress]\n\
         allow = [\"127.0.0.1\"]\n[control]\nsocket = {:?}\n",
        folder.join("state"),
        folder.join("sock")
    );
    std::fs::write(&file, text).unwrap();
    let daemon = Daemon::start(Config::load(&file).unwrap()).await.unwrap();
    for i in 0..options.devices + 1 {
        let id = DeviceId { tenant: "many".parse().unwrap(), device: format!("d{i}").parse().unwrap() };
        println!("{}", daemon.server().unwrap().invite(&id, None, false).unwrap());
    }
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// CPU seconds of a process so far.
fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Seconds that threads of this process could have run and did not, because others did.
fn waited() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let waits = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split_ascii_whitespace().nth(1)?.parse::<f64>().ok()
    });
    waits.sum::<f64>() * 1e-9
}

/// Who is at work on the two cores.
struct Crew {
    server: Process,
    counter: Process,
    flooder: Option<Process>,
}

/// What they had of their cores, 0 to 1.
struct Used {
    server: f64,
    counter: f64,
    devices: f64,
    flooder: f64,
    /// Of the time, what devices waited for their core.
    waited: f64,
}

impl Crew {
    fn now(&self) -> [f64; 5] {
        let flooder = self.flooder.as_ref().map_or(0.0, |process| cpu(process.0.id()));
        [cpu(self.server.0.id()), cpu(self.counter.0.id()), cpu(std::process::id()), flooder, waited()]
    }

    fn since(&self, before: [f64; 5], seconds: f64) -> Used {
        let now = self.now();
        let [server, counter, devices, flooder, waited] =
            std::array::from_fn(|at| (now[at] - before[at]) / seconds);
        Used { server, counter, devices, flooder, waited }
    }
}

impl Used {
    /// Why this says nothing of the server, if so.
    fn wrong(&self, even: bool) -> Option<&'static str> {
        if self.server + self.counter < 1.0 - FOREIGN {
            return Some("something else was at work on the server's core");
        }
        if self.devices + self.waited > FREE {
            return Some("the devices' core was what they shared");
        }
        // With a flood others may ask for less than there is.
        (even && self.server < BUSY / 2.0).then_some("the server was not busy")
    }
}

impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [server, devices, flooder, waited] =
            [self.server, self.devices, self.flooder, self.waited].map(|share| share * 100.0);
        write!(f, "CPU: server {server:.0} %, devices {devices:.0} % and {waited:.0} % waiting, ")?;
        write!(f, "flooder {flooder:.0} %")
    }
}

/// What each gets if all take what they can, and what is wrong with that.
async fn even(
    joined: &[Joined],
    target: SocketAddr,
    options: &Options,
    crew: &Crew,
) -> (f64, Option<&'static str>) {
    let (all, used) = load(joined, target, None, options.seconds, crew).await;
    let rate = all.iter().sum::<f64>() * 8e-6;
    let each = rate / all.len() as f64;
    println!("even: {} devices, {each:.1} Mbit/s each, {rate:.0} in all ({used})", all.len());
    (each / 8e-6, used.wrong(true))
}

/// One flood with a server of its own, so that none has the last one's leavings.
fn alone(options: &Options, name: &str) -> bool {
    let (devices, seconds, asked) =
        (options.devices.to_string(), options.seconds.to_string(), options.asked.to_string());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--only", name, "--devices", &devices, "--seconds", &seconds, "--asked", &asked]);
    command.status().is_ok_and(|status| status.success())
}

async fn measure(options: &Options, only: &str) -> bool {
    let _ = Command::new("taskset").args(["-apc", "1", &std::process::id().to_string()]).output();
    let folder = Folder(std::env::temp_dir().join(format!("tquicd-many-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let target = flood::target().await;
    let devices = options.devices.to_string();
    let mut server = again("0", false, &["--serve", folder.0.to_str().unwrap(), "--devices", &devices]);
    let lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let tokens: Vec<Token> =
        lines.take(options.devices + 1).map(|line| line.unwrap().parse().unwrap()).collect();
    let (token, own) = tokens.split_last().unwrap();
    let mut joined = Vec::new();
    for token in own {
        joined.push(flood::join(token).await);
    }
    let mut crew = Crew { server, counter: again("0", false, &["--count"]), flooder: None };
    // Windows grow at first.
    let mut before = even(&joined, target, options, &crew).await;
    for _ in 0..GROWING {
        let last = std::mem::replace(&mut before, even(&joined, target, options, &crew).await);
        if before.0 <= last.0 * (1.0 + STEADY / 3.0) {
            break;
        }
    }
    let (name, kind) = Flood::ALL.iter().find(|(name, _)| *name == only).expect("a flood");
    // With a target of its own: what is shared is to be the server.
    crew.flooder = Some(again("1", true, &["--flood", name, &token.to_string()]));
    sleep(WARM).await;
    let asked = (options.asked < 1.0).then_some((before.0 * options.asked) as u64);
    let (mut got, used) = load(&joined[1..], target, asked, options.seconds, &crew).await;
    crew.flooder = None;
    let after = even(&joined, target, options, &crew).await;
    let share = f64::midpoint(before.0, after.0);
    got.sort_by(f64::total_cmp);
    let of = |at: f64| got[((got.len() - 1) as f64 * at) as usize] / share;
    let mean = got.iter().sum::<f64>() / got.len() as f64 / share;
    let steady = (after.0 / before.0 - 1.0).abs() <= STEADY;
    let wrong = before.1.or(after.1).or(used.wrong(false));
    let verdict = match wrong.or((!steady).then_some("even shares before and after differ")) {
        Some(why) => format!("invalid: {why}"),
        None if kind.is_control() => "to compare with".to_owned(),
        None if mean >= BAR && of(0.1) >= BAR => "met".to_owned(),
        None => "MISSED".to_owned(),
    };
    println!(
        "{name}: the others get {mean:.3} of an even share (least {:.3}, tenth {:.3}, median {:.3}); {verdict} (asked for \
         {}, bar {BAR}; {used})",
        of(0.0),
        of(0.1),
        of(0.5),
        options.asked,
    );
    kind.is_control() || verdict == "met"
}

/// What each device downloads in a second, after a moment to warm up.
async fn load(
    devices: &[Joined],
    target: SocketAddr,
    rate: Option<u64>,
    seconds: u64,
    crew: &Crew,
) -> (Vec<f64>, Used) {
    let start = |device: &Joined| {
        let count = Arc::new(AtomicU64::new(0));
        let work = flood::download(device.connection.clone(), target, rate, Arc::clone(&count));
        (tokio::spawn(work), count)
    };
    let running: Vec<_> = devices.iter().map(start).collect();
    sleep(WARM).await;
    let counts = || running.iter().map(|(_, count)| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let (before, start, used) = (counts(), tokio::time::Instant::now(), crew.now());
    sleep(Duration::from_secs(seconds)).await;
    let (after, time, used) =
        (counts(), start.elapsed().as_secs_f64(), crew.since(used, start.elapsed().as_secs_f64()));
    running.iter().for_each(|(task, _)| task.abort());
    sleep(Duration::from_millis(300)).await;
    (before.iter().zip(&after).map(|(before, after)| (after - before) as f64 / time).collect(), used)
}
