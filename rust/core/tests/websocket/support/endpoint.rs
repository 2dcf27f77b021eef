//! An endpoint that records what it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use stapes_core::transport::websocket::WebSocketConnection;
use stapes_core::transport::{CloseReason, Endpoint, Frame, Outgoing};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::PATIENCE;

/// What a driver told its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    CloseReason(CloseReason),
}

pub struct Recorder {
    outgoing: Mutex<VecDeque<Outgoing>>,
    ready: Notify,
    held: watch::Sender<bool>,
    seen: mpsc::UnboundedSender<Seen>,
    pub taken: AtomicUsize,
    pub flushed: AtomicUsize,
}

/// A running connection and the record of its endpoint.
pub struct Carried {
    pub endpoint: Arc<Recorder>,
    pub seen: mpsc::UnboundedReceiver<Seen>,
    pub task: JoinHandle<()>,
}

impl Recorder {
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Seen>) {
        let (seen, receiver) = mpsc::unbounded_channel();
        let recorder = Self {
            outgoing: Mutex::default(),
            ready: Notify::new(),
            held: watch::Sender::new(false),
            seen,
            taken: AtomicUsize::new(0),
            flushed: AtomicUsize::new(0),
        };
        (Arc::new(recorder), receiver)
    }

    pub fn send(&self, text: impl Into<String>) {
        self.push(Outgoing::Text(text.into()));
    }

    pub fn close(&self, code: u16, reason: &str) {
        self.push(Outgoing::Close {
            code,
            reason: reason.to_owned(),
        });
    }

    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub fn push(&self, outgoing: Outgoing) {
        self.outgoing.lock().unwrap().push_back(outgoing);
        self.ready.notify_one();
    }
}

impl Endpoint for Recorder {
    fn on_frame(&self, frame: Frame<'_>) {
        let seen = match frame {
            Frame::Text(text) => Seen::Text(text.to_owned()),
            Frame::Binary(bytes) => Seen::Binary(bytes.to_owned()),
        };
        let _ = self.seen.send(seen);
    }

    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        assert_eq!(
            self.taken.load(Ordering::SeqCst),
            self.flushed.load(Ordering::SeqCst),
            "asked again before all was written"
        );
        let mut outgoing = self.outgoing.lock().unwrap();
        let mut bytes = 0;
        while bytes < max_bytes
            && let Some(next) = outgoing.pop_front()
        {
            if let Outgoing::Text(text) = &next {
                bytes += text.len();
            }
            batch.push(next);
        }
        if !batch.is_empty() {
            self.taken.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn on_flushed(&self) {
        self.flushed.fetch_add(1, Ordering::SeqCst);
    }

    fn outgoing_ready(&self) -> &Notify {
        &self.ready
    }

    fn reading_held(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    fn on_ended(&self, ended: CloseReason) {
        let _ = self.seen.send(Seen::CloseReason(ended));
    }
}

/// Runs `connection` in a task of its own.
pub fn run(
    connection: WebSocketConnection,
    endpoint: Arc<Recorder>,
    seen: mpsc::UnboundedReceiver<Seen>,
) -> Carried {
    let task = tokio::spawn(connection.run(Arc::clone(&endpoint)));
    Carried {
        endpoint,
        seen,
        task,
    }
}

impl Carried {
    /// The next call that the endpoint receives.
    pub async fn next(&mut self) -> Seen {
        let next = timeout(PATIENCE, self.seen.recv())
            .await
            .expect("the endpoint sees something");
        next.expect("the driver still runs")
    }

    /// The next text that the endpoint receives.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Seen::Text(text) => text,
            other => panic!("a text was expected, not {other:?}"),
        }
    }

    /// Waits until this many batches are written.
    pub async fn until_flushed(&self, batches: usize) {
        let written = async {
            while self.endpoint.flushed.load(Ordering::SeqCst) < batches {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, written)
            .await
            .expect("the batches are written");
    }

    /// How the connection ended; this must be the next and last call that the endpoint receives.
    pub async fn ended(mut self) -> CloseReason {
        let ended = match self.next().await {
            Seen::CloseReason(ended) => ended,
            other => panic!("the end was expected, not {other:?}"),
        };
        let _ = timeout(PATIENCE, self.task).await.expect("the task ends");
        drop(self.endpoint);
        assert_eq!(self.seen.recv().await, None, "the end is the last call");
        ended
    }

    /// The cause with which the connection was lost.
    pub async fn lost(self) -> String {
        match self.ended().await {
            CloseReason::Lost { cause } => cause,
            other => panic!("a loss was expected, not {other:?}"),
        }
    }
}
