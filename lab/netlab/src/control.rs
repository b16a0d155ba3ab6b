//! What is said over the emulator's socket: one line of JSON each way.
//!
//! Decides the words; obeying is the emulator's business.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tq_linkmodel::{Change, Direction, Rate, State};

use crate::emulator::books::Books;
use crate::state::Folder;

/// What the emulator is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Begin anew.
    Start {
        /// The scenario's moment zero, in ns of `CLOCK_MONOTONIC`.
        at: u64,
        /// Another seed than the scenario's.
        seed: Option<u64>,
        /// Whether the scenario's events happen.
        events: bool,
    },
    /// Change a link now.
    Change {
        /// By name.
        link: String,
        /// Which way.
        direction: Ways,
        /// What.
        change: Wanted,
    },
    /// Tell the counts since the start.
    Books,
    /// End.
    Stop,
}

/// One direction or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ways {
    /// From the user.
    Up,
    /// To the user.
    Down,
    /// Both.
    #[default]
    Both,
}

impl Ways {
    /// The directions.
    pub const fn directions(self) -> &'static [Direction] {
        match self {
            Self::Up => &[Direction::Up],
            Self::Down => &[Direction::Down],
            Self::Both => &Direction::BOTH,
        }
    }
}

/// A change of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// Bytes of IP per second; no limit if `None`.
    Rate(Option<u64>),
    /// One way, ns.
    Delay(u64),
    /// In parts per million.
    Loss(u32),
    /// Carrier lost.
    Cut,
    /// Packets vanish.
    CutSilently,
    /// Works.
    Heal,
}

impl From<Wanted> for Change {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Rate(rate) => Self::Rate(rate.map_or(Rate::Unlimited, Rate::Fixed)),
            Wanted::Delay(nanos) => Self::Delay(Duration::from_nanos(nanos)),
            Wanted::Loss(ppm) => Self::Loss(ppm),
            Wanted::Cut => Self::State(State::Down),
            Wanted::CutSilently => Self::State(State::Silent),
            Wanted::Heal => Self::State(State::Up),
        }
    }
}

/// What the emulator answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It was done.
    Done,
    /// The counts.
    Books(Books),
    /// It was not done, and why.
    Failed(String),
}

/// Asks a lab's emulator.
pub fn ask(folder: &Folder, request: &Request) -> Result<Reply> {
    let path = folder.socket();
    let mut stream = UnixStream::connect(&path).with_context(|| {
        format!("the emulator does not answer at {}: `down` and `up` again", path.display())
    })?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).context("the emulator does not answer")?;
    match serde_json::from_str(&line).context("the emulator answers nonsense")? {
        Reply::Failed(why) => bail!(why),
        reply => Ok(reply),
    }
}

/// Asks for the counts.
pub fn books(folder: &Folder) -> Result<Books> {
    match ask(folder, &Request::Books)? {
        Reply::Books(books) => Ok(books),
        _ => bail!("the emulator has no counts"),
    }
}
