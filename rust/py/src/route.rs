//! The way of a session's messages to its Python half.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyWeakrefReference};
use stapes_core::conversation::Event;
use stapes_core::dispatch::{DispatchProgress, Message, MessageHub};

use crate::audio_event::AudioEvents;
use crate::message_objects;

/// Where the messages of a session go.
#[derive(Debug)]
pub struct Route {
    progress: Arc<DispatchProgress>,
    dispatcher: Py<PyAny>,
    /// Calls in the context of the session.
    run: Py<PyAny>,
    /// Weak: a hub keeps no session alive, nor what users' callbacks hold.
    listeners: Py<PyWeakrefReference>,
    audio_events: AudioEvents,
}

impl Route {
    pub fn new(
        progress: &Arc<DispatchProgress>,
        dispatcher: &Bound<'_, PyAny>,
        listeners: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        message_objects::kinds(dispatcher.py())?;
        Ok(Self {
            progress: Arc::clone(progress),
            dispatcher: dispatcher.clone().unbind(),
            run: dispatcher.getattr("run")?.unbind(),
            listeners: PyWeakrefReference::new(listeners)?.unbind(),
            audio_events: AudioEvents::default(),
        })
    }

    /// Dispatches a message: audio to those who listen to it, any other to the dispatcher.
    pub fn dispatch(
        &self,
        py: Python<'_>,
        hub: &MessageHub,
        sequence: u64,
        message: Message,
    ) -> PyResult<()> {
        let Some(message) = self.progress.pass(sequence, message) else {
            return Ok(());
        };
        match message {
            Message::Event(audio @ Event::Audio { .. }) => {
                let done = self.audio(py, &audio);
                if let Event::Audio { data, .. } = audio {
                    hub.release_audio(data);
                }
                done
            }
            message => {
                let message = message_objects::message(py, &message)?;
                self.run.call1(py, (&self.dispatcher, message))?;
                Ok(())
            }
        }
    }

    /// Calls those who listen to audio. No other line of Python runs.
    fn audio(&self, py: Python<'_>, audio: &Event) -> PyResult<()> {
        let Some(listeners) = self.listeners.bind(py).upgrade() else {
            return Ok(());
        };
        let callbacks = listeners.getattr(pyo3::intern!(py, "audio"))?;
        let callbacks = callbacks.cast_into::<PyTuple>()?;
        if callbacks.is_empty() {
            return Ok(());
        }
        let Some(event) = self.audio_events.make(py, audio)? else {
            return Ok(());
        };
        for callback in &callbacks {
            let (name, outcome) = match self.run.call1(py, (&callback, &event)) {
                Ok(result) if result.is_none(py) => continue,
                Ok(result) => ("answered", result),
                // Some must go on, such as `KeyboardInterrupt`: then `failed` raises it again.
                Err(error) => ("failed", error.into_value(py).into_any()),
            };
            let told = listeners.getattr(name)?;
            self.run.call1(py, (told, &event, outcome, callback))?;
        }
        Ok(())
    }
}
