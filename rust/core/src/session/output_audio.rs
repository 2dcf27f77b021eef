//! The answer's audio, converted to PCM at the rate that the user asks for, from the format that the
//! server states.
//!
//! A connection converts each chunk before it takes the session's lock, so that nobody waits for a
//! resampler. Each part is a stream of its own. The tail that the resampler holds of a part goes out
//! before the next part begins, before `AudioStopped`, or before its response ends; an interruption and
//! `AudioStarted` drop it.
//! Under the session's lock a resampler is flushed at most, once for each part.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Session;
use crate::audio::AudioFormat;
use crate::audio::convert::FromWire;
use crate::conversation::{AudioDelta, AudioPart, Conversation, Event};

/// Where a chunk comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    Message(&'a AudioDelta<'a>),
    /// A segment of the media track.
    Segment(u64),
}

impl Source<'_> {
    /// The part that the chunk belongs to; `None` where its response is silenced.
    fn part(self, conversation: &Conversation) -> Option<AudioPart> {
        match self {
            Self::Message(delta) => conversation.part_of_delta(delta),
            Self::Segment(segment) => conversation.part_of_segment(segment),
        }
    }

    /// The format of the chunk, as the server states it; `None` where it has the format of the track.
    fn format(self, conversation: &Conversation) -> Option<AudioFormat> {
        match self {
            Self::Message(delta) => Some(conversation.format_of_delta(delta)),
            Self::Segment(_) => None,
        }
    }
}

/// The converter of one connection. The driver and interruptions take its lock; it may be taken under
/// the session's lock, and never the other way round.
#[derive(Debug)]
pub(super) struct OutputAudio(Mutex<Converter>);

#[derive(Debug)]
struct Converter {
    from_wire: FromWire,
    /// The part whose stream `from_wire` holds.
    part: Option<AudioPart>,
    /// The segment that the part came in, on a media track.
    segment: Option<u64>,
    /// The tail of the part before, until the next audio goes out.
    tail: Option<Event>,
    /// A server event has come that may have changed the part.
    may_differ: bool,
    /// Counts interruptions.
    cuts: u64,
}

impl Converter {
    /// Whether the chunk continues the part, as far as that can be said without the conversation.
    fn continues_part(&self, source: Source<'_>) -> bool {
        let Some(part) = self.part.as_ref().filter(|_| !self.may_differ) else {
            return false;
        };
        match source {
            Source::Message(delta) => {
                *delta.item_id == *part.item_id
                    && delta.content_index == part.content_index
                    // Where it names none, the conversation knows which response is meant.
                    && delta.response_id.is_some_and(|id| *id == *part.response_id)
            }
            Source::Segment(segment) => self.segment == Some(segment),
        }
    }

    /// Begins a part, whose audio comes in `format`, if that is known. `has_started`: audio has started
    /// and has not stopped.
    fn begin(&mut self, part: AudioPart, has_started: bool, format: Option<AudioFormat>) {
        if !has_started {
            self.reset();
        } else if self.part.as_ref() != Some(&part) {
            self.tail = self.take_tail();
        }
        self.part = Some(part);
        self.may_differ = false;
        // What the server states is followed.
        if let Some(format) = format.filter(|format| *format != self.from_wire.format())
            && let Ok(from_wire) = FromWire::new(format, self.from_wire.rate())
        {
            self.from_wire = from_wire;
        }
    }

    /// Whether the part is one of that response's, and came in messages: a media track may still play
    /// a response that has ended.
    fn is_of_messages(&self, response_id: Option<&Arc<str>>) -> bool {
        let part = self.part.as_ref();
        self.segment.is_none() && part.is_some_and(|part| Some(&part.response_id) == response_id)
    }

    fn take_tail(&mut self) -> Option<Event> {
        let AudioPart {
            response_id,
            item_id,
            content_index,
        } = self.part.take()?;
        let data = self.from_wire.finish();
        (!data.is_empty()).then_some(Event::Audio {
            response_id,
            item_id,
            content_index,
            data,
        })
    }

    fn reset(&mut self) {
        self.from_wire.reset();
        self.part = None;
        self.tail = None;
    }
}

impl OutputAudio {
    pub fn new(from_wire: FromWire) -> Self {
        Self(Mutex::new(Converter {
            from_wire,
            part: None,
            segment: None,
            tail: None,
            may_differ: false,
            cuts: 0,
        }))
    }

