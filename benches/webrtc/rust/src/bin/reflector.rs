//! Answers calls and sends each sound packet back as it came, as sound of one endless response.
//!
//! When a call asks for it (`bench.report`) it says when each of its packets came, in nanoseconds of
//! the monotonic clock, which all processes of the machine share.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stapes_core::transport::webrtc::{
    Opus, Peer, PeerEvent, PeerSettings, PeerState, StackPeer, Tls,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How many arrivals are kept of each call.
const MOST_ARRIVALS: usize = 1 << 14;

const RESPONSE: [&str; 3] = [
    r#"{"type":"response.created","response":{"id":"resp_1"}}"#,
    r#"{"type":"response.content_part.added","response_id":"resp_1","item_id":"item_1","content_index":0,"part":{"type":"audio"}}"#,
    r#"{"type":"output_audio_buffer.started","response_id":"resp_1"}"#,
];

fn settings() -> PeerSettings {
    PeerSettings {
        local: vec![Ipv4Addr::LOCALHOST.into()],
        channel: "oai-events",
        ice_servers: Vec::new(),
        is_bound: true,
        ice_server_timeout: Duration::from_secs(1),
        tls: Tls::default(),
        channel_buffer: 1 << 20,
        disconnected_after: Duration::from_secs(10),
        failed_after: Duration::from_secs(10),
        dtx: false,
        fec: true,
    }
}

fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "http://{}/", listener.local_addr()?)?;
    out.flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A caller that goes wrong is the caller's to report.
            let _ = Box::pin(serve(stream)).await;
        });
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let failed = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let offer = read_offer(&mut stream).await?;
    let peer = StackPeer::new(&settings())
        .await
        .map_err(|error| failed(&error))?;
    let answer = peer.answer(&offer).await.map_err(|error| failed(&error))?;
    let head = format!(
        "HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nLocation: /calls/rtc_1\r\n\
         Content-Length: {}\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(answer.as_bytes()).await?;
    drop(stream);
    reflect(Arc::new(peer)).await;
    Ok(())
}

/// The body of the request.
async fn read_offer(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut request = String::new();
    let mut buffer = [0; 8192];
    loop {
        if let Some((head, body)) = request.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Ok(body.to_owned());
            }
        }
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
}

async fn reflect(peer: Arc<StackPeer>) {
    let mut arrivals: Vec<i64> = Vec::new();
    loop {
        match peer.receive().await {
            PeerEvent::Opus(packet) => {
                if arrivals.len() < MOST_ARRIVALS {
                    arrivals.push(now_ns());
                }
                let echo = Opus {
                    timestamp: packet.timestamp,
                    marker: false,
                    payload: packet.payload,
                };
                if peer.send_opus(echo).is_err() {
                    break;
                }
            }
            PeerEvent::Opened => {
                for event in RESPONSE {
                    let _ = peer.send_event(event).await;
                }
            }
            PeerEvent::Text(text) if text.contains("bench.report") => {
                let report = serde_json::json!({"type": "bench.report", "arrivals": arrivals});
                let _ = peer.send_event(&report.to_string()).await;
            }
            PeerEvent::ChannelClosed
            | PeerEvent::Changed(PeerState::Closed | PeerState::Failed) => break,
            _ => {}
        }
    }
    peer.close(Duration::from_secs(1)).await;
}
