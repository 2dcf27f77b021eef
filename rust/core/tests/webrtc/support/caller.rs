//! A session over WebRTC that records its events.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use stapes_core::conversation::{Capabilities, Conversation, Event, Interest, Options};
use stapes_core::session::{
    Clock, ConnectionSettings, EventSink, OutgoingLimits, Session, SoundSettings,
};
use stapes_core::transport::webrtc::{WebRtcOptions, connect};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::answerer::{Answerer, Far};
use super::{RATES, options, request, soon};

pub struct Caller {
    pub session: Arc<Session>,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub task: JoinHandle<()>,
    pub call_id: Option<String>,
    pub server_date: Option<SystemTime>,
}

struct Sink(Mutex<mpsc::UnboundedSender<Event>>);

impl EventSink for Sink {
    fn push(&self, _sequence: u64, event: Event) {
        let _ = self.0.lock().unwrap().send(event);
    }

    fn pushed(&self) {}

    fn drained(&self) {}

    fn outgoing_ready(&self) {}
}

impl Caller {
    /// Connects to an answerer.
    pub async fn call(answerer: &mut Answerer) -> (Self, Far) {
        Self::call_with(answerer, &options()).await
    }

    pub async fn call_with(answerer: &mut Answerer, options: &WebRtcOptions) -> (Self, Far) {
        let (events, heard) = mpsc::unbounded_channel();
        let session = Session::new(
            Options::default(),
            OutgoingLimits::default(),
            Clock::default(),
            Handle::current(),
            Arc::new(Sink(Mutex::new(events))),
        );
        session.set_interest(Interest::ALL);
        let line = session
            .connecting(ConnectionSettings {
                announced: false,
                capabilities: Capabilities::MEDIA_TRACK,
                sound: Some(SoundSettings {
                    rates: RATES,
                    max_waiting: 1 << 20,
                }),
                ..ConnectionSettings::default()
            })
            .unwrap();
        let url = answerer.url.clone();
        let asked = request(&url);
        let (connection, far) = tokio::join!(connect(&asked, options, RATES), answerer.call());
        let connection = connection.unwrap();
        let connection_id = line.connection_id();
        let update = r#"{"type":"session.update","session":{}}"#.to_owned();
        let opened = |conversation: &mut Conversation, _| {
            conversation.opened(connection_id, 1, update, serde_json::Value::Null)
        };
        session.act(opened).unwrap();
        let server_date = connection.server_date();
        let call_id = connection.call_id().map(str::to_owned);
        let task = tokio::spawn(connection.run(line));
        assert!(far.text().await.contains("session.update"));
        let caller = Self {
            session,
            events: heard,
            task,
            call_id,
            server_date,
        };
        (caller, far)
    }

    /// The next event for which `wanted` returns a value.
    pub async fn next<T>(&mut self, what: &str, wanted: impl Fn(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the session goes on");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        soon(what, found).await
    }

    /// Waits until the session has read a frame of this type.
    pub async fn until_read(&mut self, kind: &str) {
        self.next(kind, |event| match event {
            Event::Raw { text, .. } if text.contains(kind) => Some(()),
            _ => None,
        })
        .await;
    }

    /// Why the connection ended.
    pub async fn ended(mut self) -> String {
        use stapes_core::conversation::Status;
        let reason = self
            .next("the end", |event| match event {
                Event::ConnectionChanged(change) if change.status == Status::Disconnected => {
                    Some(change.end.map(|end| end.reason).unwrap_or_default())
                }
                _ => None,
            })
            .await;
        soon("the end of the driver", self.task).await.unwrap();
        reason
    }
}
