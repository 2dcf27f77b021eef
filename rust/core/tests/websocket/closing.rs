//! How connections end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use stapes_core::transport::CloseReason;
use stapes_core::transport::websocket::{WebSocketOptions, connect};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::endpoint::{Recorder, Seen};
use crate::support::{open, open_with, options, request, server};

type Socket = WebSocketStream<TcpStream>;

/// The next close frame.
async fn next_close(socket: &mut Socket) -> Option<(u16, String)> {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            return frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
        }
    }
    panic!("a close frame was expected");
}

fn close(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame {
        code: code.into(),
        reason: reason.into(),
    }
}

#[tokio::test]
async fn the_servers_code_and_reason_are_reported_and_answered() {
    let server = server::websocket(async |mut socket| {
        socket
            .close(Some(close(4001, "session expired")))
            .await
            .unwrap();
        next_close(&mut socket).await
    })
    .await;
    let ended = open(&server).await.ended().await;
    let reason = "session expired".to_owned();
    assert_eq!(
        ended,
        CloseReason::ClosedByPeer {
            code: 4001,
            reason: reason.clone()
        }
    );
    assert_eq!(server.task.await.unwrap(), Some((4001, reason)));
}

#[tokio::test]
async fn a_close_frame_without_a_code_is_1005() {
    let server = server::websocket(async |mut socket| socket.close(None).await).await;
    let ended = open(&server).await.ended().await;
    assert_eq!(
        ended,
        CloseReason::ClosedByPeer {
            code: 1005,
            reason: String::new()
        }
    );
}

#[tokio::test]
async fn messages_before_the_servers_close_are_delivered() {
    let server = server::websocket(async |mut socket: Socket| {
        socket.send(Message::text("last words")).await.unwrap();
        socket.close(Some(close(1000, ""))).await
    })
    .await;
    let mut carried = open(&server).await;
    assert_eq!(carried.text().await, "last words");
    assert_eq!(
        carried.ended().await,
        CloseReason::ClosedByPeer {
            code: 1000,
            reason: String::new()
        }
    );
}

#[tokio::test]
async fn the_servers_reason_is_found_although_we_are_still_writing() {
    let server = server::websocket(async |mut socket: Socket| {
        // Leaves what we send unread, so that the kernel resets the connection behind the frame.
        socket
            .send(Message::Close(Some(close(1008, "not allowed"))))
            .await
            .unwrap();
    })
    .await;
    let carried = open(&server).await;
    carried.endpoint.hold(true);
    let held = Arc::clone(&carried.endpoint);
    server.task.await.unwrap();
    for _ in 0..50 {
        held.send("x".repeat(100_000));
    }
    held.hold(false);
    drop(held);
    let ended = carried.ended().await;
    assert_eq!(
        ended,
        CloseReason::ClosedByPeer {
            code: 1008,
            reason: "not allowed".to_owned()
        }
    );
}

#[tokio::test]
async fn our_code_and_reason_reach_the_server() {
    let server = server::websocket(async |mut socket| next_close(&mut socket).await).await;
    let carried = open(&server).await;
    carried.endpoint.close(4000, "bye");
    assert_eq!(carried.ended().await, CloseReason::ClosedByUs);
    assert_eq!(server.task.await.unwrap(), Some((4000, "bye".to_owned())));
}

#[tokio::test]
async fn what_arrives_after_our_goodbye_is_dropped() {
    let server = server::websocket(async |mut socket: Socket| {
        let (stop, mut wire) = (socket.next().await, socket.into_inner());
        assert!(matches!(stop, Some(Ok(Message::Text(_)))));
        // A text and the reply to the close frame.
        wire.write_all(b"\x81\x04late\x88\x02\x03\xe8")
            .await
            .unwrap();
        wire
    })
    .await;
    let carried = open(&server).await;
    carried.endpoint.hold(true);
    carried.endpoint.send("stop");
    carried.endpoint.close(1000, "");
    assert_eq!(carried.ended().await, CloseReason::ClosedByUs);
}

#[tokio::test]
async fn a_goodbye_that_nobody_answers_ends_with_the_timeout() {
    let (done, is_done) = oneshot::channel::<()>();
    let server = server::websocket(async |socket: Socket| {
        let _ = is_done.await;
        drop(socket);
    })
    .await;
    let options = WebSocketOptions {
        close_timeout: Duration::from_millis(30),
        ..options()
    };
    let carried = open_with(&server, &options).await;
    carried.endpoint.close(1000, "");
    assert_eq!(carried.ended().await, CloseReason::ClosedByUs);
    drop(done);
}

