//! The page of the language says everything that the parser knows.

use crate::{Cc, EVENTS, Figure, Kind, Metric, SCHEDULERS, TABLES, parse};

const PAGE: &str = include_str!("../../../../docs/scenarios.md");

/// The text under a heading.
fn section(heading: &str) -> &'static str {
    let start = PAGE.find(&format!("\n### {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    let rest = &PAGE[start + 4..];
    &rest[..rest.find("\n##").unwrap_or(rest.len())]
}

#[test]
fn every_field_of_every_table_is_on_the_page() {
    let mut missing = Vec::new();
    for (table, fields) in TABLES {
        // What both ways and both ends have is told once.
        let mut text = section(table).to_owned();
        match *table {
            "link" => text += section("link.up, link.down"),
            "host.client, host.server" => text += section("host"),
            _ => {}
        }
        missing.extend(
            fields.iter().filter(|field| !text.contains(&format!("`{field}`"))).map(|field| (*table, *field)),
        );
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_name_that_a_field_may_have_is_on_the_page() {
    let presets = tq_linkmodel::Preset::ALL.iter().map(|preset| preset.name());
    let names = presets
        .chain(EVENTS.iter().copied())
        .chain(Kind::NAMES)
        .chain(Metric::ALL.iter().map(|metric| metric.name()))
        .chain(Figure::ALL.iter().map(|figure| figure.name()))
        .chain(Cc::ALL.iter().map(|cc| cc.name()))
        .chain(SCHEDULERS);
    let missing: Vec<_> = names.filter(|name| !PAGE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_example_on_the_page_is_a_scenario() {
    let example =
        PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    if let Err(errors) = parse("docs/scenarios.md", example) {
        panic!("{errors}");
    }
}
