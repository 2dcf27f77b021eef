//! A session as its Python half sees it: each method is one transaction on the core.

#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments of Python calls are extracted by value"
)]

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use serde_json::{Map, Value};
use stapes_core::audio::AudioFormat;
use stapes_core::conversation::{
    AgentSwitch, Capabilities, Conversation, GuardSource, Interest, Media, Options, PlaybackSource,
    Rejected, Status, Truncation, WrittenItem,
};
use stapes_core::session::{
    AudioInput, Clock, Connecting, Connection, ConnectionSettings, EventSink, Microphone,
    OutgoingLimits, Pacer, Recording, Session as Core, SessionSetup, SoundSettings, Stream,
};
use stapes_core::transport::net::ConnectRequest;
use stapes_core::transport::{SampleRates, websocket};

use crate::audio::recording::Recording as Held;
use crate::audio::samples::{self, Samples};
use crate::connecting::session_setup;
use crate::dispatch::DispatchCursor;
use crate::errors;
use crate::external_connection::ExternalConnection;
use crate::history::History;
use crate::hub::Hub;
use crate::options::{WebSocketOptions, seconds};
use crate::queue::{QueueLimits, Word};
use crate::runtime::{self, Carrier};
use crate::sink::Sink;

fn object(json: &str, argument: &str) -> PyResult<Map<String, Value>> {
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(PyTypeError::new_err(format!(
            "{argument} must be a JSON object"
        ))),
        Err(error) => Err(PyValueError::new_err(format!(
            "{argument} is not JSON: {error}"
        ))),
    }
}

fn format(kind: &str, rate: Option<u32>) -> PyResult<AudioFormat> {
    AudioFormat::from_wire(kind, rate).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// A conversation, its connection and its dispatch cursor.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct Session {
    core: Arc<Core>,
    sink: Arc<Sink>,
    microphone: Arc<Microphone>,
    /// Of the thread that carries the session.
    pacer: Arc<Pacer>,
    /// What the wire carries of the answer's sound.
    wire_output: Mutex<AudioFormat>,
    cursor: Arc<DispatchCursor>,
    id: u64,
    process: u32,
}

/// The user's sound, taken out of Python.
enum Sound<'a> {
    Samples(Cow<'a, [i16]>),
    /// As the wire has it.
    Wire(Cow<'a, [u8]>),
}

impl Sound<'_> {
    fn input(&self, sample_rate: Option<u32>) -> AudioInput<'_> {
        match self {
            Self::Samples(samples) => AudioInput::Samples(samples, sample_rate),
            Self::Wire(bytes) => AudioInput::Wire(bytes),
        }
    }

    fn into_recording(self, sample_rate: Option<u32>) -> Recording {
        match self {
            Self::Samples(samples) => Recording::Samples(samples.into(), sample_rate),
            Self::Wire(bytes) => Recording::Wire(bytes.into()),
        }
    }
}

/// A long sound on its way.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct AudioStream {
    stream: Stream,
    process: u32,
}

#[pymethods]
impl AudioStream {
    /// Sends nothing more of it.
    fn cancel(&self) {
        // In a child of a fork nothing is sent of it, and its lock may be held for ever.
        if self.process == runtime::process() {
            self.stream.cancel();
        }
    }
}

impl Session {
    /// How far the event loop has come with it.
    pub fn cursor(&self) -> &Arc<DispatchCursor> {
        &self.cursor
    }

    /// The conversation, unless it is the one of a parent process.
    fn here(&self) -> PyResult<&Core> {
        runtime::same_process(self.process, "session")?;
        Ok(&self.core)
    }

