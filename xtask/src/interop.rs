//! `cargo xtask interop`: our endpoint against stacks that others wrote.
//! It decides which cells of the matrix are played, how many at a time and how results are told; a case itself
//! lives with the programs that play it (`lab/interop`, `lab/peers`).

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use self::matrix::{Cell, Choice, Named};
use self::play::{Played, Verdict};
use self::programs::Programs;
use crate::run::{self, Watch, say};
use crate::summary::Summary;

pub(crate) use self::programs::PEERS;

mod evidence;
mod matrix;
mod play;
mod programs;
mod report;

#[cfg(test)]
mod tests;

/// Cells played at the same time: most of them wait for a link.
const PARALLEL: usize = 6;

/// What the command line asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    choice: Choice,
    /// Of the relays.
    seed: u64,
    write: bool,
    /// Leave the logs of every cell.
    keep: bool,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "--subset" => options.choice.subset = true,
                "--write" => options.write = true,
                "--keep" => options.keep = true,
                "--case" => options.choice.case = Some(named(word, words.next())?),
                "--peer" => options.choice.peer = Some(named(word, words.next())?),
                "--link" => options.choice.link = Some(named(word, words.next())?),
                "--seed" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    options.seed = number.context("--seed N: a whole number")?;
                }
                _ => {
                    bail!(
                        "`{word}`: interop takes --subset, --case, --peer or --link NAME, --seed N, --keep and --write"
                    )
                }
            }
        }
        if options.write && options != (Self { write: true, ..Self::default() }) {
            bail!("--write needs the whole matrix: leave the other options out");
        }
        Ok(options)
    }
}

/// What follows an option.
fn named<T: Named>(option: &str, name: Option<&&str>) -> Result<T> {
    T::named(name.copied().unwrap_or_default()).with_context(|| format!("{option} NAME"))
}

/// The command of its own: whether nothing failed.
pub(crate) fn command(words: &[&str]) -> Result<bool> {
    let options = Options::parse(words)?;
    let played = play_all(options)?;
    if options.write {
        let document = report::document(&played, &programs::versions()?);
        let file = run::root().join(report::FILE);
        fs::write(&file, document).with_context(|| format!("cannot write {}", file.display()))?;
        say(&format!("wrote {}", report::FILE));
    }
    let sum = sum(&played);
    println!("{sum}");
    Ok(sum.failed == 0)
}

/// For `cargo xtask test`: the subset. What keeps it from being played counts as a failure.
pub(crate) fn subset() -> Summary {
    let choice = Choice { subset: true, ..Choice::default() };
    play_all(Options { choice, ..Options::default() }).map_or_else(
        |error| {
            println!("peers: {error:#}");
            Summary { failed: 1, ..Summary::default() }
        },
        |played| sum(&played),
    )
}

fn play_all(options: Options) -> Result<Vec<Played>> {
    let cells = options.choice.cells();
    if cells.is_empty() {
        bail!("there is no such cell: not every case is played on every link, and the subset has few");
    }
    let programs = Programs::prepare(&cells, options.seed, options.keep)?;
    say(&format!("peers: {} cells, {PARALLEL} at a time", cells.len()));
    let watch = Watch::start();
    let mut order = cells.clone();
    order.sort_by_key(|cell| !cell.is_slow());
    let (next, played) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(cells.len()) {
            scope.spawn(|| {
                while let Some(&cell) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = play::play(cell, &programs);
                    let mut played = played.lock().unwrap_or_else(PoisonError::into_inner);
                    tell(&result);
                    played.push(result);
                }
            });
        }
    });
    let mut played = played.into_inner().unwrap_or_else(PoisonError::into_inner);
    played.sort_by_key(|played| cells.iter().position(|cell| *cell == played.cell));
    close(&played, &watch);
    Ok(played)
}

/// One line for a cell, and what is known about a failure.
fn tell(played: &Played) {
    let Cell { case, pair, link } = played.cell;
    let (word, seconds) = (report::word(&played.verdict), played.took.as_secs_f64());
    let rate = played.kbit_s.map_or_else(String::new, |rate| format!("  {rate} kbit/s"));
    println!(
        "{word:11} {:19} {:16} {:14} {seconds:5.1} s{rate}",
        case.name(),
        pair.to_string(),
        link.title()
    );
    if let Verdict::PeersFault(why) = played.verdict {
        println!("    {why}");
    }
    if let Verdict::Fail(why) | Verdict::Flaky(why) = &played.verdict {
        println!("    {why}");
        for folder in &played.logs {
            print!("    logs in {}\n{}", folder.display(), play::tail(folder));
        }
    }
}

/// Says again, where nobody has to look for it, what did not go well.
fn close(played: &[Played], watch: &Watch) {
    let bad = |played: &&Played| matches!(played.verdict, Verdict::Fail(_) | Verdict::Flaky(_));
    for played in played.iter().filter(bad) {
        println!("{}: {}", report::word(&played.verdict), played.cell);
    }
    say(&format!("peers: {} cells took {:.0} s", played.len(), watch.elapsed().as_secs_f64()));
}

/// A flaky cell passed, and was told so; one the peer cannot play, or is known to play wrong, is skipped.
fn sum(played: &[Played]) -> Summary {
    let mut sum = Summary::default();
    for played in played {
        match played.verdict {
            Verdict::Pass | Verdict::Flaky(_) => sum.passed += 1,
            Verdict::Fail(_) => sum.failed += 1,
            Verdict::Unsupported | Verdict::NotYet | Verdict::PeersFault(_) => sum.skipped += 1,
        }
    }
    sum
}
