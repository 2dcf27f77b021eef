//! Streams of recorded sound into a session; the test takes its messages and moves its clock.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use stapes_core::audio::AudioFormat;
use stapes_core::conversation::{ConnectionEnd, Event, Options, Rejected};
use stapes_core::session::{
    AudioInput, Clock, Connection, ConnectionSettings, EventSink, Microphone, OutgoingLimits,
    Paced as _, Recording, SendAudioError, Session, Stream, Streamed,
};
use stapes_core::transport::{Endpoint as _, Outgoing};
use tokio::runtime::Handle;
use tokio::time::Instant;

struct Nobody;

impl EventSink for Nobody {
    fn push(&self, _: u64, _: Event) {}
    fn pushed(&self) {}
    fn drained(&self) {}
    fn outgoing_ready(&self) {}
}

/// A connected session, and what it sends.
struct Call {
    microphone: Arc<Microphone>,
    connection: Arc<Connection>,
}

impl Call {
    fn new(limits: OutgoingLimits) -> Self {
        let (clock, runtime) = (Clock::default(), Handle::current());
        let session = Session::new(Options::default(), limits, clock, runtime, Arc::new(Nobody));
        let connection = connected(&session);
        let microphone = Arc::new(Microphone::new(session));
        let call = Self {
            microphone,
            connection,
        };
        call.sent();
        call
    }

    fn stream(&self, recording: Recording, commit: bool) -> Streaming {
        let (told, ended) = channel();
        let tell = move |streamed| told.send(streamed).expect("the test listens");
        let stream = Stream::new(&self.microphone, recording, ms(100), commit, tell);
        let now = Instant::now();
        Streaming {
            stream: stream.expect("it is connected"),
            ended,
            now,
            due: Some(now),
        }
    }

    /// The sound that was sent since the last call, and the type of every other message.
    fn sent(&self) -> Vec<Result<Vec<u8>, String>> {
        let mut batch = Vec::new();
        self.connection.take_outgoing(&mut batch, usize::MAX);
        self.connection.on_flushed();
        batch.into_iter().map(read).collect()
    }
}

/// A stream and its clock.
struct Streaming {
    stream: Stream,
    ended: Receiver<Streamed>,
    now: Instant,
    due: Option<Instant>,
}

impl Streaming {
    /// Advances the clock.
    fn pass(&mut self, milliseconds: u64) {
        self.now += ms(milliseconds);
        while let Some(at) = self.due.filter(|at| *at <= self.now) {
            self.due = self.stream.advance(at);
        }
    }
}

fn connected(session: &Session) -> Arc<Connection> {
    let connection = session
        .connecting(ConnectionSettings::default())
        .expect("it is not connected");
    let connection_id = connection.connection_id();
    session
        .act(|conversation, _| conversation.opened(connection_id, 0, "{}".to_owned(), Value::Null))
        .expect("it is connecting");
    connection
}

