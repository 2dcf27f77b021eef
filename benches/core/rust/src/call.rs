//! One session, driven as a transport drives it. Everything that the bench uses of the core is here.

use std::error::Error;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use stapes_core::{
    conversation::{Event, FunctionCall, Interest, Options},
    session::{
        AudioInput, Clock, Connection, ConnectionSettings, EventSink, Microphone, OutgoingLimits,
        ReconnectOptions, Session,
    },
    transport::{Endpoint, Frame, Outgoing},
};
use tokio::runtime::Handle;

use crate::counts::Counts;
use crate::script::{Pcm, SESSION_UPDATE, Step, TOOL_OUTPUT};

/// As the WebSocket driver has it by default.
const WRITE_BATCH_BYTES: usize = 64 * 1024;
const CHUNK: Duration = Duration::from_millis(20);

/// Counts events and drops them.
#[derive(Default)]
struct CountingSink(Mutex<Received>);

#[derive(Default)]
struct Received {
    counts: Counts,
    /// Calls that no tool has answered yet.
    calls: Vec<Arc<FunctionCall>>,
    /// The buffer of the last chunk: the next one is decoded into it.
    spare: Vec<u8>,
}

impl CountingSink {
    fn received(&self) -> MutexGuard<'_, Received> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for CountingSink {
    fn push(&self, _: u64, event: Event) {
        let mut received = self.received();
        let counts = &mut received.counts;
        match event {
            Event::Audio { mut data, .. } => {
                counts.audio += 1;
                counts.audio_bytes += data.len() as u64;
                data.clear();
                received.spare = data;
            }
            Event::TranscriptDelta { .. } => counts.transcript_deltas += 1,
            Event::FunctionCall(call) => {
                counts.function_calls += 1;
                received.calls.push(call);
            }
            Event::ResponseEnded(_) => counts.responses += 1,
            Event::AudioInterrupted { .. } => counts.interruptions += 1,
            Event::HistoryUpdated { .. } => counts.history_versions += 1,
            Event::CoreError(_) => counts.errors += 1,
            _ => counts.other_events += 1,
        }
    }

    fn pushed(&self) {}

    fn drained(&self) {}

    fn spare_buffer(&self) -> Vec<u8> {
        mem::take(&mut self.received().spare)
    }

    fn outgoing_ready(&self) {}
}

/// A connected session.
pub struct Call {
    session: Arc<Session>,
    connection: Arc<Connection>,
    sink: Arc<CountingSink>,
    clock: Clock,
    /// One for each rate: a resampler is made once.
    at_24_khz: Microphone,
    at_16_khz: Microphone,
    batch: Vec<Outgoing>,
    sent: Counts,
}

impl Call {
    pub fn new(runtime: &Handle, reconnects: bool) -> Result<Self, Box<dyn Error>> {
        let (sink, clock) = (Arc::new(CountingSink::default()), Clock::stopped());
        let session = Session::new(
            Options::default(),
            OutgoingLimits::default(),
            clock.clone(),
            runtime.clone(),
            Arc::clone(&sink) as Arc<dyn EventSink>,
        );
        session.set_interest(Interest::ALL);
        if reconnects {
            session.reconnect_by(ReconnectOptions::default());
        }
        let connection = session.connecting(ConnectionSettings::default())?;
        let connection_id = connection.connection_id();
        let update = SESSION_UPDATE.to_owned();
        session
            .act(|conversation, _| conversation.opened(connection_id, 0, update, Value::Null))?;
        Ok(Self {
            at_24_khz: Microphone::new(Arc::clone(&session)),
            at_16_khz: Microphone::new(Arc::clone(&session)),
            session,
            connection,
            sink,
            clock,
            batch: Vec::new(),
            sent: Counts::default(),
        })
    }

    /// Holds the conversation and adds what it did to `counts`.
    pub fn hold(
        mut self,
        steps: &[Step],
        pcm: &Pcm,
        counts: &mut Counts,
    ) -> Result<(), Box<dyn Error>> {
        self.write();
        for step in steps {
            match step {
                Step::Server(frame) => self.connection.on_frame(Frame::Text(frame)),
                Step::Microphone24 => {
                    self.clock.advance(CHUNK);
                    let input = AudioInput::Samples(&pcm.at_24_khz, Some(24_000));
                    self.at_24_khz.send(input, false)?;
                }
                Step::Microphone16 => {
                    self.clock.advance(CHUNK);
                    let input = AudioInput::Samples(&pcm.at_16_khz, Some(16_000));
                    self.at_16_khz.send(input, false)?;
                }
                Step::AnswerTools => self.answer_tools()?,
                Step::Pause(time) => self.clock.advance(*time),
            }
            self.write();
        }
        counts.add(&self.sink.received().counts);
        counts.add(&self.sent);
        Ok(())
    }

    fn answer_tools(&self) -> Result<(), Box<dyn Error>> {
        let connection_id = self.connection.connection_id();
        let calls = mem::take(&mut self.sink.received().calls);
        for call in calls {
            self.session.act(|conversation, now| {
                let call_id = &call.call_id;
                conversation.tool_output(call_id, connection_id, TOOL_OUTPUT, true, &[], now)
            })?;
        }
        Ok(())
    }

    /// Takes what waits to be sent, as a driver does when it is told of it.
    fn write(&mut self) {
        loop {
            self.connection
                .take_outgoing(&mut self.batch, WRITE_BATCH_BYTES);
            if self.batch.is_empty() {
                return;
            }
            for message in self.batch.drain(..) {
                if let Outgoing::Text(text) = message {
                    self.sent.messages += 1;
                    self.sent.message_bytes += text.len() as u64;
                }
            }
            self.connection.on_flushed();
        }
    }
}
