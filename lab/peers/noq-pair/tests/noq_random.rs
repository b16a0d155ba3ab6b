//! Four links between our core and noq's, cut, healed, rebound and slowed at random while paths over them come, go and
//! change status by either end's hand: nothing is lost, altered or stuck. `NOQ_PAIR_CASES` says how many cases of each
//! role (16), `NOQ_PAIR_SEED` which is the first (0).

use std::time::Duration;

use noq_pair::noq::{self, Noq};
use noq_pair::ours::{self, Ours};
use noq_pair::{Identity, Multipath, Net, Pair};
use noq_proto::TransportConfig;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const LINKS: usize = 4;
const PATHS: u32 = 8;
const SIZE: usize = 256 << 10;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_of(&mut self, all: &[usize]) -> Option<usize> {
        (!all.is_empty()).then(|| all[self.below(all.len() as u64) as usize])
    }
}

/// noq with time-outs for paths: without them it never leaves one that is dead.
fn watchful() -> TransportConfig {
    let mut config = noq::paths(PATHS);
    config.default_path_max_idle_timeout(Some(2 * SECOND));
    config.default_path_keep_alive_interval(Some(500 * MS));
    config
}

struct Churn<C, S> {
    pair: Pair<C, S>,
    random: Random,
    /// Link of each path that was opened.
    links: Vec<usize>,
    /// When each link was rebound last.
    rebound: [Option<Duration>; LINKS],
    /// The server is noq: see [`Churn::may_be_lost`].
    fragile: bool,
    done: Vec<String>,
}

impl<C: Multipath, S: Multipath> Churn<C, S> {
    fn new(mut pair: Pair<C, S>, seed: u64, fragile: bool) -> Self {
        pair.connect_all();
        let (random, links) = (Random(seed), (0..LINKS).collect());
        Self { pair, random, links, rebound: [None; LINKS], fragile, done: Vec::new() }
    }

    /// Whether a link may be cut now. A path of noq's server whose challenge is not answered within three PTO of a
    /// rebinding is never challenged again, and carries neither data nor acknowledgements, for as long as PINGs keep it:
    /// noq 1.4 keeps the address before to go back to only if that was *not* validated.
    fn may_be_lost(&self, link: usize) -> bool {
        let settled = |at: Duration| self.pair.now > at + 2 * SECOND;
        !self.fragile || self.rebound[link].is_none_or(settled)
    }

    fn may_be_rebound(&self, link: usize) -> bool {
        !self.fragile || self.pair.net.links[link].open == [true; 2]
    }

    /// Paths both ends may use.
    fn live(&self) -> Vec<usize> {
        let (client, server) = (&self.pair.client, &self.pair.server);
        let live = |id: &usize| {
            let id = *id as u32;
            let valid = id == 0 || client.is_validated(id) && server.is_validated(id);
            valid && !client.is_abandoned(id) && !server.is_abandoned(id)
        };
        (0..self.links.len()).filter(live).collect()
    }

    /// Whether a path would be left that works, without this path or link.
    fn can_do_without(&self, path: Option<usize>, link: Option<usize>) -> bool {
        let left = |id: &usize| {
            Some(*id) != path
                && Some(self.links[*id]) != link
                && self.pair.net.links[self.links[*id]].open == [true; 2]
        };
        self.live().iter().any(left)
    }

    fn step(&mut self) {
        let (now, live) = (self.pair.now, self.live());
        let (link, path) = (self.random.below(LINKS as u64) as usize, self.random.one_of(&live));
        let by_client = self.random.below(2) == 0;
        let what = match self.random.below(8) {
            0 if self.can_do_without(None, Some(link)) && self.may_be_lost(link) => {
                let open = [[false, false], [true, false], [false, true]][self.random.below(3) as usize];
                self.pair.net.links[link].open = open;
                format!("link {link} open {open:?}")
            }
            1 | 2 => {
                self.pair.net.links.iter_mut().for_each(|link| link.open = [true; 2]);
                "healed".to_owned()
            }
            3 if self.may_be_rebound(link) => {
                self.rebound[link] = Some(now);
                let port = 1024 + self.random.below(60_000) as u16;
                self.pair.net.links[link].outside = ([203, 0, 113, link as u8], port).into();
                format!("link {link} rebound")
            }
            4 if self.can_do_without(path, None) => {
                let id = path.unwrap_or(0) as u32;
                match by_client {
                    true => self.pair.client.close_path(now, id, 0x3e),
                    false => self.pair.server.close_path(now, id, 0x3e),
                }
                format!("path {id} abandoned, by the client: {by_client}")
            }
            5 | 6 => match self.pair.client.open_path(now, link) {
                Ok(id) => {
                    assert_eq!(id as usize, self.links.len(), "ids are used in order");
                    self.links.push(link);
                    format!("path {id} over link {link}")
                }
                Err(why) => why,
            },
            7 => {
                let (id, backup) = (path.unwrap_or(0) as u32, self.random.below(2) == 0);
                match by_client {
                    true => self.pair.client.set_status(now, id, backup),
                    false => self.pair.server.set_status(now, id, backup),
                }
                format!("path {id} on backup {backup}, by the client: {by_client}")
            }
            _ => "nothing".to_owned(),
        };
        self.done.push(format!("{now:?}: {what}"));
    }

    fn run(mut self, seed: u64) {
        for _ in 0..25 {
            self.pair.begin([SIZE; 2]);
            let time = 20 + self.random.below(800);
            self.pair.pass(time as u32 * MS);
            self.step();
            let errors = (self.pair.client.error(), self.pair.server.error());
            assert_eq!(errors, (None, None), "seed {seed}: {:#?}", self.done);
        }
        self.pair.net.links.iter_mut().for_each(|link| link.open = [true; 2]);
        let done = std::mem::take(&mut self.done);
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.pair.finish(60 * SECOND)));
        if told.is_err() {
            panic!(
                "seed {seed}: {done:#?}\n{:#?}\n{}\n{}",
                self.pair.net,
                self.pair.client.describe(),
                self.pair.server.describe()
            );
        }
        assert!(self.pair.client.got().iter().chain(self.pair.server.got()).all(|got| got.len() == SIZE));
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn cases(run: impl Fn(&Identity, Net, u64)) {
    let identity = Identity::new();
    let first = number("NOQ_PAIR_SEED", 0);
    for seed in first..first + number("NOQ_PAIR_CASES", 16) {
        run(&identity, Net::new(&[10, 20, 30, 5]), seed);
    }
}

#[test]
fn whatever_happens_to_the_paths_of_our_client_nothing_is_lost() {
    cases(|identity, net, seed| {
        let client = Ours::client(identity, ours::paths(PATHS), net.addresses());
        Churn::new(Pair::new(client, Noq::server(identity, watchful()), net), seed, true).run(seed);
    });
}

#[test]
fn whatever_happens_to_the_paths_of_a_client_of_noqs_nothing_is_lost() {
    cases(|identity, net, seed| {
        let client = Noq::client(identity, watchful(), net.addresses());
        Churn::new(Pair::new(client, Ours::server(identity, ours::paths(PATHS)), net), seed, false).run(seed);
    });
}
