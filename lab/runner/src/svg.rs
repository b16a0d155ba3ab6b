//! Small plots as SVG text: lines, points and bars, with axes that say their unit.
//!
//! Values that are not finite are left out and break a line; an empty plot shows its axes. Colours are those of
//! Okabe and Ito (2008), which the colour-blind can tell apart. The background is white and text is at least 11 px,
//! so that a plot can be read in a README, light or dark. Decides nothing about what is plotted.

use std::fmt::Write as _;

mod axis;
mod bars;
#[cfg(test)]
mod tests;

use axis::Axis;
pub use bars::{BarGroup, BarPlot};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const PLOT: f64 = 300.0;
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const FONT: &str = "font-family=\"Helvetica,Arial,sans-serif\"";

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Points joined by lines.
    Line,
    /// The value holds until the next point.
    Steps,
    /// Points alone.
    Points,
    /// A dashed line, for limits.
    Dashed,
}

/// Points of one colour.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// For the legend; none if empty.
    pub name: String,
    /// How it is drawn.
    pub mark: Mark,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// Of these points.
    pub fn new(name: &str, mark: Mark, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), mark, points }
    }

    /// The share of `values` that is not above x, as steps from 0 to 1.
    pub fn cdf(name: &str, values: &[f64]) -> Self {
        let sorted = crate::stats::sorted(values);
        let total = sorted.len() as f64;
        let mut points: Vec<(f64, f64)> = sorted.first().map(|least| (*least, 0.0)).into_iter().collect();
        points.extend(sorted.iter().enumerate().map(|(at, value)| (*value, (at + 1) as f64 / total)));
        Self::new(name, Mark::Steps, points)
    }
}

/// A plot of series over two axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// Above it.
    pub title: String,
    /// What x is, with its unit.
    pub x: String,
    /// What y is, with its unit.
    pub y: String,
    /// The part of x to show; all of it if `None`. Widened to whole ticks; what lies outside is cut off.
    pub x_range: Option<(f64, f64)>,
    /// Whether y begins at zero even if no value is there.
    pub y_from_zero: bool,
    /// What is drawn, later ones above earlier ones.
    pub series: Vec<Series>,
}

impl Plot {
    /// The SVG document.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points).filter(is_finite);
        let across = (LEFT, WIDTH - RIGHT);
        let x = match self.x_range {
            Some((low, high)) if low.is_finite() && high.is_finite() => {
                Axis::over([low, high].into_iter(), false, across)
            }
            _ => Axis::over(points().map(|point| point.0), false, across),
        };
        let y = Axis::over(points().map(|point| point.1), self.y_from_zero, (TOP + PLOT, TOP));
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let (legend, rows) = legend(&names, TOP + PLOT + 62.0);
        let mut out = open(&self.title, TOP + PLOT + 56.0 + 18.0 * rows as f64);
        x.draw_below(&mut out, &self.x, true);
        y.draw_left(&mut out, &self.y);
        // A nested document cuts off what lies outside the frame, with room for half a line's width.
        let (wide, high) = (WIDTH - RIGHT - LEFT + 6.0, PLOT + 6.0);
        let (left, top) = (LEFT - 3.0, TOP - 3.0);
        let _ = writeln!(
            out,
            "<svg x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{high}\" viewBox=\"{left} {top} {wide} {high}\" \
             overflow=\"hidden\">"
        );
        for (at, series) in self.series.iter().enumerate() {
            draw(&mut out, series, COLOURS[at % COLOURS.len()], &x, &y);
        }
        out.push_str("</svg>\n");
        out + &legend + "</svg>\n"
    }
}

fn is_finite(point: &&(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

fn draw(out: &mut String, series: &Series, colour: &str, x: &Axis, y: &Axis) {
    if series.mark == Mark::Points {
        for (px, py) in series.points.iter().filter(is_finite) {
            let (px, py) = (x.place(*px), y.place(*py));
            let _ = writeln!(
                out,
                "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"2.5\" fill=\"{colour}\" fill-opacity=\"0.6\"/>"
            );
        }
        return;
    }
    let dash = if series.mark == Mark::Dashed { " stroke-dasharray=\"6 4\"" } else { "" };
    for run in series.points.split(|point| !is_finite(&point)).filter(|run| !run.is_empty()) {
        let mut path = String::new();
        for (at, (px, py)) in run.iter().enumerate() {
            let (px, py) = (x.place(*px), y.place(*py));
            let _ = match (at, series.mark) {
                (0, _) => write!(path, "M{px:.1} {py:.1}"),
                (_, Mark::Steps) => write!(path, "H{px:.1}V{py:.1}"),
                _ => write!(path, "L{px:.1} {py:.1}"),
            };
        }
        if run.len() == 1 {
            path.push_str("h0.1");
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\" \
             stroke-linecap=\"round\"{dash}/>"
        );
    }
}

/// The head of a document of this height, with its title.
fn open(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" {FONT}>\n<title>{0}</title>\n<rect width=\"{WIDTH}\" height=\"{height}\" \
         fill=\"#ffffff\"/>\n<text x=\"{LEFT}\" y=\"26\" font-size=\"15\" font-weight=\"bold\" \
         fill=\"#222222\">{0}</text>\n",
        escaped(title)
    )
}

/// Text at a place: `anchor` is start, middle or end.
fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, content: &str) {
    let content = escaped(content);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"12\" text-anchor=\"{anchor}\" fill=\"#333333\">{content}</text>"
    );
}

/// Names with their colours, in as many rows as they need; names that are empty are left out.
fn legend(names: &[&str], top: f64) -> (String, usize) {
    let mut out = String::new();
    let (mut left, mut row) = (LEFT, 0);
    for (at, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let wide = 34.0 + 7.0 * name.chars().count() as f64;
        if left > LEFT && left + wide > WIDTH - RIGHT {
            (left, row) = (LEFT, row + 1);
        }
        let y = top + 18.0 * f64::from(row);
        let colour = COLOURS[at % COLOURS.len()];
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
            y - 6.0
        );
        text(&mut out, (left + 20.0, y), "start", name);
        left += wide;
    }
    let rows = if out.is_empty() { 0 } else { row as usize + 1 };
    (out, rows)
}

/// Text as XML wants it; characters that XML does not know become `?`.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('?'),
            _ => out.push(character),
        }
    }
    out
}
