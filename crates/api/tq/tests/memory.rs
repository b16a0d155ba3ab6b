//! What a host keeps between endpoints.

mod common;

use std::time::Duration;

use common::{configs, run, transfer, until};
use tq::{Endpoint, Profile};

#[test]
fn a_token_of_an_earlier_endpoint_proves_our_address_and_lies_about_links_do_no_harm() {
    run(async {
        let (trusts, serves) = configs(|_| {});
        let on = "127.0.0.1:0".parse().unwrap();
        let server = Endpoint::server(serves, on).unwrap();
        let to = server.local_addr();
        let earlier = Endpoint::client(on).unwrap();
        earlier.set_client_config(trusts.clone());
        let (first, _accepted) = tokio::join!(earlier.connect(to, "localhost").unwrap(), async {
            server.accept().await.unwrap().await
        });
        let _first = first.unwrap();
        // it comes when the handshake is over
        until(|| !earlier.tokens().is_empty()).await;
        let tokens = earlier.tokens();

        let later = Endpoint::client(on).unwrap();
        later.set_client_config(trusts);
        tokens.iter().for_each(|token| later.add_token(token));
        assert_eq!(later.tokens(), tokens);
        let lie = Profile { min_rtt: Duration::from_micros(100), rate: u64::MAX };
        later.remember(later.sockets()[0].id, to.ip(), lie, Duration::ZERO);
        let connecting = later.connect(to, "localhost").unwrap();
        let incoming = server.accept().await.unwrap();
        assert!(incoming.address_validated());
        let (client, accepted) = tokio::join!(connecting, async { incoming.await });
        let (client, accepted) = (client.unwrap(), accepted.unwrap());
        transfer(&client, &accepted, 4 << 20, async || {}).await;
        transfer(&accepted, &client, 4 << 20, async || {}).await;
    });
}
