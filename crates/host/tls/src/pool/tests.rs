use std::collections::HashSet;

use super::*;

#[test]
fn no_byte_is_given_out_twice() {
    let pool = RandomPool::new();
    let mut seen = HashSet::new();
    for round in 0..2000_usize {
        let mut out = vec![0; 8 + round % 80];
        pool.fill(&mut out);
        // eight random bytes come up again about once in 10^13 such runs
        assert!(out.chunks_exact(8).all(|chunk| seen.insert(chunk.to_vec())), "round {round}");
    }
}

#[test]
fn what_was_given_out_is_not_kept() {
    let pool = RandomPool::new();
    let mut out = [0; 16];
    pool.fill(&mut out);
    let drawn = pool.0.lock().unwrap();
    assert_eq!(drawn.left, DRAW - 16);
    assert!(drawn.bytes[drawn.left..].iter().all(|byte| *byte == 0));
    assert!(drawn.bytes[..drawn.left].iter().any(|byte| *byte != 0));
}

#[test]
fn asking_for_nothing_draws_nothing() {
    let pool = RandomPool::new();
    pool.fill(&mut []);
    assert_eq!(pool.0.lock().unwrap().left, 0);
}
