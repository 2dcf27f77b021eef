//! Calls that begin on a network that loses packets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stapes_core::transport::webrtc::{Peer, PeerEvent, StackPeer};
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::support::answerer::settings;

/// Of 100 datagrams each way.
const LOST: u64 = 10;
const CALLS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// A number that looks random, and is the same for each seed and count.
fn mixed(seed: u64, count: u64) -> u64 {
    let mut mixed = (seed << 32 | count).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// A description whose only candidate is this one, and the candidate that it had.
fn through(description: &str, port: u16) -> (String, SocketAddr) {
    let mut known = None;
    let mut lines = Vec::new();
    for line in description.lines() {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        if line.starts_with("a=candidate:") {
            if known.is_some() {
                continue;
            }
            known = format!("{}:{}", words[4], words[5]).parse().ok();
            words[5] = port.to_string();
        }
        lines.push(words.join(" "));
    }
    (lines.join("\r\n") + "\r\n", known.unwrap())
}

/// Carries what comes to one socket on from the other, but for what is lost.
async fn carry(from: Arc<UdpSocket>, onward: Arc<UdpSocket>, to: SocketAddr, seed: u64) {
    let mut buffer = [0; 2048];
    for count in 0.. {
        let (size, _) = from.recv_from(&mut buffer).await.unwrap();
        if mixed(seed, count) % 100 >= LOST {
            let _ = onward.send_to(&buffer[..size], to).await;
        }
    }
}

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
    let (here, there) = (
        Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
        Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
    );
    let (offer, near_at) = through(
        &near.offer().await.unwrap(),
        there.local_addr().unwrap().port(),
    );
    let (answer, far_at) = through(
        &far.answer(&offer).await.unwrap(),
        here.local_addr().unwrap().port(),
    );
    let ways = [
        tokio::spawn(carry(here.clone(), there.clone(), far_at, 2 * seed)),
        tokio::spawn(carry(there, here, near_at, 2 * seed + 1)),
    ];
    let began = Instant::now();
    near.accept(&answer).await.unwrap();
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
    for way in ways {
        way.abort();
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
