//! Sound in both directions, and its segments.

use std::time::Duration;

use stapes_core::audio::opus::OpusDecoder;
use stapes_core::conversation::{Conversation, Event};
use stapes_core::transport::webrtc::{Opus, Peer};

use crate::support::answerer::{Answerer, Far};
use crate::support::caller::Caller;
use crate::support::{rms, tone, tone_packets};

/// Sends packets every 20 ms, from `first` on.
async fn play(far: &Far, first: u32, packets: Vec<bytes::Bytes>) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for (n, payload) in packets.into_iter().enumerate() {
        tick.tick().await;
        let packet = Opus {
            timestamp: (first + n as u32) * 960,
            marker: n == 0,
            payload,
        };
        far.peer.send_opus(packet).unwrap();
    }
}

fn samples(data: &[u8]) -> Vec<i16> {
    data.chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// A response with sound, up to where the server begins to play it.
async fn begin(far: &Far, caller: &mut Caller, response: &str, item: &str) {
    far.say(&format!(
        r#"{{"type":"response.created","response":{{"id":"{response}"}}}}"#
    ))
    .await;
    far.say(&format!(
        r#"{{"type":"response.content_part.added","response_id":"{response}","item_id":"{item}","content_index":0,"part":{{"type":"audio"}}}}"#
    ))
    .await;
    buffer(far, "started", response).await;
    caller.until_read("output_audio_buffer.started").await;
}

async fn buffer(far: &Far, what: &str, response: &str) {
    far.say(&format!(
        r#"{{"type":"output_audio_buffer.{what}","response_id":"{response}"}}"#
    ))
    .await;
}

#[tokio::test]
async fn the_users_sound_is_sent_in_its_time() {
    let mut answerer = Answerer::start().await;
    let (caller, far) = Caller::call(&mut answerer).await;
    let began = std::time::Instant::now();
    caller
        .session
        .send_sound(tone(0, 24_000 / 2), true)
        .unwrap();
    let mut decoder = OpusDecoder::new(24_000).unwrap();
    let mut heard = Vec::new();
    let mut last: Option<(u16, u32)> = None;
    for _ in 0..25 {
        let packet = far.packet().await;
        if let Some((sequence, timestamp)) = last {
            assert_eq!(packet.sequence, sequence.wrapping_add(1));
            assert_eq!(packet.timestamp, timestamp.wrapping_add(960));
        }
        last = Some((packet.sequence, packet.timestamp));
        decoder.decode_i16(&packet.payload, &mut heard).unwrap();
    }
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(450),
        "it was not paced: {took:?}"
    );
    assert!(rms(&heard[4_800..]) > 4_000.0, "{}", rms(&heard));
    // The commit follows the sound that it ends.
    assert!(far.text().await.contains("input_audio_buffer.commit"));
}

#[tokio::test]
async fn nothing_is_sent_while_muted_and_what_waited_is_gone() {
    let mut answerer = Answerer::start().await;
    let (caller, far) = Caller::call(&mut answerer).await;
    caller
        .session
        .send_sound(tone(0, 24_000 * 5), false)
        .unwrap();
    far.packet().await;
    caller.session.mute(true);
    caller.session.send_sound(tone(0, 24_000), true).unwrap();
    // The commit is sent immediately: no sound is queued before it.
    assert!(far.text().await.contains("input_audio_buffer.commit"));
    assert_eq!(caller.session.outgoing_bytes(), 0);
    assert!(far.peer.stats().packets_received < 10);
}

#[tokio::test]
async fn sound_belongs_to_the_response_that_the_server_plays() {
    let mut answerer = Answerer::start().await;
    let (mut caller, far) = Caller::call(&mut answerer).await;
    // The sound between answers belongs to no segment.
    play(&far, 0, tone_packets(10)).await;
    begin(&far, &mut caller, "r1", "i1").await;
    play(&far, 10, tone_packets(25)).await;
    buffer(&far, "stopped", "r1").await;
    play(&far, 35, tone_packets(20)).await;
    let mut heard = Vec::new();
    let mut started = false;
    loop {
        let event = caller.next("sound", Some).await;
        match event {
            Event::AudioStarted { .. } => started = true,
            Event::Audio {
                response_id,
                item_id,
                data,
                ..
            } => {
                assert!(started);
                assert_eq!((&*response_id, &*item_id), ("r1", "i1"));
                heard.extend(samples(&data));
            }
            Event::AudioStopped { .. } => break,
            _ => {}
        }
    }
    // Half a second, and up to the two packets before that may be early ones of it.
    let frames = heard.len() / 480;
    assert!((24..=28).contains(&frames), "{frames}");
    assert!(rms(&heard[4_800..]) > 4_000.0);
    assert!(caller.session.look(Conversation::has_spoken));
}

#[tokio::test]
async fn an_interruption_stops_the_answer_here_and_at_the_server() {
    let mut answerer = Answerer::start().await;
    let (mut caller, far) = Caller::call(&mut answerer).await;
    begin(&far, &mut caller, "r1", "i1").await;
    let playing = play(&far, 0, tone_packets(50));
    let interrupting = async {
        caller
            .next("sound", |event| {
                matches!(event, Event::Audio { .. }).then_some(())
            })
            .await;
        caller.session.act(Conversation::interrupt);
        caller
    };
    let ((), mut caller) = tokio::join!(playing, interrupting);
    let cancel = r#"{"type":"response.cancel","response_id":"r1"}"#;
    assert_eq!(far.text().await, cancel);
    assert_eq!(far.text().await, r#"{"type":"output_audio_buffer.clear"}"#);
    buffer(&far, "cleared", "r1").await;
    let mut interrupted = false;
    loop {
        let event = caller.next("the server's word", Some).await;
        match event {
            Event::AudioInterrupted { response_id, .. } => {
                assert!(!interrupted, "twice");
                assert_eq!(&*response_id, "r1");
                interrupted = true;
            }
            Event::Audio { .. } => assert!(!interrupted, "stale sound"),
            Event::Raw { text, .. } if text.contains("cleared") => break,
            _ => {}
        }
    }
    assert!(interrupted);
}

#[tokio::test]
async fn what_the_server_cuts_by_itself_is_an_interruption() {
    let mut answerer = Answerer::start().await;
    let (mut caller, far) = Caller::call(&mut answerer).await;
    begin(&far, &mut caller, "r1", "i1").await;
    play(&far, 0, tone_packets(15)).await;
    buffer(&far, "cleared", "r1").await;
    caller
        .next("an interruption", |event| match event {
            Event::AudioInterrupted { response_id, .. } => Some(response_id),
            _ => None,
        })
        .await;
}
