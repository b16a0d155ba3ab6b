//! Options that several commands have in common, with one text for each.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tq_quic::sched::Kind as Scheduler;
use tq_sim::qlog::Qlog;

use super::run::log_to;

/// How comparisons are made and told.
#[derive(clap::Args)]
pub(super) struct Telling {
    /// Scheduler of both ends; that of the file, or else the stack's own, if left out.
    #[arg(long, value_parser = super::scheduler)]
    pub(super) scheduler: Option<Scheduler>,
    /// A JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// The JSON document, beside what is printed.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// A qlog of each connection and end, of every run.
    #[arg(long, value_name = "DIR")]
    qlog: Option<PathBuf>,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    pub(super) jobs: usize,
}

impl Telling {
    /// Where the logs of a run go, if they are asked for: of the scenario `name`, played like `how`.
    pub(super) fn logs(&self, name: &str, how: &str) -> Result<Option<Qlog>> {
        let Some(folder) = &self.qlog else { return Ok(None) };
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Some(log_to(folder, format!("{}-{how}", name.replace('/', "-")), name.to_owned())))
    }

    /// Prints the document or the page, and writes the document where that is asked for.
    pub(super) fn tell(&self, document: &impl serde::Serialize, page: &str) -> Result<()> {
        super::tell(document, page, self.json, self.report.as_deref())
    }
}

/// Where files of scenarios are.
#[derive(clap::Args)]
pub(super) struct Files {
    /// Where scenarios are; lab/scenarios if left out.
    #[arg(long)]
    scenarios: Option<PathBuf>,
}

impl Files {
    /// The folder of that name among them.
    pub(super) fn folder(&self, name: impl AsRef<Path>) -> PathBuf {
        super::folder(self.scenarios.as_deref()).join(name)
    }
}
