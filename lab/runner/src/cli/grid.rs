//! To be.
#[derive(clap::Args)]
pub(super) struct Args {}
pub(super) fn run(_: &Args) -> anyhow::Result<bool> {
    Ok(true)
}
