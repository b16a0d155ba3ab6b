//! What each link carries, live: bars on a terminal, a line each second elsewhere.
//!
//! Decides only how it looks.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tq_linkmodel::Instant;
use tq_udp::Clock;

use crate::place::{Carried, LinkFacts};
use crate::story::Way;
use crate::transfer::mbps;

const WIDTH: usize = 40;

/// A chart of some links.
pub struct Chart {
    links: Vec<LinkFacts>,
    way: Way,
    style: Style,
    /// What the drawing before showed.
    before: Option<(Instant, Vec<Carried>, u64)>,
    /// Lines of it that are to be drawn over.
    drawn: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Silent,
}

impl Chart {
    /// On stdout.
    pub fn new(links: &[LinkFacts], way: Way) -> Self {
        let style = if std::io::stdout().is_terminal() { Style::Bars } else { Style::Lines };
        Self { links: links.to_vec(), way, style, before: None, drawn: 0 }
    }

    /// One that shows nothing.
    pub fn silent() -> Self {
        Self { links: Vec::new(), way: Way::Down, style: Style::Silent, before: None, drawn: 0 }
    }

    /// Something happens.
    pub fn note(&mut self, what: &str) {
        if self.style != Style::Silent {
            print(&format!("  >> {what}\n"));
            // It stands where it is; the next drawing begins below.
            self.drawn = 0;
        }
    }

    /// Draws if it is time to: `carried` and `bytes` so far, `time` after the begin; links that are `down`.
    pub fn show(&mut self, time: Duration, carried: &[Carried], down: &[bool], bytes: u64) {
        let every = Duration::from_millis(if self.style == Style::Bars { 250 } else { 1000 });
        let now = Clock::now();
        let due = self.before.as_ref().is_none_or(|(at, ..)| now - *at >= every);
        if self.style == Style::Silent || !due {
            return;
        }
        if let Some((at, before, had)) = self.before.replace((now, carried.to_vec(), bytes)) {
            let of = |carried: &Carried| if self.way == Way::Up { carried.up } else { carried.down };
            let pairs = before.iter().zip(carried);
            let rates: Vec<f64> =
                pairs.map(|(then, is)| mbps(of(is).saturating_sub(of(then)), now - at)).collect();
            self.draw(time, &rates, down, mbps(bytes.saturating_sub(had), now - at));
        }
    }

    fn draw(&mut self, time: Duration, rates: &[f64], down: &[bool], all: f64) {
        let text = match self.style {
            Style::Bars => {
                let back = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
                self.drawn = self.links.len() + 1;
                back + &bars(&self.links, time, rates, down, all)
            }
            _ => line(&self.links, time, rates, down, all),
        };
        print(&text);
    }
}

fn bars(links: &[LinkFacts], time: Duration, rates: &[f64], down: &[bool], all: f64) -> String {
    let mut text = String::new();
    let whole: f64 = links.iter().map(|link| link.rate_mbps).sum();
    let mut add = |name: &str, rate: f64, most: f64, word: &str| {
        let full = ((rate / most * WIDTH as f64).round() as usize).min(WIDTH);
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(WIDTH - full));
        text += &format!("\x1b[2K  {name:<6} {bar} {rate:>6.1} Mbit/s {word}\n");
    };
    for (i, link) in links.iter().enumerate() {
        add(link.name, rates[i], link.rate_mbps, if down[i] { "cut" } else { "" });
    }
    add("bond", all, whole, &format!("to the program, {:.0} s", time.as_secs_f64()));
    text
}

fn line(links: &[LinkFacts], time: Duration, rates: &[f64], down: &[bool], all: f64) -> String {
    let mut text = format!("  {:>3.0} s ", time.as_secs_f64());
    for (i, link) in links.iter().enumerate() {
        let word = if down[i] { " (cut)" } else { "" };
        text += &format!(" {} {:.1}{word} ", link.name, rates[i]);
    }
    text + &format!(" = {all:.1} Mbit/s to the program\n")
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may be looking.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests;