#[tokio::test]
async fn a_goodbye_stuck_behind_blocked_writes_ends_with_the_timeout() {
    let (done, is_done) = oneshot::channel::<()>();
    let server = server::websocket(async |socket: Socket| {
        let _ = is_done.await;
        drop(socket);
    })
    .await;
    let options = WebSocketOptions {
        close_timeout: Duration::from_millis(30),
        write_batch_bytes: usize::MAX,
        ..options()
    };
    let connection = connect(&request(&server.url("ws")), &options)
        .await
        .unwrap();
    let (endpoint, seen) = Recorder::new();
    for _ in 0..300 {
        endpoint.send("x".repeat(100_000));
    }
    endpoint.close(1000, "");
    let carried = crate::support::endpoint::run(connection, endpoint, seen);
    assert_eq!(carried.ended().await, CloseReason::ClosedByUs);
    drop(done);
}

#[tokio::test]
async fn a_server_that_goes_away_without_a_word_is_a_loss() {
    let server = server::websocket(async |socket: Socket| drop(socket)).await;
    let cause = open(&server).await.lost().await;
    assert!(cause.contains("without a close frame"), "{cause}");
}

#[tokio::test]
async fn a_reset_is_a_loss() {
    let server = server::websocket(async |socket: Socket| {
        socket.into_inner().set_zero_linger().unwrap();
    })
    .await;
    let cause = open(&server).await.lost().await;
    assert!(cause.contains("reset"), "{cause}");
}

/// Sends raw bytes after the handshake; returns the cause of the loss and our close code.
async fn after_raw(bytes: &'static [u8], options: &WebSocketOptions) -> (String, Option<u16>) {
    let server = server::websocket(async move |mut socket: Socket| {
        socket.get_mut().write_all(bytes).await.unwrap();
        next_close(&mut socket).await.map(|(code, _)| code)
    })
    .await;
    let cause = open_with(&server, options).await.lost().await;
    (cause, server.task.await.unwrap())
}

#[tokio::test]
async fn a_message_over_the_limit_is_a_loss_that_names_the_limit() {
    let options = WebSocketOptions {
        max_message_size: 100,
        max_frame_size: 100,
        ..options()
    };
    // The header of a frame of 101 bytes: it is refused before its payload arrives.
    let (cause, code) = after_raw(b"\x81\x65", &options).await;
    assert!(
        cause.contains("101 bytes") && cause.contains("max_message_size"),
        "{cause}"
    );
    assert_eq!(code, Some(1009));
}

#[tokio::test]
async fn text_that_is_not_utf8_is_a_loss() {
    let (cause, code) = after_raw(b"\x81\x02\xc3\x28", &options()).await;
    assert!(cause.contains("not UTF-8"), "{cause}");
    assert_eq!(code, Some(1007));
}

#[tokio::test]
async fn a_broken_protocol_is_a_loss() {
    // A data opcode that does not exist, a reserved bit, a masked frame, a fragmented ping.
    for bytes in [
        &b"\x83\x00"[..],
        b"\xc1\x00",
        b"\x81\x80\x00\x00\x00\x00",
        b"\x09\x00",
    ] {
        let (cause, code) = after_raw(bytes, &options()).await;
        assert!(
            cause.contains("broke the WebSocket protocol"),
            "{bytes:x?}: {cause}"
        );
        assert_eq!(code, Some(1002), "{bytes:x?}");
    }
}

#[tokio::test]
async fn an_aborted_task_still_reports_the_end_once() {
    let server = server::websocket(server::echo).await;
    let mut carried = open(&server).await;
    carried.endpoint.send("hello");
    assert_eq!(carried.text().await, "hello");
    carried.task.abort();
    let cause = carried.lost().await;
    assert!(cause.contains("stopped"), "{cause}");
}

#[tokio::test]
async fn a_connection_that_is_never_carried_on_still_reports_the_end() {
    let server = server::websocket(server::echo).await;
    let connection = connect(&request(&server.url("ws")), &options())
        .await
        .unwrap();
    let (endpoint, mut seen) = Recorder::new();
    drop(connection.run(endpoint));
    assert!(matches!(
        seen.recv().await,
        Some(Seen::CloseReason(CloseReason::Lost { .. }))
    ));
    assert_eq!(seen.recv().await, None);
}
