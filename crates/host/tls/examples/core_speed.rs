//! How fast the core alone is: one connection, one stream, both ends in one thread, no sockets.
//! `cargo run --release -p tq-tls --features self-signed --example core_speed -- [MB]`
//! Prints seconds per GB for each end, AEAD included.

use std::net::SocketAddr;
use std::sync::Arc;

use tq_quic::time::{Duration, Instant};
use tq_quic::wire::{Dir, Ecn};
use tq_quic::{
    ClientConfig, Connection, Endpoint, EndpointConfig, Handle, RecvMeta, Route, ServerConfig,
    TransportConfig,
};
use tq_tls::AwsLc;

struct End {
    endpoint: Endpoint,
    connection: Option<(Handle, Connection)>,
    address: SocketAddr,
    busy: std::time::Duration,
}

impl End {
    fn collect(&mut self) {
        let Some((handle, connection)) = &mut self.connection else { return };
        while let Some(event) = connection.poll_endpoint_event() {
            self.endpoint.handle_event(*handle, event);
        }
        while connection.poll_event().is_some() {}
    }

    /// Everything this end has to send now, into `out` as (buffer, segment).
    fn transmit(&mut self, now: Instant, buf: &mut [u8], out: &mut Vec<(Vec<u8>, usize)>) {
        let start = cpu();
        let mut copied = std::time::Duration::ZERO;
        self.collect();
        if let Some((_, connection)) = &mut self.connection {
            while let Some(transmit) = connection.transmit(now, buf, 44) {
                let spent = cpu();
                out.push((buf[..transmit.len].to_vec(), transmit.segment.unwrap_or(transmit.len)));
                copied += cpu() - spent;
            }
        }
        self.busy += (cpu() - start).saturating_sub(copied);
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, batch: &mut [u8], segment: usize) {
        let start = cpu();
        let meta = RecvMeta { remote: from, local_ip: Some(self.address.ip()), socket: 0, ecn: Ecn::NotEct };
        let mut reply = Vec::new();
        for datagram in batch.chunks_mut(segment) {
            match self.endpoint.receive(now, &meta, datagram, &mut reply) {
                Route::Connection(_) => {
                    if let Some((_, connection)) = &mut self.connection {
                        connection.receive(now, &meta, datagram);
                    }
                }
                Route::Incoming(incoming) => {
                    self.connection = self.endpoint.accept(now, incoming, &mut reply).ok();
                }
                _ => {}
            }
        }
        self.collect();
        self.busy += cpu() - start;
    }
}

fn cpu() -> std::time::Duration {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    fn clock() -> std::time::Instant {
        std::time::Instant::now()
    }
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = *START.get_or_init(clock);
    clock() - start
}

fn main() {
    let megabytes: u64 = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(2000);
    let (identity, roots) = tq_tls::self_signed(&["localhost"]).expect("a certificate");
    let tls = tq_tls::ClientConfig::with_roots(roots).alpn(["x"]).build().expect("client TLS");
    let server_tls =
        tq_tls::ServerConfig::new().certificate(identity).alpn(["x"]).build().expect("server TLS");
    let mut config = TransportConfig::default();
    config.initial_mtu = 1452;
    config.pacing = false;
    let config = Arc::new(config);
    let end = |address: &str| End {
        endpoint: Endpoint::new(EndpointConfig::default(), Arc::new(AwsLc), Arc::new(AwsLc)),
        connection: None,
        address: address.parse().expect("an address"),
        busy: std::time::Duration::ZERO,
    };
    let (mut client, mut server) = (end("192.0.2.1:1000"), end("192.0.2.2:443"));
    server
        .endpoint
        .set_server(Some(Arc::new(ServerConfig { tls: server_tls, transport: Arc::clone(&config) })));
    let mut now = Instant::from_nanos(1);
    let client_config = ClientConfig::new(tls, config);
    client.connection = client.endpoint.connect(now, &client_config, server.address, 0, "localhost").ok();
    let mut buf = vec![0; tq_quic::TRANSMIT_BUFFER];
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let (mut id, mut read, mut written) = (None, 0u64, 0u64);
    let total = megabytes * 1_000_000;
    let chunk = bytes::Bytes::from(vec![7u8; 1 << 20]);
    let mut started = None;
    while read < total {
        now += Duration::from_micros(20);
        if let Some((_, connection)) = &mut client.connection {
            let begin = cpu();
            if !connection.is_handshaking() && id.is_none() {
                id = connection.open(Dir::Uni);
                started = Some(cpu());
            }
            if let Some(id) = id {
                while written < total + (64 << 20) {
                    match connection.write(id, &mut chunk.clone()) {
                        Ok(n) => written += n as u64,
                        Err(_) => break,
                    }
                }
            }
            if connection.deadline().is_some_and(|at| at <= now) {
                connection.on_deadline(now);
            }
            client.busy += cpu() - begin;
        }
        client.transmit(now, &mut buf, &mut to_server);
        for (mut bytes, segment) in to_server.drain(..) {
            server.receive(now, client.address, &mut bytes, segment);
        }
        let begin = cpu();
        if let Some((_, connection)) = &mut server.connection {
            let _ = connection.accept(Dir::Uni);
            if let Some(id) = id {
                while let Ok(Some(bytes)) = connection.read(id, usize::MAX) {
                    read += bytes.len() as u64;
                }
            }
            if connection.deadline().is_some_and(|at| at <= now) {
                connection.on_deadline(now);
            }
        }
        server.busy += cpu() - begin;
        server.transmit(now, &mut buf, &mut to_client);
        for (mut bytes, segment) in to_client.drain(..) {
            client.receive(now, server.address, &mut bytes, segment);
        }
    }
    let gb = read as f64 / 1e9;
    let wall = cpu() - started.unwrap_or_default();
    println!(
        "{gb:.2} GB: sender {:.3} s/GB, receiver {:.3} s/GB, together {:.2} Gbit/s on one core",
        client.busy.as_secs_f64() / gb,
        server.busy.as_secs_f64() / gb,
        8.0 * gb / wall.as_secs_f64()
    );
}
