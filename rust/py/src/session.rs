//! A session as its Python half sees it: each method is one transaction on the core.

#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments of Python calls are extracted by value"
)]

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::Value;
use stapes_core::audio::AudioFormat;
use stapes_core::conversation::{
    Conversation, Interest, Options, PlaybackSource, Status, WrittenItem,
};
use stapes_core::delivery::process::Process;
use stapes_core::delivery::queue::{PastBound, QueueSettings};
use stapes_core::session::{
    Clock, EventSink, Microphone, OutgoingLimits, Pacer, Session as Core, Stream,
};
use stapes_core::transport::net::ConnectRequest;

use crate::acts::{self, Acts};
use crate::audio::recording::Recording;
use crate::audio_input::{AudioStream, PyAudio};
use crate::connect::{self, WireFormats};
use crate::errors;
use crate::external_connection::ExternalConnection;
use crate::history::History;
use crate::hub::Hub;
use crate::loop_runtime::Carrier;
use crate::message::Message;
use crate::options::{WebSocketOptions, seconds};
use crate::route::{DispatchCursor, DispatchProgress};
use crate::setup::session_setup;
use crate::sink::Sink;

fn format(kind: &str, rate: Option<u32>) -> PyResult<AudioFormat> {
    AudioFormat::from_wire(kind, rate).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn playback_source(name: &str) -> PyResult<PlaybackSource> {
    match name {
        "clock" => Ok(PlaybackSource::Clock),
        "reports" => Ok(PlaybackSource::Reports),
        _ => Err(PyValueError::new_err(format!(
            "playback is {name:?}: give \"clock\" or \"reports\""
        ))),
    }
}

type SoundNumbers = (u64, u64, u64, u64, f64, f64, f64);

/// A conversation, its connection and its dispatch cursor.
#[pyclass(frozen, extends = Acts, module = "stapes._core")]
#[derive(Debug)]
pub struct Session {
    pub core: Arc<Core>,
    pub process: Process,
    sink: Arc<Sink>,
    microphone: Arc<Microphone>,
    /// Of the thread that runs the session.
    pacer: Arc<Pacer>,
    /// The format of the response's audio on the wire.
    wire_output: Mutex<AudioFormat>,
    progress: Arc<DispatchProgress>,
    id: u64,
}

impl Session {
    /// The conversation, unless it is the one of a parent process.
    fn here(&self) -> PyResult<&Arc<Core>> {
        self.process
            .check("session")
            .map_err(errors::runtime_error)?;
        Ok(&self.core)
    }

    fn wire_formats(&self) -> WireFormats {
        let output = self.wire_output.lock();
        WireFormats {
            input: self.microphone.format(),
            output: *output.unwrap_or_else(PoisonError::into_inner),
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
    ) -> PyResult<PyClassInitializer<Self>> {
        let options = Options {
            history_store_audio,
            guardrail_debounce,
            speech_interrupts,
            playback: playback_source(playback)?,
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
        let progress = Arc::<DispatchProgress>::default();
        let queue = QueueSettings {
            max_messages: max_queued_events,
            max_bytes: max_queued_bytes,
            past_bound: PastBound::Report,
            tells: true,
        };
        let id = hub.queues.register(queue, Arc::clone(&progress.cursor));
        let sink = Arc::new(Sink::new(Arc::clone(&hub.queues), id));
        let events = Arc::clone(&sink) as Arc<dyn EventSink>;
        let Carrier { handle, local } = hub.carrier()?;
        let core = Core::new(options, limits, clock, handle, events);
        let acts = Acts::new(Arc::clone(&core));
        let session = Self {
            microphone: Arc::new(Microphone::new(Arc::clone(&core))),
            process: Process::current(),
            pacer: local,
            core,
            sink,
            wire_output: Mutex::default(),
            progress,
            id,
        };
        Ok(PyClassInitializer::from(acts).add_subclass(session))
    }

    /// The number that the hub knows it by.
    #[getter]
    pub fn id(&self) -> u64 {
        self.id
    }

    #[getter]
    fn status(&self) -> &'static str {
        if !self.process.is_current() {
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

    /// Whether audio of the assistant has come over this connection.
    #[getter]
    fn has_spoken(&self) -> PyResult<bool> {
        Ok(self.here()?.look(Conversation::has_spoken))
    }

    /// For `Hub.register`.
    #[getter]
    fn cursor(&self) -> DispatchCursor {
        DispatchCursor(Arc::clone(&self.progress))
    }

    /// The sequence number of what was dispatched last.
    #[getter(dispatched)]
    fn last_sequence(&self) -> u64 {
        self.progress.cursor.last_sequence()
    }

    /// The history at that cursor.
    #[getter]
    fn history(&self) -> PyResult<History> {
        self.here()?;
        Ok(History(self.progress.history()))
    }

    /// Which messages are wanted: a sum of the `INTEREST_...` numbers.
    fn set_interest(&self, interest: u32) -> PyResult<()> {
        let core = self.here()?;
        let wants_history = Interest(interest).contains(Interest::HISTORY);
        self.progress.cursor.want_versions(wants_history);
        core.set_interest(Interest(interest));
        Ok(())
    }

    /// The formats of the wire, `(type, rate)` each, and the rate of `audio` messages (`None`: that of the
    /// wire). Returns the sample rate of the output on the wire.
    #[pyo3(signature = (wire_input, wire_output, output_sample_rate))]
    fn set_formats(
        &self,
        wire_input: (String, Option<u32>),
        wire_output: (String, Option<u32>),
        output_sample_rate: Option<u32>,
    ) -> PyResult<u32> {
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
        Ok(output.sample_rate())
    }

    /// Begins to connect over a WebSocket; the message `opened` or `not_opened` says how it went.
    /// Returns the id of the connection.
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
        connect::websocket(py, self.here()?, request, options.0.clone(), setup)
    }

    /// The same over WebRTC. The audio is PCM at the rates of `set_formats`, which Opus must have.
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
        let setup = session_setup(session_update, tracing, agent_version)?;
        let request = ConnectRequest { url, headers };
        let rates = self.wire_formats().rates()?;
        connect::webrtc(py, self.here()?, request, options.0.clone(), rates, setup)
    }

    /// Begins a connection over a transport that is written in Python. With `media_track` audio travels
    /// beside the messages; with `server_truncates` the server cuts what it has not played of a response.
    fn connect_external(
        &self,
        py: Python<'_>,
        media_track: bool,
        server_truncates: bool,
    ) -> PyResult<ExternalConnection> {
        let core = self.here()?;
        let rates = media_track
            .then(|| self.wire_formats().rates())
            .transpose()?;
        connect::external(py, core, rates, server_truncates)
    }

    fn close(&self, code: u16, reason: &str) -> PyResult<()> {
        self.here()?
            .act(|conversation, _| conversation.close(code, reason));
        Ok(())
    }

    /// Ends the connection, for nobody reads the events of the session.
    fn give_up_unread(&self) -> PyResult<()> {
        self.here()?.give_up_unread();
        Ok(())
    }

    fn send_event(&self, py: Python<'_>, event: &str) -> PyResult<()> {
        let event = acts::object(event, "event")?;
        acts::command(py, self.here()?, |conversation, now| {
            conversation.send_event(event, now)
        })
    }

    fn send_message(&self, py: Python<'_>, event: &str, respond: bool) -> PyResult<()> {
        let event = acts::object(event, "event")?;
        acts::command(py, self.here()?, |conversation, now| {
            conversation.send_message(&event, respond, now)
        })
    }

    /// Sends audio. With `sample_rate` it is PCM at that rate, without it is in the wire's format.
    /// Whether the sender should wait for the message `drained` before it sends more.
    #[pyo3(signature = (audio, sample_rate, commit))]
    fn send_audio(
        &self,
        py: Python<'_>,
        audio: &Bound<'_, PyAny>,
        sample_rate: Option<u32>,
        commit: bool,
    ) -> PyResult<bool> {
        let core = self.here()?;
        let audio = PyAudio::read(audio, sample_rate, self.microphone.format())?;
        self.microphone
            .send(audio.input(sample_rate), commit)
            .map_err(|error| errors::send_audio_error(py, &error))?;
        Ok(core.is_congested())
    }

    /// Begins to send recorded audio in real time, `interval` seconds of it at a time; the message
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
        self.here()?;
        let recording = match audio.cast::<Recording>() {
            Ok(recording) => recording.get().sound(),
            Err(_) => PyAudio::read(audio, sample_rate, self.microphone.format())?
                .into_recording(sample_rate),
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
            move |streamed| sink.push_message(0, Message::Streamed { token, streamed }),
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

    /// The message `Played` says with `token` that nothing is left to play.
    fn when_played(&self, token: u64) -> PyResult<()> {
        self.here()?
            .act(|conversation, now| conversation.when_played(token, now));
        Ok(())
    }

    fn forget_played(&self, token: u64) -> PyResult<()> {
        self.here()?
            .act(|conversation, _| conversation.forget_played(token));
        Ok(())
    }

    #[pyo3(signature = (response))]
    fn request_response(&self, py: Python<'_>, response: Option<&str>) -> PyResult<()> {
        let response = response
            .map(|text| acts::object(text, "response").map(Value::Object))
            .transpose()?;
        acts::command(py, self.here()?, |conversation, now| {
            conversation.request_response(response, now)
        })
    }

    /// Rewrites the conversation to `items`, or has each begin so. Gives a sentence for each left out.
    fn update_history(&self, py: Python<'_>, items: &str, at_first: bool) -> PyResult<Vec<String>> {
        let items = WrittenItem::read_list(items).map_err(PyValueError::new_err)?;
        acts::command(py, self.here()?, |conversation, _| match at_first {
            true => conversation.begin_with(items),
            false => conversation.update_history(&items),
        })
    }

    /// `(packets sent, received, lost, late, share that was concealed, target and delay in seconds)` of a
    /// connection with a media track, as of the last second.
    fn sound_stats(&self) -> PyResult<Option<SoundNumbers>> {
        let stats = self.here()?.sound_stats();
        Ok(stats.map(|stats| {
            (
                stats.packets_sent,
                stats.packets_received,
                stats.packets_lost,
                stats.packets_late,
                stats.concealed,
                stats.target.as_secs_f64(),
                stats.delay.as_secs_f64(),
            )
        }))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A child of a fork shares nothing with the connection but its memory, locks included that a
        // thread of the parent may have held.
        if self.process.is_current() {
            self.core
                .act(|conversation, _| conversation.close(1000, ""));
            self.sink.unregister();
        }
    }
}
