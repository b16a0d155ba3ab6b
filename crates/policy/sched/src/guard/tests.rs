use std::vec::Vec;

use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::{Account, Guard, Loaded, Order, Period, Reason};

const MB: u64 = 1_000_000;
const WINDOW: Duration = Duration::from_secs(1);

/// A guard, windows of a second with a backlog throughout, and what it ordered.
struct Play {
    guard: Guard,
    now: Instant,
    held: Vec<u32>,
    orders: Vec<Order>,
}

impl Play {
    fn new() -> Self {
        Self { guard: Guard::default(), now: Instant::ZERO, held: Vec::new(), orders: Vec::new() }
    }

    fn window(&mut self, busy: u64, accounts: &[Account]) -> Vec<Order> {
        self.now += WINDOW;
        let accounts: Vec<Account> = accounts
            .iter()
            .map(|account| Account { serving: !self.held.contains(&account.id), ..*account })
            .collect();
        let mut new = Vec::new();
        let period = Period { length: 1_000_000_000, busy: busy * 10_000_000 };
        self.guard.on_window(self.now, &period, &accounts, &mut |order| new.push(order));
        for order in &new {
            match order {
                Order::Hold(id, _) => self.held.push(*id),
                Order::Admit(id) => self.held.retain(|held| held != id),
            }
        }
        self.orders.extend(&new);
        new
    }

    fn loaded(&mut self, id: u32, loaded: &Loaded) -> bool {
        let mut admitted = false;
        self.guard.on_loaded(self.now, id, loaded, 12 * MB, &mut |_| admitted = true);
        admitted
    }
}

/// A path that fills what it can carry.
fn full(id: u32, rate: u64) -> Account {
    Account { id, useful: rate, capacity: rate, ..Account::default() }
}

#[test]
fn paths_that_bring_their_capacities_are_left_alone_for_an_hour() {
    let mut play = Play::new();
    for _ in 0..3600 {
        play.window(100, &[full(0, 12 * MB), full(1, 5 * MB)]);
    }
    assert_eq!(play.orders, []);
    assert_eq!(play.guard.without(), None, "nothing is unclear");
}

#[test]
fn a_path_that_blocks_the_others_for_more_than_it_brings_is_held_after_two_windows() {
    let mut play = Play::new();
    let slow = Account { blocked: 4 * MB, ..full(1, MB) };
    let accounts = [Account { useful: 11_700_000, ..full(0, 12 * MB) }, slow];
    assert_eq!(play.window(100, &accounts), []);
    assert_eq!(play.window(100, &accounts), [Order::Hold(1, Reason::Harm)]);
}

#[test]
fn one_bad_window_or_windows_without_backlog_hold_nothing() {
    let mut play = Play::new();
    let bad = [full(0, 12 * MB), Account { blocked: 4 * MB, ..full(1, MB) }];
    let good = [full(0, 12 * MB), full(1, MB)];
    for _ in 0..50 {
        play.window(100, &bad);
        play.window(100, &good);
        play.window(80, &bad);
        play.window(80, &bad);
    }
    assert!(!play.orders.contains(&Order::Hold(1, Reason::Harm)));
}

#[test]
fn the_last_path_is_never_held() {
    let mut play = Play::new();
    let bad = |id| Account { blocked: 40 * MB, ..full(id, MB) };
    for _ in 0..10 {
        play.window(100, &[bad(0), bad(1)]);
    }
    assert_eq!(play.held.len(), 1);
}

#[test]
fn below_the_best_alone_all_others_are_suspended_and_taken_back_if_it_is_no_faster_alone() {
    let mut play = Play::new();
    let slow = |rate| [Account { useful: rate, ..full(0, 12 * MB) }, full(1, MB)];
    assert_eq!(play.window(100, &slow(9 * MB)), [], "what it can was not known when this began");
    assert_eq!(play.window(100, &slow(9 * MB)), []);
    assert_eq!(play.window(100, &slow(9 * MB)), [Order::Hold(1, Reason::Floor)]);
    let alone = [Account { useful: 10 * MB, ..full(0, 12 * MB) }, Account { id: 1, ..Account::default() }];
    assert_eq!(play.window(100, &alone), [], "data of before");
    assert_eq!(play.window(100, &alone), []);
    assert_eq!(play.window(100, &alone), [Order::Admit(1)]);
    for _ in 0..20 {
        assert_eq!(play.window(100, &slow(9 * MB)), [], "what it did alone is what it can");
    }
}

#[test]
fn a_best_path_that_fell_to_less_is_not_held_against_the_others() {
    let mut play = Play::new();
    // Each third window a loss takes three tenths of its rate, which its capacity shows a window later.
    for round in 0..60 {
        let before = if round % 3 == 0 { 8 * MB } else { 12 * MB };
        let rate = if round % 3 == 2 { 8 * MB } else { 12 * MB };
        play.window(100, &[Account { capacity: before.max(rate), ..full(0, rate) }, full(1, MB)]);
    }
    assert_eq!(play.orders, []);
}

