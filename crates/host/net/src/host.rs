//! Taking TCP of a local network out of the kernel's hands, and giving it back.
//!
//! A [`Plan`] says what is to be different: rules, routes, one nft table, a few sysctls. [`Host::apply`] writes to a
//! journal how each step is undone, then makes it; [`Host::undo`] takes everything back, as does [`Host::open`] with
//! what a process left that was killed. [`preview`] prints the steps and makes none. What was there before stays; what
//! somebody else changed meanwhile stays too. Decides nothing about traffic that bears no mark of the plan.

mod error;
mod journal;
mod kernel;
mod nft;
mod plan;
mod step;

use std::fmt::Write as _;
use std::path::PathBuf;

pub use error::{Left, SetupError};
pub(crate) use kernel::write;
pub(crate) use plan::is_name;
pub use plan::{Plan, Prefix, Without};

use journal::Journal;
use kernel::Kernel;
use step::{Step, Undo};

#[cfg(test)]
mod tests;

/// Where the journal is and which instance this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A folder that only root writes to and that a restart of the machine empties. Made if it is not there.
    pub folder: PathBuf,
    /// Which instance of this machine: marks, tables and rules follow from it. At most 63.
    pub index: u8,
    /// The `nft` program, if it is not to be looked for.
    pub nft: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { folder: "/run/tquic".into(), index: 0, nft: None }
    }
}

/// The changes one instance makes to the machine. They are taken back when this is dropped.
#[derive(Debug)]
pub struct Host {
    index: u8,
    nft: Option<PathBuf>,
    journal: Journal,
    kernel: Kernel,
    /// What was applied.
    plan: Option<Plan>,
    /// Whether new connections come to the TUN interface.
    capturing: bool,
}

impl Host {
    /// Takes the place of this instance in this network namespace, and takes back what a process left that was killed.
    ///
    /// # Errors
    /// Another process has this place; the journal cannot be written; something could not be taken back, which then
    /// stays in the journal.
    pub fn open(options: &Options) -> Result<Self, SetupError> {
        let kernel = Kernel::new()?;
        let name = format!("net-{}-{:x}.undo", options.index, kernel.namespace()?);
        let journal = Journal::open(&options.folder, &name)?;
        let nft = options.nft.clone();
        let mut host = Self { index: options.index, nft, journal, kernel, plan: None, capturing: false };
        host.undo()?;
        Ok(host)
    }

    /// Makes all changes of a plan, or none. What an earlier plan changed is taken back first.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn apply(&mut self, plan: &Plan) -> Result<(), SetupError> {
        plan.check()?;
        let nft = nft::find(self.nft.as_deref())?;
        self.nft = Some(nft);
        self.undo()?;
        let steps = self.kernel.missing(plan.steps(self.index, &kernel::sysctl), &plan.own(self.index))?;
        for step in &steps {
            let made = self.note(step).and_then(|()| self.make(step));
            if let Err(error) = made {
                // The first error is the one to tell; what cannot be undone stays in the journal.
                let _ = self.undo();
                return Err(error);
            }
        }
        self.plan = Some(plan.clone());
        self.capturing = true;
        Ok(())
    }

    /// Makes again what somebody has removed meanwhile: other programs flush rules, routes and nft when they restart. Also
    /// what an interface needs that came later. Sysctls that somebody has set differently stay so. What was made again,
    /// as commands to read; nothing, if all is well. To be called now and then.
    ///
    /// # Errors
    /// As [`Host::apply`]; what was there stays.
    pub fn repair(&mut self) -> Result<Vec<String>, SetupError> {
        let Some(plan) = &self.plan else { return Ok(Vec::new()) };
        let known = self.journal.entries()?;
        let sysctl_known =
            |key: &str| known.iter().any(|undo| matches!(undo, Undo::Sysctl { key: k, .. } if k == key));
        let paused: Vec<Step> = if self.capturing {
            Vec::new()
        } else {
            plan.tunnel_routes(self.index).map(Step::Route).collect()
        };
        let mut steps = plan.steps(self.index, &kernel::sysctl);
        steps.retain(|step| match step {
            Step::Sysctl { key, .. } | Step::Keep { key, .. } => !sysctl_known(key),
            other => !paused.contains(other),
        });
        let mut steps = self.kernel.missing(steps, &plan.own(self.index))?;
        if steps
            .iter()
            .any(|step| matches!(step, Step::Nft { table, .. } if nft::is_there(self.nft.as_deref(), table)))
        {
            steps.retain(|step| !matches!(step, Step::Nft { .. }));
        }
        for step in &steps {
            if !known.contains(&step.undo()) {
                self.note(step)?;
            }
            self.make(step)?;
        }
        Ok(steps.iter().map(|step| step.to_string().lines().next().unwrap_or_default().to_owned()).collect())
    }

    /// Whether new connections of the local network come to the TUN interface (as after [`Host::apply`]); if not, they
    /// go as the plan says of [`Without`]. Those that are under way are not touched. Nothing, without a plan.
    ///
    /// # Errors
    /// The kernel refuses, as when the TUN interface is gone.
    pub fn set_capture(&mut self, on: bool) -> Result<(), SetupError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        for route in plan.tunnel_routes(self.index) {
            if on {
                self.kernel.make(&Step::Route(route))?;
            } else {
                self.kernel.undo(&Undo::Route(route), None)?;
            }
        }
        self.capturing = on;
        Ok(())
    }

    /// Takes every change back. Twice is as good as once.
    ///
    /// # Errors
    /// [`SetupError::Left`]: what could not be taken back, and stays in the journal for the next attempt.
    pub fn undo(&mut self) -> Result<(), SetupError> {
        (self.plan, self.capturing) = (None, false);
        let mut left = Vec::new();
        for undo in self.journal.entries()?.into_iter().rev() {
            if let Err(error) = self.kernel.undo(&undo, self.nft.as_deref()) {
                left.push(Left { what: undo.to_string(), why: error.to_string() });
            }
        }
        if left.is_empty() { self.journal.clear() } else { Err(SetupError::Left(left)) }
    }

    /// Writes down how a step is undone.
    fn note(&mut self, step: &Step) -> Result<(), SetupError> {
        self.journal.add(&step.undo())
    }

    fn make(&mut self, step: &Step) -> Result<(), SetupError> {
        match step {
            Step::Nft { script, .. } => nft::run(self.nft.as_deref(), script),
            other => self.kernel.make(other),
        }
    }

    /// As if the process had been killed.
    #[cfg(test)]
    fn crash(mut self) {
        self.journal.detach();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Nobody is left to tell; what stays is in the journal.
        let _ = self.undo();
    }
}

/// What [`Host::apply`] would change now, one command a line, for reading. Changes nothing and needs no privileges.
///
/// # Errors
/// As [`Host::apply`], as far as reading shows them.
pub fn preview(options: &Options, plan: &Plan) -> Result<String, SetupError> {
    plan.check()?;
    nft::find(options.nft.as_deref())?;
    let mut text = format!("ip tuntap add dev {0} mode tun; ip link set {0} up\n", plan.tun);
    let steps = plan.steps(options.index, &kernel::sysctl);
    for step in Kernel::new()?.missing(steps, &plan.own(options.index))? {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{step}");
    }
    Ok(text)
}