fn read(message: Outgoing) -> Result<Vec<u8>, String> {
    let Outgoing::Text(text) = message else {
        return Err("close".to_owned());
    };
    let event: Value = serde_json::from_str(&text).expect("JSON");
    match event["audio"].as_str() {
        Some(audio) => Ok(BASE64_STANDARD.decode(audio).expect("base64")),
        None => Err(event["type"].as_str().unwrap_or_default().to_owned()),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// PCM at 24 kHz in which all samples differ.
fn ramp(length: Duration) -> Vec<i16> {
    (0..length.as_millis() * 24)
        .map(|sample| sample as i16)
        .collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

fn recording(samples: &[i16]) -> Recording {
    Recording::Samples(samples.into(), Some(24_000))
}

#[tokio::test]
async fn each_piece_is_sent_when_its_time_has_come() {
    let call = Call::new(OutgoingLimits::default());
    let sound = ramp(ms(250));
    let mut streaming = call.stream(recording(&sound), true);
    streaming.pass(0);
    assert_eq!(call.sent(), [Ok(bytes(&sound[..2400]))]);
    streaming.pass(99);
    assert_eq!(call.sent(), []);
    streaming.pass(1);
    assert_eq!(call.sent(), [Ok(bytes(&sound[2400..4800]))]);
    streaming.pass(100);
    let commit = Err("input_audio_buffer.commit".to_owned());
    assert_eq!(call.sent(), [Ok(bytes(&sound[4800..])), commit]);
    assert!(
        streaming.ended.try_recv().is_err(),
        "it is still being spoken"
    );
    streaming.pass(50);
    let (sent, failure) = (ms(250), None);
    assert_eq!(streaming.ended.try_recv(), Ok(Streamed { sent, failure }));
    assert_eq!(streaming.due, None);
}

#[tokio::test]
async fn what_is_cancelled_is_sent_no_further() {
    let call = Call::new(OutgoingLimits::default());
    let mut streaming = call.stream(recording(&ramp(ms(1000))), true);
    streaming.pass(110);
    assert_eq!(call.sent().len(), 2);
    streaming.stream.cancel();
    let (sent, failure) = (ms(200), None);
    assert_eq!(streaming.ended.try_recv(), Ok(Streamed { sent, failure }));
    streaming.stream.cancel();
    streaming.pass(2000);
    assert_eq!(call.sent(), []);
    assert_eq!(streaming.due, None);
}

#[tokio::test]
async fn it_stands_still_while_the_server_does_not_read() {
    let limits = OutgoingLimits {
        high_water: 10_000,
        ..OutgoingLimits::default()
    };
    let call = Call::new(limits);
    let sound = ramp(ms(1000));
    let mut streaming = call.stream(recording(&sound), false);
    // Two messages of 6,445 bytes exceed the queue's limit.
    streaming.pass(5050);
    let mut sent = call.sent();
    assert_eq!(sent.len(), 2);
    // It continues where it stopped, at normal speed.
    for _ in 0..8 {
        streaming.pass(100);
        let next = call.sent();
        assert_eq!(next.len(), 1);
        sent.extend(next);
    }
    let all: Vec<u8> = sent.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(all, bytes(&sound));
    streaming.pass(100);
    let sent = streaming.ended.try_recv().map(|streamed| streamed.sent);
    assert_eq!(sent, Ok(ms(1000)));
}

#[tokio::test]
async fn a_little_late_it_catches_up_and_very_late_it_goes_on_later() {
    let call = Call::new(OutgoingLimits::default());
    let mut streaming = call.stream(recording(&ramp(ms(10_000))), false);
    let began = streaming.now;
    assert_eq!(streaming.stream.advance(began), Some(began + ms(100)));
    let next = streaming.stream.advance(began + ms(700));
    assert_eq!(next, Some(began + ms(200)));
    let late = began + ms(5000);
    assert_eq!(streaming.stream.advance(late), Some(late));
    assert_eq!(streaming.stream.advance(late), Some(late + ms(100)));
}

#[tokio::test]
async fn it_ends_with_its_connection_and_does_not_go_on_over_the_next() {
    let mut call = Call::new(OutgoingLimits::default());
    let mut streaming = call.stream(recording(&ramp(ms(1000))), false);
    streaming.pass(0);
    let session = call.microphone.session();
    session.ended(
        call.connection.connection_id(),
        ConnectionEnd::lost("the server is gone"),
    );
    call.connection = connected(session);
    call.sent();
    streaming.pass(500);
    let sent = ms(100);
    let failure = Some(SendAudioError::Rejected(Rejected::NotConnected));
    assert_eq!(streaming.ended.try_recv(), Ok(Streamed { sent, failure }));
    assert_eq!(call.sent(), []);
}

#[tokio::test]
async fn sound_is_streamed_in_the_format_of_the_wire() {
    let call = Call::new(OutgoingLimits::default());
    call.microphone.set_format(AudioFormat::Mulaw);
    let wire: Vec<u8> = (0..1200).map(|n| n as u8).collect();
    let mut streaming = call.stream(Recording::Wire(wire.as_slice().into()), false);
    streaming.pass(300);
    let pieces = [&wire[..800], &wire[800..]].map(|piece| Ok(piece.to_vec()));
    assert_eq!(call.sent(), pieces);

    // Other sound is converted chunk by chunk, as one stream.
    let mut streaming = call.stream(recording(&ramp(ms(200))), true);
    streaming.pass(300);
    let mut sent = call.sent();
    let commit = Err("input_audio_buffer.commit".to_owned());
    assert_eq!(sent.pop(), Some(commit));
    let lengths = sent.iter().map(|piece| piece.as_ref().map_or(0, Vec::len));
    assert_eq!((sent.len(), lengths.sum::<usize>()), (2, 1600));
}

/// The sound of all messages.
fn sound(sent: &[Result<Vec<u8>, String>]) -> Vec<u8> {
    sent.iter().flatten().flatten().copied().collect()
}

#[tokio::test]
async fn a_stream_and_a_microphone_of_other_rates_lose_nothing_of_each_other() {
    let call = Call::new(OutgoingLimits::default());
    let slow = Recording::Samples(vec![3000; 8_000].into(), Some(8_000));
    let mut streaming = call.stream(slow, false);
    let spoken = vec![-3000; 4_410];
    for _ in 0..10 {
        let spoken = AudioInput::Samples(&spoken, Some(44_100));
        call.microphone
            .send(spoken, false)
            .expect("it is connected");
        streaming.pass(100);
    }
    let nothing = AudioInput::Samples(&[], Some(44_100));
    call.microphone
        .send(nothing, true)
        .expect("it is connected");
    let samples = sound(&call.sent()).len() / 2;
    assert!(samples.abs_diff(48_000) <= 2, "{samples}");
}

#[tokio::test]
async fn a_stream_is_sent_to_its_last_sample_without_a_commit_too() {
    let call = Call::new(OutgoingLimits::default());
    let slow = Recording::Samples(vec![3000; 1_600].into(), Some(16_000));
    call.stream(slow, false).pass(200);
    assert_eq!(sound(&call.sent()).len(), 2 * 2_400);
}

#[tokio::test]
async fn sound_of_the_wire_follows_what_came_before_it() {
    let call = Call::new(OutgoingLimits::default());
    let send = |input| call.microphone.send(input, false).expect("it is connected");
    send(AudioInput::Samples(&[3000; 160], Some(16_000)));
    send(AudioInput::Samples(&[1, 2, 3], None));
    let received = sound(&call.sent());
    assert_eq!(received.len(), 2 * (240 + 3));
    assert_eq!(received[2 * 240..], bytes(&[1, 2, 3]));
}

#[tokio::test]
async fn nothing_is_appended_where_there_is_no_sound() {
    let call = Call::new(OutgoingLimits::default());
    for (format, input) in [
        (AudioFormat::default(), AudioInput::Samples(&[], None)),
        (
            AudioFormat::default(),
            AudioInput::Samples(&[], Some(16_000)),
        ),
        (AudioFormat::Mulaw, AudioInput::Wire(&[])),
    ] {
        call.microphone.set_format(format);
        call.microphone.send(input, false).expect("it is connected");
        assert_eq!(call.sent(), []);
        call.microphone.send(input, true).expect("it is connected");
        assert_eq!(call.sent(), [Err("input_audio_buffer.commit".to_owned())]);
    }
}

#[tokio::test]
async fn a_commit_while_muted_is_of_what_was_sent_before() {
    let call = Call::new(OutgoingLimits::default());
    let commit = || Err("input_audio_buffer.commit".to_owned());
    let send = |samples: &[i16], commit| {
        let input = AudioInput::Samples(samples, None);
        call.microphone
            .send(input, commit)
            .expect("it is connected");
    };
    send(&[1], false);
    call.microphone.session().mute(true);
    send(&[2], true);
    assert_eq!(call.sent(), [Ok(bytes(&[1])), commit()]);
    // Now there is nothing to commit, which the server would refuse.
    send(&[3], true);
    send(&[], true);
    assert_eq!(call.sent(), []);
    call.microphone.session().mute(false);
    send(&[4], true);
    assert_eq!(call.sent(), [Ok(bytes(&[4])), commit()]);
}
