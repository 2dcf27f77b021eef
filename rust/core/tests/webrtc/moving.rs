//! A call whose address changes, and what strangers do to it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stapes_core::transport::webrtc::{Opus, Peer, PeerEvent, PeerSettings, StackPeer};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::support::answerer::settings;
use super::support::soon;

/// One side of a call, carried until it is dropped.
struct Side {
    peer: Arc<StackPeer>,
    events: mpsc::UnboundedReceiver<PeerEvent>,
    carrier: JoinHandle<()>,
}

impl Drop for Side {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Side {
    async fn at(address: &str) -> StackPeer {
        let local = vec![address.parse().unwrap()];
        StackPeer::new(&PeerSettings {
            local,
            ..settings()
        })
        .await
        .unwrap()
    }

    fn carry(peer: StackPeer) -> Self {
        let peer = Arc::new(peer);
        let received = Arc::clone(&peer);
        let (heard, events) = mpsc::unbounded_channel();
        let carrier =
            tokio::spawn(async move { while heard.send(received.receive().await).is_ok() {} });
        Self {
            peer,
            events,
            carrier,
        }
    }

    async fn until(&mut self, what: &str, is_it: impl Fn(&PeerEvent) -> bool) {
        let coming = async { while !is_it(&self.events.recv().await.unwrap()) {} };
        soon(what, coming).await;
    }

    fn sing(&self, timestamp: u32) {
        let payload = Bytes::from_static(&[0xf8, 0xff, 0xfe]);
        let packet = Opus {
            timestamp,
            marker: false,
            payload,
        };
        self.peer.send_opus(packet).unwrap();
    }
}

/// A call between two peers, and our offer.
async fn call() -> (Side, Side, String) {
    let (near, far) = (Side::at("127.0.0.2").await, Side::at("127.0.0.1").await);
    let offer = near.offer().await.unwrap();
    let answer = far.answer(&offer).await.unwrap();
    near.accept(&answer).await.unwrap();
    let (mut near, mut far) = (Side::carry(near), Side::carry(far));
    for side in [&mut near, &mut far] {
        side.until("the data channel", |event| *event == PeerEvent::Opened)
            .await;
    }
    (near, far, offer)
}

/// Messages and sound go from one side to the other.
async fn goes(from: &Side, to: &mut Side) {
    from.peer.send_event("hello").await.unwrap();
    to.until(
        "a message",
        |event| matches!(event, PeerEvent::Text(text) if text == "hello"),
    )
    .await;
    for timestamp in 0..20 {
        from.sing(timestamp);
        to.until(
            "sound",
            |event| matches!(event, PeerEvent::Opus(packet) if packet.timestamp == timestamp),
        )
        .await;
    }
}

#[tokio::test]
async fn a_call_goes_on_from_another_address_of_this_machine() {
    let (mut near, mut far, _) = Box::pin(call()).await;
    goes(&near, &mut far).await;
    // The second is not the first any more.
    for address in ["127.0.0.3", "127.0.0.4", "127.0.0.2"] {
        let address: IpAddr = address.parse().unwrap();
        near.peer.move_to(address);
        near.peer.send_event("moved").await.unwrap();
        far.until(
            "a message",
            |event| matches!(event, PeerEvent::Text(text) if text == "moved"),
        )
        .await;
        // A message is sent again until it arrives; when it has, so does sound.
        far.peer.send_event("followed").await.unwrap();
        near.until(
            "an answer",
            |event| matches!(event, PeerEvent::Text(text) if text == "followed"),
        )
        .await;
        goes(&near, &mut far).await;
        goes(&far, &mut near).await;
    }
}

#[tokio::test]
async fn a_far_side_that_does_not_follow_is_lost_by_name() {
    let (mut near, far, _) = Box::pin(call()).await;
    drop(far);
    near.peer.move_to("127.0.0.3".parse().unwrap());
    near.until("the end", |event| *event == PeerEvent::AddressLost)
        .await;
    assert!(near.peer.send_event("any").await.is_err());
}

#[tokio::test]
async fn what_strangers_send_disturbs_nothing() {
    let (mut near, mut far, offer) = Box::pin(call()).await;
    let line = offer.lines().find(|it| it.starts_with("a=candidate:"));
    let words: Vec<_> = line.unwrap().split(' ').collect();
    let address: SocketAddr = format!("{}:{}", words[4], words[5]).parse().unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // An alert that ends a session (fatal, handshake_failure), without keys.
    let mut alert = vec![21, 254, 253];
    alert.extend_from_slice(&[0; 8]);
    alert.extend_from_slice(&[0, 2, 2, 40]);
    for n in 0..2000_u32 {
        let mut sound = vec![0x80, 111, 0, 1, 0, 0, 0, 0];
        sound.extend_from_slice(&n.to_be_bytes());
        sound.extend_from_slice(&[7; 60]);
        let mut check = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        check.extend_from_slice(&[n as u8; 12]);
        for datagram in [&alert[..], &sound, &check, &[], &[255; 40]] {
            stranger.send_to(datagram, address).await.unwrap();
        }
        if n % 50 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    goes(&near, &mut far).await;
    goes(&far, &mut near).await;
}
