//! Groups of bars, each group with the limit it should stay below.
//!
//! Bars begin at zero. A value that is missing leaves its place empty and says so.

use std::fmt::Write as _;

use super::axis::Axis;
use super::{COLOURS, LEFT, PLOT, RIGHT, TOP, WIDTH, escaped, legend, open, text};

/// Bars side by side under one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarGroup {
    /// Below it.
    pub name: String,
    /// One for each of [`BarPlot::series`]; what is missing is `None` or not finite.
    pub values: Vec<Option<f64>>,
    /// A dashed line over the whole group.
    pub limit: Option<f64>,
}

/// A plot of bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarPlot {
    /// Above it.
    pub title: String,
    /// What y is, with its unit.
    pub y: String,
    /// Who the bars are of, for the legend; one colour each.
    pub series: Vec<String>,
    /// What the limit is called; not in the legend if empty.
    pub limit: String,
    /// From left to right.
    pub groups: Vec<BarGroup>,
}

impl BarPlot {
    /// The SVG document.
    pub fn svg(&self) -> String {
        let values = self.groups.iter().flat_map(|group| group.values.iter().chain([&group.limit]));
        let finite = values.filter_map(|value| value.filter(|value| value.is_finite()));
        let y = Axis::over(finite, true, (TOP + PLOT, TOP));
        let wide = (WIDTH - RIGHT - LEFT) / self.groups.len().max(1) as f64;
        // Names that do not fit side by side are turned.
        let longest = self.groups.iter().map(|group| group.name.chars().count()).max().unwrap_or(0) as f64;
        let turned = longest * 7.0 > wide;
        let names = if turned { longest * 5.0 } else { 0.0 };
        let mut legends: Vec<&str> = self.series.iter().map(String::as_str).collect();
        legends.truncate(COLOURS.len() - 1);
        legends.resize(COLOURS.len() - 1, "");
        legends.push(&self.limit);
        let (legend, rows) = legend(&legends, TOP + PLOT + 44.0 + names);
        let mut out = open(&self.title, TOP + PLOT + 40.0 + names + 18.0 * rows as f64);
        y.draw_left(&mut out, &self.y);
        for (at, group) in self.groups.iter().enumerate() {
            let left = LEFT + wide * at as f64;
            self.group(&mut out, group, (left, wide), &y);
            let (x, below) = (left + wide / 2.0, TOP + PLOT + 18.0);
            if turned {
                let _ = writeln!(
                    out,
                    "<text transform=\"translate({x:.1} {below}) rotate(-40)\" font-size=\"12\" text-anchor=\"end\" \
                     fill=\"#333333\">{}</text>",
                    escaped(&group.name)
                );
            } else {
                text(&mut out, (x, below), "middle", &group.name);
            }
        }
        out + &legend + "</svg>\n"
    }

    fn group(&self, out: &mut String, group: &BarGroup, (left, wide): (f64, f64), y: &Axis) {
        let thick = wide * 0.8 / self.series.len().max(group.values.len()).max(1) as f64;
        let zero = y.place(0.0);
        for (at, value) in group.values.iter().enumerate() {
            let x = left + wide * 0.1 + thick * at as f64;
            let Some(value) = value.filter(|value| value.is_finite()) else {
                text(out, (x + thick / 2.0, zero - 4.0), "middle", "–");
                continue;
            };
            let end = y.place(value);
            let (top, high, colour) = (zero.min(end), (zero - end).abs(), COLOURS[at % (COLOURS.len() - 1)]);
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{high:.1}\" fill=\"{colour}\"/>",
                thick * 0.92
            );
        }
        if let Some(limit) = group.limit.filter(|limit| limit.is_finite()) {
            let (from, to, at) = (left + wide * 0.04, left + wide * 0.96, y.place(limit));
            let _ = writeln!(
                out,
                "<path d=\"M{from:.1} {at:.1}H{to:.1}\" stroke=\"#000000\" stroke-width=\"2\" stroke-dasharray=\"5 3\"/>"
            );
        }
    }
}
