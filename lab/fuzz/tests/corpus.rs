//! The corpus of every target and a fixed number of mutations of it, on every run of the tests.

use tq_fuzz::mutate::Dice;
use tq_fuzz::targets::{self, Target};
use tq_fuzz::{corpus, generate};

/// Decoder runs' worth of mutations for each target.
const WORK: usize = 60_000;

/// Every input, then mutations of them.
fn replay(name: &str) {
    let target: Target = targets::find(name).expect("a target");
    let inputs = corpus::load(name).expect("a corpus");
    assert!(!inputs.is_empty());
    for (name, input) in &inputs {
        println!("{name}");
        (target.run)(input);
    }
    let mut dice = Dice(7);
    for n in 0..WORK / target.cost {
        let input = &inputs[dice.below(inputs.len())].1;
        let other = &inputs[dice.below(inputs.len())].1;
        let mutant = dice.mutate(input, other);
        println!("mutation {n}: {mutant:02x?}");
        (target.run)(&mutant);
    }
}

macro_rules! replay {
    ($($test:ident: $target:literal),* $(,)?) => {
        /// Targets that have a test here.
        const TESTED: &[&str] = &[$($target),*];
        $(
            #[test]
            fn $test() {
                replay($target);
            }
        )*
    };
}

replay! {
    headers_hold: "header",
    frames_hold: "frames",
    parameters_hold: "parameters",
    numbers_hold: "numbers",
    client_hellos_hold: "client_hello",
    tokens_hold: "token",
    the_endpoint_holds: "endpoint",
    a_tls_server_holds: "tls_server",
    the_peers_parameters_hold: "peer_parameters",
    a_servers_handshake_holds: "server_handshake",
    a_clients_handshake_holds: "client_handshake",
    a_servers_session_holds: "server_session",
    a_clients_session_holds: "client_session",
}

#[test]
fn every_target_is_tested_and_has_seeds() {
    let seeds = generate();
    for target in targets::ALL {
        assert!(TESTED.contains(&target.name), "{}", target.name);
        assert!(seeds.iter().any(|(name, _)| *name == target.name), "{}", target.name);
    }
}

#[test]
fn the_same_seed_gives_the_same_mutations() {
    let all = |seed| -> Vec<Vec<u8>> {
        let mut dice = Dice(seed);
        (0..100).map(|_| dice.mutate(b"an input", b"another one")).collect()
    };
    assert_eq!(all(3), all(3));
    assert_ne!(all(3), all(4));
}
