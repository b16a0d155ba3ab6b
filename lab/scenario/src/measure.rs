//! What is measured, and when.
//!
//! Decides names; how a figure is computed is the runner's business.

use tq_time::Duration;

/// When is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// From the first packet sent to the last byte.
    #[default]
    Cold,
    /// With everything up and running: from `from`, for `length`.
    Warm {
        /// Since the start of the scenario.
        from: Duration,
        /// How long.
        length: Duration,
    },
}

/// A figure to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// In-order payload bytes handed to the application per time.
    Goodput,
    /// Time from first packet to last byte.
    Completion,
    /// Percentiles of the time from being sent to being handed on.
    Latency,
    /// The longest time without in-order progress.
    Gap,
    /// Packets lost per packet sent.
    Loss,
    /// Percentiles of the time packets wait in the links' queues.
    QueueDelay,
    /// Jain's index over competing flows.
    Fairness,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Goodput,
        Self::Completion,
        Self::Latency,
        Self::Gap,
        Self::Loss,
        Self::QueueDelay,
        Self::Fairness,
    ];

    /// The name in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Goodput => "goodput",
            Self::Completion => "completion",
            Self::Latency => "latency",
            Self::Gap => "gap",
            Self::Loss => "loss",
            Self::QueueDelay => "queue-delay",
            Self::Fairness => "fairness",
        }
    }
}

/// What is measured, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// When.
    pub window: Window,
    /// The grain of curves over time.
    pub bin: Duration,
    /// What to report, without doubles.
    pub figures: Vec<Figure>,
    /// How many seeds to run, counting up from the scenario's.
    pub runs: u32,
}

impl Default for Measure {
    /// Cold, bins of 100 ms, goodput, one run.
    fn default() -> Self {
        let bin = Duration::from_millis(100);
        Self { window: Window::Cold, bin, figures: vec![Figure::Goodput], runs: 1 }
    }
}