    fn sound<'a>(
        &self,
        audio: &'a Bound<'_, PyAny>,
        sample_rate: Option<u32>,
    ) -> PyResult<Sound<'a>> {
        runtime::same_process(self.process, "session")?;
        let format = self.microphone.format();
        if sample_rate.is_some() || matches!(format, AudioFormat::Pcm { .. }) {
            Samples::mono(audio, "audio").map(|samples| Sound::Samples(samples.into_int16()))
        } else {
            samples::bytes(audio, "audio").map(Sound::Wire)
        }
    }

    /// Begins to connect; the connection id of the connection.
    fn dial<C: Send + 'static, F: Future<Output = ()> + Send + 'static>(
        &self,
        py: Python<'_>,
        settings: ConnectionSettings,
        setup: SessionSetup,
        connecting: Connecting<C>,
        run: impl FnOnce(C, Arc<Connection>) -> F + Send + 'static,
    ) -> PyResult<u64> {
        runtime::same_process(self.process, "session")?;
        self.core
            .dial(settings, setup, connecting, run)
            .map_err(|rejected| errors::rejected(py, &rejected))
    }

    /// The rates of the wire's formats, where they are what travels beside the messages.
    fn sound_rates(&self) -> PyResult<SampleRates> {
        let rate = |format: AudioFormat, name: &str| match format {
            AudioFormat::Pcm { rate } => Ok(rate),
            _ => Err(PyValueError::new_err(format!(
                "config.audio.{name}.format is {}: this transport carries sound on a track beside the \
                 messages, and gives and takes PCM; leave the format out",
                format.wire_name()
            ))),
        };
        let output = self
            .wire_output
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(SampleRates {
            input: rate(self.microphone.format(), "input")?,
            output: rate(*output, "output")?,
        })
    }

    /// Runs a command of the user's.
    fn command<T>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&mut Conversation, Duration) -> Result<T, Rejected>,
    ) -> PyResult<T> {
        runtime::same_process(self.process, "session")?;
        self.core
            .act(act)
            .map_err(|rejected| errors::rejected(py, &rejected))
    }

    /// Runs an act of the session layer's; false where what it belongs to is over.
    fn act(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&mut Conversation, Duration) -> Result<(), Rejected>,
    ) -> PyResult<bool> {
        runtime::same_process(self.process, "session")?;
        match self.core.act(act) {
            Ok(()) => Ok(true),
            Err(Rejected::Stale | Rejected::NotConnected) => Ok(false),
            Err(rejected) => Err(errors::rejected(py, &rejected)),
        }
    }
}

