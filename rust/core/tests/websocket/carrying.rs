//! Frames in both directions.

use stapes_core::transport::Ended;
use stapes_core::transport::websocket::connect;

use crate::support::endpoint::carry;
use crate::support::{options, request, server};

#[tokio::test]
async fn thousands_of_messages_come_back_in_order() {
    let server = server::websocket(server::echo).await;
    let connection = connect(&request(&server.url("ws")), &options())
        .await
        .unwrap();
    let mut carried = carry(connection);
    for number in 0..5000 {
        carried.endpoint.send(format!("message {number}"));
    }
    for number in 0..5000 {
        assert_eq!(carried.text().await, format!("message {number}"));
    }
    carried.endpoint.close(1000, "done");
    assert_eq!(carried.ended().await, Ended::ClosedByUs);
}
