//! How calls end, and that they release all resources.

use std::time::Duration;

use stapes_core::conversation::Conversation;
use stapes_core::transport::webrtc::WebRtcOptions;
use tokio::runtime::Handle;

use crate::support::answerer::Answerer;
use crate::support::caller::Caller;
use crate::support::{options, soon, tone};

/// Open files of this process: sockets, above all.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[tokio::test]
async fn what_is_said_before_the_goodbye_arrives() {
    let mut answerer = Answerer::start().await;
    let (caller, far) = Caller::call(&mut answerer).await;
    caller.session.act(|conversation, now| {
        let event = serde_json::from_str(r#"{"type":"x.last"}"#).unwrap();
        conversation.send_event(event, now).unwrap();
        conversation.close(1000, "");
    });
    assert!(far.text().await.contains("x.last"));
    far.until_closed().await;
    assert_eq!(caller.ended().await, "closed by this side");
}

#[tokio::test]
async fn a_server_that_hangs_up_is_noticed_at_once() {
    let mut answerer = Answerer::start().await;
    let (caller, far) = Caller::call(&mut answerer).await;
    far.hang_up().await;
    assert_eq!(caller.ended().await, "the server closed the connection");
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    // A server whose process dies sends nothing more.
    let server = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut answerer = server.spawn(Answerer::start()).await.unwrap();
    let patience = WebRtcOptions {
        disconnected_after: Duration::from_millis(400),
        disconnected_grace: Duration::from_millis(300),
        close_timeout: Duration::from_millis(100),
        ..options()
    };
    let (caller, _far) = Caller::call_with(&mut answerer, &patience).await;
    server.shutdown_background();
    let reason = caller.ended().await;
    assert!(reason.contains("nothing has been heard"), "{reason}");
}

#[tokio::test]
async fn calls_that_were_closed_or_dropped_leave_no_task_and_no_socket() {
    let mut answerer = Answerer::start().await;
    // The first call creates what all calls share.
    let (caller, far) = Caller::call(&mut answerer).await;
    caller
        .session
        .act(|conversation, _| conversation.close(1000, ""));
    caller.ended().await;
    drop(far);
    let metrics = Handle::current().metrics();
    let settle = async |files: usize, tasks: usize| {
        while open_files() > files || metrics.num_alive_tasks() > tasks {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("quiet", settle(usize::MAX, 3)).await;
    let (files, tasks) = (open_files(), metrics.num_alive_tasks());
    for n in 0..10 {
        let (caller, far) = Caller::call(&mut answerer).await;
        caller.session.send_sound(tone(0, 2_400), false).unwrap();
        far.packet().await;
        match n % 3 {
            0 => {
                caller
                    .session
                    .act(|conversation, _| conversation.close(1000, ""));
                caller.ended().await;
            }
            1 => {
                far.hang_up().await;
                caller.ended().await;
            }
            _ => {
                caller.task.abort();
                let _ = caller.task.await;
                let status = caller.session.look(Conversation::status);
                assert_eq!(status.as_str(), "disconnected");
            }
        }
        drop(far);
    }
    soon("the end of sockets and tasks", settle(files, tasks)).await;
}
