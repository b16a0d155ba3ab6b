//! Both ways a chart looks.

use std::time::Duration;

use super::{bars, line};
use crate::place::usual_links;

#[test]
fn a_line_names_every_link_and_what_is_cut() {
    let text =
        line(&usual_links(None), Duration::from_secs(7), &[93.5, 0.0, 18.0], &[false, true, false], 108.0);
    assert_eq!(text, "    7 s  fibre 93.5  lte 0.0 (cut)  hspa 18.0  = 108.0 Mbit/s to the program\n");
}

#[test]
fn bars_are_as_long_as_links_are_full() {
    let text = bars(&usual_links(None), Duration::from_secs(7), &[50.0, 400.0, 0.0], &[false; 3], 160.0);
    let full: Vec<_> = text.lines().map(|line| line.matches('█').count()).collect();
    assert_eq!(full, [20, 40, 0, 40]);
}
