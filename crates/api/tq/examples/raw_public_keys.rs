//! Both ends prove who they are with raw public keys (RFC 7250): no certificates, no names, no clock.
//!
//! `cargo run --example raw_public_keys`

use std::error::Error;

use tq::{ConnectionError, Endpoint, PeerIdentity, tls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (server_key, client_key) = (tls::RawIdentity::generate(), tls::RawIdentity::generate());
    println!("server {}\nclient {}", server_key.fingerprint(), client_key.fingerprint());

    let known = client_key.spki().to_vec();
    let show = tls::ServerConfig::new()
        .raw_key(server_key.clone())
        .clients(tls::ClientAuth::raw_keys(move |spki| spki == known))
        .alpn(["keys"]);
    let server = Endpoint::server(tq::ServerConfig::new(show)?, "127.0.0.1:0".parse()?)?;
    let address = server.local_addr();
    tokio::spawn(async move {
        while let Some(incoming) = server.accept().await {
            match incoming.await {
                Ok(connection) => {
                    if let PeerIdentity::RawKey(spki) = connection.peer() {
                        println!("server: this is {}", tls::Fingerprint::of(&spki));
                    }
                    connection.closed().await;
                }
                Err(error) => println!("server: no, {error}"),
            }
        }
    });

    let client = Endpoint::client("127.0.0.1:0".parse()?)?;
    let good = tls::ClientConfig::pinned_key(server_key.spki()).raw_key(client_key.clone()).alpn(["keys"]);
    let connection = client.connect_with(&tq::ClientConfig::new(good)?, address, "any.name")?.await?;
    println!("client: connected");
    connection.close(0, b"done");

    let stranger = tls::RawIdentity::generate();
    let wrong = tls::ClientConfig::pinned_key(stranger.spki()).raw_key(client_key).alpn(["keys"]);
    let error = client.connect_with(&tq::ClientConfig::new(wrong)?, address, "any.name")?.await.unwrap_err();
    assert!(matches!(error, ConnectionError::Violation(_)));
    println!("client: not with a wrong pin: {error}");
    client.wait_idle().await;
    Ok(())
}
