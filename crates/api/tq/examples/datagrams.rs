//! Datagrams there and back: unordered, unreliable, each whole or not at all.
//!
//! `cargo run --example datagrams`

use std::error::Error;
use std::time::Duration;

use tokio::time::timeout;
use tq::{Bytes, Endpoint, tls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let key = tls::RawIdentity::generate();
    let trust = tls::ClientConfig::pinned_key(key.spki()).alpn(["datagrams"]);
    let show = tls::ServerConfig::new().raw_key(key).alpn(["datagrams"]);

    let server = Endpoint::server(tq::ServerConfig::new(show)?, "127.0.0.1:0".parse()?)?;
    let client = Endpoint::client("127.0.0.1:0".parse()?)?;
    client.set_client_config(tq::ClientConfig::new(trust)?);
    let connecting = client.connect(server.local_addr(), "localhost")?;
    let incoming = server.accept().await.ok_or("closed")?;
    tokio::spawn(async move {
        let Ok(connection) = incoming.await else { return };
        while let Ok(datagram) = connection.read_datagram().await {
            let _ = connection.send_datagram_wait(datagram).await;
        }
    });
    let connection = connecting.await?;

    println!("datagrams of up to {:?} bytes fit", connection.max_datagram_size());
    for number in 0..10u8 {
        connection.send_datagram(Bytes::from(vec![number; 500]))?;
    }
    let mut back = 0;
    while back < 10
        && let Ok(datagram) = timeout(Duration::from_secs(1), connection.read_datagram()).await
    {
        assert_eq!(datagram?.len(), 500);
        back += 1;
    }
    println!("{back} of 10 came back");
    connection.close(0, b"done");
    client.wait_idle().await;
    Ok(())
}
