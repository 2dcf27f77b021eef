//! A session as its Python half sees it: each method is one transaction on the core.

#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments of Python calls are extracted by value"
)]

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::Value;
use stapes_core::audio::AudioFormat;
use stapes_core::conversation::{Conversation, Interest, Profile, RateLimit, Status, WrittenItem};
use stapes_core::dispatch::{DispatchedSession, SessionOptions};
use stapes_core::session::{Clock, Endings, ReconnectOptions, SessionSetup};
use stapes_core::transport::SoundStats;
use stapes_core::transport::net::ConnectRequest;

use crate::acts::{self, Acts};
use crate::audio_input::{self, AudioStream};
use crate::calls::Call;
use crate::errors::Outcome;
use crate::external_connection::ExternalConnection;
use crate::history::History;
use crate::hub::Hub;
use crate::options::{
    Capabilities, CoreOptions, Dialect, ReconnectPolicy, WebSocketOptions, seconds,
};
use crate::route::Route;

/// Where to connect: the URL, the headers, and what else the server may quote and nobody may read.
type Asked = (String, Vec<(String, String)>, Vec<String>);

/// What the server gets when the connection stands: the `session.update`, the tracing, and the version of
/// the agent.
type Opening = (String, String, u64);

fn setup(opening: Option<Opening>) -> Outcome<Option<SessionSetup>> {
    let read = |(update, tracing, agent_version): Opening| {
        SessionSetup::read(update, &tracing, agent_version)
    };
    Ok(opening.map(read).transpose()?)
}

type LimitNumbers = (String, Option<f64>, Option<f64>, Option<f64>);

type SoundNumbers = (u64, u64, u64, u64, f64, f64, f64, f64, u32, f64, f64, u64);

/// A conversation, its connection and its dispatch cursor.
#[pyclass(frozen, extends = Acts, module = "stapes._core")]
#[derive(Debug)]
pub struct Session(pub Arc<DispatchedSession>);

impl Session {
    /// Runs a command of the user's as one transaction.
    fn act<T>(&self, act: impl FnOnce(&mut Conversation, Duration) -> T) -> Outcome<T> {
        Ok(self.0.session()?.act(act))
    }

    fn look<T>(&self, look: impl FnOnce(&Conversation) -> T) -> Outcome<T> {
        Ok(self.0.session()?.look(look))
    }
}

#[pymethods]
impl Session {
    /// `options` is a `stapes.session.options.CoreOptions`.
    #[new]
    #[pyo3(signature = (hub, options, *, virtual_clock=false, call=None))]
    fn new(
        hub: &Hub,
        options: &Bound<'_, PyAny>,
        virtual_clock: bool,
        call: Option<&Call>,
    ) -> Outcome<PyClassInitializer<Self>> {
        let options = CoreOptions::read(options, SessionOptions::default())?;
        let (clock, carrier) = if let Some(call) = call {
            // One task of one worker drives both ends, whatever the event loop does meanwhile.
            (call.0.call()?.clock().clone(), call.0.carrier())
        } else {
            let clock = virtual_clock.then(Clock::stopped).unwrap_or_default();
            (clock, hub.carrier()?)
        };
        let session = DispatchedSession::new(options, clock, &hub.queues, carrier);
        if let Some(call) = call
            && !call.0.couple(session.microphone())
        {
            let why = "call: it has had a session before, and a call has one";
            return Err(PyValueError::new_err(why).into());
        }
        let session = Arc::new(session);
        let acts = Acts(Arc::clone(&session));
        Ok(PyClassInitializer::from(acts).add_subclass(Self(session)))
    }