    fn converter(&self) -> MutexGuard<'_, Converter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Converts a chunk, outside the session's lock; `None` where its response is silenced.
    pub fn convert(&self, session: &Session, source: Source<'_>, wire: &[u8]) -> Option<Vec<u8>> {
        loop {
            let mut converter = self.converter();
            if converter.continues_part(source) {
                return Some(converter.from_wire.push(wire));
            }
            let cuts = converter.cuts;
            drop(converter);
            let (part, has_started, format) = session.look(|conversation| {
                let has_started = conversation.has_audio_started();
                let format = source.format(conversation);
                Some((source.part(conversation)?, has_started, format))
            })?;
            let mut converter = self.converter();
            // An interruption between the two locks may have silenced the part.
            if converter.cuts == cuts {
                converter.begin(part, has_started, format);
                converter.segment = match source {
                    Source::Segment(segment) => Some(segment),
                    Source::Message(_) => None,
                };
                return Some(converter.from_wire.push(wire));
            }
        }
    }

    /// The part goes on in sound that is not converted. Returns what the resampler still holds of it.
    pub fn cut(&self) -> Vec<u8> {
        let mut converter = self.converter();
        let is_open = converter.part.take().is_some();
        if is_open {
            converter.from_wire.finish()
        } else {
            Vec::new()
        }
    }

    /// The server has sent more than a delta: the next chunk may belong to another part.
    pub fn note_event(&self) {
        self.converter().may_differ = true;
    }

