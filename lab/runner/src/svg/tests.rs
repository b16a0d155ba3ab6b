use super::*;

/// Tags that are opened are closed in order, quotes are paired, no bare `<` or `&`, every number is finite.
fn assert_sound(svg: &str) {
    let mut open = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "stray > before {}", &rest[..start]);
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{svg}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    for entity in svg.split('&').skip(1) {
        assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)), "{entity}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

fn plot(mark: Mark, points: Vec<(f64, f64)>) -> String {
    let series = vec![Series::new("a < b & \"c\"", mark, points)];
    Plot {
        title: "<Title> & 'more'".to_owned(),
        x: "time (s)".to_owned(),
        y: "x & y".to_owned(),
        x_range: None,
        y_from_zero: true,
        series,
    }
    .svg()
}

#[test]
fn plots_are_sound_whatever_the_values() {
    let values = [
        vec![],
        vec![(1.0, 1.0)],
        vec![(0.0, 0.0)],
        vec![(f64::NAN, 1.0), (1.0, f64::INFINITY)],
        vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)],
        vec![(0.0, f64::MAX), (f64::MIN, f64::MIN)],
        vec![(1e-300, 2e-300), (3e-300, 1e-308)],
        vec![(5.0, -3.0), (5.0, -3.0)],
        vec![(1e15, 1.0), (1e15 + 1.0, 2.0)],
    ];
    for points in values {
        for mark in [Mark::Line, Mark::Steps, Mark::Points, Mark::Dashed] {
            assert_sound(&plot(mark, points.clone()));
        }
    }
    assert_sound(&Plot::default().svg());
}

#[test]
fn a_gap_in_the_values_is_a_gap_in_the_line() {
    let with = plot(Mark::Line, vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 1.0)]);
    let without = plot(Mark::Line, vec![(0.0, 1.0), (2.0, 3.0), (3.0, 1.0)]);
    assert_eq!(with.matches("stroke-linejoin").count(), 2);
    assert_eq!(without.matches("stroke-linejoin").count(), 1);
}

#[test]
fn bars_are_sound_whatever_the_values() {
    for value in [None, Some(f64::NAN), Some(0.0), Some(-2.0), Some(1e300), Some(3.5)] {
        let group = BarGroup { name: "a&b".to_owned(), values: vec![value, Some(1.0)], limit: value };
        let plot = BarPlot {
            title: "t".to_owned(),
            y: "s".to_owned(),
            series: vec!["ours".to_owned(), "theirs".to_owned()],
            limit: "limit".to_owned(),
            groups: vec![group; 3],
        };
        assert_sound(&plot.svg());
    }
    assert_sound(&BarPlot::default().svg());
}

#[test]
fn a_distribution_rises_from_nothing_to_all() {
    let series = Series::cdf("x", &[3.0, f64::NAN, 1.0]);
    assert_eq!(series.points, [(1.0, 0.0), (1.0, 0.5), (3.0, 1.0)]);
    assert!(Series::cdf("x", &[]).points.is_empty());
}

#[test]
fn ticks_are_round_numbers_around_the_values() {
    let svg = plot(Mark::Line, vec![(0.0, 0.0), (30.0, 97.0)]);
    for label in [">0<", ">20<", ">100<", ">30<"] {
        assert!(svg.contains(label), "{label} is missing");
    }
}

#[test]
fn a_range_shows_a_part_and_nonsense_shows_all() {
    let series = vec![Series::new("", Mark::Line, vec![(0.0, 1.0), (1000.0, 2.0)])];
    let labels = |x_range| Plot { x_range, series: series.clone(), ..Plot::default() }.svg();
    let part = labels(Some((-1.0, 2.0)));
    assert_sound(&part);
    assert!(part.contains(">2.0<") && !part.contains(">1000<"));
    assert!(labels(Some((f64::NAN, 2.0))).contains(">1000<"));
    assert_sound(&labels(Some((2.0, 2.0))));
}