    /// The number that the hub knows it by.
    #[getter]
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    #[getter]
    fn status(&self) -> &'static str {
        // A child of a fork has no part in its parent's connection.
        let status = self.0.session().map(|session| session.status());
        status.unwrap_or(Status::Disconnected).as_str()
    }

    /// Whether there is a connection, or will be one for the same conversation.
    #[getter]
    fn is_standing(&self) -> bool {
        let status = self.0.session().map(|session| session.status());
        status.is_ok_and(Status::is_standing)
    }

    #[getter]
    fn connection_id(&self) -> Outcome<u64> {
        self.look(Conversation::connection_id)
    }

    #[getter]
    fn muted(&self) -> Outcome<bool> {
        self.look(Conversation::muted)
    }

    /// Whether audio of the assistant has come over this connection.
    #[getter]
    fn has_spoken(&self) -> Outcome<bool> {
        self.look(Conversation::has_spoken)
    }

    /// Has `hub` dispatch its messages: audio to the callables in `listeners.audio`, any other to
    /// `dispatcher`, all of it through `dispatcher.run`. Keeps only `dispatcher` alive.
    fn dispatch_to(
        &self,
        hub: &Hub,
        dispatcher: &Bound<'_, PyAny>,
        listeners: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        hub.register(
            self.0.id(),
            Route::new(self.0.progress(), dispatcher, listeners)?,
        );
        Ok(())
    }

    /// The sequence number of what was dispatched last.
    #[getter(dispatched)]
    fn last_sequence(&self) -> u64 {
        self.0.progress().cursor.last_sequence()
    }

    /// The history at that cursor.
    #[getter]
    fn history(&self) -> Outcome<History> {
        self.0.session()?;
        Ok(History(self.0.progress().history()))
    }

    /// Which messages are wanted: a sum of the `INTEREST_...` numbers.
    fn set_interest(&self, interest: u32) -> Outcome<()> {
        self.0.session()?;
        self.0.set_interest(Interest(interest));
        Ok(())
    }

    /// What is known of the provider: its `stapes.providers.Dialect` and `stapes.providers.Capabilities`.
    fn follow_profile(
        &self,
        dialect: &Bound<'_, PyAny>,
        capabilities: &Bound<'_, PyAny>,
    ) -> Outcome<()> {
        let mut profile = Capabilities::read(capabilities, Profile::default())?;
        profile.dialect = Dialect::read(dialect, profile.dialect)?;
        self.act(|conversation, _| conversation.follow_profile(profile))
    }

    /// The formats of the wire, `(type, rate)` each, and the rate of `audio` messages (`None`: that of the
    /// wire). Returns the sample rate of the output on the wire.
    fn set_formats(
        &self,
        wire_input: (String, Option<u32>),
        wire_output: (String, Option<u32>),
        output_sample_rate: Option<u32>,
    ) -> Outcome<u32> {
        let input = AudioFormat::from_wire(&wire_input.0, wire_input.1)?;
        let output = AudioFormat::from_wire(&wire_output.0, wire_output.1)?;
        self.0
            .set_formats(input, output, output_sample_rate)
            .map_err(|error| PyValueError::new_err(format!("output_sample_rate: {error}")))?;
        Ok(output.sample_rate())
    }

    /// Begins to connect over a WebSocket; the message `opened` or `not_opened` says how it went. Without
    /// an `opening` it is a connection in place of a lost one. Returns the id of the connection.
    fn connect_websocket(
        &self,
        asked: Asked,
        options: &WebSocketOptions,
        opening: Option<Opening>,
    ) -> Outcome<u64> {
        let (request, options) = (ConnectRequest::from(asked), options.0.clone());
        let session = self.0.session()?;
        Ok(match setup(opening)? {
            Some(setup) => session.connect_websocket(request, options, setup),
            None => session.reconnect_websocket(request, options),
        }?)
    }

    /// The same over WebRTC. The audio is PCM at the rates of `set_formats`, which Opus must have.
    #[cfg(feature = "webrtc")]
    fn connect_webrtc(
        &self,
        asked: Asked,
        options: &crate::options::WebRtcOptions,
        opening: Option<Opening>,
    ) -> Outcome<u64> {
        let (request, options) = (ConnectRequest::from(asked), options.0.clone());
        let (session, rates) = (self.0.session()?, self.0.track_rates()?);
        Ok(match setup(opening)? {
            Some(setup) => session.connect_webrtc(request, options, rates, setup),
            None => session.reconnect_webrtc(request, options, rates),
        }?)
    }

    /// Begins a connection over a transport that is written in Python; `again`: in place of a lost one. With
    /// `media_track` audio travels beside the messages; with `server_truncates` the server cuts what it has
    /// not played of a response.
    #[pyo3(signature = (
        asked, media_track, server_truncates, first_event_timeout, *, again=false
    ))]
    fn connect_external(
        &self,
        asked: Asked,
        media_track: bool,
        server_truncates: bool,
        first_event_timeout: f64,
        again: bool,
    ) -> Outcome<ExternalConnection> {
        let patience = seconds(first_event_timeout, "first_event_timeout")?;
        let session = self.0.session()?;
        let rates = media_track.then(|| self.0.track_rates()).transpose()?;
        let request = asked.into();
        let connection =
            session.connect_external(&request, rates, server_truncates, patience, again)?;
        Ok(ExternalConnection::new(Arc::clone(session), connection))
    }

    /// Makes another connection when one is lost. `policy` is a `stapes.ReconnectPolicy`; `endings` has the
    /// close codes of losses, the codes of errors that refuse and that expire, and the HTTP statuses that
    /// are tried again; commands that wait for a new connection have `max_held_bytes`.
    fn reconnect_by(
        &self,
        policy: &Bound<'_, PyAny>,
        endings: (Vec<u16>, Vec<String>, Vec<String>, Vec<u16>),
        max_held_bytes: usize,
    ) -> Outcome<()> {
        let mut options = ReconnectPolicy::read(policy, ReconnectOptions::default())?;
        let (loss_close_codes, refusal_codes, expiry_codes, retry_statuses) = endings;
        let endings = Endings {
            loss_close_codes,
            refusal_codes,
            expiry_codes,
            retry_statuses,
        };
        options.policy.endings = endings.shared();
        options.survival.max_held_bytes = max_held_bytes;
        self.0.session()?.reconnect_by(options);
        Ok(())
    }

    /// Whether the session layer is asked where to for each attempt, whether it decides on each, and
    /// whether the key is good for one.
    fn redial_by(&self, asks: bool, overrides: bool, single_use: bool) -> Outcome<()> {
        self.0.session()?.redial_with(asks, overrides, single_use);
        Ok(())
    }

    /// The attempt that is due could not be begun.
    fn attempt_failed(&self, why: String) -> Outcome<()> {
        self.0.session()?.attempt_failed(why);
        Ok(())
    }

    /// Makes no other connection, and says why.
    fn give_up(&self, why: String) -> Outcome<()> {
        self.0.session()?.give_up(why);
        Ok(())
    }

    /// The items that a new connection is not told.
    fn left_out(&self) -> Outcome<History> {
        Ok(History(self.0.session()?.left_out()))
    }

    /// What a new connection is told in place of them.
    fn summarise(&self, summary: String) -> Outcome<()> {
        self.act(|conversation, _| conversation.summarise(summary))
    }

    /// `(connections replaced after a loss, attempts that failed, connections rolled over, turns cut by
    /// that, seconds without a connection, bytes of kept sound)`.
    fn survival_stats(&self) -> Outcome<(u64, u64, u64, u64, f64, usize)> {
        let kept = self.look(Conversation::kept_sound)?;
        let it = self.0.session()?.survival_stats();
        let made = (it.reconnects, it.failed_attempts, it.rollovers);
        let gaps = it.gaps.as_secs_f64();
        Ok((made.0, made.1, made.2, it.cut_turns, gaps, kept))
    }

    /// The provider's limits, `(name, limit, remaining, seconds until it is whole again)` each, and the
    /// seconds that a server which refused a handshake asked to wait, the last time that one did.
    fn limits(&self) -> Outcome<(Vec<LimitNumbers>, Option<f64>)> {
        let wait = self.0.session()?.retry_after();
        let numbers = |it: RateLimit| (it.name, it.limit, it.remaining, it.reset_seconds);
        let limits = self.look(|it| it.rate_limits().iter().cloned().map(numbers).collect())?;
        Ok((limits, wait.map(|wait| wait.as_secs_f64())))
    }

    fn close(&self, code: u16, reason: &str) -> Outcome<()> {
        self.act(|conversation, _| conversation.close(code, reason))
    }

    /// Ends the session when all that was said so far has been transcribed, or translated.
    fn finish(&self) -> Outcome<()> {
        Ok(self.act(Conversation::finish)??)
    }

    /// Ends the connection, for nobody reads the events of the session.
    fn give_up_unread(&self) -> Outcome<()> {
        self.0.session()?.give_up_unread();
        Ok(())
    }

    fn send_event(&self, event: &str) -> Outcome<()> {
        let bytes = event.len();
        let event = acts::object(event, "event")?;
        let session = self.0.session()?;
        session.room_for(bytes)?;
        Ok(session.act(|conversation, now| conversation.send_event(event, now))?)
    }

    fn send_message(&self, event: &str, respond: bool) -> Outcome<()> {
        let bytes = event.len();
        let event = acts::object(event, "event")?;
        let session = self.0.session()?;
        session.room_for(bytes)?;
        Ok(session.act(|conversation, now| conversation.send_message(&event, respond, now))?)
    }

    /// Sends audio. With `sample_rate` it is PCM at that rate, without it is in the wire's format.
    /// Whether the sender should wait for the message `drained` before it sends more.
    fn send_audio(
        &self,
        audio: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = audio_input::sample_rate)] sample_rate: Option<u32>,
        commit: bool,
    ) -> Outcome<bool> {
        let (session, microphone) = (self.0.session()?, self.0.microphone());
        let sound = audio_input::read(audio, sample_rate, microphone.format())?;
        microphone.send(sound.input(), commit)?;
        Ok(session.is_congested())
    }

    /// Begins to send recorded audio in real time, `interval` seconds of it at a time; the message
    /// `streamed` says with `token` how it ended. `audio` is as for `send_audio`, or a `stapes.audio.Recording`.
    fn stream_audio(
        &self,
        audio: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = audio_input::sample_rate)] sample_rate: Option<u32>,
        commit: bool,
        interval: f64,
        token: u64,
    ) -> Outcome<AudioStream> {
        self.0.session()?;
        let format = self.0.microphone().format();
        let recording = audio_input::read_recording(audio, sample_rate, format)?;
        let interval = seconds(interval, "interval")?;
        Ok(AudioStream {
            stream: self.0.stream(recording, interval, commit, token)?,
            process: self.0.process(),
        })
    }

    fn is_congested(&self) -> Outcome<bool> {
        Ok(self.0.session()?.is_congested())
    }

    fn mute(&self, muted: bool) -> Outcome<()> {
        self.0.session()?.mute(muted);
        Ok(())
    }

    fn interrupt(&self) -> Outcome<()> {
        self.act(Conversation::interrupt)
    }

    fn playback_reported(
        &self,
        item_id: &str,
        content_index: usize,
        played_ms: f64,
    ) -> Outcome<()> {
        self.act(|conversation, _| {
            conversation.playback_reported(item_id, content_index, played_ms);
        })
    }

    /// The message `Played` says with `token` that nothing is left to play.
    fn when_played(&self, token: u64) -> Outcome<()> {
        self.act(|conversation, now| conversation.when_played(token, now))
    }

    fn forget_played(&self, token: u64) -> Outcome<()> {
        self.act(|conversation, _| conversation.forget_played(token))
    }

    fn request_response(&self, response: Option<&str>) -> Outcome<()> {
        let response = response
            .map(|text| acts::object(text, "response").map(Value::Object))
            .transpose()?;
        Ok(self.act(|conversation, now| conversation.request_response(response, now))??)
    }

    /// Rewrites the conversation to `items`, or has each begin so. Gives a sentence for each left out.
    fn update_history(&self, items: &str, at_first: bool) -> Outcome<Vec<String>> {
        let items = WrittenItem::read_list(items).map_err(PyValueError::new_err)?;
        Ok(self.act(|conversation, _| {
            if at_first {
                conversation.begin_with(items)
            } else {
                conversation.update_history(&items)
            }
        })??)
    }

    /// Has the next connection go on with these items, and run the calls that wait.
    fn restore(&self, items: &str) -> Outcome<()> {
        let items = WrittenItem::read_list(items).map_err(PyValueError::new_err)?;
        Ok(self.act(|conversation, _| conversation.restore(&items))??)
    }

    /// [`SoundStats::numbers`] of a connection with a media track, as of the last second.
    fn sound_stats(&self) -> Outcome<Option<SoundNumbers>> {
        let stats = self.0.session()?.sound_stats();
        Ok(stats.map(SoundStats::numbers))
    }
}
