//! Health of a path, in one direction, beside the state the protocol gives it.
//!
//! The arrows between the five states and what may move along each; every other arrow is refused. It is local,
//! never on the wire, and reversible, which the protocol's own Failed is not. When an arrow is taken is
//! [`crate::Monitor`]'s decision.
//!
//! ```text
//!          ack silence                 silence ≥ max(3·srtt, 500 ms)        2 probe replies
//!  Good ─────────────────► Suspect ─────────────────────────────────► Out ────────────────► Probation
//!   ▲  ◄── any progress ──────┘           any ── link or peer says so ──▲                       │
//!   └──────────────────────────────── 4 good rounds ────────────────────────────────────────────┘
//!  Good, Probation ── guard ──► Held ── evidence under load ──► Probation
//!  Probation, Held ── silence ≥ max(3·srtt, 100 ms) ──► Out
//! ```

use core::fmt;

use tq_time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How a path does, as its sender sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Health {
    /// In service.
    #[default]
    Good = 0,
    /// Silent for a little too long: no new data, what it holds is sent again elsewhere within a budget.
    Suspect = 1,
    /// No progress: everything it holds goes elsewhere, it is probed.
    Out = 2,
    /// Back, not yet trusted.
    Probation = 3,
    /// Alive, but bulk is faster without it.
    Held = 4,
}

/// Why a path's health changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Nothing outstanding was acknowledged for too long while others were heard.
    Silence = 0,
    /// Something was acknowledged.
    Progress = 1,
    /// The host says that interface, carrier or route is gone.
    LinkDown = 2,
    /// The peer says that its side of the path is gone.
    PeerDown = 3,
    /// Two probes were answered.
    Replies = 4,
    /// Four good rounds in a row.
    Rounds = 5,
    /// The guard: bulk is faster without it.
    Guard = 6,
    /// It delivered under load.
    Evidence = 7,
}

/// A change of health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// State left.
    pub from: Health,
    /// State entered.
    pub to: Health,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Instant,
    /// How long the state left had lasted.
    pub lasted: Duration,
}

/// An arrow that is not drawn; the state stays what it was. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// State the path is in and stays in.
    pub from: Health,
    /// State asked for.
    pub to: Health,
    /// Reason given.
    pub cause: Cause,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no path goes from {} to {} by {}", self.from.name(), self.to.name(), self.cause.name())
    }
}

impl core::error::Error for Refused {}

impl Health {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Good, Self::Suspect, Self::Out, Self::Probation, Self::Held];

    /// Short lower-case name, as in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Suspect => "suspect",
            Self::Out => "out",
            Self::Probation => "probation",
            Self::Held => "held",
        }
    }

    /// Whether the arrow `self` → `to` is drawn for `cause`.
    pub const fn may_become(self, to: Self, cause: Cause) -> bool {
        matches!(
            (self, to, cause),
            (Self::Good, Self::Suspect, Cause::Silence)
                | (Self::Suspect, Self::Good, Cause::Progress)
                | (Self::Suspect | Self::Probation | Self::Held, Self::Out, Cause::Silence)
                | (
                    Self::Good | Self::Suspect | Self::Probation | Self::Held,
                    Self::Out,
                    Cause::LinkDown | Cause::PeerDown
                )
                | (Self::Out, Self::Probation, Cause::Replies)
                | (Self::Probation, Self::Good, Cause::Rounds)
                | (Self::Good | Self::Probation, Self::Held, Cause::Guard)
                | (Self::Held, Self::Probation, Cause::Evidence)
        )
    }
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 8] = [
        Self::Silence,
        Self::Progress,
        Self::LinkDown,
        Self::PeerDown,
        Self::Replies,
        Self::Rounds,
        Self::Guard,
        Self::Evidence,
    ];

    /// Short lower-case name, as in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Progress => "progress",
            Self::LinkDown => "link-down",
            Self::PeerDown => "peer-down",
            Self::Replies => "replies",
            Self::Rounds => "rounds",
            Self::Guard => "guard",
            Self::Evidence => "evidence",
        }
    }
}
