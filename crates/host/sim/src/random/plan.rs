//! What a case is: a seed and a list of items, each a setting, a fault or an operation with numbers. The order of items
//! decides nothing but ties. Decides how a plan is written and read, and which numbers are the smallest that mean
//! something; not what they do.

use std::fmt;
use std::str::FromStr;

/// Whom an item is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// The client.
    Client,
    /// The server.
    Server,
    /// The link from client to server.
    Up,
    /// The link from server to client.
    Down,
    /// Both directions, or the case as a whole.
    Net,
}

const WHO: [(Who, &str); 5] =
    [(Who::Client, "c"), (Who::Server, "s"), (Who::Up, "up"), (Who::Down, "down"), (Who::Net, "net")];

impl Who {
    /// Client 0, server 1; directions by who sends; the whole is 0.
    pub const fn index(self) -> usize {
        match self {
            Self::Client | Self::Up | Self::Net => 0,
            Self::Server | Self::Down => 1,
        }
    }

    const fn is_end(self) -> bool {
        matches!(self, Self::Client | Self::Server)
    }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident $text:literal $least:expr,)*) => {
        /// What an item sets or does; the numbers it takes are in its description. Times are milliseconds where nothing
        /// else is said. A stream is the `n`-th of its opener times two, plus one if that is the server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Verb { $($(#[$doc])* $name,)* }

        impl Verb {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in a plan's text.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The smallest useful value of each number it takes.
            pub const fn least(self) -> &'static [i64] {
                match self { $(Self::$name => { const LEAST: &[i64] = &$least; LEAST })* }
            }
        }
    };
}

verbs! {
    // settings of an end
    /// Paths the peer may have at a time; as many as there are links if not set.
    MaxPaths "maxpaths" [1],
    /// Scheduler, by its place among all.
    Scheduler "sched" [0],
    /// Congestion controller: 0 CUBIC, 1 NewReno.
    Cc "cc" [0],
    /// Idle timeout.
    Idle "idle" [3000],
    /// Streams the peer may open: bidirectional, unidirectional.
    Streams "streams" [1, 1],
    /// Windows to begin with, bytes: stream, connection.
    Window "window" [64, 64],
    /// Windows to grow to, bytes: stream, connection.
    Grow "grow" [64, 64],
    /// Bytes held for sending.
    SendBuf "sendbuf" [1000],
    /// Longest deliberate delay of acknowledgements.
    AckDelay "ackdelay" [0],
    /// Whether to ask for fewer acknowledgements.
    AckFreq "ackfreq" [0],
    /// UDP payload to start with.
    InitialMtu "mtu0" [1200],
    /// Whether to search for larger datagrams.
    Probe "probe" [0],
    /// PING after so much silence.
    Alive "alive" [100],
    /// Mark packets.
    Ecn "ecn" [0],
    /// Pace.
    Pace "pace" [0],
    /// Send reserved values.
    Grease "grease" [0],
    /// New keys after so many packets.
    Keys "keys" [1],
    /// Bytes of messages kept for reading.
    MessageIn "msgin" [0],
    /// Bytes of messages kept for sending.
    MessageOut "msgout" [0],
    /// RTT assumed at first.
    Rtt "rtt0" [1],
    /// Whether streams take turns.
    Fair "fair" [0],
    /// Datagrams in a train.
    Train "train" [1],
    /// Length of connection ids.
    Cid "cid" [4],
    /// Whether long paths start faster.
    LongStart "longstart" [0],
    // settings of the case
    /// Links, each with a translator and an address of the server's, for a multipath connection; without it there is one
    /// link and no multipath.
    Links "links" [1],
    /// The server asks for a token.
    Retry "retry" [0],
    /// Bytes of ClientHello.
    Hello "hello" [0],
    /// Bytes of certificate.
    Chain "chain" [0],
    /// Who closes when all is done: 0 client, 1 server, 2 both, 3 nobody.
    End "end" [0],
    // the link; with a moment, a change
    /// 1000 bytes a second.
    Rate "rate" [10],
    /// Microseconds on the wire.
    Delay "delay" [0],
    /// Microseconds at random on top, and whether they may reorder.
    Jitter "jitter" [0, 0],
    /// Bytes of queue.
    Queue "queue" [3000],
    /// Losses per million.
    Loss "loss" [0],
    /// Per million: into a burst, out of it, losses in it.
    Burst "burst" [0, 1, 0],
    /// Damaged per million.
    Corrupt "corrupt" [0],
    /// Doubled per million.
    Double "dup" [0],
    /// CE above so many microseconds of queue.
    Mark "mark" [0],
    /// Largest IP packet, and whether its sender hears of it.
    Mtu "mtu" [1228, 0],
    // events of the network
    /// Silence for so long.
    Out "out" [0],
    /// No carrier for so long.
    Cut "cut" [0],
    /// The translator forgets.
    Nat "nat" [],
    /// The translator gets another address.
    NatAddress "nataddr" [],
    /// The client's socket moves to another port.
    Move "move" [],
    // operations of an end
    /// Opens a stream: which, and whether it is bidirectional.
    Open "open" [0, 0],
    /// Writes bytes: stream, how many.
    Write "write" [0, 0],
    /// Ends a stream.
    Fin "fin" [0],
    /// Resets a stream: which, code.
    Reset "reset" [0, 0],
    /// Wants no more of a stream: which, code.
    Stop "stop" [0, 0],
    /// Does not read a stream: which, how long.
    Pause "pause" [0, 0],
    /// Reads a stream slowly from now on: which, bytes each 5 ms.
    Slow "slow" [0, 1],
    /// Priority of a stream: which, priority.
    Prio "prio" [0, 0],
    /// Sends messages: bytes, how many.
    Message "msg" [32, 1],
    /// Sends a PING.
    Ping "ping" [],
    /// Opens a path on a link.
    OpenPath "path" [0],
    /// Gives the path on a link up: which, code.
    ClosePath "drop" [0, 0],
    /// Says how the path on a link is to be used: which, whether on standby.
    Standby "standby" [0, 0],
    /// Sends a PING on the path of a link.
    Knock "knock" [0],
    /// Closes: code.
    Close "close" [0],
}

