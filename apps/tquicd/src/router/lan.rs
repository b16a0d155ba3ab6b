//! The TCP connections of a local network, taken without its hosts' knowing.
//!
//! A first packet waits while the far side is asked; then it goes on to a listener, or its sender is told what the far side said.
//! So a connect takes as long as the far one and fails as it does. What is changed of the machine for this is taken back
//! when the task that holds it ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tq::{Connection, RecvStream, SendStream};
use tq_net::host::{Host, Options, Plan, SetupError, Without};
use tq_net::listener::{Listener, Taken};
use tq_net::syn::{Limits, Refusal, Syn, SynGate};
use tq_net::tun::Tun;
use tq_tunnel::{Open, Side, Status, Target, Traffic, Way, abort, relay};

use super::lock;
use crate::{Fatal, config, info, warn};

/// An admitted connection comes to the listener within this.
const ARRIVAL: Duration = Duration::from_secs(15);
/// Without a session for so long, new connections go another way.
const WITHOUT: Duration = Duration::from_secs(10);
/// Bytes of a packet in the TUN interface.
const MTU: u32 = 1360;

/// Streams that the far side has connected, for connections that have not come to the listener yet.
type Ready = Mutex<HashMap<Syn, (SendStream, RecvStream, OwnedSemaphorePermit)>>;

/// What the tasks share.
struct Lan {
    gate: SynGate,
    way: Way,
    ready: Ready,
    room: Arc<Semaphore>,
    traffic: Arc<Traffic>,
}

/// Sets the machine up and serves.
pub(super) fn take(
    lan: &config::Lan,
    way: Way,
    session: watch::Receiver<Option<Connection>>,
    room: Arc<Semaphore>,
    traffic: Arc<Traffic>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Fatal> {
    let mut host = Host::open(&options(lan)).map_err(fatal)?;
    let tun = Tun::open(&tun(lan), MTU).map_err(fatal)?;
    let gate = SynGate::new(tun, Limits::default()).map_err(fatal)?;
    let v4 = Listener::bind(false).map_err(fatal)?;
    // A machine may have no IPv6.
    let v6 = Listener::bind(true).ok();
    let plan = plan(lan, v4.port(), v6.as_ref().map(Listener::port));
    host.apply(&plan).map_err(fatal)?;
    let lan = Arc::new(Lan { gate, way, ready: Mutex::default(), room, traffic });
    tasks.spawn(Arc::clone(&lan).ask());
    for listener in [Some(v4), v6].into_iter().flatten() {
        tasks.spawn(Arc::clone(&lan).accept(listener));
    }
    tasks.spawn(hold(host, session));
    Ok(())
}

fn options(lan: &config::Lan) -> Options {
    Options { index: lan.instance, ..Options::default() }
}

fn tun(lan: &config::Lan) -> String {
    format!("tq{}", lan.instance)
}

fn plan(lan: &config::Lan, port_v4: u16, port_v6: Option<u16>) -> Plan {
    Plan {
        lan: lan.interfaces.clone(),
        tun: tun(lan),
        port_v4,
        port_v6,
        direct: Vec::new(),
        without: match lan.without {
            config::Without::Direct => Without::Direct,
            config::Without::Block => Without::Block,
        },
    }
}

/// What would be changed. The listeners' ports are the kernel's choice, made later.
pub(super) fn preview(lan: &config::Lan) -> Result<String, Fatal> {
    tq_net::host::preview(&options(lan), &plan(lan, 1, Some(1))).map_err(fatal)
}

fn fatal(error: SetupError) -> Fatal {
    match error {
        SetupError::Plan(_) => Fatal::Config(error.to_string()),
        _ if error.is_privilege() => Fatal::Privilege(error.to_string()),
        _ => Fatal::Failed(error.to_string()),
    }
}

/// Keeps the machine as it has to be while there is a session, and otherwise as the configuration says.
async fn hold(mut host: Host, mut session: watch::Receiver<Option<Connection>>) {
    let mut captures = true;
    loop {
        let there = session.wait_for(Option::is_some);
        let wanted = match captures {
            true => timeout(WITHOUT, there).await.map_or(Some(false), |there| there.is_ok().then_some(true)),
            false => there.await.is_ok().then_some(true),
        };
        // The router is gone.
        let Some(wanted) = wanted else { return };
        if wanted != captures {
            captures = wanted;
            info!("lan: connections {} the bond", if wanted { "take" } else { "go without" });
            if let Err(error) = host.set_capture(wanted) {
                warn!("lan: {error}");
            }
        }
        if wanted && session.wait_for(Option::is_none).await.is_err() {
            return;
        }
    }
}

impl Lan {
    /// Asks the far side for every first packet.
    async fn ask(self: Arc<Self>) {
        loop {
            match self.gate.next().await {
                Ok(syn) => {
                    let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
                        self.traffic.outcome(Status::Busy);
                        // Its sender asks again later.
                        let _ = self.gate.refuse(&syn, Refusal::Silence);
                        continue;
                    };
                    tokio::spawn(Arc::clone(&self).one(syn, permit));
                }
                Err(error) => return warn!("lan: no more connections are taken: {error}"),
            }
        }
    }

    async fn one(self: Arc<Self>, syn: Syn, permit: OwnedSemaphorePermit) {
        let opened = self.way.open(&Open::tcp(Target::Addr(syn.destination))).await;
        self.traffic.outcome(opened.as_ref().err().copied().unwrap_or(Status::Ok));
        let (send, recv) = match opened {
            Ok(streams) => streams,
            Err(status) => {
                let _ = self.gate.refuse(&syn, refusal(status));
                return;
            }
        };
        let stream = send.id();
        lock(&self.ready).insert(syn, (send, recv, permit));
        if matches!(self.gate.admit(&syn), Ok(true)) {
            sleep(ARRIVAL).await;
        }
        // Nobody came for it: its sender has left.
        let mut ready = lock(&self.ready);
        if ready.get(&syn).is_some_and(|(send, ..)| send.id() == stream) {
            ready.remove(&syn);
        }
    }

    /// Brings connections and streams together.
    async fn accept(self: Arc<Self>, listener: Listener) {
        loop {
            match listener.accept().await {
                Ok(taken) => {
                    let lan = Arc::clone(&self);
                    tokio::spawn(async move { lan.serve(taken).await });
                }
                // Out of descriptors: others have to end first.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn serve(&self, taken: Taken) {
        let syn = Syn { client: taken.client, destination: taken.destination };
        self.gate.arrived(&syn);
        let Some((send, recv, permit)) = lock(&self.ready).remove(&syn) else {
            return abort(&taken.stream);
        };
        self.carry(taken.stream, send, recv).await;
        drop(permit);
    }

    async fn carry(&self, tcp: TcpStream, send: SendStream, recv: RecvStream) {
        let flow = self.traffic.flow();
        relay(tcp, send, recv, &flow, Side::Near).await;
    }
}

/// What the sender is told.
fn refusal(status: Status) -> Refusal {
    match status {
        Status::Refused => Refusal::Refused,
        Status::NetUnreachable => Refusal::NetUnreachable,
        Status::Denied => Refusal::Denied,
        // As if nobody had heard it: it is sent again, and asked again.
        Status::Timeout | Status::Busy => Refusal::Silence,
        _ => Refusal::HostUnreachable,
    }
}
