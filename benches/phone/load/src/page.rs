//! A fake web page in place of the phone: PCM at 24 kHz in binary messages of 40 ms, and what it has played before
//! each of them.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{client_async, WebSocketStream};

use crate::call::Call;
use crate::clock::{at, now, MS};
use crate::{phone, sound};

/// Frames of 20 ms in a message.
const FRAMES: u64 = 2;

/// Bytes of PCM for each byte of mu-law, in which the call counts.
const PCM: u64 = 6;

#[derive(Deserialize)]
struct ServerMessage<'a> {
    r#type: &'a str,
    id: Option<u64>,
    generation: Option<u32>,
}

type Failure = tokio_tungstenite::tungstenite::Error;
type Socket = WebSocketStream<TcpStream>;

pub async fn run(
    url: String,
    address: String,
    call: Rc<RefCell<Call>>,
    mut hang_up: watch::Receiver<bool>,
) {
    let result = talk(&url, &address, &call, &mut hang_up).await;
    let mut call = call.borrow_mut();
    if !*hang_up.borrow() || result.is_err() {
        call.phone_lost.get_or_insert(now());
    }
}

async fn talk(
    url: &str,
    address: &str,
    call: &RefCell<Call>,
    hang_up: &mut watch::Receiver<bool>,
) -> Result<(), Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut ws, _) = client_async(url, stream).await?;
    let index = call.borrow().index;
    ws.send(Message::text(format!(
        r#"{{"type":"start","call_id":"page-{index:032}","codec":"pcm","sample_rate":24000}}"#
    )))
    .await?;
    let begun = now();
    let (mut message, mut generation, mut base_ms) = (0_u64, 0_u32, 0_u64);
    loop {
        let due = begun + (message + 1) * FRAMES * 20 * MS;
        let mark = call.borrow().player.due().unwrap_or(u64::MAX);
        tokio::select! {
            received = ws.next() => match received {
                Some(Ok(Message::Binary(sound))) => {
                    let call = &mut *call.borrow_mut();
                    phone::media(call, now(), &[], sound.len() as u64 / PCM, false);
                }
                Some(Ok(Message::Text(text))) => {
                    if let Some(cleared) = told(&mut ws, call, text.as_str()).await? {
                        generation = cleared;
                        base_ms = call.borrow().player.played_ms();
                    }
                }
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
            () = tokio::time::sleep_until(at(due.min(mark))) => {
                marks(&mut ws, call).await?;
                if now() < due {
                    continue;
                }
                let played = (call.borrow().player.played_ms() - base_ms) * 24;
                let mut bytes = Vec::with_capacity(8 + 960 * FRAMES as usize);
                bytes.extend(generation.to_le_bytes());
                bytes.extend((played as u32).to_le_bytes());
                for frame in message * FRAMES..(message + 1) * FRAMES {
                    bytes.extend(sound::quiet_or_burst_24k(frame));
                    let call = &mut *call.borrow_mut();
                    let t = now();
                    call.frames.push(t);
                    call.late.push((t - due) as f32 / 1e6);
                    call.counts.media_in += 1;
                }
                message += 1;
                ws.send(Message::binary(bytes)).await?;
            }
            _ = hang_up.changed() => {
                ws.send(Message::text(r#"{"type":"end"}"#)).await?;
                let _ = ws.close(None).await;
                return Ok(());
            }
        }
    }
}

async fn marks(ws: &mut Socket, call: &RefCell<Call>) -> Result<(), Failure> {
    phone::advance(&mut call.borrow_mut(), now());
    loop {
        let Some(id) = call.borrow_mut().player.reached() else {
            return Ok(());
        };
        back(ws, call, &id).await?;
    }
}

async fn back(ws: &mut Socket, call: &RefCell<Call>, id: &str) -> Result<(), Failure> {
    call.borrow_mut().counts.marks_back += 1;
    ws.send(Message::text(format!(r#"{{"type":"mark","id":{id}}}"#)))
        .await
}

/// What the server says besides sound; the number of a clear.
async fn told(ws: &mut Socket, call: &RefCell<Call>, text: &str) -> Result<Option<u32>, Failure> {
    let Ok(message) = serde_json::from_str::<ServerMessage>(text) else {
        call.borrow_mut().counts.twilio_odd += 1;
        return Ok(None);
    };
    match message.r#type {
        "mark" => {
            {
                let call = &mut *call.borrow_mut();
                call.counts.marks_out += 1;
                phone::advance(call, now());
                call.player.mark(message.id.unwrap_or_default().to_string());
            }
            marks(ws, call).await?;
            Ok(None)
        }
        "clear" => {
            let open = phone::cleared(&mut call.borrow_mut(), now());
            for id in open {
                back(ws, call, &id).await?;
            }
            Ok(message.generation)
        }
        _ => Ok(None),
    }
}
