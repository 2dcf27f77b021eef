//! Messages over the data channel.

use std::collections::VecDeque;

use stapes_core::transport::webrtc::{Peer, PeerError, PeerEvent, StackPeer};

use super::support::answerer::settings;
use super::support::network::Network;
use super::support::soon;

const MESSAGES: usize = 40;

fn texts(size: usize) -> VecDeque<String> {
    (0..MESSAGES).map(|n| format!("{n:size$}")).collect()
}

/// Carries `peer` until it has received so many messages, which have to be `texts`.
async fn hear(peer: &StackPeer, count: usize, size: usize) {
    let mut heard = VecDeque::new();
    while heard.len() < count {
        if let PeerEvent::Text(text) = peer.receive().await {
            heard.push_back(text);
        }
    }
    assert_eq!(heard, texts(size));
}

async fn opened(peer: &StackPeer) {
    while peer.receive().await != PeerEvent::Opened {}
}

/// A call over a network that is not lossy.
async fn call(channel_buffer: usize) -> (StackPeer, StackPeer, Network) {
    let mut settings = settings();
    settings.channel_buffer = channel_buffer;
    let near = StackPeer::new(&settings).await.unwrap();
    let far = StackPeer::new(&settings).await.unwrap();
    let network = Network::between(&near, &far, 0, 1).await;
    // Each is carried until the other is open as well.
    soon("the data channel", async {
        let (near_opens, far_opens) = (opened(&near), opened(&far));
        tokio::pin!(near_opens, far_opens);
        tokio::select! {
            () = &mut near_opens => tokio::select! { () = far_opens => {}, () = near.tend() => {} },
            () = &mut far_opens => tokio::select! { () = near_opens => {}, () = far.tend() => {} },
        }
    })
    .await;
    (near, far, network)
}

#[tokio::test]
async fn short_messages_that_are_sent_together_share_datagrams() {
    let (near, far, network) = Box::pin(call(1 << 20)).await;
    let before = network.sent();
    let mut waiting = texts(100);
    near.send_events(&mut waiting).await.unwrap();
    assert!(waiting.is_empty());
    soon("all messages", async {
        tokio::select! {
            () = near.tend() => {}
            () = hear(&far, MESSAGES, 100) => {}
        }
    })
    .await;
    // 40 of a hundred bytes, ten in each datagram of 1200; beside them go checks of the path.
    let datagrams = network.sent() - before;
    assert!(datagrams < 12, "{datagrams} datagrams");
}

#[tokio::test]
async fn messages_wait_for_room_in_the_channel_and_keep_their_order() {
    let (near, far, _network) = Box::pin(call(4_000)).await;
    let mut waiting = texts(1_000);
    soon("all messages", async {
        let sending = async {
            near.send_events(&mut waiting).await.unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = sending => {}
            () = near.tend() => {}
            () = hear(&far, MESSAGES, 1_000) => {}
        }
    })
    .await;
    assert!(waiting.is_empty());
}

#[tokio::test]
async fn a_message_that_is_too_long_leaves_those_after_it() {
    let (near, far, _network) = Box::pin(call(1 << 20)).await;
    let bytes = near.max_message() + 1;
    let mut waiting = texts(10);
    waiting.push_front("x".repeat(bytes));
    let refused = near.send_events(&mut waiting).await;
    assert_eq!(refused, Err(PeerError::TooLong { bytes }));
    near.send_events(&mut waiting).await.unwrap();
    soon("the others", async {
        tokio::select! {
            () = near.tend() => {}
            () = hear(&far, MESSAGES, 10) => {}
        }
    })
    .await;
}
