//! States of a path (requirement M2) as a table: an arrow that is not drawn is refused.
//!
//! This is what the two ends have agreed. Whether the path works at the moment is health, which is local, per direction
//! and kept elsewhere (decision 10); whether its present address is proven is [`Validation`](super::Validation). It never
//! acts on a change and never sees a frame.

#[cfg(test)]
mod tests;

/// State of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathState {
    /// Its id is taken; nothing was sent yet.
    Created,
    /// Its first address is being validated.
    Validating,
    /// The address is proven; status not looked at yet.
    Validated,
    /// In use.
    Active,
    /// Used only when no active path is usable.
    Standby,
    /// PATH_ABANDON was sent or received: late packets are acknowledged for three PTO, nothing is sent.
    Closing,
    /// Over. The id is never used again.
    Failed,
}

/// What moves a path from state to state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// Its address is challenged.
    Challenge,
    /// Its address is proven.
    Proof,
    /// Neither end wants it on standby.
    Available,
    /// One end wants it on standby.
    Backup,
    /// PATH_ABANDON was sent or received.
    Abandon,
    /// Three PTO have passed since.
    Expire,
}

/// A change that no arrow allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// Every arrow there is. A newer status frame that says the same again and the second PATH_ABANDON lead back to where
/// they started.
const ARROWS: [(PathState, Cause, PathState); 16] = {
    use Cause::{Abandon, Available, Backup, Challenge, Expire, Proof};
    use PathState::{Active, Closing, Created, Failed, Standby, Validated, Validating};
    [
        (Created, Challenge, Validating),
        (Created, Proof, Validated),
        (Validating, Proof, Validated),
        (Validated, Available, Active),
        (Validated, Backup, Standby),
        (Active, Available, Active),
        (Active, Backup, Standby),
        (Standby, Available, Active),
        (Standby, Backup, Standby),
        (Created, Abandon, Closing),
        (Validating, Abandon, Closing),
        (Validated, Abandon, Closing),
        (Active, Abandon, Closing),
        (Standby, Abandon, Closing),
        (Closing, Abandon, Closing),
        (Closing, Expire, Failed),
    ]
};

impl PathState {
    /// Where `cause` leads from here.
    pub(crate) fn after(self, cause: Cause) -> Result<Self, Refused> {
        let arrow = ARROWS.iter().find(|(from, by, _)| (*from, *by) == (self, cause));
        arrow.map(|(_, _, to)| *to).ok_or(Refused)
    }

    /// Whether the path has not been abandoned.
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Closing | Self::Failed)
    }

    /// Whether it may carry data.
    // MUST mp21-3.1-7
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Validated | Self::Active | Self::Standby)
    }
}
