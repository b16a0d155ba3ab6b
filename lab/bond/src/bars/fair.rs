//! One program's bad manners and the others' rate.
//!
//! Decides that the rate beside a client that does not read is compared with the mean of the rate before and after it.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;

use super::{Bench, Found};
use crate::lab::WEB;
use crate::place::Place;
use crate::stop;
use crate::transfer::Download;

const BAR: f64 = 0.98;
const LOOSE: f64 = 0.5;
/// What counts as a transfer's beginning, and how long it is measured then.
const MEASURE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(8));
/// By then whatever has room for a client that does not read is full.
const FILL: Duration = Duration::from_secs(5);

impl Bench {
    /// Mbit/s of a download that is stopped after a while.
    fn rate(&mut self) -> Result<f64> {
        let name = self.file.name.clone();
        let lab = self.lab()?;
        let mut curl = lab.curl();
        curl.arg(lab.url_at(false, &name));
        let download = Download::start(curl)?;
        let from = download.begun() + MEASURE.0;
        let to = from + MEASURE.1;
        stop::until(to)?;
        let flow = download.finish()?;
        let end = flow.marks.last().unwrap_or(to).min(to);
        Ok(flow.marks.mbps(from, end))
    }
}

pub(super) fn slow_reader(bench: &mut Bench) -> Result<Found> {
    let mut found = Found::default();
    let name = bench.file.name.clone();
    let needed = bench.alone.iter().sum::<f64>() * (MEASURE.0 + MEASURE.1).as_secs_f64() / 8.0;
    if (bench.file.size as f64) < needed * 1e6 {
        found.notes.push(format!("the file is short for this: {needed:.0} MB are better"));
    }
    let before = bench.rate()?;
    let lab = bench.lab()?;
    let mut idle = lab.connect((lab.far(false), WEB).into())?;
    write!(idle, "GET /{name} HTTP/1.1\r\nHost: lab\r\n\r\n")?;
    stop::pause(FILL)?;
    let beside = bench.rate()?;
    drop(idle);
    let after = bench.rate()?;
    found.figure("before_mbps", before);
    found.figure("beside_mbps", beside);
    found.figure("after_mbps", after);
    let bar = if bench.options.quick { LOOSE } else { BAR };
    found.least("ratio", beside / ((before + after) / 2.0), bar);
    Ok(found)
}
