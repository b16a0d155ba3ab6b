//! Whether the paths of a connection work as one: what an application is told about its bond.
//!
//! Members come in, one of four states comes out, with the change if there was one. It decides nothing about where
//! data goes: schedulers look at paths, people look at this.
//!
//! ```text
//!  SinglePath ── a second path is wanted ──► Pending ── two proven and good ──► Bonded
//!      ▲                                        ▲                              │  ▲
//!      │                                        │       one suspect for 1 s,   ▼  │ all good
//!      └───────── one path is left ─────────────┴─────── out, held, trial ── Degraded
//! ```

use tq_time::{Duration, Instant};

use crate::health::Health;

#[cfg(test)]
mod tests;

/// A path that is suspect for longer degrades the bond.
const TOLERATED: Duration = Duration::from_secs(1);

/// What the paths of a connection are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BondState {
    /// One path is wanted.
    #[default]
    SinglePath = 0,
    /// Several are wanted; fewer than two carry data so far.
    Pending = 1,
    /// Two or more carry data, and none that is wanted is in trouble.
    Bonded = 2,
    /// One that is wanted is out, held, on trial, or suspect for more than a second.
    Degraded = 3,
}

impl BondState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::SinglePath, Self::Pending, Self::Bonded, Self::Degraded];

    /// Short lower-case name, as in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SinglePath => "single-path",
            Self::Pending => "pending",
            Self::Bonded => "bonded",
            Self::Degraded => "degraded",
        }
    }
}

/// A path that is wanted: open, neither abandoned nor on standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its address is proven: it may carry data.
    pub proven: bool,
    /// How it does.
    pub health: Health,
    /// Since when.
    pub since: Instant,
}

/// A change of the bond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BondChange {
    /// State left.
    pub from: BondState,
    /// State entered.
    pub to: BondState,
    /// How long the state left had lasted.
    pub lasted: Duration,
}

/// The bond of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bond {
    state: BondState,
    since: Instant,
}

impl Bond {
    /// The present state.
    pub fn state(&self) -> BondState {
        self.state
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Looks at the members as they are now; tells a change.
    pub fn update(&mut self, now: Instant, members: impl Iterator<Item = Member>) -> Option<BondChange> {
        let (mut wanted, mut proven, mut troubled) = (0, 0, false);
        for member in members {
            wanted += 1;
            proven += u32::from(member.proven);
            let late = now.saturating_since(member.since) > TOLERATED;
            troubled |= match member.health {
                Health::Good => false,
                Health::Suspect => late,
                Health::Out | Health::Probation | Health::Held => true,
            };
        }
        let to = match (wanted, proven, troubled) {
            (0 | 1, ..) => BondState::SinglePath,
            (_, 0 | 1, _) => BondState::Pending,
            (.., true) => BondState::Degraded,
            (.., false) => BondState::Bonded,
        };
        if to == self.state {
            return None;
        }
        let lasted = now.saturating_since(self.since);
        let from = core::mem::replace(&mut self.state, to);
        self.since = now;
        Some(BondChange { from, to, lasted })
    }
}