/// Most links of a plan.
pub const MOST_LINKS: u64 = 8;

impl Verb {
    /// Whether it is about one of the links.
    const fn is_of_link(self) -> bool {
        use Verb::*;
        matches!(
            self,
            Rate | Delay
                | Jitter
                | Queue
                | Loss
                | Burst
                | Corrupt
                | Double
                | Mark
                | Mtu
                | Out
                | Cut
                | Nat
                | NatAddress
                | Move
        )
    }

    /// Whether it is something a program does.
    pub fn is_operation(self) -> bool {
        self >= Self::Open
    }

    /// Whether its first number is a stream.
    pub const fn names_stream(self) -> bool {
        use Verb::*;
        matches!(self, Open | Write | Fin | Reset | Stop | Pause | Slow | Prio)
    }

    fn may_be_of(self, who: Who, timed: bool) -> bool {
        use Verb::*;
        match self {
            OpenPath => who == Who::Client && timed,
            Rate | Delay | Loss | Mtu => !who.is_end(),
            Jitter | Queue | Burst | Corrupt | Double | Mark => !who.is_end() && !timed,
            Out | Cut => !who.is_end() && timed,
            Nat | NatAddress | Move => who == Who::Net && timed,
            Retry | Hello | Chain | End | Links => who == Who::Net && !timed,
            verb if verb.is_operation() => who.is_end() && timed,
            _ => who.is_end() && !timed,
        }
    }
}

/// One thing of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// About whom.
    pub who: Who,
    /// Of the links, which one: the first is 0. Always 0 where it is about no link.
    pub link: u8,
    /// When, in milliseconds; settings have no moment.
    pub at: Option<u32>,
    /// What.
    pub verb: Verb,
    /// Its numbers, as many as [`Verb::least`] has.
    pub numbers: Vec<i64>,
}

impl Item {
    /// A number, not below what is useful; 0 if there is none such.
    pub fn number(&self, ix: usize) -> i64 {
        let least = self.verb.least().get(ix).copied().unwrap_or(0);
        let number = self.numbers.get(ix).copied().unwrap_or(least);
        if self.verb == Verb::Prio { number } else { number.max(least) }
    }

    /// A number as a size.
    pub fn size(&self, ix: usize) -> u64 {
        self.number(ix).max(0) as u64
    }
}

/// A case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// All that happens by chance while it runs.
    pub seed: u64,
    /// What there is.
    pub items: Vec<Item>,
}

impl Plan {
    /// Operations of programs in it.
    pub fn operations(&self) -> usize {
        self.items.iter().filter(|item| item.verb.is_operation()).count()
    }

