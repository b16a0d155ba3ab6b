//! A server that sends back every stream, and a client that checks it. Both in one process, over loopback.
//!
//! `cargo run --example echo`

use std::error::Error;

use tq::{Connection, Endpoint, tls};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let key = tls::RawIdentity::generate();
    let trust = tls::ClientConfig::pinned_key(key.spki()).alpn(["echo"]);
    let show = tls::ServerConfig::new().raw_key(key).alpn(["echo"]);

    let server = Endpoint::server(tq::ServerConfig::new(show)?, "127.0.0.1:0".parse()?)?;
    let address = server.local_addr();
    tokio::spawn(async move {
        while let Some(incoming) = server.accept().await {
            tokio::spawn(async move {
                if let Err(error) = serve(incoming.await?).await {
                    eprintln!("server: {error}");
                }
                Result::Ok(())
            });
        }
    });

    let client = Endpoint::client("127.0.0.1:0".parse()?)?;
    client.set_client_config(tq::ClientConfig::new(trust)?);
    let connection = client.connect(address, "localhost")?.await?;
    for text in ["one", "two", "three"] {
        let (mut send, mut recv) = connection.open_bi().await?;
        send.write_all(text.as_bytes()).await?;
        send.finish()?;
        let back = recv.read_to_end(1024).await?;
        assert_eq!(back, text.as_bytes());
        println!("{text} came back");
    }
    connection.close(0, b"done");
    client.wait_idle().await;
    Ok(())
}

/// Copies streams back until the client closes.
async fn serve(connection: Connection) -> Result<()> {
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        tokio::spawn(async move {
            while let Some(chunk) = recv.read_chunk(64 * 1024).await? {
                send.write_chunk(chunk).await?;
            }
            send.finish()?;
            Result::Ok(())
        });
    }
    Ok(())
}
