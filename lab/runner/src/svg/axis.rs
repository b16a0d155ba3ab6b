//! Where values lie on a line of pixels, and which of them get a label.
//!
//! Ticks are 1, 2 or 5 times a power of ten apart. Whatever the values, places are finite.

use std::fmt::Write as _;

use super::{LEFT, PLOT, RIGHT, TOP, WIDTH, escaped, text};

/// A linear scale.
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
    from: f64,
    to: f64,
}

/// Beyond this, differences of doubles overflow; nothing we plot is there.
const MOST: f64 = 1e200;

impl Axis {
    /// Over all values, from pixel to pixel, widened to whole ticks.
    pub(super) fn over(values: impl Iterator<Item = f64>, from_zero: bool, pixels: (f64, f64)) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.map(|value| value.clamp(-MOST, MOST)).chain(from_zero.then_some(0.0)) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low <= f64::EPSILON * high.abs().max(low.abs()).max(1e-9) {
            let around = if high == 0.0 { 1.0 } else { high.abs() * 0.5 };
            (low, high) =
                if from_zero { (low.min(0.0), high + around) } else { (low - around, high + around) };
        }
        let rough = (high - low) / 6.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        Self { low, high, step, from: pixels.0, to: pixels.1 }
    }

    /// The pixel of a finite value.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value.clamp(-MOST, MOST) - self.low) / (self.high - self.low);
        self.from + share.clamp(-0.05, 1.05) * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let count = ((self.high - self.low) / self.step).round().clamp(0.0, 20.0) as u32;
        (0..=count).map(|at| {
            let value = self.low + f64::from(at) * self.step;
            (self.place(value), self.label(if value.abs() < self.step * 1e-6 { 0.0 } else { value }))
        })
    }

    fn label(&self, value: f64) -> String {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 6.0) as usize;
        if value.abs() >= 1e7 || (self.step < 1e-6 && value != 0.0) {
            format!("{value:.1e}")
        } else {
            format!("{value:.decimals$}")
        }
    }

    /// Labels below the plot, its title under them, and lines across it.
    pub(super) fn draw_below(&self, out: &mut String, title: &str, grid: bool) {
        let bottom = TOP + PLOT;
        for (x, label) in self.ticks() {
            if grid {
                let _ = writeln!(out, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#e6e6e6\"/>");
            }
            text(out, (x, bottom + 18.0), "middle", &label);
        }
        text(out, ((LEFT + WIDTH - RIGHT) / 2.0, bottom + 38.0), "middle", title);
    }

    /// Labels left of the plot, its title beside them, lines across it and the frame.
    pub(super) fn draw_left(&self, out: &mut String, title: &str) {
        let (right, bottom, middle) = (WIDTH - RIGHT, TOP + PLOT, TOP + PLOT / 2.0);
        for (y, label) in self.ticks() {
            let _ = writeln!(out, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#e6e6e6\"/>");
            text(out, (LEFT - 8.0, y + 4.0), "end", &label);
        }
        let _ =
            writeln!(out, "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#888888\"/>");
        let _ = writeln!(
            out,
            "<text transform=\"translate(18 {middle}) rotate(-90)\" font-size=\"12\" text-anchor=\"middle\" \
             fill=\"#333333\">{}</text>",
            escaped(title)
        );
    }
}
