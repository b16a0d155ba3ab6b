//! Every file in `lab/scenarios` is a scenario, and all its parts are good for the link model.

use std::fs;
use std::path::{Path, PathBuf};

use tq_linkmodel::{Direction, Link, Outcome, Packet};
use tq_time::Instant;

use crate::load;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
}

fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios"), &mut found);
    found.sort();
    found
}

#[test]
fn every_file_parses_and_is_named_as_its_scenario() {
    let mut wrong = Vec::new();
    for path in all() {
        match load(&path) {
            Ok(scenario) => {
                assert_eq!(Some(scenario.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()))
            }
            Err(errors) => wrong.push(errors.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all().len() >= 150);
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    for path in all() {
        let text = fs::read_to_string(&path).expect("it can be read");
        assert!(text.starts_with("# "), "{} has no header", path.display());
    }
}

#[test]
fn every_link_of_every_file_carries_a_packet() {
    for path in all() {
        let scenario = load(&path).expect("it parses");
        let mut shared = tq_linkmodel::Bottlenecks::new();
        for (id, config) in scenario.bottleneck_configs() {
            shared.add(id, &config);
        }
        for i in 0..scenario.links.len() {
            let mut config = scenario.link_config(i, scenario.seed);
            for way in [&mut config.up, &mut config.down] {
                (way.loss_ppm, way.burst) = (0, None);
            }
            let mut link = Link::new(&config, scenario.link_seed(i, scenario.seed));
            let packet = Packet { len: 1200, ..Packet::default() };
            for direction in Direction::BOTH {
                let outcome = link.offer_via(&mut shared, Instant::ZERO, direction, packet);
                // A handover may lose it.
                let carried =
                    matches!(outcome, Outcome::Delivered(_) | Outcome::Dropped(tq_linkmodel::Drop::Loss));
                assert!(carried, "{} link {i}: {outcome:?}", path.display());
            }
        }
        assert!(scenario.changes().iter().all(|timed| timed.link < scenario.links.len()));
    }
}
