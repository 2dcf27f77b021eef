//! A session whose events go to a hub.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::sink::HubSink;
use super::{DispatchProgress, MessageHub, Notice, SessionCarrier};
use crate::audio::AudioFormat;
use crate::audio::resample::ResampleError;
use crate::conversation::{Interest, Options, Rejected};
use crate::delivery::process::{Forked, Process};
use crate::delivery::queue::{PastBound, QueueSettings};
use crate::session::{
    Clock, EventSink, Microphone, OutgoingLimits, Pacer, Recording, Session, Stream, Streamed,
};
use crate::transport::SampleRates;

/// Bounds on the messages that may wait for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueBounds {
    /// 10,000.
    pub max_messages: usize,
    /// Of audio, of raw events and of text: 8 MiB.
    pub max_bytes: usize,
}

impl Default for QueueBounds {
    fn default() -> Self {
        Self {
            max_messages: 10_000,
            max_bytes: 8 * 1024 * 1024,
        }
    }
}

/// The options of a session with its conversation, its connections and its queue.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    pub conversation: Options,
    pub outgoing: OutgoingLimits,
    pub queue: QueueBounds,
}

/// A session, its microphone, and how far its messages have been dispatched. It belongs to the process
/// that made it; its connection ends when it is dropped.
pub struct DispatchedSession {
    session: Arc<Session>,
    microphone: Arc<Microphone>,
    /// Of the thread that runs the session.
    pacer: Arc<Pacer>,
    sink: Arc<HubSink>,
    progress: Arc<DispatchProgress>,
    /// The format of the answer's audio on the wire.
    wire_output: Mutex<AudioFormat>,
    process: Process,
}

impl fmt::Debug for DispatchedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchedSession")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl DispatchedSession {
    /// A session that `carrier` runs and whose messages go into `hub`.
    pub fn new(
        options: SessionOptions,
        clock: Clock,
        hub: &Arc<MessageHub>,
        carrier: SessionCarrier,
    ) -> Self {
        let progress = Arc::<DispatchProgress>::default();
        let queue = QueueSettings {
            max_messages: options.queue.max_messages,
            max_bytes: options.queue.max_bytes,
            past_bound: PastBound::Report,
            tells: true,
        };
        let id = hub.register(queue, Arc::clone(&progress.cursor));
        let sink = Arc::new(HubSink::new(Arc::clone(hub), id));
        let events = Arc::clone(&sink) as Arc<dyn EventSink>;
        let SessionOptions {
            conversation,
            outgoing,
            ..
        } = options;
        let session = Session::new(conversation, outgoing, clock, carrier.handle, events);
        Self {
            microphone: Arc::new(Microphone::new(Arc::clone(&session))),
            session,
            pacer: carrier.local,
            sink,
            progress,
            wire_output: Mutex::default(),
            process: Process::current(),
        }
    }

    /// The session, unless it is the one of a parent process.
    pub fn session(&self) -> Result<&Arc<Session>, Forked> {
        self.process.check("session")?;
        Ok(&self.session)
    }

    pub fn microphone(&self) -> &Arc<Microphone> {
        &self.microphone
    }

    pub fn progress(&self) -> &Arc<DispatchProgress> {
        &self.progress
    }

    /// The number that the hub knows it by.
    pub fn id(&self) -> u64 {
        self.sink.id()
    }

    /// The process that made it.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Sets which messages are wanted.
    pub fn set_interest(&self, interest: Interest) {
        let wants_history = interest.contains(Interest::HISTORY);
        self.progress.cursor.want_versions(wants_history);
        self.session.set_interest(interest);
    }

    /// Sets the formats of the wire, and the rate of `Audio` events where it is not that of the wire. Holds
    /// for connections that begin from now on.
    pub fn set_formats(
        &self,
        input: AudioFormat,
        output: AudioFormat,
        output_rate: Option<u32>,
    ) -> Result<(), ResampleError> {
        self.session.set_output_format(output, output_rate)?;
        self.microphone.set_format(input);
        *self
            .wire_output
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = output;
        Ok(())
    }

    /// The rates of the media tracks of a connection that has some: they carry PCM.
    pub fn track_rates(&self) -> Result<SampleRates, Rejected> {
        let rate = |format: AudioFormat, name: &str| match format {
            AudioFormat::Pcm { rate } => Ok(rate),
            _ => Err(Rejected::Invalid(format!(
                "config.audio.{name}.format is {}: this transport carries sound on a track beside the \
                 messages, and gives and takes PCM; leave the format out",
                format.wire_name()
            ))),
        };
        let output = *self
            .wire_output
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(SampleRates {
            input: rate(self.microphone.format(), "input")?,
            output: rate(output, "output")?,
        })
    }

    /// Begins to send a recording in real time, `interval` of it at a time.
    /// [`Notice::AudioStreamed`] says with `token` how it ended.
    pub fn stream(
        &self,
        recording: Recording,
        interval: Duration,
        commit: bool,
        token: u64,
    ) -> Result<Stream, Rejected> {
        if recording.is_empty() {
            let problem = "audio is empty: there is nothing to stream".to_owned();
            return Err(Rejected::Invalid(problem));
        }
        let sink = Arc::clone(&self.sink);
        let ended = move |streamed: Streamed| {
            sink.notify(Notice::AudioStreamed {
                token,
                sent: streamed.sent,
                failure: streamed.failure,
            });
        };
        let stream = Stream::new(&self.microphone, recording, interval, commit, ended)?;
        self.pacer.add(stream.clone());
        Ok(stream)
    }
}

