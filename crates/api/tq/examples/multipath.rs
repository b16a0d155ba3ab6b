//! One download over several links at once.
//!
//! `cargo run -p tq --example multipath` uses three addresses of loopback as links; `-- eth0 wwan0` the devices of that name
//! (server and client are one program here, so this shows how it is done more than how fast it gets).

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tq::{Bytes, Connection, Endpoint, PathStatus, SocketId, tls};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const LEN: usize = 64 << 20;

#[tokio::main]
async fn main() -> Result<()> {
    let key = tls::RawIdentity::generate();
    let trust = tls::ClientConfig::pinned_key(key.spki()).alpn(["bytes"]);
    let show = tls::ServerConfig::new().raw_key(key).alpn(["bytes"]);

    // Both ends must allow several paths. The end that sends most decides where most goes: here the server.
    let mut config = tq::ServerConfig::new(show)?;
    config.max_paths(4).scheduler("aggregate")?;
    let server = Endpoint::server(config, "0.0.0.0:0".parse()?)?;
    let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), server.local_addr().port());
    let mut config = tq::ClientConfig::new(trust)?;
    config.max_paths(4);

    // A socket for each link.
    let (client, others) = links(std::env::args().skip(1).collect())?;
    let connecting = client.connect_with(&config, to, "localhost")?;
    let incoming = server.accept().await.ok_or("closed")?;
    tokio::spawn(async move { serve(&incoming.await?).await });
    let connection = connecting.await?;

    // Events are heard from here on; the handshake's path is there already.
    let mut events = connection.path_events();
    tokio::spawn(async move {
        while let Ok(event) = events.next().await {
            println!("  {event:?}");
        }
    });

    // Only the client opens paths. Each waits until the server has answered that way.
    for socket in others {
        match connection.open_path(socket).await {
            Ok(path) => println!("path {} from {:?}", path.id().0, path.local_address()),
            // A link that does not work costs nothing but this line.
            Err(error) => println!("no path from {:?}: {error}", client.socket_addr(socket)),
        }
    }
    // The last one is kept for bad times, if there is another.
    if let [_, .., last] = &connection.paths()[..] {
        last.set_status(PathStatus::Backup)?;
    }

    let mut recv = connection.accept_uni().await?;
    let mut received = 0;
    while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
        received += chunk.len();
    }
    println!("{received} bytes:");
    for path in connection.paths() {
        let Some(stats) = path.stats() else { continue };
        println!(
            "  path {} {:?}: {} bytes in, {} out, RTT {:?}",
            path.id().0,
            stats.state,
            stats.bytes_received,
            stats.bytes_sent,
            stats.srtt
        );
    }
    connection.close(0, b"done");
    client.wait_idle().await;
    Ok(())
}

/// An endpoint with a socket for each device, and the sockets beyond the one where connections begin.
fn links(devices: Vec<String>) -> Result<(Endpoint, Vec<SocketId>)> {
    let mut builder = Endpoint::builder();
    if let Some((first, rest)) = devices.split_first() {
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let options = tq::udp::Options { device: Some(first.clone()), ..Default::default() };
        let endpoint = builder.socket(options).bind(any)?;
        let others = rest
            .iter()
            .map(|device| endpoint.add_socket(Some(device), any))
            .collect::<std::io::Result<_>>()?;
        return Ok((endpoint, others));
    }
    let at = |host| SocketAddr::new(IpAddr::from([127, 0, 0, host]), 0);
    let endpoint = builder.bind(at(1))?;
    let others = [2, 3].map(|host| endpoint.add_socket(None, at(host)));
    Ok((endpoint, others.into_iter().collect::<std::io::Result<_>>()?))
}

async fn serve(connection: &Connection) -> Result<()> {
    let block = Bytes::from_static(&[0x5a; 64 * 1024]);
    let mut send = connection.open_uni().await?;
    // Nothing before the client's paths are there: it is to be seen how they share.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    for _ in 0..LEN / block.len() {
        send.write_chunk(block.clone()).await?;
    }
    send.finish()?;
    connection.closed().await;
    Ok(())
}
