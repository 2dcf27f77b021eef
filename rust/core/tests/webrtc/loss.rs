//! Calls that begin on a network that loses packets.

use std::time::{Duration, Instant};

use stapes_core::transport::webrtc::{Peer, PeerEvent, StackPeer};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::support::answerer::settings;
use super::support::network::Network;

/// Of 100 datagrams each way.
const LOST: u64 = 10;
const CALLS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a peer, until its data channel is open and as long as this is not aborted.
fn run(peer: StackPeer) -> (tokio::sync::oneshot::Receiver<()>, AbortHandle) {
    let (open, opened) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        while peer.receive().await != PeerEvent::Opened {}
        let _ = open.send(());
        peer.tend().await;
    });
    (opened, task.abort_handle())
}

/// Makes a call over a network of its own. Returns how long it took.
async fn connect(seed: u64) -> Option<Duration> {
    let near = StackPeer::new(&settings()).await.unwrap();
    let far = StackPeer::new(&settings()).await.unwrap();
    let began = Instant::now();
    let _network = Network::between(&near, &far, LOST, seed).await;
    let sides = [run(near), run(far)];
    let aborted = sides.each_ref().map(|(_, task)| task.clone());
    let open = timeout(PATIENCE, async {
        for (opened, _) in sides {
            opened.await.unwrap();
        }
    });
    let took = open.await.ok().map(|()| began.elapsed());
    for task in aborted {
        task.abort();
    }
    took
}

#[tokio::test]
async fn each_of_twenty_calls_connects_though_one_datagram_in_ten_is_lost() {
    let mut calls = JoinSet::new();
    for seed in 1..=CALLS {
        calls.spawn(async move { (Box::pin(connect(seed)).await, seed) });
    }
    let mut took = calls.join_all().await;
    took.sort();
    let failed = took.iter().filter(|(took, _)| took.is_none()).count();
    assert_eq!(failed, 0, "{took:?}");
}