    /// The last setting of its kind; `None` if there is none. Of links: of the first.
    pub fn setting(&self, who: Who, verb: Verb) -> Option<&Item> {
        self.setting_of(who, 0, verb)
    }

    /// Links there are.
    pub fn links(&self) -> usize {
        self.setting(Who::Net, Verb::Links).map_or(1, |item| item.size(0).min(MOST_LINKS) as usize)
    }

    /// Whether the connection may have several paths.
    pub fn is_multipath(&self) -> bool {
        self.setting(Who::Net, Verb::Links).is_some()
    }

    /// As [`Plan::setting`], of a link.
    pub fn setting_of(&self, who: Who, link: u8, verb: Verb) -> Option<&Item> {
        let of = |item: &&Item| item.at.is_none() && item.verb == verb && item.link == link;
        let is = |item: &&Item| of(item) && (item.who == who || item.who == Who::Net && !who.is_end());
        self.items.iter().rev().find(is)
    }

    /// Items with a moment and a verb.
    pub fn timed(&self, verb: Verb) -> impl Iterator<Item = (u32, &Item)> {
        self.items.iter().filter_map(move |item| item.at.filter(|_| item.verb == verb).map(|at| (at, item)))
    }

    /// When everything has begun and every fault is over.
    pub fn healed_at(&self) -> u32 {
        let ends = |item: &Item| {
            let lasts = matches!(item.verb, Verb::Out | Verb::Cut).then(|| item.number(0) as u32);
            item.at.map_or(0, |at| at.saturating_add(lasts.unwrap_or(0)))
        };
        self.items.iter().map(ends).max().unwrap_or(0).saturating_add(20)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={}", self.seed)?;
        self.items.iter().try_for_each(|item| write!(f, " {item}"))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = WHO.iter().find(|(who, _)| *who == self.who).map_or("", |(_, text)| text);
        f.write_str(who)?;
        if self.link > 0 {
            write!(f, "{}", self.link)?;
        }
        match self.at {
            Some(at) => write!(f, "@{at}:{}", self.verb.name())?,
            None => write!(f, ".{}", self.verb.name())?,
        }
        for (ix, number) in self.numbers.iter().enumerate() {
            write!(f, "{}{number}", if ix == 0 { '=' } else { ',' })?;
        }
        Ok(())
    }
}

/// A word that is no item of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPlan(pub String);

impl fmt::Display for BadPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no plan: `{}` means nothing here", self.0)
    }
}

impl std::error::Error for BadPlan {}

impl FromStr for Plan {
    type Err = BadPlan;

    fn from_str(text: &str) -> Result<Self, BadPlan> {
        let mut plan = Self::default();
        for word in text.split_ascii_whitespace() {
            let bad = || BadPlan(word.to_string());
            match word.strip_prefix("seed=") {
                Some(seed) => plan.seed = seed.parse().map_err(|_| bad())?,
                None => plan.items.push(item(word).ok_or_else(bad)?),
            }
        }
        Ok(plan)
    }
}

fn item(word: &str) -> Option<Item> {
    let (head, numbers) = word.split_once('=').unwrap_or((word, ""));
    let (who, at, verb) = match head.split_once('@') {
        Some((who, rest)) => {
            let (at, verb) = rest.split_once(':')?;
            (who, Some(at.parse().ok()?), verb)
        }
        None => head.split_once('.').map(|(who, verb)| (who, None, verb))?,
    };
    let (who, link) = whom(who)?;
    let verb = *Verb::ALL.iter().find(|known| known.name() == verb)?;
    let numbers: Result<Vec<i64>, _> =
        numbers.split(',').filter(|text| !text.is_empty()).map(str::parse).collect();
    let numbers = numbers.ok()?;
    let right = numbers.len() == verb.least().len() && verb.may_be_of(who, at.is_some());
    (right && (link == 0 || verb.is_of_link())).then_some(Item { who, link, at, verb, numbers })
}

/// Whom a text means, and which of the links: `up` is the first one's, `up3` the fourth one's.
fn whom(text: &str) -> Option<(Who, u8)> {
    let name = text.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let who = WHO.iter().find(|(_, text)| *text == name)?.0;
    let link = match &text[name.len()..] {
        "" => 0,
        digits => digits.parse().ok().filter(|link| *link > 0 && u64::from(*link) < MOST_LINKS)?,
    };
    (link == 0 || !who.is_end()).then_some((who, link))
}
