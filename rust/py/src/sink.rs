//! The event sink of a session: the core pushes into it, and it pushes into the hub.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stapes_core::audio::convert::FromWire;
use stapes_core::conversation::Event;
use stapes_core::transport::EventSink;

use crate::message::{Message, MessageHub};

/// The conversion of the response's audio.
#[derive(Debug)]
struct Output {
    converter: FromWire,
    /// Response, item and part of what was converted last, while the converter holds a rest of it.
    part: Option<(Arc<str>, Arc<str>, usize)>,
}

impl Output {
    /// The rest of a part that has ended.
    fn rest(&mut self) -> Option<Event> {
        let (response_id, item_id, content_index) = self.part.take()?;
        let data = self.converter.finish();
        (!data.is_empty()).then_some(Event::Audio {
            response_id,
            item_id,
            content_index,
            data,
        })
    }
}

/// Pushes events into the hub, audio in PCM at the rate that the user wants.
#[derive(Debug)]
pub struct Sink {
    hub: Arc<MessageHub>,
    id: u64,
    output: Mutex<Option<Output>>,
    overflown: AtomicBool,
}

impl Sink {
    pub fn new(hub: Arc<MessageHub>, id: u64) -> Self {
        Self {
            hub,
            id,
            output: Mutex::new(None),
            overflown: AtomicBool::new(false),
        }
    }

    /// Says how sound is converted from now on; `None`: it is handed out as it comes.
    pub fn convert_by(&self, converter: Option<FromWire>) {
        let output = converter.map(|converter| Output {
            converter,
            part: None,
        });
        *self.output.lock().unwrap_or_else(PoisonError::into_inner) = output;
    }

    /// Pushes nothing more.
    pub fn unregister(&self) {
        self.hub.unregister(self.id);
    }

    pub fn push_message(&self, sequence: u64, message: Message) {
        self.hub.push(self.id, sequence, message);
        self.hub.notify();
    }
}

impl EventSink for Sink {
    fn push(&self, sequence: u64, mut event: Event) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = None;
        if let Some(output) = output.as_mut() {
            match &mut event {
                Event::Audio {
                    response_id,
                    item_id,
                    content_index,
                    data,
                } => {
                    let part = (Arc::clone(response_id), Arc::clone(item_id), *content_index);
                    if output.part.as_ref() != Some(&part) {
                        rest = output.rest();
                    }
                    *data = output.converter.push(data);
                    output.part = Some(part);
                }
                Event::AudioStopped { .. } => rest = output.rest(),
                Event::AudioInterrupted { .. } | Event::AudioStarted { .. } => {
                    output.converter.reset();
                    output.part = None;
                }
                _ => {}
            }
        }
        drop(output);
        if let Some(rest) = rest {
            self.hub.push(self.id, sequence, Message::Event(rest));
        }
        if !self.hub.push(self.id, sequence, Message::Event(event)) {
            self.overflown.store(true, Ordering::Release);
        }
    }

    fn pushed(&self) {
        self.hub.notify();
    }

    fn drained(&self) {
        self.push_message(0, Message::Drained);
    }

    fn take_overflow(&self) -> bool {
        self.overflown.swap(false, Ordering::AcqRel)
    }

    fn outgoing_ready(&self) {
        self.push_message(0, Message::OutgoingReady);
    }

    fn spare_buffer(&self) -> Vec<u8> {
        self.hub.acquire_audio()
    }
}
