//! Silent peers.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use stapes_core::transport::CloseReason;
use stapes_core::transport::websocket::{WebSocketOptions, connect};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;

use crate::support::endpoint::{Recorder, run};
use crate::support::{open_with, options, request, server};

fn pinging(interval: u64, timeout: u64) -> WebSocketOptions {
    WebSocketOptions {
        ping_interval: Some(Duration::from_millis(interval)),
        ping_timeout: Duration::from_millis(timeout),
        ..options()
    }
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_given_up() {
    let (done, is_done) = oneshot::channel::<()>();
    let server = server::websocket(async |socket| {
        let _ = is_done.await;
        drop(socket);
    })
    .await;
    let cause = open_with(&server, &pinging(10, 10)).await.lost().await;
    assert!(cause.contains("ping"), "{cause}");
    drop(done);
}

#[tokio::test]
async fn a_silent_peer_that_answers_pings_stays() {
    let server = server::websocket(async |mut socket| {
        for _ in 0..3 {
            // Reading the next message sends the pong to the one before.
            assert!(matches!(socket.next().await, Some(Ok(Message::Ping(_)))));
        }
        socket.send(Message::text("still here")).await.unwrap();
        server::echo(socket).await;
    })
    .await;
    let mut carried = open_with(&server, &pinging(5, 20_000)).await;
    assert_eq!(carried.text().await, "still here");
    carried.endpoint.close(1000, "");
    assert_eq!(carried.ended().await, CloseReason::ClosedByUs);
}

#[tokio::test]
async fn while_the_reader_is_held_nobody_is_pinged_or_given_up() {
    let server = server::websocket(async |mut socket| socket.next().await).await;
    let connection = connect(&request(&server.url("ws")), &pinging(5, 5))
        .await
        .unwrap();
    let (endpoint, seen) = Recorder::new();
    endpoint.hold(true);
    let carried = run(connection, endpoint, seen);
    tokio::time::sleep(Duration::from_millis(40)).await;
    carried.endpoint.send("first");
    let first = server.task.await.unwrap();
    assert!(matches!(first, Some(Ok(Message::Text(_)))), "{first:?}");
}
