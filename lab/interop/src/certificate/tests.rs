use super::*;

#[test]
fn a_chain_of_nine_takes_several_round_trips_of_a_careful_server() {
    let key = KeyPair::generate().unwrap();
    let (chain, ca) = long(&key, vec!["localhost".into()], 9).unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 9);
    assert_eq!(ca.matches("BEGIN CERTIFICATE").count(), 1);
    // PEM takes four letters for three bytes.
    let bytes: usize =
        chain.lines().filter(|line| !line.starts_with("--")).map(|line| line.len() * 3 / 4).sum();
    assert!((7_500..12_000).contains(&bytes), "{bytes}");
}