    /// What goes out before `event`: the tail of a part that is over. Called for each event, under the
    /// session's lock.
    pub fn before(&self, event: &Event) -> Option<Event> {
        match event {
            Event::Audio { .. } => self.converter().tail.take(),
            Event::AudioStopped { .. } => self.converter().take_tail(),
            // Not every server says when a part's audio is complete.
            Event::ResponseEnded(ended) => {
                let mut converter = self.converter();
                let ended = ended.response_id.as_ref();
                converter
                    .is_of_messages(ended)
                    .then(|| converter.take_tail())?
            }
            Event::AudioInterrupted { .. } => {
                let mut converter = self.converter();
                converter.cuts += 1;
                converter.reset();
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tokio::runtime::Handle;

    use super::*;
    use crate::audio::base64;
    use crate::conversation::{Capabilities, Interest, Options};
    use crate::session::{
        Clock, Connection, ConnectionSettings, EventSink, OutgoingLimits, SessionSetup,
        SoundSettings,
    };
    use crate::transport::{
        DownlinkFrame, Endpoint as _, Frame, Outgoing, SampleRates, SoundEndpoint as _,
    };

    const WIRE: AudioFormat = AudioFormat::Pcm { rate: 24_000 };
    const RATE: u32 = 16_000;
    const RATES: SampleRates = SampleRates {
        input: 24_000,
        output: 24_000,
    };

    #[derive(Debug, PartialEq)]
    enum Heard {
        Started,
        /// The response and the item, and the sound.
        Audio(String, Vec<u8>),
        Stopped,
        /// That response has.
        Done(String),
        Interrupted,
    }

    #[derive(Default)]
    struct Ears(Mutex<Vec<Heard>>);

    impl EventSink for Ears {
        fn push(&self, _: u64, event: Event) {
            let heard = match event {
                Event::AudioStarted { .. } => Heard::Started,
                Event::Audio {
                    response_id,
                    item_id,
                    data,
                    ..
                } => Heard::Audio(format!("{response_id}/{item_id}"), data),
                Event::AudioStopped { .. } => Heard::Stopped,
                Event::AudioInterrupted { .. } => Heard::Interrupted,
                Event::ResponseEnded(ended) => {
                    Heard::Done(ended.response_id.as_deref().unwrap_or_default().to_owned())
                }
                _ => return,
            };
            self.0.lock().unwrap().push(heard);
        }
        fn pushed(&self) {}
        fn drained(&self) {}
        fn outgoing_ready(&self) {}
    }

    struct Call {
        session: Arc<Session>,
        connection: Arc<Connection>,
        ears: Arc<Ears>,
    }

    impl Call {
        fn new(rate: Option<u32>, settings: ConnectionSettings) -> Self {
            let ears = Arc::new(Ears::default());
            let (options, limits) = (Options::default(), OutgoingLimits::default());
            let sink = Arc::clone(&ears) as Arc<dyn EventSink>;
            let session = Session::new(options, limits, Clock::stopped(), Handle::current(), sink);
            session.set_interest(Interest::AUDIO);
            session.set_output_format(WIRE, rate).unwrap();
            let connection = session.connecting(settings).unwrap();
            let setup = SessionSetup {
                session_update: "{}".to_owned(),
                tracing: Value::Null,
                agent_version: 0,
            };
            session.open(connection.connection_id(), setup).unwrap();
            Self {
                session,
                connection,
                ears,
            }
        }

        fn on_messages(rate: impl Into<Option<u32>>) -> Self {
            Self::new(rate.into(), ConnectionSettings::default())
        }

        fn on_track() -> Self {
            let settings = ConnectionSettings {
                announced: false,
                capabilities: Capabilities::MEDIA_TRACK,
                sound: Some(SoundSettings {
                    rates: RATES,
                    max_waiting: 1 << 20,
                }),
                ..ConnectionSettings::default()
            };
            Self::new(Some(RATE), settings)
        }

        fn frame(&self, event: &Value) {
            self.connection.on_frame(Frame::Text(&event.to_string()));
        }

        fn response(&self, response: &str) {
            self.frame(&json!({"type": "response.created", "response": {"id": response}}));
        }

        fn chunk(&self, response: &str, item: &str, sound: &[u8]) {
            self.chunk_of(Some(response), item, sound);
        }

        fn chunk_of(&self, response: Option<&str>, item: &str, sound: &[u8]) {
            let mut delta = String::new();
            base64::encode_append_text(sound, &mut delta);
            self.frame(&json!({
                "type": "response.output_audio.delta", "response_id": response, "item_id": item,
                "content_index": 0, "delta": delta,
            }));
        }

        fn end(&self, response: &str) {
            let response = json!({"id": response, "output": []});
            self.frame(&json!({"type": "response.done", "response": response}));
        }

        fn stop(&self, response: &str) {
            self.frame(&json!({"type": "response.output_audio.done", "response_id": response}));
        }

        fn interrupt(&self) {
            self.session.act(Conversation::interrupt);
        }

        fn heard(&self) -> Vec<Heard> {
            std::mem::take(&mut self.ears.0.lock().unwrap())
        }

        /// The sound that was heard of each item, with chunks of one item in a row joined.
        fn sounds(&self) -> Vec<(String, Vec<u8>)> {
            let mut sounds: Vec<(String, Vec<u8>)> = Vec::new();
            for heard in self.heard() {
                let Heard::Audio(item, data) = heard else {
                    continue;
                };
                match sounds.last_mut() {
                    Some((last, sound)) if *last == item => sound.extend(data),
                    _ => sounds.push((item, data)),
                }
            }
            sounds
        }
    }

    /// 20 ms of a tone at 24 kHz, loud enough that what is left of it is heard elsewhere.
    fn tone(period: usize) -> Vec<u8> {
        let wave = |at: usize| {
            if at % period < period / 2 {
                9_000_i16
            } else {
                -9_000
            }
        };
        (0..480).flat_map(|at| wave(at).to_le_bytes()).collect()
    }

    fn converter() -> FromWire {
        FromWire::new(WIRE, RATE).unwrap()
    }

    /// These chunks as one stream; with `is_over` up to its end.
    fn stream(chunks: &[&[u8]], is_over: bool) -> Vec<u8> {
        let mut from_wire = converter();
        let mut sound: Vec<u8> = chunks.iter().flat_map(|it| from_wire.push(it)).collect();
        if is_over {
            sound.extend(from_wire.finish());
        }
        sound
    }

    fn item(name: &str, sound: Vec<u8>) -> (String, Vec<u8>) {
        (name.to_owned(), sound)
    }

    #[tokio::test]
    async fn a_part_ends_with_its_tail_before_the_next_begins() {
        let call = Call::on_messages(RATE);
        let (a, b) = (tone(20), tone(36));
        call.response("r");
        for _ in 0..2 {
            call.chunk("r", "i", &a);
        }
        call.chunk("r", "j", &b);
        let whole = stream(&[&a, &a], true);
        assert_eq!(
            call.sounds(),
            [item("r/i", whole), item("r/j", stream(&[&b], false))]
        );
    }

    #[tokio::test]
    async fn the_tail_goes_out_before_the_sound_stops_and_the_next_answer_begins_anew() {
        let call = Call::on_messages(RATE);
        let a = tone(20);
        let mut from_wire = converter();
        let (sound, tail) = (from_wire.push(&a), from_wire.finish());
        let answer = |response: &str| {
            let [sound, tail] =
                [&sound, &tail].map(|data| Heard::Audio(format!("{response}/i"), data.clone()));
            [Heard::Started, sound, tail, Heard::Stopped]
        };
        for response in ["r1", "r2"] {
            call.response(response);
            call.chunk(response, "i", &a);
            call.stop(response);
            assert_eq!(call.heard(), answer(response));
        }
    }

    #[tokio::test]
    async fn the_tail_goes_out_before_its_response_ends_where_nothing_says_that_the_sound_does() {
        let call = Call::on_messages(RATE);
        let a = tone(20);
        for response in ["r1", "r2"] {
            call.response(response);
            call.chunk(response, "i", &a);
            call.end("another");
            call.end(response);
        }
        let whole = stream(&[&a], true);
        assert_eq!(
            call.sounds(),
            [item("r1/i", whole.clone()), item("r2/i", whole)]
        );
    }

    #[tokio::test]
    async fn an_interruption_drops_the_tail_and_late_sound_leaves_no_trace() {
        let call = Call::on_messages(RATE);
        let (a, b) = (tone(20), tone(36));
        call.response("r1");
        call.chunk("r1", "i", &a);
        call.interrupt();
        let sound = Heard::Audio("r1/i".to_owned(), stream(&[&a], false));
        assert_eq!(call.heard(), [Heard::Started, sound, Heard::Interrupted]);
        call.chunk("r1", "i", &a);
        call.stop("r1");
        assert_eq!(call.heard(), [Heard::Stopped]);
        call.response("r2");
        call.chunk("r2", "j", &b);
        call.stop("r2");
        assert_eq!(call.sounds(), [item("r2/j", stream(&[&b], true))]);
    }

    #[tokio::test]
    async fn an_answer_that_is_silenced_before_it_sounds_leaves_no_trace() {
        let call = Call::on_messages(RATE);
        let (a, b) = (tone(20), tone(36));
        call.response("r1");
        call.interrupt();
        call.chunk("r1", "i", &a);
        call.response("r2");
        call.chunk("r2", "j", &b);
        // Late, and between two chunks of what is heard.
        call.chunk("r1", "i", &a);
        call.chunk("r2", "j", &b);
        call.stop("r2");
        assert_eq!(call.sounds(), [item("r2/j", stream(&[&b, &b], true))]);
    }

    #[tokio::test]
    async fn sound_that_starts_anew_within_a_part_is_a_new_stream() {
        let call = Call::on_messages(RATE);
        let a = tone(20);
        call.response("r1");
        call.chunk("r1", "i", &a);
        call.response("r2");
        call.chunk("r1", "i", &a);
        let whole = stream(&[&a], true);
        let begun = stream(&[&a], false);
        let (head, tail) = whole.split_at(begun.len());
        let sound = |data: &[u8]| Heard::Audio("r1/i".to_owned(), data.to_vec());
        assert_eq!(
            call.heard(),
            [
                Heard::Started,
                sound(head),
                sound(tail),
                Heard::Stopped,
                Heard::Started,
                sound(&begun)
            ]
        );
    }

    #[tokio::test]
    async fn events_between_two_chunks_of_a_part_do_not_cut_it() {
        let call = Call::on_messages(RATE);
        let a = tone(20);
        call.response("r");
        call.chunk("r", "i", &a);
        call.frame(&json!({"type": "rate_limits.updated"}));
        call.chunk("r", "i", &a);
        call.stop("r");
        assert_eq!(call.sounds(), [item("r/i", stream(&[&a, &a], true))]);
    }

    #[tokio::test]
    async fn without_a_rate_sound_stays_as_on_the_wire() {
        let call = Call::on_messages(None);
        let a = tone(20);
        call.response("r");
        call.chunk("r", "i", &a);
        call.stop("r");
        let sound = Heard::Audio("r/i".to_owned(), a);
        assert_eq!(call.heard(), [Heard::Started, sound, Heard::Stopped]);
    }

    #[tokio::test]
    async fn playback_counts_the_bytes_of_the_wire() {
        let call = Call::on_messages(RATE);
        call.response("r");
        call.chunk("r", "i", &tone(20));
        call.session.advance_clock(Duration::from_secs(1));
        call.interrupt();
        let mut sent = Vec::new();
        call.connection.take_outgoing(&mut sent, usize::MAX);
        let cut = sent.iter().find_map(|message| match message {
            Outgoing::Text(text) if text.contains("truncate") => {
                serde_json::from_str::<Value>(text).unwrap()["audio_end_ms"].as_u64()
            }
            _ => None,
        });
        assert_eq!(cut, Some(20));
    }

    #[tokio::test]
    async fn a_media_track_is_converted_by_its_segments() {
        let call = Call::on_track();
        let (a, b) = (tone(20), tone(36));
        let sound = |segment: u64, sound: &[u8]| {
            let (pairs, _) = sound.as_chunks();
            let samples: Vec<i16> = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
            call.connection
                .on_sound(segment, DownlinkFrame::Samples(&samples));
        };
        let starts = |response: &str, item: &str| {
            call.response(response);
            call.frame(&json!({
                "type": "response.content_part.added", "response_id": response, "item_id": item,
                "content_index": 0, "part": {"type": "audio"},
            }));
            call.frame(&json!({"type": "output_audio_buffer.started", "response_id": response}));
            call.connection.segment()
        };
        let first = starts("r1", "i");
        sound(first, &a);
        sound(first, &a);
        call.connection.on_segment_ended(first);
        let second = starts("r2", "j");
        sound(second, &b);
        call.interrupt();
        // What the driver still holds of it.
        sound(second, &b);
        let third = starts("r3", "k");
        sound(third, &a);
        call.connection.on_segment_ended(third);
        assert_eq!(
            call.sounds(),
            [
                item("r1/i", stream(&[&a, &a], true)),
                item("r2/j", stream(&[&b], false)),
                item("r3/k", stream(&[&a], true)),
            ]
        );
    }

    #[derive(Debug, Clone)]
    enum Act {
        Created(usize),
        Chunk(usize, usize, bool),
        Words(usize),
        Stop(usize),
        Done(usize),
        Interrupt,
    }

    fn any_act() -> impl Strategy<Value = Act> {
        let id = 0..3_usize;
        prop_oneof![
            1 => id.clone().prop_map(Act::Created),
            6 => (id.clone(), 0..2_usize, any::<bool>())
                .prop_map(|(response, item, named)| Act::Chunk(response, item, named)),
            1 => id.clone().prop_map(Act::Words),
            1 => id.clone().prop_map(Act::Stop),
            1 => id.prop_map(Act::Done),
            1 => Just(Act::Interrupt),
        ]
    }

    impl Call {
        fn act(&self, act: &Act) {
            match *act {
                Act::Created(id) => self.response(&format!("r{id}")),
                Act::Chunk(id, item, named) => {
                    let sound = tone(20 + 8 * (2 * id + item));
                    let response = named.then(|| format!("r{id}"));
                    self.chunk_of(response.as_deref(), &format!("i{id}{item}"), &sound);
                }
                Act::Words(id) => self.frame(&json!({
                    "type": "response.output_audio_transcript.delta", "response_id": format!("r{id}"),
                    "item_id": "i", "content_index": 0, "delta": "word",
                })),
                Act::Stop(id) => self.stop(&format!("r{id}")),
                Act::Done(id) => self.end(&format!("r{id}")),
                Act::Interrupt => self.interrupt(),
            }
        }
    }

    /// Converts event by event, as if there were no lock.
    fn converted(events: Vec<Heard>) -> Vec<Heard> {
        let mut from_wire = converter();
        let mut part: Option<String> = None;
        let mut all = Vec::new();
        for event in events {
            let next = match &event {
                Heard::Audio(item, _) => Some(item.clone()),
                Heard::Done(response) => part
                    .clone()
                    .filter(|part| part.split('/').next() != Some(response)),
                _ => None,
            };
            if matches!(event, Heard::Started | Heard::Interrupted) {
                from_wire.reset();
            } else if next != part
                && let Some(before) = part
            {
                let tail = from_wire.finish();
                if !tail.is_empty() {
                    all.push(Heard::Audio(before, tail));
                }
            }
            part = next;
            all.push(match event {
                Heard::Audio(item, data) => Heard::Audio(item, from_wire.push(&data)),
                event => event,
            });
        }
        all
    }

    proptest! {
        #[test]
        fn whatever_happens_the_sound_is_what_it_would_be_event_by_event(
            acts in prop::collection::vec(any_act(), 0..40),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _within = runtime.enter();
            let (call, unconverted) = (Call::on_messages(RATE), Call::on_messages(None));
            for act in &acts {
                call.act(act);
                unconverted.act(act);
            }
            prop_assert!(call.heard() == converted(unconverted.heard()));
        }
    }
}
