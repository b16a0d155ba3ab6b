//! Plans by chance. Decides how often what happens: most cases are rough but survivable, a few end in silence or in the
//! middle. Every number is drawn so that small ones are as likely as large ones, because limits are found at both.

use super::plan::{Item, Plan, Verb, Who};
use crate::entropy::{Random, derive};

const ENDS: [Who; 2] = [Who::Client, Who::Server];

struct Maker {
    random: Random,
    items: Vec<Item>,
    /// Length of the part with operations, ms.
    span: u64,
    /// The link that is spoken of.
    link: u8,
}

impl Plan {
    /// The plan of a seed.
    pub fn random(seed: u64) -> Self {
        let mut maker = Maker { random: Random::new(derive(seed, 77)), items: Vec::new(), span: 0, link: 0 };
        maker.span = maker.size(100, 12_000);
        maker.settings();
        maker.link();
        maker.events();
        maker.streams();
        maker.rest();
        if maker.chance(70) {
            maker.paths();
        }
        Self { seed, items: maker.items }
    }
}

impl Maker {
    /// True in `percent` of cases.
    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.random.below(high - low + 1)
    }

    /// From `low` to `high`, every power of two as likely.
    fn size(&mut self, low: u64, high: u64) -> u64 {
        let (low_bits, high_bits) = (low.max(1).ilog2(), high.max(1).ilog2());
        let bits = self.between(low_bits.into(), high_bits.into());
        let base = 1 << bits;
        (base + self.random.below(base)).clamp(low, high)
    }

    fn moment(&mut self) -> u64 {
        // some things happen before the handshake is over
        if self.chance(10) { self.between(0, 100) } else { self.between(0, self.span) }
    }

    fn set(&mut self, who: Who, verb: Verb, numbers: &[u64]) {
        self.push(who, None, verb, numbers);
    }

    fn push(&mut self, who: Who, at: Option<u64>, verb: Verb, numbers: &[u64]) {
        let numbers = numbers.iter().map(|number| *number as i64).collect();
        let link = if matches!(who, Who::Client | Who::Server) { 0 } else { self.link };
        self.items.push(Item { who, link, at: at.map(|at| at as u32), verb, numbers });
    }

    /// A setting in `percent` of cases.
    fn maybe(&mut self, percent: u64, who: Who, verb: Verb, low: u64, high: u64) {
        if self.chance(percent) {
            let number = self.size(low, high);
            self.set(who, verb, &[number]);
        }
    }

    fn flag(&mut self, percent: u64, who: Who, verb: Verb, value: u64) {
        if self.chance(percent) {
            self.set(who, verb, &[value]);
        }
    }

    fn settings(&mut self) {
        for who in ENDS {
            self.flag(30, who, Verb::Cc, 1);
            self.maybe(25, who, Verb::Idle, 3000, 60_000);
            if self.chance(40) {
                let numbers = [self.size(1, 20), self.size(1, 20)];
                self.set(who, Verb::Streams, &numbers);
            }
            if self.chance(40) {
                let numbers = [self.size(300, 1 << 20), self.size(300, 1 << 20)];
                self.set(who, Verb::Window, &numbers);
                if self.chance(70) {
                    self.set(who, Verb::Grow, &numbers);
                }
            }
            self.maybe(25, who, Verb::SendBuf, 1000, 1 << 20);
            self.maybe(20, who, Verb::AckDelay, 1, 100);
            self.flag(25, who, Verb::AckFreq, 0);
            self.flag(25, who, Verb::Probe, 0);
            self.maybe(15, who, Verb::Alive, 100, 10_000);
            self.flag(40, who, Verb::Ecn, 1);
            self.flag(20, who, Verb::Pace, 0);
            self.flag(20, who, Verb::Grease, 0);
            self.maybe(35, who, Verb::Keys, 1, 300);
            self.maybe(15, who, Verb::MessageIn, 1, 1 << 16);
            self.maybe(15, who, Verb::MessageOut, 100, 1 << 16);
            self.maybe(20, who, Verb::Rtt, 10, 1000);
            self.flag(30, who, Verb::Fair, 0);
            self.maybe(40, who, Verb::Train, 1, 44);
            self.maybe(30, who, Verb::Cid, 4, 20);
            self.flag(20, who, Verb::LongStart, 0);
        }
        self.flag(20, Who::Net, Verb::Retry, 1);
        self.maybe(20, Who::Net, Verb::Hello, 300, 5000);
        self.maybe(20, Who::Net, Verb::Chain, 500, 12_000);
        let end = self.between(0, 3);
        self.set(Who::Net, Verb::End, &[end]);
    }

    fn link(&mut self) {
        let delay = if self.chance(80) { self.size(50, 300_000) } else { 0 };
        // some links are clean, so that other faults are not drowned
        let rough = self.chance(75);
        for who in [Who::Up, Who::Down] {
            let delay = if self.chance(80) { delay } else { delay / 4 };
            self.set(who, Verb::Delay, &[delay]);
            if self.chance(75) {
                let rate = self.size(30, 100_000);
                self.set(who, Verb::Rate, &[rate]);
                // from a few packets to half a second
                let queue = self.size(6000, (rate * 500).clamp(12_000, 300_000));
                self.set(who, Verb::Queue, &[queue]);
                self.maybe(25, who, Verb::Mark, 1000, 50_000);
            }
            if !rough {
                continue;
            }
            if self.chance(35) {
                let most = self.size(100, 60_000);
                let reorders = u64::from(self.chance(60));
                self.set(who, Verb::Jitter, &[most, reorders]);
            }
            self.maybe(40, who, Verb::Loss, 100, 100_000);
            if self.chance(20) {
                let numbers =
                    [self.size(100, 10_000), self.size(100_000, 500_000), self.size(300_000, 1_000_000)];
                self.set(who, Verb::Burst, &numbers);
            }
            self.maybe(30, who, Verb::Corrupt, 100, 30_000);
            self.maybe(30, who, Verb::Double, 100, 200_000);
        }
        if self.link == 0 {
            self.mtu();
        }
    }

    fn mtu(&mut self) {
        let known = self.chance(50).then(|| self.between(1228, 1500));
        if let Some(mtu) = known {
            let icmp = u64::from(self.chance(50));
            self.set(Who::Net, Verb::Mtu, &[mtu, icmp]);
        }
        for who in ENDS {
            // more than the path carries would be a mistake of whoever set it
            if self.chance(20) {
                let most = known.unwrap_or(1480) - 28;
                let mtu = self.between(1200, most);
                self.set(who, Verb::InitialMtu, &[mtu]);
            }
        }
    }

    fn events(&mut self) {
        for _ in 0..self.between(0, 2) {
            let verb = if self.chance(80) { Verb::Out } else { Verb::Cut };
            let who = [Who::Net, Who::Net, Who::Up, Who::Down][self.between(0, 3) as usize];
            let lasts = if self.chance(93) { self.size(10, 2500) } else { self.size(5000, 90_000) };
            let at = self.moment();
            self.push(who, Some(at), verb, &[lasts]);
        }
        for _ in 0..self.between(0, 3) {
            let at = Some(self.moment());
            let who = [Who::Up, Who::Down, Who::Net][self.between(0, 2) as usize];
            match self.between(0, 7) {
                0 => self.push(Who::Net, at, Verb::Nat, &[]),
                1 => self.push(Who::Net, at, Verb::NatAddress, &[]),
                2 => self.push(Who::Net, at, Verb::Move, &[]),
                // another link's must carry what is sent there at first
                3 if self.link == 0 => {
                    let numbers = [self.between(1228, 1500), u64::from(self.chance(50))];
                    self.push(Who::Net, at, Verb::Mtu, &numbers);
                }
                4 => {
                    let rate = self.size(30, 100_000);
                    self.push(who, at, Verb::Rate, &[rate]);
                }
                5 => {
                    let delay = self.size(50, 300_000);
                    self.push(who, at, Verb::Delay, &[delay]);
                }
                6 => {
                    let loss = self.size(1000, 150_000);
                    self.push(who, at, Verb::Loss, &[loss]);
                }
                _ => {}
            }
        }
    }

    fn streams(&mut self) {
        let count = self.size(1, 24);
        let most = self.size(1, 200_000);
        let mut opened = [0; 2];
        for _ in 0..count {
            let opener = self.between(0, 1);
            let stream = opened[opener as usize] * 2 + opener;
            opened[opener as usize] += 1;
            let both = self.chance(60);
            let begin = self.moment();
            self.push(ENDS[opener as usize], Some(begin), Verb::Open, &[stream, u64::from(both)]);
            self.direction(stream, opener as usize, begin, most);
            if both {
                self.direction(stream, 1 - opener as usize, begin, most);
            }
        }
    }

    /// What happens to one direction of a stream.
    fn direction(&mut self, stream: u64, sender: usize, begin: u64, most: u64) {
        let (from, to) = (ENDS[sender], ENDS[1 - sender]);
        let end = self.span.max(begin + 1);
        let mut at = begin;
        for _ in 0..self.between(0, 3) {
            let len = self.size(1, most);
            self.push(from, Some(at), Verb::Write, &[stream, len]);
            at = self.between(at, end);
        }
        if self.chance(15) {
            let (at, priority) = (self.between(begin, end), self.between(0, 6) as i64 - 3);
            self.push(from, Some(at), Verb::Prio, &[stream, 0]);
            if let Some(item) = self.items.last_mut() {
                item.numbers[1] = priority;
            }
        }
        if self.chance(60) {
            self.push(from, Some(at), Verb::Fin, &[stream]);
        }
        if self.chance(12) {
            let numbers = [stream, self.size(1, 1 << 30)];
            let at = self.between(begin, end);
            self.push(from, Some(at), Verb::Reset, &numbers);
        }
        if self.chance(12) {
            let numbers = [stream, self.size(1, 1 << 30)];
            let at = self.between(begin, end);
            self.push(to, Some(at), Verb::Stop, &numbers);
        }
        if self.chance(20) {
            let numbers = [stream, self.size(10, 5000)];
            let at = self.between(begin, end);
            self.push(to, Some(at), Verb::Pause, &numbers);
        }
        if self.chance(12) {
            let numbers = [stream, self.size(10, 20_000)];
            self.push(to, Some(begin), Verb::Slow, &numbers);
        }
    }

    /// More links, and what is done to paths on them.
    fn paths(&mut self) {
        let links = [1, 2, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8][self.between(0, 11) as usize];
        self.set(Who::Net, Verb::Links, &[links]);
        for who in ENDS {
            self.maybe(20, who, Verb::MaxPaths, 1, 16);
            if self.chance(70) {
                let kind = self.between(0, 5);
                self.set(who, Verb::Scheduler, &[kind]);
            }
        }
        for link in 1..links {
            self.link = link as u8;
            self.link();
            self.events();
        }
        self.link = 0;
        for link in 0..links {
            if self.chance(if link == 0 { 30 } else { 90 }) {
                let at = self.between(0, self.span / 3);
                self.push(Who::Client, Some(at), Verb::OpenPath, &[link]);
            }
            self.life(link);
        }
    }

    /// What is done to the paths of a link.
    fn life(&mut self, link: u64) {
        for who in ENDS {
            if self.chance(20) {
                let (at, code) = (self.moment(), self.size(1, 1 << 30));
                self.push(who, Some(at), Verb::ClosePath, &[link, code]);
                if self.chance(60) {
                    let again = self.between(at, self.span.max(at + 1));
                    self.push(Who::Client, Some(again), Verb::OpenPath, &[link]);
                }
            }
            if self.chance(25) {
                let at = self.moment();
                self.push(who, Some(at), Verb::Standby, &[link, 1]);
                if self.chance(60) {
                    let again = self.between(at, self.span.max(at + 1));
                    self.push(who, Some(again), Verb::Standby, &[link, 0]);
                }
            }
            if self.chance(10) {
                let at = self.moment();
                self.push(who, Some(at), Verb::Knock, &[link]);
            }
        }
    }

    fn rest(&mut self) {
        for who in ENDS {
            for _ in 0..self.between(0, 3) {
                let numbers = [self.size(32, 1400), self.size(1, 40)];
                let at = self.moment();
                self.push(who, Some(at), Verb::Message, &numbers);
            }
            for _ in 0..self.between(0, 2) {
                let at = self.moment();
                self.push(who, Some(at), Verb::Ping, &[]);
            }
            if self.chance(6) {
                let (at, code) = (self.moment(), self.size(1, 1 << 30));
                self.push(who, Some(at), Verb::Close, &[code]);
            }
        }
    }
}
