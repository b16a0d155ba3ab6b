//! Two endpoints on loopback.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::future::Future;
use std::time::Duration;

use tq::{ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig, tls};

/// Nothing here takes longer, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(40);

/// A server that has not accepted anything, and a client that trusts it.
pub(crate) struct Pair {
    pub(crate) server: Endpoint,
    pub(crate) client: Endpoint,
}

pub(crate) fn configs(transport: impl Fn(&mut TransportConfig)) -> (ClientConfig, ServerConfig) {
    let key = tls::RawIdentity::generate();
    let trust = tls::ClientConfig::pinned_key(key.spki()).alpn(["test"]);
    let mut client = ClientConfig::new(trust).unwrap();
    let mut server = ServerConfig::new(tls::ServerConfig::new().raw_key(key).alpn(["test"])).unwrap();
    client.transport(&transport);
    server.transport(&transport);
    (client, server)
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(transport: impl Fn(&mut TransportConfig)) -> Self {
        Self::on("127.0.0.1:0", transport)
    }

    pub(crate) fn on(addr: &str, transport: impl Fn(&mut TransportConfig)) -> Self {
        let (client_config, server_config) = configs(transport);
        let server = Endpoint::server(server_config, addr.parse().unwrap()).unwrap();
        let client = Endpoint::client(addr.parse().unwrap()).unwrap();
        client.set_client_config(client_config);
        Self { server, client }
    }

    /// A connection, as the client and as the server have it.
    pub(crate) async fn connect(&self) -> (Connection, Connection) {
        let connecting = self.client.connect(self.server.local_addr(), "localhost").unwrap();
        let accepting = async { self.server.accept().await.unwrap().await.unwrap() };
        let (client, server) = tokio::join!(connecting, accepting);
        (client.unwrap(), server)
    }
}

/// Runs a test, but not for ever.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, test).await.expect("takes too long") });
}

/// Bytes that differ by place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + (i >> 8) * 7 + (i >> 16)) as u8).collect()
}

/// Sends `len` bytes over a connection and checks them at the other end; `meanwhile` happens when a quarter of them is there.
pub(crate) async fn transfer(from: &Connection, to: &Connection, len: usize, meanwhile: impl AsyncFnOnce()) {
    let data = pattern(len);
    let (expected, from) = (data.clone(), from.clone());
    let sending = tokio::spawn(async move {
        let mut send = from.open_uni().await.unwrap();
        send.write_all(&data).await.unwrap();
        send.finish().unwrap();
        send.stopped().await.unwrap();
    });
    let mut recv = to.accept_uni().await.unwrap();
    let mut got = vec![0; len];
    let (begin, rest) = got.split_at_mut(len / 4);
    recv.read_exact(begin).await.unwrap();
    meanwhile().await;
    recv.read_exact(rest).await.unwrap();
    assert!(got == expected, "bytes were altered");
    sending.await.unwrap();
}

/// Waits until it is so.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
