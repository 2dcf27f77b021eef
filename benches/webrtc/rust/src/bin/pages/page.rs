//! A web page: it offers a call by WHIP, speaks, and writes down what comes.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use phone_load::call::Call;
use phone_load::clock::{MS, at, now};
use serde_json::Value;
use stapes_core::transport::webrtc::{
    Opus, Peer, PeerEvent, PeerSettings, PeerState, StackPeer, Tls,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep_until;

use crate::Failure;

/// A packet in nanoseconds, and in ticks of the RTP clock.
const PACKET: u64 = 20 * MS;
const TICKS: u32 = 960;

/// What a page has heard.
#[derive(Debug, Default)]
pub struct Page {
    /// When each packet came, and its number.
    pub packets: Vec<(u64, u16)>,
    pub messages: u64,
    /// What the server's jitter buffer aimed at when it was asked, in milliseconds.
    pub targets: Vec<f64>,
    /// When the call ended without anybody hanging up, and why.
    pub lost: Option<(u64, String)>,
}

/// What pages are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Talk,
    /// Ask the server how the sound fares.
    Ask,
    HangUp,
}

/// Where a call is offered.
#[derive(Debug, Clone)]
pub struct Target {
    pub address: String,
    pub path: String,
}

fn settings() -> PeerSettings {
    PeerSettings {
        local: vec![Ipv4Addr::LOCALHOST.into()],
        channel: "stapes",
        is_bound: true,
        ice_servers: Vec::new(),
        ice_server_timeout: Duration::from_secs(1),
        tls: Tls::default(),
        channel_buffer: 1 << 20,
        disconnected_after: Duration::from_secs(10),
        failed_after: Duration::from_secs(10),
        dtx: false,
        fec: true,
    }
}

/// One call, from its offer until the page is told to hang up.
pub async fn run(
    target: Target,
    call: Rc<RefCell<Call>>,
    page: Rc<RefCell<Page>>,
    microphone: Rc<[Bytes]>,
    mut tasks: watch::Receiver<Task>,
) {
    let talking = Box::pin(talk(&target, &call, &page, &microphone, &mut tasks));
    if let Err(error) = talking.await {
        call.borrow_mut().phone_lost = Some(now());
        page.borrow_mut().lost = Some((now(), error.to_string()));
    }
}

async fn talk(
    target: &Target,
    call: &RefCell<Call>,
    page: &RefCell<Page>,
    microphone: &[Bytes],
    tasks: &mut watch::Receiver<Task>,
) -> Result<(), Failure> {
    let peer = StackPeer::new(&settings()).await?;
    let offer = peer.offer().await?;
    peer.accept(&post(target, &offer).await?).await?;
    let index = call.borrow().index;
    let mut timer = pin!(sleep_until(at(0)));
    let (mut begun, mut frame) = (None, 0_u64);
    loop {
        tokio::select! {
            event = peer.receive() => match event {
                PeerEvent::Opus(packet) => {
                    page.borrow_mut().packets.push((now(), packet.sequence));
                }
                PeerEvent::Text(text) => hear(&text, &mut page.borrow_mut())?,
                PeerEvent::Opened => {
                    let start = format!(r#"{{"type":"start","call_id":"page-{index:032}"}}"#);
                    peer.send_event(&start).await?;
                    begun = Some(now());
                    timer.as_mut().reset(at(now()));
                }
                PeerEvent::ChannelClosed
                | PeerEvent::Changed(PeerState::Closed | PeerState::Failed) => {
                    return Err("the server is gone".into());
                }
                _ => {}
            },
            () = timer.as_mut(), if begun.is_some() => {
                let begun = begun.unwrap_or_default();
                while begun + frame * PACKET <= now() {
                    write_down(&mut call.borrow_mut(), begun + frame * PACKET);
                    peer.send_opus(Opus {
                        timestamp: (frame as u32).wrapping_mul(TICKS),
                        marker: frame == 0,
                        payload: microphone[frame as usize % microphone.len()].clone(),
                    })?;
                    frame += 1;
                }
                timer.as_mut().reset(at(begun + frame * PACKET));
            }
            changed = tasks.changed() => {
                changed?;
                let task = *tasks.borrow_and_update();
                match task {
                    Task::Talk => {}
                    Task::Ask => {
                        peer.send_event(r#"{"type":"message","data":"sound"}"#).await?;
                    }
                    Task::HangUp => {
                        peer.send_event(r#"{"type":"end"}"#).await?;
                        peer.close(Duration::from_millis(200)).await;
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// A packet goes out that was due then.
fn write_down(call: &mut Call, due: u64) {
    let t = now();
    call.frames.push(t);
    call.late.push((t - due) as f32 / MS as f32);
    call.counts.media_in += 1;
}

/// Takes what the server says over the data channel.
fn hear(text: &str, page: &mut Page) -> Result<(), Failure> {
    page.messages += 1;
    if text.contains("target_ms") {
        let message: Value = serde_json::from_str(text)?;
        page.targets.extend(message["data"]["target_ms"].as_f64());
    }
    Ok(())
}

/// Posts an offer; the answer to it.
async fn post(target: &Target, offer: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(&target.address).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/sdp\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        target.path,
        target.address,
        offer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(offer.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    match response.split_once("\r\n\r\n") {
        Some((head, answer)) if head.starts_with("HTTP/1.1 201") => Ok(answer.to_owned()),
        _ => Err(format!("the offer was refused: {response:.200}").into()),
    }
}
