//! From errors to exit codes, and what goes to stdout.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use tq::ConnectionError;
use tq_control::ClientError;

/// The command line makes no sense, as clap says it.
const USAGE: u8 = 2;
/// The other side was not reached, or was lost on the way.
const UNREACHABLE: u8 = 3;

/// Marks an error as: the other side was not reached, or was lost.
#[derive(Debug)]
pub(crate) struct Unreachable(pub(crate) String);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// Marks an error as: the command line makes no sense.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Prints a line to stdout. Whoever reads it may have seen enough: a broken pipe is success and the end.
///
/// # Errors
/// Stdout cannot be written for another reason.
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| anyhow::anyhow!("cannot write to stdout: {error}")),
    }
}

/// Prints what went wrong and says which exit code that is.
pub(crate) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("tquic: {error:#}");
    if error.chain().any(|error| error.is::<Usage>()) {
        return USAGE.into();
    }
    if error.chain().any(is_unreachable) { UNREACHABLE.into() } else { ExitCode::FAILURE }
}

/// Whether this error means that nobody is there (any more), rather than that somebody said no.
fn is_unreachable(error: &(dyn std::error::Error + 'static)) -> bool {
    let lost = error.downcast_ref::<ConnectionError>().is_some_and(|error| {
        matches!(
            error,
            ConnectionError::HandshakeTimeout | ConnectionError::IdleTimeout | ConnectionError::Reset
        )
    });
    let silent = error
        .downcast_ref::<ClientError>()
        .is_some_and(|error| matches!(error, ClientError::Unreachable(..)));
    lost || silent || error.is::<Unreachable>()
}

#[cfg(test)]
mod tests;
