//! Silent peers.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use stapes_core::transport::CloseReason;
use stapes_core::transport::websocket::{WebSocketOptions, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

use crate::support::endpoint::{Carried, Recorder, run};
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

/// Options with which an idle connection is left alone for longer than a test lasts.
fn pinging_while_sending(interval: u64, timeout: u64) -> WebSocketOptions {
    WebSocketOptions {
        sending_ping_interval: Duration::from_millis(interval),
        sending_ping_timeout: Duration::from_millis(timeout),
        ..options()
    }
}

/// A line that is half open from the handshake on: it takes all bytes, acknowledges them, and nothing
/// comes back. Returns what it took when the client has gone.
async fn half_open() -> server::Server<Vec<u8>> {
    server::websocket(async |socket| {
        let mut taken = Vec::new();
        let _ = socket.into_inner().read_to_end(&mut taken).await;
        taken
    })
    .await
}

/// Sends a text every few milliseconds until the connection is over; returns after how long it was.
async fn speak_until_over(carried: &Carried) -> Duration {
    let began = Instant::now();
    while !carried.task.is_finished() {
        assert!(began.elapsed() < crate::support::PATIENCE, "it goes on");
        carried.endpoint.send("sound");
        sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

#[tokio::test]
async fn while_something_is_sent_a_half_open_line_is_noticed_soon() {
    let line = half_open().await;
    let carried = open_with(&line, &pinging_while_sending(100, 60)).await;
    let noticed = speak_until_over(&carried).await;
    assert!(
        noticed >= Duration::from_millis(160),
        "the line has its time: {noticed:?}"
    );
    assert!(noticed < Duration::from_secs(5), "{noticed:?}");
    let cause = carried.lost().await;
    assert!(cause.contains("sending_ping_timeout"), "{cause}");
    drop(line.task.await.unwrap());
}

#[tokio::test]
async fn a_half_open_line_is_noticed_soon_after_a_single_message() {
    let line = half_open().await;
    let carried = open_with(&line, &pinging_while_sending(40, 20)).await;
    carried.endpoint.send("hello?");
    let cause = carried.lost().await;
    assert!(cause.contains("ping"), "{cause}");
}

#[tokio::test]
async fn an_idle_connection_is_pinged_no_sooner_than_it_says() {
    let line = half_open().await;
    let carried = open_with(&line, &pinging_while_sending(5, 5)).await;
    sleep(Duration::from_millis(60)).await;
    assert!(!carried.task.is_finished());
    carried.task.abort();
    drop(carried);
    assert_eq!(line.task.await.unwrap(), b"", "not one byte was sent");
}

#[tokio::test]
async fn a_server_that_answers_no_ping_but_sends_is_alive() {
    let server = server::websocket(async |socket| {
        // It reads nothing, and so it answers no ping.
        let mut stream = socket.into_inner();
        for _ in 0..40 {
            sleep(Duration::from_millis(10)).await;
            stream.write_all(b"\x81\x05alive").await.unwrap();
        }
        stream
    })
    .await;
    let mut carried = open_with(&server, &pinging_while_sending(5, 100)).await;
    for _ in 0..40 {
        carried.endpoint.send("sound");
        assert_eq!(carried.text().await, "alive");
    }
    drop(server.task.await.unwrap());
}

/// On the systems that can tell how long data stays unacknowledged.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod unacknowledged {
    use super::*;

    fn limited(milliseconds: u64) -> WebSocketOptions {
        WebSocketOptions {
            ping_interval: None,
            unacknowledged_timeout: Some(Duration::from_millis(milliseconds)),
            ..options()
        }
    }

    #[tokio::test]
    async fn a_server_that_reads_nothing_while_its_buffers_are_full_is_lost() {
        let (done, is_done) = oneshot::channel::<()>();
        let server = server::websocket(async |socket| {
            let _ = is_done.await;
            drop(socket);
        })
        .await;
        let carried = open_with(&server, &limited(300)).await;
        // More than both kernels take.
        carried.endpoint.send("a".repeat(32 << 20));
        let cause = carried.lost().await;
        assert!(cause.contains("unacknowledged_timeout"), "{cause}");
        assert!(cause.contains("does not read"), "{cause}");
        drop(done);
    }

    #[tokio::test]
    async fn a_server_that_reads_slowly_is_not() {
        const LENGTH: usize = 4 << 20;
        let server = server::websocket(async |socket| {
            let mut stream = socket.into_inner();
            let (mut taken, mut part) = (0, vec![0; 64 << 10]);
            while taken < LENGTH {
                sleep(Duration::from_millis(10)).await;
                taken += stream.read(&mut part).await.unwrap();
            }
            stream.write_all(b"\x81\x04read").await.unwrap();
            stream
        })
        .await;
        let mut carried = open_with(&server, &limited(400)).await;
        carried.endpoint.send("a".repeat(LENGTH));
        assert_eq!(carried.text().await, "read");
        drop(server.task.await.unwrap());
    }

    /// A line that goes dead: nothing arrives any more, and nothing says so.
    #[test]
    #[expect(
        clippy::print_stderr,
        reason = "who runs it is told that it was skipped"
    )]
    fn a_line_that_goes_dead_is_noticed_though_no_ping_is_sent() {
        let in_own_network = std::thread::spawn(|| {
            // SAFETY: it concerns this thread alone, which ends with the test.
            let is_alone = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
            if !is_alone || !link("up") {
                return false;
            }
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let server = server::websocket(server::echo::<TcpStream>).await;
                    let mut carried = open_with(&server, &limited(300)).await;
                    carried.endpoint.send("are you there?");
                    assert_eq!(carried.text().await, "are you there?");
                    assert!(link("down"));
                    let noticed = speak_until_over(&carried).await;
                    assert!(noticed >= Duration::from_millis(250), "{noticed:?}");
                    assert!(noticed < Duration::from_secs(3), "{noticed:?}");
                    drop(carried.lost().await);
                });
            true
        });
        if !in_own_network.join().unwrap() {
            eprintln!("skipped: no network namespace may be made here");
        }
    }

    /// Sets the loopback interface of this thread's network up or down.
    fn link(state: &str) -> bool {
        std::process::Command::new("ip")
            .args(["link", "set", "lo", state])
            .status()
            .is_ok_and(|status| status.success())
    }
}
