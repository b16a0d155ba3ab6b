use super::*;

#[test]
fn busy_time_is_everything_but_idle_and_waiting() {
    let stat = |text: &str| parse(&format!("cpu  {text}\ncpu0 1 2 3\n")).expect("eight numbers");
    let (before, after) = (stat("10 0 10 100 0 0 0 0 0 0"), stat("20 0 15 180 5 0 0 0 0 0"));
    assert_eq!((before, after), ((20, 120), (35, 220)));
    assert!((busy(before, after) - 0.15).abs() < 1e-9);
    assert_eq!(busy(after, after), 0.0);
    assert_eq!(parse("intr 1\n"), None);
}

#[test]
fn a_quiet_run_with_even_rounds_is_valid() {
    let noise = Noise { others: vec![0.01; 20] };
    let verdict = noise.verdict(&[2.0, 2.1, 1.9, 2.0, 2.05, 1.95, 2.0]);
    assert_eq!(verdict, Verdict { valid: true, why: Vec::new() });
    assert!(Noise::default().verdict(&[]).valid, "nothing speaks against it");
}

#[test]
fn others_at_work_or_uneven_rounds_make_it_invalid() {
    let mut others = vec![0.01; 16];
    others.extend([0.5; 4]);
    let verdict = Noise { others }.verdict(&[2.0; 7]);
    assert!(!verdict.valid && verdict.why[0].contains("4 of 20"), "{verdict:?}");
    let verdict = Noise { others: vec![0.0; 20] }.verdict(&[1.0, 2.0, 3.0, 1.5, 2.5, 3.5, 2.0]);
    assert!(!verdict.valid && verdict.why[0].contains("ratios"), "{verdict:?}");
    let one = Noise { others: [vec![0.01; 19], vec![0.9]].concat() };
    assert!(one.verdict(&[2.0; 7]).valid, "one moment in twenty is excused");
}