#[test]
fn a_confirmed_breach_keeps_the_others_held_until_they_show_evidence() {
    let mut play = Play::new();
    let slow = [Account { useful: 9 * MB, ..full(0, 12 * MB) }, full(1, MB)];
    (0..3).for_each(|_| drop(play.window(100, &slow)));
    assert_eq!(play.guard.probe_at(1), None, "suspended, not judged");
    for _ in 0..3 {
        assert_eq!(play.window(100, &[full(0, 12 * MB)]), []);
    }
    assert!(play.guard.holds(1));
    assert!(play.guard.probe_at(1).is_some_and(|at| at <= play.now));
}

#[test]
fn a_held_path_comes_back_after_two_trains_that_pass_and_not_before_its_time() {
    let mut play = Play::new();
    let accounts = [full(0, 12 * MB), Account { blocked: 4 * MB, ..full(1, MB) }];
    play.window(100, &accounts);
    play.window(100, &accounts);
    let good = Loaded { packets: 40, lost: 0, offered: 2 * MB, delivered: 2 * MB, delay: 10_000_000 };
    assert!(!play.loaded(1, &good));
    assert!(!play.loaded(1, &good), "three seconds have not passed");
    play.now += Duration::from_secs(3);
    let lossy = Loaded { lost: 4, ..good };
    assert!(!play.loaded(1, &lossy));
    assert!(!play.loaded(1, &good), "two in a row");
    assert!(play.loaded(1, &good));
    assert!(!play.guard.holds(1));
}

#[test]
fn a_path_that_would_add_little_stays_held() {
    let mut play = Play::new();
    let accounts = [full(0, 12 * MB), Account { blocked: 4 * MB, ..full(1, MB) }];
    play.window(100, &accounts);
    play.window(100, &accounts);
    play.now += Duration::from_secs(60);
    let little = Loaded { packets: 40, offered: MB / 10, delivered: MB / 10, ..Loaded::default() };
    assert!((0..10).all(|_| !play.loaded(1, &little)));
}

#[test]
fn each_hold_is_twice_as_long_as_the_one_before_up_to_two_minutes() {
    let mut play = Play::new();
    let accounts = [full(0, 12 * MB), Account { blocked: 4 * MB, ..full(1, MB) }];
    let good = Loaded { packets: 40, offered: 2 * MB, delivered: 2 * MB, ..Loaded::default() };
    let mut times = Vec::new();
    for _ in 0..8 {
        while !play.guard.holds(1) {
            play.window(100, &accounts);
        }
        let held_at = play.now;
        while !play.loaded(1, &good) {
            play.now += Duration::from_secs(1);
        }
        play.held.clear();
        times.push((play.now - held_at).as_secs());
    }
    assert_eq!(times, [3, 6, 12, 24, 48, 96, 120, 120]);
}

#[test]
fn trains_grow_rarer_and_stay_small() {
    let mut play = Play::new();
    let accounts = [full(0, 12 * MB), Account { blocked: 4 * MB, ..full(1, MB) }];
    play.window(100, &accounts);
    play.window(100, &accounts);
    let rtt = Duration::from_millis(600);
    let mut gaps = Vec::new();
    for _ in 0..8 {
        let at = play.guard.probe_at(1).expect("held");
        let train = play.guard.train(at, 1, 20 * MB, rtt, 1452).expect("held");
        assert!((32 * 1452..=256 * 1024).contains(&train.bytes));
        gaps.push((play.guard.probe_at(1).expect("held") - at).as_millis());
    }
    assert_eq!(gaps, [1500, 2250, 3375, 5062, 7593, 10_000, 10_000, 10_000]);
}

#[test]
fn an_experiment_finds_a_small_path_that_slows_the_others() {
    let mut play = Play::new();
    let mut windows = 0;
    while play.held.is_empty() {
        windows += 1;
        assert!(windows < 2000, "it is found");
        let best = if play.guard.without() == Some(1) { 12 * MB } else { 11 * MB };
        let small = if play.guard.without() == Some(1) { 0 } else { MB / 4 };
        // The best path's capacity is not known to be more: only the experiment can tell.
        play.window(100, &[full(0, best), full(1, small)]);
    }
    assert_eq!(play.orders, [Order::Hold(1, Reason::Trial)]);
}

#[test]
fn experiments_on_a_path_that_helps_take_less_than_two_percent_and_end_well() {
    let mut play = Play::new();
    let mut without = 0;
    for second in 1..=7200 {
        let out = play.guard.without() == Some(1);
        without += u32::from(out);
        play.window(100, &[full(0, 10 * MB), full(1, if out { 0 } else { MB })]);
        assert!(without * 50 <= second + 3, "{without} of {second} s");
    }
    assert!(without > 10, "it was asked");
    assert_eq!(play.orders, []);
    assert!((6..=7200 / 50 + 2).contains(&without), "{without} of 7200 windows");
}

