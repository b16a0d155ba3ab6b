//! TCP of a local network, from its first packet to a connection in hand: all of this crate's parts put together.
//!
//! Decides the order: what a killed process left is put back, then interface and listeners are made, then the machine is
//! changed. [`Intake::next`] tells a question, [`Intake::admit`] or [`Intake::refuse`] answers it, [`Intake::accept`]
//! yields the connection of an admitted one. Who pairs them keeps the far side's stream in a [`crate::syn::Waiting`]
//! meanwhile. Decides nothing about the far side.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crate::host::{Host, Options, Plan, Prefix, SetupError, Without, preview};
use crate::listener::{Listener, Taken};
use crate::syn::{Counts, Limits, Refusal, Syn, SynGate};
use crate::tun::Tun;

/// What is taken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Interfaces of the local network. Those that are not there yet count from [`Intake::repair`] on.
    pub lan: Vec<String>,
    /// The name of the TUN interface that is made: `tq0`.
    pub tun: String,
    /// Its MTU in bytes, at least 1280.
    pub mtu: u32,
    /// Destinations that are left alone.
    pub direct: Vec<Prefix>,
    /// Where new connections go while none are taken.
    pub without: Without,
    /// How many may be asked about at a time.
    pub limits: Limits,
}

impl Default for Settings {
    /// `tq0`, 1360 bytes, nothing left alone, `direct`; no local network yet.
    fn default() -> Self {
        let (direct, without, limits) = (Vec::new(), Without::default(), Limits::default());
        Self { lan: Vec::new(), tun: "tq0".into(), mtu: 1360, direct, without, limits }
    }
}

impl Settings {
    fn plan(&self, port_v4: u16, port_v6: Option<u16>) -> Plan {
        let Self { lan, tun, direct, without, .. } = self.clone();
        Plan { lan, tun, port_v4, port_v6, direct, without }
    }

    /// What [`Intake::start`] would change, as [`preview`]; ports are shown as 1, they are chosen at the start.
    ///
    /// # Errors
    /// As [`preview`].
    pub fn preview(&self, options: &Options) -> Result<String, SetupError> {
        preview(options, &self.plan(1, has_v6().then_some(1)))
    }
}

/// Takes connections of a local network. Everything is put back when it is dropped.
#[derive(Debug)]
pub struct Intake {
    // First, so that nothing more is led to the others when they go.
    host: Mutex<Host>,
    gate: SynGate,
    v4: Listener,
    /// None on machines without IPv6.
    v6: Option<Listener>,
}

impl Intake {
    /// Begins to take connections.
    ///
    /// # Errors
    /// See [`SetupError`]. Then nothing is changed.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub fn start(options: &Options, settings: &Settings) -> Result<Self, SetupError> {
        let mut host = Host::open(options)?;
        let gate = SynGate::new(Tun::open(&settings.tun, settings.mtu)?, settings.limits)?;
        let v4 = Listener::bind(false)?;
        let v6 = if has_v6() { Some(Listener::bind(true)?) } else { None };
        host.apply(&settings.plan(v4.port(), v6.as_ref().map(Listener::port)))?;
        Ok(Self { host: Mutex::new(host), gate, v4, v6 })
    }

    /// The next question. Dropping the future loses none.
    ///
    /// # Errors
    /// The TUN interface is gone: nothing more will come.
    pub async fn next(&self) -> io::Result<Syn> {
        self.gate.next().await
    }

    /// The far side has answered: the connection comes to [`Intake::accept`]. False: nobody asks that any more.
    ///
    /// # Errors
    /// The TUN interface is gone.
    pub fn admit(&self, syn: &Syn) -> io::Result<bool> {
        self.gate.admit(syn)
    }

    /// The far side will not: the client is told. False: nobody asks that any more.
    ///
    /// # Errors
    /// There is no route back to the client.
    pub fn refuse(&self, syn: &Syn, refusal: Refusal) -> io::Result<bool> {
        self.gate.refuse(syn, refusal)
    }

    /// The next connection that was admitted. Now and then it is one that nobody waits for (its client sent the first
    /// packet twice, or was very late): ask the far side then, or drop it. Dropping the future loses none.
    ///
    /// # Errors
    /// No more descriptors or memory: wait a moment.
    pub async fn accept(&self) -> io::Result<(Syn, Taken)> {
        let mut v4 = pin!(self.v4.accept());
        let mut v6 = pin!(async {
            match &self.v6 {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        });
        let taken = poll_fn(|cx| match v4.as_mut().poll(cx) {
            Poll::Ready(taken) => Poll::Ready(taken),
            Poll::Pending => v6.as_mut().poll(cx),
        })
        .await?;
        let syn = Syn { client: taken.client, destination: taken.destination };
        self.gate.arrived(&syn);
        Ok((syn, taken))
    }

    /// See [`Host::set_capture`]: off while there is no session.
    ///
    /// # Errors
    /// As there.
    pub fn set_capture(&self, on: bool) -> Result<(), SetupError> {
        self.host().set_capture(on)
    }

    /// See [`Host::repair`]: now and then. Takes some milliseconds, so not on a thread that moves data.
    ///
    /// # Errors
    /// As there.
    pub fn repair(&self) -> Result<Vec<String>, SetupError> {
        self.host().repair()
    }

    /// Puts everything back, and says what could not be.
    ///
    /// # Errors
    /// [`SetupError::Left`].
    pub fn stop(self) -> Result<(), SetupError> {
        self.host().undo()
    }

    /// Questions, and what became of them.
    pub fn counts(&self) -> Counts {
        self.gate.counts()
    }

    /// Questions without an answer.
    pub fn pending(&self) -> usize {
        self.gate.pending()
    }

    fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this machine speaks IPv6.
fn has_v6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}
