//! Plans as text, plans by chance, and the shrinker on plans that are not run.

use super::*;

#[test]
fn a_plan_reads_back_as_it_was_written() {
    for seed in 0..200 {
        let plan = Plan::random(seed);
        let text = plan.to_string();
        assert_eq!(text.parse(), Ok(plan), "{text}");
    }
}

#[test]
fn words_that_mean_nothing_are_named() {
    for word in [
        "c.open=0,1",
        "c@1:window=5,5",
        "up@1:open=0,1",
        "net@5:nat=1",
        "c@1:write=0",
        "x.cc=1",
        "c@x:ping",
        "c1@1:ping",
        "s@1:path=0",
        "net1.retry=1",
        "up8.delay=1",
        "up0.delay=1",
        "seed=",
    ] {
        let text = format!("seed=3 c@1:ping {word}");
        assert_eq!(text.parse::<Plan>(), Err(BadPlan(word.to_string())));
    }
}

#[test]
fn all_verbs_come_up_by_chance() {
    let mut seen: Vec<Verb> =
        (0..300).flat_map(|seed| Plan::random(seed).items).map(|item| item.verb).collect();
    seen.sort_unstable();
    seen.dedup();
    let missing: Vec<&Verb> = Verb::ALL.iter().filter(|verb| !seen.contains(verb)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_plan_shrinks_to_what_makes_it_fail() {
    let failure = |what: &str| Failure { kind: Kind::Stuck, what: what.to_string() };
    let fails = |plan: &Plan| {
        let write = plan.items.iter().any(|item| item.verb == Verb::Write && item.size(1) > 99);
        (write && plan.operations() > 1).then(|| failure("so"))
    };
    let plan = (1..50).map(Plan::random).find(|plan| fails(plan).is_some()).expect("a plan that writes");
    let first = fails(&plan).expect("so it was found");
    let small = shrink(&plan, first, 5000, fails);
    assert_eq!(small.plan.items.len(), 2, "{}", small.plan);
    let write = small.plan.items.iter().find(|item| item.verb == Verb::Write).expect("a write");
    assert!((100..120).contains(&write.size(1)), "{}", small.plan);
    let again = shrink(&plan, failure("so"), 5000, fails);
    assert_eq!(again.plan, small.plan);
}
