//! Lines on stderr, which a supervisor keeps. Levels by `TQUIC_LOG` = error, warn, info (default) or debug.
//! No line has a token, a key or a secret in it.

use std::fmt;
use std::io::Write;
use std::sync::LazyLock;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something may not work.
    Warn,
    /// Something happened.
    Info,
    /// For whoever looks for a fault.
    Debug,
}

static LEVEL: LazyLock<Level> = LazyLock::new(|| match std::env::var("TQUIC_LOG").as_deref() {
    Ok("error") => Level::Error,
    Ok("warn") => Level::Warn,
    Ok("debug") => Level::Debug,
    _ => Level::Info,
});

/// Says it.
pub fn say(level: Level, line: fmt::Arguments<'_>) {
    if level <= *LEVEL {
        let name = match level {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug => "debug: ",
        };
        // Nobody listens: that is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{name}{line}");
    }
}

/// Something happened.
#[macro_export]
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::say($crate::log::Level::Info, format_args!($($arg)*)) };
}

/// Something may not work.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)*) => { $crate::log::say($crate::log::Level::Warn, format_args!($($arg)*)) };
}

/// For whoever looks for a fault.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)*) => { $crate::log::say($crate::log::Level::Debug, format_args!($($arg)*)) };
}