impl Drop for DispatchedSession {
    fn drop(&mut self) {
        // A child of a fork shares nothing with the connection but its memory, locks included that a
        // thread of the parent may have held.
        if self.process.is_current() {
            self.session
                .act(|conversation, _| conversation.close(1000, ""));
            self.sink.unregister();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::*;
    use crate::delivery::Message as _;
    use crate::delivery::hub::WakeBy;
    use crate::dispatch::carrier;

    fn session(hub: &Arc<MessageHub>) -> DispatchedSession {
        let carrier = carrier(&Handle::current());
        DispatchedSession::new(SessionOptions::default(), Clock::stopped(), hub, carrier)
    }

    fn hub() -> Arc<MessageHub> {
        Arc::new(MessageHub::new(WakeBy::thread()))
    }

    #[tokio::test]
    async fn messages_go_to_the_hub_under_the_sessions_number() {
        let hub = hub();
        let (first, second) = (session(&hub), session(&hub));
        assert_ne!(first.id(), second.id());
        let act = second.session().expect("it is ours");
        act.act(|conversation, _| conversation.local_event(5));
        let batch = hub.take(10);
        assert_eq!(batch.len(), 1);
        assert_eq!(batch[0].0, second.id());
    }

    #[tokio::test]
    async fn a_session_that_is_dropped_leaves_the_hub() {
        let hub = hub();
        let session = session(&hub);
        let core = Arc::clone(session.session().expect("it is ours"));
        drop(session);
        core.act(|conversation, _| conversation.local_event(5));
        assert!(hub.is_idle());
    }

    #[tokio::test]
    async fn a_track_carries_pcm_alone() {
        let session = session(&hub());
        let pcm = AudioFormat::default();
        let mulaw = AudioFormat::from_wire("audio/pcmu", None).expect("a format");
        let rates = session.track_rates().expect("PCM on both ways");
        assert_eq!(rates.input, pcm.sample_rate());
        session
            .set_formats(pcm, mulaw, None)
            .expect("it needs no resampler");
        let refused = session.track_rates().expect_err("it is G.711");
        assert!(
            refused
                .to_string()
                .starts_with("config.audio.output.format is ")
        );
    }

    #[tokio::test]
    async fn an_empty_recording_is_refused() {
        let session = session(&hub());
        let nothing = Recording::Wire(Arc::new([]));
        let refused = session.stream(nothing, Duration::from_millis(20), false, 1);
        assert!(matches!(refused, Err(Rejected::Invalid(_))));
    }

    #[tokio::test]
    async fn only_wanted_versions_are_dispatched() {
        let session = session(&hub());
        session.set_interest(Interest::HISTORY);
        assert!(session.progress().cursor.wants_versions());
        session.set_interest(Interest::AUDIO);
        assert!(!session.progress().cursor.wants_versions());
        let message = super::super::Message::too_slow(1);
        assert!(session.progress().pass(0, message).is_some());
    }
}
