//! How connections end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use stapes_core::transport::CloseReason;
use stapes_core::transport::websocket::{WebSocketOptions, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

#[tokio::test]
async fn a_close_code_that_no_frame_may_carry_is_reported_as_it_came() {
    for code in [999, 1004, 1006, 1014, 1015, 1016, 2999, 5000, 65535_u16] {
        let server = server::websocket(async move |socket: Socket| {
            let mut wire = socket.into_inner();
            let mut frame = vec![0x88, 6];
            frame.extend(code.to_be_bytes());
            frame.extend(b"why!");
            wire.write_all(&frame).await.unwrap();
            wire
        })
        .await;
        let reason = "why!".to_owned();
        let ended = open(&server).await.ended().await;
        assert_eq!(ended, CloseReason::ClosedByPeer { code, reason });
    }
}

#[tokio::test]
async fn a_reason_that_is_not_utf8_is_reported_as_far_as_it_can_be_read() {
    let server = server::websocket(async move |socket: Socket| {
        let mut wire = socket.into_inner();
        // In two pieces, and behind a text.
        wire.write_all(b"\x81\x02hi\x88\x05\x03").await.unwrap();
        tokio::task::yield_now().await;
        wire.write_all(b"\xf1no\xff").await.unwrap();
        wire
    })
    .await;
    let mut carried = open(&server).await;
    assert_eq!(carried.text().await, "hi");
    let reason = "no\u{fffd}".to_owned();
    let ended = carried.ended().await;
    assert_eq!(ended, CloseReason::ClosedByPeer { code: 1009, reason });
}

/// What a server reads of us that goes on sending for a while before it reads, and how that ended.
async fn read_late(socket: Socket, last: &[u8]) -> (Vec<u8>, std::io::Result<()>) {
    let mut wire = socket.into_inner();
    wire.write_all(last).await.unwrap();
    // It arrives when the client has closed, which would reset the connection.
    let mut read = Vec::new();
    let mut byte = [0];
    wire.read_exact(&mut byte).await.unwrap();
    read.extend(byte);
    for _ in 0..20 {
        if wire.write_all(&[0x81, 1, b'x'].repeat(1000)).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let end = wire.read_to_end(&mut read).await.map(drop);
    (read, end)
}

#[tokio::test]
async fn a_server_that_still_sends_gets_our_close_frame_and_no_reset() {
    let too_long = [&[0x81, 127][..], &(1_u64 << 40).to_be_bytes()].concat();
    let mut goodbye = vec![0x88, 2, 0x0f, 0xa1];
    goodbye.extend([0x81, 1, b'x'].repeat(1000));
    for (last, code) in [(too_long, 1009_u16), (goodbye, 4001)] {
        let server =
            server::websocket(async move |socket: Socket| read_late(socket, &last).await).await;
        let carried = open(&server).await;
        carried.ended().await;
        let (read, end) = server.task.await.unwrap();
        assert!(end.is_ok(), "{code}: {end:?}");
        let [0x88, 0x82, a, b, _, _, c, d, ..] = read[..] else {
            panic!("no close frame: {read:?}");
        };
        assert_eq!(u16::from_be_bytes([a ^ c, b ^ d]), code);
    }
}

#[tokio::test]
async fn a_message_longer_than_the_limit_is_refused_by_the_header_of_its_frame() {
    let server = server::websocket(async |socket: Socket| {
        let mut wire = socket.into_inner();
        // 16 MB are announced, and do not come.
        let header = [&[0x81, 127][..], &16_000_000_u64.to_be_bytes()].concat();
        wire.write_all(&header).await.unwrap();
        wire
    })
    .await;
    let options = WebSocketOptions {
        max_message_size: 1000,
        ..options()
    };
    let cause = open_with(&server, &options).await.lost().await;
    assert!(cause.contains("16000000 bytes"), "{cause}");
    assert!(cause.contains("limit of 1000"), "{cause}");
}

#[tokio::test]
async fn pings_of_a_server_that_does_not_read_pile_up_nothing() {
    // 40 MB of pongs fit into no kernel's buffers.
    const PINGS: usize = 300_000;
    let server = server::websocket(async |socket: Socket| {
        let mut wire = socket.into_inner();
        let ping = [&[0x89, 125][..], &[b'p'; 125]].concat();
        let many = ping.repeat(1000);
        for _ in 0..PINGS / 1000 {
            wire.write_all(&many).await.unwrap();
        }
        // The last one, which is to be answered, and the end.
        wire.write_all(b"\x89\x04last\x88\x02\x03\xe8")
            .await
            .unwrap();
        let mut tail = Vec::new();
        let mut buffer = vec![0; 1 << 20];
        let mut total = 0;
        loop {
            match wire.read(&mut buffer).await.unwrap() {
                0 => return (total, tail),
                length => {
                    total += length;
                    tail.extend_from_slice(&buffer[..length]);
                    tail.drain(..tail.len().saturating_sub(18));
                }
            }
        }
    })
    .await;
    let carried = open(&server).await;
    let reason = String::new();
    let ended = carried.ended().await;
    assert_eq!(ended, CloseReason::ClosedByPeer { code: 1000, reason });
    let (total, tail) = server.task.await.unwrap();
    assert!(total < PINGS * 131 / 2, "{total} bytes of pongs were kept");
    // Our close frame is the last.
    assert_eq!(tail[tail.len() - 8..][..2], [0x88, 0x82]);
}