#[pymethods]
impl Session {
    /// Times are seconds, sizes bytes. `playback` is `"clock"` or `"reports"`.
    #[new]
    #[pyo3(signature = (hub, *, history_store_audio, guardrail_debounce, speech_interrupts, playback,
        respond_to_mcp_calls, response_timeout, waiting_responses, answered_calls, high_water,
        max_outgoing_bytes, max_queued_events, max_queued_bytes, virtual_clock=false))]
    #[expect(
        clippy::too_many_arguments,
        clippy::fn_params_excessive_bools,
        reason = "each is an option of its own, and a keyword in Python"
    )]
    fn new(
        hub: &Hub,
        history_store_audio: bool,
        guardrail_debounce: i64,
        speech_interrupts: bool,
        playback: &str,
        respond_to_mcp_calls: bool,
        response_timeout: f64,
        waiting_responses: usize,
        answered_calls: usize,
        high_water: usize,
        max_outgoing_bytes: usize,
        max_queued_events: usize,
        max_queued_bytes: usize,
        virtual_clock: bool,
    ) -> PyResult<Self> {
        let options = Options {
            history_store_audio,
            guardrail_debounce,
            speech_interrupts,
            playback: match playback {
                "reports" => PlaybackSource::Reports,
                _ => PlaybackSource::Clock,
            },
            respond_to_mcp_calls,
            response_timeout: seconds(response_timeout, "response_timeout")?,
            waiting_responses,
            answered_calls,
        };
        let limits = OutgoingLimits {
            high_water,
            max_bytes: max_outgoing_bytes,
        };
        let clock = if virtual_clock {
            Clock::stopped()
        } else {
            Clock::default()
        };
        let shared = Arc::clone(&hub.shared);
        let cursor = Arc::new(DispatchCursor::default());
        let queue = QueueLimits {
            events: max_queued_events,
            bytes: max_queued_bytes,
        };
        let id = shared.register(queue, Arc::clone(&cursor));
        let sink = Arc::new(Sink::new(shared, id));
        let events = Arc::clone(&sink) as Arc<dyn EventSink>;
        let Carrier { handle, pacer } = hub.carrier()?;
        let core = Core::new(options, limits, clock, handle, events);
        Ok(Self {
            microphone: Arc::new(Microphone::new(Arc::clone(&core))),
            pacer,
            core,
            sink,
            wire_output: Mutex::default(),
            cursor,
            id,
            process: runtime::process(),
        })
    }

    /// The number that the hub knows it by.
    #[getter]
    pub fn id(&self) -> u64 {
        self.id
    }

    #[getter]
    fn status(&self) -> &'static str {
        if self.process != runtime::process() {
            // A child of a fork has no part in its parent's connection.
            return Status::Disconnected.as_str();
        }
        self.core.status().as_str()
    }

    #[getter]
    fn connection_id(&self) -> PyResult<u64> {
        Ok(self.here()?.look(Conversation::connection_id))
    }

    #[getter]
    fn muted(&self) -> PyResult<bool> {
        Ok(self.here()?.look(Conversation::muted))
    }

    /// Whether the assistant has been heard on this connection.
    #[getter]
    fn has_spoken(&self) -> bool {
        self.core.look(Conversation::has_spoken)
    }

    /// The sequence number of what was dispatched last.
    #[getter]
    fn dispatched(&self) -> u64 {
        self.cursor.sequence()
    }

    /// The history at that cursor.
    #[getter]
    fn history(&self) -> PyResult<History> {
        self.here()?;
        Ok(History(self.cursor.history()))
    }

    #[getter]
    fn sequence(&self) -> PyResult<u64> {
        Ok(self.here()?.look(Conversation::sequence))
    }

    /// Says which words are wanted: a sum of the `INTEREST_...` numbers.
    fn set_interest(&self, interest: u32) -> PyResult<()> {
        let core = self.here()?;
        self.cursor
            .want_history(Interest(interest).contains(Interest::HISTORY));
        core.set_interest(Interest(interest));
        Ok(())
    }

    /// The formats of the wire, `(type, rate)` each, and the rate at which `audio` words come (`None`:
    /// as they are on the wire).
    #[pyo3(signature = (wire_input, wire_output, output_sample_rate))]
    fn set_formats(
        &self,
        wire_input: (String, Option<u32>),
        wire_output: (String, Option<u32>),
        output_sample_rate: Option<u32>,
    ) -> PyResult<()> {
        let input = format(&wire_input.0, wire_input.1)?;
        let output = format(&wire_output.0, wire_output.1)?;
        self.core
            .set_output_format(output, output_sample_rate)
            .map_err(|error| PyValueError::new_err(format!("output_sample_rate: {error}")))?;
        self.microphone.set_format(input);
        *self
            .wire_output
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = output;
        Ok(())
    }

    /// Begins to connect over a WebSocket; the word `opened` or `not_opened` says how it went.
    /// Returns the connection id of the connection.
    #[expect(clippy::too_many_arguments, reason = "one transaction")]
    fn connect_websocket(
        &self,
        py: Python<'_>,
        url: String,
        headers: Vec<(String, String)>,
        options: &WebSocketOptions,
        session_update: String,
        tracing: &str,
        agent_version: u64,
    ) -> PyResult<u64> {
        let setup = session_setup(session_update, tracing, agent_version)?;
        let request = ConnectRequest { url, headers };
        let options = options.0.clone();
        let connecting = Box::pin(async move { websocket::connect(&request, &options).await });
        self.dial(
            py,
            ConnectionSettings::default(),
            setup,
            connecting,
            websocket::WebSocketConnection::run,
        )
    }

    /// The same over WebRTC. The sound is PCM at the rates of `set_formats`, which Opus must have.
    #[cfg(feature = "webrtc")]
    #[expect(clippy::too_many_arguments, reason = "one transaction")]
    fn connect_webrtc(
        &self,
        py: Python<'_>,
        url: String,
        headers: Vec<(String, String)>,
        options: &crate::options::WebRtcOptions,
        session_update: String,
        tracing: &str,
        agent_version: u64,
    ) -> PyResult<u64> {
        use stapes_core::transport::webrtc;

        let setup = session_setup(session_update, tracing, agent_version)?;
        let request = ConnectRequest { url, headers };
        let options = options.0.clone();
        let rates = self.sound_rates()?;
        let max_waiting = (options.max_queue.as_secs_f64() * f64::from(rates.input)) as usize * 2;
        let settings = ConnectionSettings {
            announced: false,
            capabilities: Capabilities::MEDIA_TRACK,
            sound: Some(SoundSettings { rates, max_waiting }),
        };
        let connecting = Box::pin(async move { webrtc::connect(&request, &options, rates).await });
        self.dial(
            py,
            settings,
            setup,
            connecting,
            webrtc::WebRtcConnection::run,
        )
    }

    fn close(&self, code: u16, reason: &str) -> PyResult<()> {
        self.here()?
            .act(|conversation, _| conversation.close(code, reason));
        Ok(())
    }

    /// Ends the connection, for nobody reads what the session says.
    fn give_up_unread(&self) -> PyResult<()> {
        self.here()?.give_up_unread();
        Ok(())
    }

    fn send_event(&self, py: Python<'_>, event: &str) -> PyResult<()> {
        let event = object(event, "event")?;
        self.command(py, |conversation, now| conversation.send_event(event, now))
    }

    fn send_message(&self, py: Python<'_>, event: &str, respond: bool) -> PyResult<()> {
        let event = object(event, "event")?;
        self.command(py, |conversation, now| {
            conversation.send_message(&event, respond, now)
        })
    }

    /// Sends audio. With `sample_rate` it is PCM at that rate, without it is in the wire's format.
    /// Whether the sender should wait for the word `drained` before it sends more.
    #[pyo3(signature = (audio, sample_rate, commit))]
    fn send_audio(
        &self,
        py: Python<'_>,
        audio: &Bound<'_, PyAny>,
        sample_rate: Option<u32>,
        commit: bool,
    ) -> PyResult<bool> {
        // Before the lock: reading a buffer may run Python code, and whoever waits for the lock may
        // hold the GIL meanwhile.
        let sound = self.sound(audio, sample_rate)?;
        self.microphone
            .send(sound.input(sample_rate), commit)
            .map_err(|error| errors::send_audio_error(py, &error))?;
        Ok(self.core.is_congested())
    }

    /// Begins to send a long sound in real time, `interval` seconds of it at a time; the word
    /// `streamed` says with `token` how it ended. `audio` is as for `send_audio`, or a `stapes.audio.Recording`.
    #[pyo3(signature = (audio, sample_rate, commit, interval, token))]
    fn stream_audio(
        &self,
        py: Python<'_>,
        audio: &Bound<'_, PyAny>,
        sample_rate: Option<u32>,
        commit: bool,
        interval: f64,
        token: u64,
    ) -> PyResult<AudioStream> {
        runtime::same_process(self.process, "session")?;
        let recording = match audio.cast::<Held>() {
            Ok(held) => held.get().sound(),
            Err(_) => self.sound(audio, sample_rate)?.into_recording(sample_rate),
        };
        if recording.is_empty() {
            return Err(PyValueError::new_err(
                "audio is empty: there is nothing to stream",
            ));
        }
        let sink = Arc::clone(&self.sink);
        let stream = Stream::new(
            &self.microphone,
            recording,
            seconds(interval, "interval")?,
            commit,
            move |streamed| sink.push_word(0, Word::Streamed { token, streamed }),
        )
        .map_err(|rejected| errors::rejected(py, &rejected))?;
        self.pacer.add(stream.clone());
        Ok(AudioStream {
            stream,
            process: self.process,
        })
    }

    fn is_congested(&self) -> PyResult<bool> {
        Ok(self.here()?.is_congested())
    }

    fn mute(&self, muted: bool) -> PyResult<()> {
        self.here()?.mute(muted);
        Ok(())
    }

    fn interrupt(&self) -> PyResult<()> {
        self.here()?.act(Conversation::interrupt);
        Ok(())
    }

    fn playback_reported(
        &self,
        item_id: &str,
        content_index: usize,
        played_ms: f64,
    ) -> PyResult<()> {
        self.here()?.act(|conversation, _| {
            conversation.playback_reported(item_id, content_index, played_ms);
        });
        Ok(())
    }

    #[pyo3(signature = (response))]
    fn request_response(&self, py: Python<'_>, response: Option<&str>) -> PyResult<()> {
        let response = response
            .map(|text| object(text, "response").map(Value::Object))
            .transpose()?;
        self.command(py, |conversation, now| {
            conversation.request_response(response, now)
        })
    }

    /// Rewrites the conversation to `items`, a JSON list; the ids of items that were left out.
    fn update_history(&self, py: Python<'_>, items: &str) -> PyResult<Vec<String>> {
        let values: Vec<Value> = serde_json::from_str(items).map_err(|error| {
            PyValueError::new_err(format!("history is not a JSON list: {error}"))
        })?;
        let items: Vec<WrittenItem> = values
            .iter()
            .map(WrittenItem::read)
            .collect::<Result<_, _>>()
            .map_err(PyValueError::new_err)?;
        self.command(py, |conversation, _| conversation.update_history(&items))
    }

    /// Puts an event that the session layer keeps into the order.
    fn local_event(&self, token: u64) -> PyResult<()> {
        self.here()?
            .act(|conversation, _| conversation.local_event(token));
        Ok(())
    }

    fn call_event(
        &self,
        py: Python<'_>,
        call_id: &str,
        connection_id: u64,
        token: u64,
    ) -> PyResult<bool> {
        self.act(py, |conversation, _| {
            conversation.call_event(call_id, connection_id, token)
        })
    }

    fn await_approval(
        &self,
        py: Python<'_>,
        call_id: &str,
        connection_id: u64,
        token: u64,
    ) -> PyResult<bool> {
        self.act(py, |conversation, now| {
            conversation.await_approval(call_id, connection_id, token, now)
        })
    }

    fn resume_call(&self, py: Python<'_>, call_id: &str, connection_id: u64) -> PyResult<bool> {
        self.act(py, |conversation, _| {
            conversation.resume_call(call_id, connection_id)
        })
    }

    fn tool_output(
        &self,
        py: Python<'_>,
        call_id: &str,
        connection_id: u64,
        output: &str,
        respond: bool,
        tokens: Vec<u64>,
    ) -> PyResult<bool> {
        self.act(py, |conversation, now| {
            conversation.tool_output(call_id, connection_id, output, respond, &tokens, now)
        })
    }

    #[pyo3(signature = (agent_version, session_update, before, after))]
    fn switch_agent(
        &self,
        py: Python<'_>,
        agent_version: u64,
        session_update: Option<String>,
        before: Vec<u64>,
        after: Vec<u64>,
    ) -> PyResult<()> {
        let switch = AgentSwitch {
            agent_version,
            session_update,
            before,
            after,
        };
        self.command(py, |conversation, _| conversation.switch_agent(&switch))
    }

    #[expect(clippy::too_many_arguments, reason = "one transaction")]
    fn hand_off(
        &self,
        py: Python<'_>,
        call_id: &str,
        connection_id: u64,
        agent_version: u64,
        session_update: String,
        after: Vec<u64>,
        output: &str,
    ) -> PyResult<bool> {
        let session_update = Some(session_update);
        let switch = AgentSwitch {
            agent_version,
            session_update,
            before: Vec::new(),
            after,
        };
        self.act(py, |conversation, now| {
            conversation.hand_off(call_id, connection_id, &switch, output, now)
        })
    }

    #[pyo3(signature = (connection_id, item_id, approve, reason))]
    fn answer_mcp_approval(
        &self,
        py: Python<'_>,
        connection_id: u64,
        item_id: &str,
        approve: bool,
        reason: Option<&str>,
    ) -> PyResult<bool> {
        self.act(py, |conversation, _| {
            conversation.answer_mcp_approval(connection_id, item_id, approve, reason)
        })
    }

    /// A guardrail tripped; false where the answer is over or another guardrail was first.
    #[pyo3(signature = (connection_id, response_index, response_id, source, token, feedback))]
    #[expect(clippy::too_many_arguments, reason = "one transaction")]
    fn guardrail_tripped(
        &self,
        py: Python<'_>,
        connection_id: u64,
        response_index: u64,
        response_id: Option<&str>,
        source: &str,
        token: u64,
        feedback: &str,
    ) -> PyResult<bool> {
        let feedback = object(feedback, "feedback")?;
        let source = if source == "text" {
            GuardSource::Text
        } else {
            GuardSource::Audio
        };
        self.act(py, |conversation, now| {
            conversation.guardrail_tripped(
                connection_id,
                response_index,
                response_id,
                source,
                token,
                &feedback,
                now,
            )
        })
    }

    // For a transport that is written in Python.

    /// Begins a connection that Python carries; its connection. Where `media_track`, sound travels beside the
    /// messages; where `server_truncates`, the server cuts what it has not played of an answer.
    fn connect_external(
        &self,
        py: Python<'_>,
        media_track: bool,
        server_truncates: bool,
    ) -> PyResult<ExternalConnection> {
        runtime::same_process(self.process, "session")?;
        let sound = media_track.then(|| self.sound_rates()).transpose()?;
        let capabilities = Capabilities {
            media: if media_track {
                Media::Track
            } else {
                Media::InFrames
            },
            truncation: if server_truncates {
                Truncation::Server
            } else {
                Truncation::Client
            },
        };
        let connection = self
            .core
            .connecting(ConnectionSettings {
                announced: true,
                capabilities,
                sound: sound.map(|rates| SoundSettings {
                    rates,
                    // A minute.
                    max_waiting: rates.input as usize * 60 * 2,
                }),
            })
            .map_err(|rejected| errors::rejected(py, &rejected))?;
        Ok(ExternalConnection::new(Arc::clone(&self.core), connection))
    }

    /// `(packets sent, received, lost, late, share that was concealed, target and delay in seconds)` of a
    /// connection that carries sound apart, as of the last second.
    fn sound_stats(&self) -> Option<(u64, u64, u64, u64, f64, f64, f64)> {
        let stats = self.core.sound_stats()?;
        Some((
            stats.packets_sent,
            stats.packets_received,
            stats.packets_lost,
            stats.packets_late,
            stats.concealed,
            stats.target.as_secs_f64(),
            stats.delay.as_secs_f64(),
        ))
    }

    // For tests.

    fn hold_reader(&self, hold: bool) {
        self.core.hold_reader(hold);
    }

    fn advance_clock(&self, seconds: f64) -> PyResult<()> {
        let by = crate::options::seconds(seconds, "seconds")?;
        self.core.advance_clock(by);
        Ok(())
    }

    /// `(frames read, messages queued, messages flushed, audio messages dropped)` so far.
    fn traffic(&self) -> (u64, u64, u64, u64) {
        let traffic = self.core.traffic();
        (
            traffic.frames_read,
            traffic.messages_queued,
            traffic.messages_flushed,
            traffic.audio_dropped,
        )
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A child of a fork shares nothing with the connection but its memory, locks included that a
        // thread of the parent may have held.
        if self.process == runtime::process() {
            self.core
                .act(|conversation, _| conversation.close(1000, ""));
            self.sink.unregister();
        }
    }
}
