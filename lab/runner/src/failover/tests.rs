use super::*;

#[test]
fn all_cases_can_be_played_and_nothing_is_lost() {
    for case in Case::all("1bdp") {
        let found = case.run(1, None).expect("a run");
        assert!(found.sound, "{}", case.name());
    }
}

#[test]
fn blips_give_no_path_up() {
    for lasts in [50, 300, 1000].map(Duration::from_millis) {
        for seed in 1..=2 {
            let case = Case { cut: Cut::Blip(lasts), link: 0, queue: "300ms" };
            let found = case.run(seed, None).expect("a run");
            assert_eq!(found.abandons, 0, "{} seed {seed}", case.name());
        }
    }
}
