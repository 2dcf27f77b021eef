//! Which servers are trusted.

use stapes_core::transport::Ended;
use stapes_core::transport::websocket::{Tls, WebSocketOptions, connect};

use crate::support::certificates::Authority;
use crate::support::endpoint::carry;
use crate::support::{options, request, server};

fn trusting(authority: &Authority) -> WebSocketOptions {
    WebSocketOptions {
        tls: Tls {
            ca_file: Some(authority.file.clone()),
        },
        ..options()
    }
}

#[tokio::test]
async fn a_server_is_accepted_with_its_authoritys_file() {
    let authority = Authority::new();
    let server = server::secure_echo(authority.server(&["127.0.0.1"])).await;
    let connection = connect(&request(&server.url("wss")), &trusting(&authority))
        .await
        .unwrap();
    let mut carried = carry(connection);
    carried.endpoint.send("hello");
    assert_eq!(carried.text().await, "hello");
    carried.endpoint.close(1000, "");
    assert_eq!(carried.ended().await, Ended::ClosedByUs);
}
