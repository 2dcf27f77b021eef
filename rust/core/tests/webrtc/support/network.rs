//! A network between two peers that loses datagrams, and counts them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stapes_core::transport::webrtc::{Peer, StackPeer};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

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

/// A network between two peers, until it is dropped.
pub struct Network {
    ways: [Way; 2],
}

impl Network {
    /// Lets `near` begin a call to `far`. Of 100 datagrams so many are lost each way.
    pub async fn between(near: &StackPeer, far: &StackPeer, lost: u64, seed: u64) -> Self {
        let (here, there) = (bound().await, bound().await);
        let offer = near.offer().await.unwrap();
        let (offer, near_at) = through(&offer, there.local_addr().unwrap().port());
        let answer = far.answer(&offer).await.unwrap();
        let (answer, far_at) = through(&answer, here.local_addr().unwrap().port());
        let ways = [
            Way::new(&here, &there, far_at, lost, 2 * seed),
            Way::new(&there, &here, near_at, lost, 2 * seed + 1),
        ];
        near.accept(&answer).await.unwrap();
        Self { ways }
    }

    /// How many datagrams `near` has sent.
    pub fn sent(&self) -> u64 {
        self.ways[0].sent.load(Ordering::Relaxed)
    }
}

async fn bound() -> Arc<UdpSocket> {
    Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap())
}

/// Carries what comes to one socket on from the other, but for what is lost.
struct Way {
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Way {
    fn new(
        from: &Arc<UdpSocket>,
        onward: &Arc<UdpSocket>,
        to: SocketAddr,
        lost: u64,
        seed: u64,
    ) -> Self {
        let sent = Arc::<AtomicU64>::default();
        let (from, onward, counter) = (Arc::clone(from), Arc::clone(onward), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let (size, _) = from.recv_from(&mut buffer).await.unwrap();
                let count = counter.fetch_add(1, Ordering::Relaxed);
                if mixed(seed, count) % 100 >= lost {
                    let _ = onward.send_to(&buffer[..size], to).await;
                }
            }
        });
        Self { sent, task }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}
