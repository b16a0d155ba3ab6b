use super::*;

#[test]
fn so_many_are_drawn_as_were_asked_for_and_again_the_same() {
    for count in [1, 7, 10, 200] {
        let drawn = cases(count, 3).expect("cases");
        assert_eq!(drawn.len(), count);
        assert_eq!(drawn, cases(count, 3).expect("cases"));
        let mut ids: Vec<&str> = drawn.iter().map(|case| case.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "each has a name of its own");
    }
    let kinds = cases(200, 3).expect("cases");
    let starting = |with: &str| kinds.iter().filter(|case| case.id.starts_with(with)).count();
    assert_eq!([starting("today-2/"), starting("today-3/"), starting("fill-")], [100, 40, 60]);
}

fn line(ratio: f64) -> Line {
    Line {
        id: "x".into(),
        links: String::new(),
        alone_mbps: vec![1.0, 2.0],
        together_mbps: 2.0 * ratio,
        ratio: Some(ratio),
        ratios: vec![ratio],
        efficiency: None,
        twice: 0.0,
        wrong: Vec::new(),
    }
}

#[test]
fn one_in_twenty_may_be_below_the_bar_and_none_below_the_floor() {
    let mut lines: Vec<Line> = (0..19).map(|_| line(0.99)).collect();
    lines.push(line(0.91));
    assert!(verdict(&lines).holds);
    lines[3] = line(0.97);
    assert!(!verdict(&lines).holds);
    lines[3] = line(1.2);
    lines[19] = line(0.89);
    assert_eq!((verdict(&lines).below_floor, verdict(&lines).holds), (1, false));
    assert!(!verdict(&[]).holds);
}

#[test]
fn a_run_that_says_nothing_or_a_wrong_byte_breaks_the_verdict() {
    assert!(!verdict(&[Line { ratio: None, ..line(1.0) }]).holds);
    assert!(!verdict(&[Line { wrong: vec!["lost".into()], ..line(1.0) }]).holds);
}

#[test]
fn the_worst_comes_first_and_all_are_told() {
    let page = markdown(&[line(1.5), Line { id: "worst".into(), ..line(0.5) }]);
    let rows: Vec<&str> =
        page.lines().filter(|row| row.starts_with("| x") || row.starts_with("| worst")).collect();
    assert!(rows.len() == 2 && rows[0].starts_with("| worst"), "{page}");
}
