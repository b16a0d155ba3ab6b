use super::*;

fn sample(gbit_s: f64, sender: f64, receiver: f64) -> Sample {
    Sample { gbit_s, sender, receiver }
}

#[test]
fn the_ratio_is_taken_round_by_round() {
    // A machine that is slow in one round is slow for both.
    let ours = [sample(20.0, 0.3, 0.3), sample(10.0, 0.6, 0.6), sample(20.0, 0.3, 0.3)];
    let quinn = [sample(10.0, 0.6, 0.6), sample(5.0, 1.2, 1.2), sample(10.0, 0.6, 0.6)];
    let report = report(&ours, &quinn, 1);
    assert_eq!(report.ratio, sample(2.0, 0.5, 0.5));
    assert!(table(&report).contains("| ratio | 2.00 | 0.500 | 0.500 |"));
}

#[test]
fn a_report_is_found_behind_other_output() {
    let value = parse("listening\n{\"gbit_s\":1.5}\n").expect("JSON is there");
    assert_eq!(number(&value, "gbit_s").expect("a number"), 1.5);
    assert!(number(&value, "missing").is_err());
    assert!(parse("nothing").is_err());
}

#[test]
fn the_median_of_an_even_count_is_the_upper_middle() {
    assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 3.0);
    assert_eq!(median(Vec::new()), 0.0);
}
