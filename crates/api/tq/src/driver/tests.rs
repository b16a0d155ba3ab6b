//! The driver polled by hand: who sleeps must have left a waker with everything that may end its sleep.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use tq_tls::AwsLc;
use tq_udp::{Options, Socket};

use super::*;
use crate::endpoint::Endpoint;
use crate::sockets::Sockets;
use crate::{ClientConfig, tls};

/// Far more often than the reactor needs to notice anything.
const TIMES: usize = 100;
/// Polls until a driver with little to do sleeps.
const POLLS: usize = 20;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// An endpoint whose driver only runs when told to.
struct Rig {
    endpoint: Endpoint,
    driver: Driver,
    wakes: Arc<Count>,
}

impl Rig {
    fn new() -> Self {
        let mut builder = Endpoint::builder();
        let trust = tls::ClientConfig::insecure().alpn(["test"]);
        builder.client(ClientConfig::new(trust).unwrap());
        let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &Options::default()).unwrap();
        let core = tq_quic::Endpoint::new(builder.config.clone(), Arc::new(AwsLc), Arc::new(AwsLc));
        let inner = Inner::new(core, Sockets::new(socket, Options::default()).unwrap(), &builder);
        let endpoint = Endpoint::new(Arc::new(inner));
        let driver = Driver::new(Arc::clone(endpoint.inner()), builder.config.cid_len).unwrap();
        Self { endpoint, driver, wakes: Arc::default() }
    }

    /// Polls until it sleeps.
    fn settle(&mut self) {
        for _ in 0..POLLS {
            self.wakes.take();
            let waker = Waker::from(Arc::clone(&self.wakes));
            assert!(Pin::new(&mut self.driver).poll(&mut Context::from_waker(&waker)).is_pending());
            if self.wakes.take() == 0 {
                return;
            }
        }
        panic!("the driver never sleeps");
    }

    /// One poll that must not be the last for now.
    fn step(&mut self) {
        let waker = Waker::from(Arc::clone(&self.wakes));
        assert!(Pin::new(&mut self.driver).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(self.wakes.take(), 1, "it does not let others go first");
    }

    /// Lets the reactor look around; whether that ends the driver's sleep.
    async fn is_woken(&self) -> bool {
        for _ in 0..TIMES {
            tokio::task::yield_now().await;
            if self.wakes.take() > 0 {
                return true;
            }
        }
        false
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(test);
}

fn somebody() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

#[test]
fn a_driver_that_has_read_a_socket_empty_is_woken_by_the_next_datagram() {
    run(async {
        let mut rig = Rig::new();
        let (peer, _) = somebody();
        rig.settle();
        for _ in 0..3 {
            peer.send_to(&[0; 40], rig.endpoint.local_addr()).unwrap();
            assert!(rig.is_woken().await);
            rig.settle();
        }
    });
}

#[test]
fn a_driver_whose_socket_filled_up_is_woken_when_it_can_be_written() {
    run(async {
        let mut rig = Rig::new();
        let (peer, addr) = somebody();
        rig.settle();
        let _connecting = rig.endpoint.connect(addr, "localhost").unwrap();
        rig.settle();
        let mut datagram = [0; 1500];
        while peer.recv(&mut datagram).is_ok() {}
        // Something to send that no call announces, as when a deadline passes.
        let shared = lock(&rig.endpoint.inner().state).connection(0).cloned().unwrap();
        {
            let mut state = shared.lock();
            let now = state.at(Clock::now());
            state.core.close(now, 0, b"");
            state.queued = true;
        }
        rig.driver.turn.push_back(shared);
        rig.driver.stage = Stage::Start;
        rig.driver.refuse = true;
        rig.settle();
        assert!(!rig.driver.refuse, "nothing was sent");
        assert!(rig.is_woken().await);
        rig.settle();
        while peer.recv(&mut datagram).is_err() {
            assert!(rig.is_woken().await, "the packet is stuck");
            rig.settle();
        }
    });
}

#[test]
fn what_woken_tasks_write_leaves_before_the_driver_goes_on() {
    run(async {
        let mut rig = Rig::new();
        let (_peer, addr) = somebody();
        rig.settle();
        // A call ends the driver's sleep; others may follow it before anything is sent.
        let _one = rig.endpoint.connect(addr, "localhost").unwrap();
        assert_eq!(rig.wakes.take(), 1);
        for _ in 0..YIELDS {
            rig.step();
            assert!(rig.driver.turn.is_empty());
        }
        let _two = rig.endpoint.connect(addr, "localhost").unwrap();
        assert_eq!(rig.wakes.take(), 0, "a driver that is about to run needs no waking");
        rig.settle();
    });
}

#[test]
fn what_arrives_while_the_driver_lets_others_go_first_is_read() {
    run(async {
        let mut rig = Rig::new();
        let (peer, addr) = somebody();
        rig.settle();
        let _one = rig.endpoint.connect(addr, "localhost").unwrap();
        rig.wakes.take();
        rig.step();
        peer.send_to(&[0; 40], rig.endpoint.local_addr()).unwrap();
        assert!(rig.is_woken().await);
        rig.settle();
        let left = rig.endpoint.inner().sockets.get(0).unwrap().get_ref().recv(&mut RecvBatch::new());
        assert_eq!(left.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}
