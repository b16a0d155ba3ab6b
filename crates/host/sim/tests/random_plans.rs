//! Random operations over random networks: 256 plans by chance, the plans that once failed, and sabotage that has to be
//! found and made small.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tq_sim::random::{Failure, Kind, Plan, Shrunk, Tamper, run, run_with, shrink};

const CASES: u64 = 256;
const RUNS: u32 = 1500;

/// Plans of a file, one a line.
fn plans(text: &str) -> Vec<Plan> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.parse().expect("a plan")).collect()
}

/// The words of a failure: how, the plan made small, and what to do with it.
fn words(plan: &Plan, failure: Failure) -> String {
    let small = shrink(plan, failure, RUNS, |plan| run(plan).err());
    format!(
        "{}\nseed {}; add this line to crates/host/sim/tests/random/regressions.txt:\n{}",
        small.failure, plan.seed, small.plan
    )
}

#[test]
fn whatever_happens_every_byte_arrives_once_and_in_order_or_both_ends_are_told() {
    // what is known and not mended yet; docs/random.md
    let open: Vec<u64> = plans(include_str!("random/open.txt")).iter().map(|plan| plan.seed).collect();
    let (next, failures, complete) = (AtomicU64::new(1), Mutex::new(Vec::new()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > CASES {
                        return;
                    }
                    let plan = Plan::random(seed);
                    if open.contains(&seed) {
                        continue;
                    }
                    match run(&plan) {
                        Ok(outcome) => _ = complete.fetch_add(u64::from(outcome.complete), Ordering::Relaxed),
                        Err(failure) => failures.lock().expect("a list").push((plan, failure)),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("a list");
    if let Some((plan, failure)) = failures.into_iter().min_by_key(|(plan, _)| plan.seed) {
        panic!("{}", words(&plan, failure));
    }
    let complete = complete.into_inner();
    assert!(complete > CASES / 2, "only {complete} cases came to their end: too rough to prove much");
}

#[test]
fn plans_that_failed_once_do_not_fail_again() {
    for plan in plans(include_str!("random/regressions.txt")) {
        if let Err(failure) = run(&plan) {
            panic!("{failure}\n{plan}");
        }
    }
}

#[test]
fn a_plan_runs_the_same_every_time() {
    for seed in [3, 14, 15, 92] {
        let plan = Plan::random(seed);
        assert_eq!(run(&plan), run(&plan), "seed {seed}");
    }
}

/// Runs plans with sabotage until one fails, and makes it small.
fn caught(tamper: impl Fn() -> Tamper) -> Shrunk {
    let fails = |plan: &Plan| run_with(plan, tamper()).err();
    let (plan, failure) = (1..200)
        .find_map(|seed| {
            let plan = Plan::random(seed);
            fails(&plan).map(|failure| (plan, failure))
        })
        .expect("sabotage that is found");
    shrink(&plan, failure, RUNS, fails)
}

#[test]
fn a_byte_altered_on_its_way_to_the_program_is_found_and_made_small() {
    let alters = |_: u64, offset: u64, bytes: Bytes| {
        let mut bytes = bytes.to_vec();
        if let Some(byte) = 5000u64.checked_sub(offset).and_then(|at| bytes.get_mut(at as usize)) {
            *byte ^= 1;
        }
        Bytes::from(bytes)
    };
    let small = caught(|| Tamper { read: Some(Box::new(alters)), ..Tamper::default() });
    assert_eq!(small.failure.kind, Kind::Content);
    assert!(small.failure.what.contains("offset 5000: altered"), "{}", small.failure);
    assert!(small.plan.operations() <= 5 && small.plan.items.len() <= 5, "{}", small.plan);
}

#[test]
fn a_byte_lost_on_its_way_to_the_program_is_found_and_made_small() {
    let loses = |_: u64, offset: u64, bytes: Bytes| if offset == 0 { bytes.slice(1..) } else { bytes };
    let small = caught(|| Tamper { read: Some(Box::new(loses)), ..Tamper::default() });
    assert_eq!(small.failure.kind, Kind::Content);
    assert!(small.plan.operations() <= 5 && small.plan.items.len() <= 5, "{}", small.plan);
}

#[test]
fn a_wire_that_eats_short_datagrams_is_found_and_made_small() {
    // acknowledgements of a certain length vanish on arrival, where the network does not see it
    let eats = |_, _, bytes: &mut [u8]| !(bytes.len() > 20 && bytes.len() < 40);
    let small = caught(|| Tamper { wire: Some(Box::new(eats)), ..Tamper::default() });
    assert!(small.plan.operations() <= 5, "{}\n{}", small.failure, small.plan);
}
