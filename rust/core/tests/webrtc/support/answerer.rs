//! A server that answers offers with a peer of ours, or as the test defines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use stapes_core::transport::webrtc::{
    Peer, PeerEvent, PeerSettings, PeerState, Received, StackPeer, Tls,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::soon;

/// Serves calls until the test's runtime ends.
pub struct Answerer {
    pub url: String,
    pub requests: mpsc::UnboundedReceiver<String>,
    calls: mpsc::UnboundedReceiver<Far>,
}

/// The far side of a call, which runs until it is dropped.
pub struct Far {
    pub peer: Arc<StackPeer>,
    events: Mutex<mpsc::UnboundedReceiver<PeerEvent>>,
    carrier: JoinHandle<()>,
    /// Messages that arrived while the test waited for something else.
    texts: std::sync::Mutex<VecDeque<String>>,
}

impl Drop for Far {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// How offers are answered.
#[derive(Clone, Copy)]
pub enum Manner {
    /// With a description, changed like this before it is sent.
    Description(fn(String) -> String),
    /// With the description of a closed peer.
    Gone(fn(String) -> String),
    /// With these bytes.
    Bytes(&'static str),
    /// Never.
    Silence,
}

impl Answerer {
    pub async fn start() -> Self {
        Self::with(Manner::Description(|description| description)).await
    }

    pub async fn with(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, requests) = mpsc::unbounded_channel();
        let (called, calls) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, manner, asked.clone(), called.clone()));
            }
        });
        Self {
            url: format!("http://{address}/v1/realtime/calls?model=test"),
            requests,
            calls,
        }
    }

    /// The far side of the next call, with its data channel open.
    pub async fn call(&mut self) -> Far {
        let far = soon("a call", self.calls.recv()).await.unwrap();
        far.until_opened().await;
        far
    }
}

async fn serve(
    mut stream: TcpStream,
    manner: Manner,
    asked: mpsc::UnboundedSender<String>,
    called: mpsc::UnboundedSender<Far>,
) {
    let request = read(&mut stream).await;
    let offer = request.split_once("\r\n\r\n").unwrap().1.to_owned();
    let _ = asked.send(request);
    let answer = match manner {
        Manner::Silence => std::future::pending().await,
        Manner::Bytes(bytes) => bytes.to_owned(),
        Manner::Description(change) | Manner::Gone(change) => {
            let peer = StackPeer::new(&settings()).await.unwrap();
            let description = change(peer.answer(&offer).await.unwrap());
            if matches!(manner, Manner::Description(_)) {
                let _ = called.send(Far::new(peer));
            }
            format!(
                "HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nDate: Sun, 06 \
                 Nov 1994 08:49:37 GMT\r\nLocation: \
                 /v1/realtime/calls/rtc_test\r\nContent-Length: {}\r\n\r\n{description}",
                description.len()
            )
        }
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
    let _ = stream.read(&mut [0; 16]).await;
}

/// A whole request.
async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "the request broke off: {text}");
        request.extend_from_slice(&buffer[..n]);
    }
}

pub fn settings() -> PeerSettings {
    PeerSettings {
        local: vec!["127.0.0.1".parse().unwrap()],
        channel: "oai-events",
        is_bound: true,
        ice_servers: Vec::new(),
        ice_server_timeout: Duration::from_secs(1),
        tls: Tls::default(),
        channel_buffer: 1 << 20,
        disconnected_after: Duration::from_secs(5),
        failed_after: Duration::from_secs(10),
        dtx: false,
        fec: true,
    }
}

impl Far {
    fn new(peer: StackPeer) -> Self {
        let peer = Arc::new(peer);
        let received = Arc::clone(&peer);
        let (heard, events) = mpsc::unbounded_channel();
        let carrier =
            tokio::spawn(async move { while heard.send(received.receive().await).is_ok() {} });
        Self {
            peer,
            events: Mutex::new(events),
            carrier,
            texts: std::sync::Mutex::default(),
        }
    }

    /// The next event.
    async fn next(&self) -> PeerEvent {
        let closed = PeerEvent::Changed(PeerState::Closed);
        self.events.lock().await.recv().await.unwrap_or(closed)
    }

    /// Ends the call.
    pub async fn hang_up(&self) {
        self.carrier.abort();
        self.peer.close(Duration::from_secs(1)).await;
    }

    async fn until_opened(&self) {
        let opened = async { while self.next().await != PeerEvent::Opened {} };
        soon("the data channel", opened).await;
    }

    pub async fn say(&self, event: &str) {
        self.peer.send_event(event).await.unwrap();
    }

    /// The next message.
    pub async fn text(&self) -> String {
        if let Some(text) = self.texts.lock().unwrap().pop_front() {
            return text;
        }
        let text = async {
            loop {
                match self.next().await {
                    PeerEvent::Text(text) => return text,
                    PeerEvent::ChannelClosed => panic!("the channel was closed"),
                    _ => {}
                }
            }
        };
        soon("a message", text).await
    }

    /// The next packet.
    pub async fn packet(&self) -> Received {
        let packet = async {
            loop {
                match self.next().await {
                    PeerEvent::Opus(packet) => return packet,
                    PeerEvent::Text(text) => self.texts.lock().unwrap().push_back(text),
                    _ => {}
                }
            }
        };
        soon("a packet", packet).await
    }

    /// Waits until its far side has closed the call.
    pub async fn until_closed(&self) {
        let closed = async { while self.next().await != PeerEvent::ChannelClosed {} };
        soon("the end of the call", closed).await;
    }
}