#[test]
fn a_path_that_is_gone_is_forgotten() {
    let mut play = Play::new();
    let slow = [Account { useful: 9 * MB, ..full(0, 12 * MB) }, full(1, MB)];
    play.window(100, &slow);
    play.window(100, &slow);
    play.guard.forget(0);
    play.guard.forget(1);
    assert!(!play.guard.holds(1));
    assert_eq!(play.window(100, &[full(2, MB)]), []);
}

prop_compose! {
    fn account(id: u32)(
        useful in prop_oneof![0..20 * MB, any::<u64>()],
        copied in prop_oneof![Just(0), 0..20 * MB, any::<u64>()],
        blocked in prop_oneof![Just(0), 0..20 * MB, any::<u64>()],
        capacity in prop_oneof![Just(0), 0..20 * MB, any::<u64>()],
    ) -> Account {
        Account { id, group: 0, useful, copied, blocked, capacity, serving: true, fresh: false }
    }
}

proptest! {
    #[test]
    fn whatever_the_accounts_say_one_path_serves_and_orders_match_states(
        script in prop::collection::vec((50..=100u64, (account(0), account(1), account(2)), any::<bool>()), 1..80)
    ) {
        let mut play = Play::new();
        for (busy, (a, b, c), probe) in script {
            let before = play.held.clone();
            for order in play.window(busy, &[a, b, c]) {
                match order {
                    Order::Hold(id, _) => prop_assert!(!before.contains(&id)),
                    Order::Admit(id) => prop_assert!(before.contains(&id)),
                }
            }
            prop_assert!(play.held.len() < 3);
            for id in 0..3 {
                prop_assert_eq!(play.guard.holds(id), play.held.contains(&id));
            }
            if probe && let Some(id) = play.held.first().copied() {
                let good = Loaded { packets: 40, offered: 2 * MB, delivered: 2 * MB, ..Loaded::default() };
                if play.loaded(id, &good) {
                    play.held.retain(|held| *held != id);
                }
            }
        }
    }
}

#[test]
fn a_path_that_just_came_back_is_not_asked_why_it_brought_little() {
    let mut play = Play::new();
    for _ in 0..2000 {
        play.window(100, &[full(0, 10 * MB), Account { fresh: true, ..full(1, MB / 4) }]);
        assert_eq!(play.guard.without(), None);
    }
}

/// A path of group 1.
fn shared(account: Account) -> Account {
    Account { group: 1, ..account }
}

#[test]
fn paths_of_a_group_are_not_held_for_each_others_sake() {
    let mut play = Play::new();
    let bad = Account { blocked: 3 * MB, ..full(1, MB) };
    for _ in 0..10 {
        play.window(100, &[shared(full(0, 5 * MB)), shared(bad), full(2, 6 * MB)]);
    }
    assert_eq!(play.orders, [], "together they bring more than they cost");
    for _ in 0..2 {
        play.window(100, &[full(0, 5 * MB), bad, full(2, 6 * MB)]);
    }
    assert_eq!(play.orders, [Order::Hold(1, Reason::Harm)], "alone it does not");
}

#[test]
fn a_group_that_costs_more_than_it_brings_is_held_as_one() {
    let mut play = Play::new();
    let bad = |id| shared(Account { blocked: 3 * MB, ..full(id, MB) });
    play.window(100, &[bad(0), bad(1), full(2, 9 * MB)]);
    let orders = play.window(100, &[bad(0), bad(1), full(2, 9 * MB)]);
    assert_eq!(orders, [Order::Hold(0, Reason::Harm), Order::Hold(1, Reason::Harm)]);
}

#[test]
fn a_group_that_is_all_there_is_stays() {
    let mut play = Play::new();
    let bad = |id| shared(Account { blocked: 40 * MB, ..full(id, MB) });
    for _ in 0..50 {
        play.window(100, &[bad(0), bad(1)]);
    }
    assert_eq!(play.orders, []);
    assert_eq!(play.guard.without(), None);
}

#[test]
fn when_the_best_is_a_group_all_of_it_goes_on() {
    let mut play = Play::new();
    let slow = [0, 1].map(|id| shared(Account { useful: 4 * MB, ..full(id, 6 * MB) }));
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.extend(play.window(100, &[slow[0], slow[1], full(2, 2 * MB)]));
    }
    assert_eq!(orders, [Order::Hold(2, Reason::Floor)], "10 of 12 that the two could bring");
}

#[test]
fn an_experiment_is_about_a_whole_group() {
    let mut play = Play::new();
    for _ in 0..600 {
        let [one, two] = [0, 1].map(|id| shared(full(id, MB / 4)));
        let best = full(2, if play.guard.without().is_some() { 12 * MB } else { 11 * MB });
        play.window(100, &[one, two, best]);
    }
    let tried = |id| Order::Hold(id, Reason::Trial);
    assert_eq!(play.orders, [tried(0), tried(1)]);
}
