//! `page_relay`: what `relay` is for phones, for web pages. One thread, no session: it moves the frames of a page and
//! of the model, each by itself, and clears when the caller interrupts.

use std::error::Error;

use base64::prelude::{Engine, BASE64_STANDARD};
use futures_util::{SinkExt, StreamExt};
use memchr::memmem;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

const SESSION: &str = r#"{"type":"session.update","session":{"type":"realtime","output_modalities":["audio"],"instructions":"Be brief.","audio":{"input":{"format":{"type":"audio/pcm","rate":24000},"turn_detection":{"type":"server_vad","interrupt_response":true}},"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"marin"}}}}"#;

/// The header of a page's sound.
const HEADER: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let port: u16 = std::env::var("PORT")?.parse()?;
        let url = std::env::var("REALTIME_URL")?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let url = url.clone();
            tokio::task::spawn_local(async move {
                let _ = call(stream, url).await;
            });
        }
    })
}

/// The string after `"name":"`.
fn field<'a>(text: &'a str, finder: &memmem::Finder) -> Option<&'a str> {
    let from = finder.find(text.as_bytes())? + finder.needle().len();
    let to = memchr::memchr(b'"', &text.as_bytes()[from..])?;
    Some(&text[from..from + to])
}

async fn call(stream: TcpStream, url: String) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut page = accept_async(stream).await?;
    let kind = memmem::Finder::new(r#""type":""#);
    let delta = memmem::Finder::new(r#""delta":""#);
    let item_id = memmem::Finder::new(r#""item_id":""#);
    let Some(Ok(Message::Text(_))) = page.next().await else {
        return Ok(());
    };
    let address = url
        .trim_start_matches("ws://")
        .split('/')
        .next()
        .unwrap_or_default();
    let upstream = TcpStream::connect(address).await?;
    upstream.set_nodelay(true)?;
    let (mut model, _) = client_async(url.as_str(), upstream).await?;
    model.send(Message::text(SESSION)).await?;
    let (mut generation, mut played) = (0_u32, 0_u32);
    let mut item = String::new();
    loop {
        tokio::select! {
            message = page.next() => match message {
                Some(Ok(Message::Binary(sound))) if sound.len() >= HEADER => {
                    played = u32::from_le_bytes(sound[4..HEADER].try_into()?);
                    let mut out = String::with_capacity(sound.len() * 4 / 3 + 64);
                    out.push_str(r#"{"type":"input_audio_buffer.append","audio":""#);
                    BASE64_STANDARD.encode_string(&sound[HEADER..], &mut out);
                    out.push_str("\"}");
                    model.send(Message::text(out)).await?;
                }
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(_)) => return Ok(()),
            },
            message = model.next() => match message {
                Some(Ok(Message::Text(text))) => match field(&text, &kind) {
                    Some("response.output_audio.delta") => {
                        let audio = field(&text, &delta).unwrap_or_default();
                        field(&text, &item_id).unwrap_or_default().clone_into(&mut item);
                        page.send(Message::binary(BASE64_STANDARD.decode(audio)?)).await?;
                    }
                    Some("input_audio_buffer.speech_started") if !item.is_empty() => {
                        generation += 1;
                        page.send(Message::text(format!(r#"{{"type":"clear","generation":{generation}}}"#))).await?;
                        let out = format!(
                            r#"{{"type":"conversation.item.truncate","item_id":"{item}","content_index":0,"audio_end_ms":{}}}"#,
                            played / 24
                        );
                        model.send(Message::text(out)).await?;
                        item.clear();
                    }
                    _ => {}
                },
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
        }
    }
}
