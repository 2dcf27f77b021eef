//! Frames in both directions.

use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use stapes_core::transport::websocket::connect;
use stapes_core::transport::{CloseReason, Outgoing};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::support::endpoint::{Recorder, Seen, run};
use crate::support::{open, options, request, server};

#[tokio::test]
async fn thousands_of_messages_come_back_in_order() {
    let server = server::websocket(server::echo).await;
    let mut carried = open(&server).await;
    for number in 0..5000 {
        carried.endpoint.send(format!("message {number}"));
    }
    for number in 0..5000 {
        assert_eq!(carried.text().await, format!("message {number}"));
    }
    carried.endpoint.close(1000, "done");
    assert_eq!(carried.ended().await, CloseReason::ClosedByUs);
}

#[tokio::test]
async fn a_message_of_megabytes_comes_back_whole() {
    let server = server::websocket(server::echo).await;
    let mut carried = open(&server).await;
    let long = "sound ".repeat(500_000);
    carried.endpoint.send(long.clone());
    assert!(carried.text().await == long);
}

#[tokio::test]
async fn what_waits_is_written_as_one_batch() {
    let server = server::websocket(server::echo).await;
    let connection = connect(&request(&server.url("ws")), &options())
        .await
        .unwrap();
    let (endpoint, seen) = Recorder::new();
    for number in 0..1000 {
        endpoint.send(number.to_string());
    }
    let mut carried = run(connection, endpoint, seen);
    for number in 0..1000 {
        assert_eq!(carried.text().await, number.to_string());
    }
    assert_eq!(carried.endpoint.taken.load(Ordering::SeqCst), 1);
    assert_eq!(carried.endpoint.flushed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn binary_messages_and_the_headers_of_the_answer_are_passed_on() {
    let server = server::tcp(async |mut stream| {
        let head = server::read_head(&mut stream).await;
        let key = server::header(&head, "sec-websocket-key").unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nX-Request-Id: req_7\r\n\
             Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
        )
        .into_bytes();
        // The first frames arrive together with the response: a text and a binary one.
        answer.extend_from_slice(b"\x81\x05hello\x82\x02\x01\x02");
        stream.write_all(&answer).await.unwrap();
        stream
    })
    .await;
    let connection = connect(&request(&server.url("ws")), &options())
        .await
        .unwrap();
    let headers: Vec<_> = connection.response_headers().collect();
    assert!(headers.contains(&("x-request-id", "req_7")), "{headers:?}");
    let answered = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let server_date = connection.server_date().expect("the answer has a date");
    let since = server_date.duration_since(answered).unwrap();
    assert!(since < Duration::from_secs(60), "{since:?}");
    let (endpoint, seen) = Recorder::new();
    let mut carried = run(connection, endpoint, seen);
    assert_eq!(carried.text().await, "hello");
    assert_eq!(carried.next().await, Seen::Binary(vec![1, 2]));
}

#[tokio::test]
async fn a_held_reader_leaves_frames_unread_while_writing_goes_on() {
    let (written, is_written) = oneshot::channel();
    let server = server::websocket(async |mut socket| {
        socket.send(Message::text("from the server")).await.unwrap();
        written.send(()).unwrap();
        server::echo(socket).await;
    })
    .await;
    let connection = connect(&request(&server.url("ws")), &options())
        .await
        .unwrap();
    let (endpoint, seen) = Recorder::new();
    endpoint.hold(true);
    let mut carried = run(connection, endpoint, seen);
    is_written.await.unwrap();
    // Each of these is a turn of the driver in which the server's frame could have been read.
    for number in 1..=3 {
        carried.endpoint.send("from the client");
        carried.until_flushed(number).await;
        assert!(carried.seen.is_empty());
    }
    carried.endpoint.hold(false);
    assert_eq!(carried.text().await, "from the server");
    for _ in 1..=3 {
        assert_eq!(carried.text().await, "from the client");
    }
    carried.endpoint.hold(true);
    carried.endpoint.send("held again");
    carried.until_flushed(4).await;
    carried.endpoint.hold(false);
    assert_eq!(carried.text().await, "held again");
}

#[tokio::test]
async fn reading_goes_on_while_the_peer_does_not_read() {
    const MESSAGES: usize = 300;
    let long = || "x".repeat(100_000);
    let (read, may_read) = oneshot::channel();
    let server = server::websocket(async move |mut socket| {
        for _ in 0..MESSAGES {
            socket.send(Message::text(long())).await.unwrap();
        }
        may_read.await.unwrap();
        let mut received = 0;
        while received < MESSAGES {
            if let Some(Ok(Message::Text(text))) = socket.next().await {
                assert_eq!(text.len(), 100_000);
                received += 1;
            }
        }
        received
    })
    .await;
    let mut carried = open(&server).await;
    for _ in 0..MESSAGES {
        carried.endpoint.send(long());
    }
    for _ in 0..MESSAGES {
        carried.text().await;
    }
    let taken = carried.endpoint.taken.load(Ordering::SeqCst);
    assert_eq!(
        carried.endpoint.flushed.load(Ordering::SeqCst),
        taken - 1,
        "writing is blocked"
    );
    read.send(()).unwrap();
    assert_eq!(server.task.await.unwrap(), MESSAGES);
}

#[tokio::test]
async fn nothing_is_sent_after_the_goodbye() {
    let server = server::websocket(async |mut socket| {
        let mut received = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            received.push(message.into_text().unwrap().to_string());
        }
        received
    })
    .await;
    let connection = connect(&request(&server.url("ws")), &options())
        .await
        .unwrap();
    let (endpoint, seen) = Recorder::new();
    endpoint.send("first");
    endpoint.push(Outgoing::Close {
        code: 1000,
        reason: "goodbye".to_owned(),
    });
    endpoint.send("too late");
    assert_eq!(
        run(connection, endpoint, seen).ended().await,
        CloseReason::ClosedByUs
    );
    assert_eq!(server.task.await.unwrap(), ["first", "goodbye"]);
}

#[tokio::test]
async fn a_session_that_waits_costs_one_small_task() {
    let server = server::websocket(server::echo).await;
    let connection = connect(&request(&server.url("ws")), &options())
        .await
        .unwrap();
    let size = std::mem::size_of_val(&connection.run(Recorder::new().0));
    assert!(size < 2048, "the future has {size} bytes");
}
