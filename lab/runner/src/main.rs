//! `tq-scenarios`: runs scenarios in the simulator and tells what came of them beside what could have.
//!
//! Reports go to standard output, progress to standard error. The exit code is 0 if every bar that a single path can
//! be held to was met, 1 if one was missed or a byte was wrong, 2 if nothing could be run.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
