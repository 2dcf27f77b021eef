//! Brings what was queued for a session to its Python half: sound straight to those who listen to
//! it, everything else word by word.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyWeakrefReference};
use stapes_core::conversation::{Event, History};

use crate::audio_event::AudioEvents;
use crate::hub::Shared;
use crate::messages;
use crate::queue::Word;

/// How far the event loop has come with a session.
#[derive(Debug, Default)]
pub struct DispatchCursor {
    sequence: AtomicU64,
    history: Mutex<History>,
    /// Somebody listens to versions of the history; else they only have to be known here.
    wants_history: AtomicBool,
}

impl DispatchCursor {
    /// The sequence number of what was dispatched last.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// The version that was dispatched last.
    pub fn history(&self) -> History {
        lock(&self.history).clone()
    }

    pub fn want_history(&self, wanted: bool) {
        self.wants_history.store(wanted, Ordering::Release);
    }

    pub fn wants_history(&self) -> bool {
        self.wants_history.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way to a session's Python half.
#[derive(Debug)]
pub struct Route {
    cursor: Arc<DispatchCursor>,
    /// Takes words.
    dispatcher: Py<PyAny>,
    /// Calls in the session's context.
    run: Py<PyAny>,
    /// The hub keeps no session alive, nor what users' callbacks hold.
    listeners: Py<PyWeakrefReference>,
    audio: AudioEvents,
}

impl Route {
    pub fn new(
        cursor: Arc<DispatchCursor>,
        dispatcher: &Bound<'_, PyAny>,
        listeners: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        messages::check(dispatcher.py())?;
        Ok(Self {
            cursor,
            dispatcher: dispatcher.clone().unbind(),
            run: dispatcher.getattr("run")?.unbind(),
            listeners: PyWeakrefReference::new(listeners)?.unbind(),
            audio: AudioEvents::default(),
        })
    }

    /// Brings one word to where it goes.
    pub fn take(&self, py: Python<'_>, hub: &Shared, sequence: u64, word: Word) -> PyResult<()> {
        if sequence != 0 {
            self.cursor.sequence.store(sequence, Ordering::Release);
        }
        match word {
            Word::Event(audio @ Event::Audio { .. }) => {
                let taken = self.sound(py, &audio);
                if let Event::Audio { data, .. } = audio {
                    hub.give_back(data);
                }
                taken
            }
            Word::Event(Event::HistoryUpdated { history }) => {
                let wanted = self.cursor.wants_history().then(|| history.clone());
                *lock(&self.cursor.history) = history;
                match wanted {
                    Some(history) => self.say(py, Word::Event(Event::HistoryUpdated { history })),
                    None => Ok(()),
                }
            }
            word => self.say(py, word),
        }
    }

    fn say(&self, py: Python<'_>, word: Word) -> PyResult<()> {
        let word = messages::message(py, word)?;
        self.run.call1(py, (&self.dispatcher, word))?;
        Ok(())
    }

    /// Gives sound to each who listens to it. No line of Python is run but theirs.
    fn sound(&self, py: Python<'_>, audio: &Event) -> PyResult<()> {
        let Some(listeners) = self.listeners.bind(py).upgrade() else {
            return Ok(());
        };
        let heard_by = listeners.getattr(pyo3::intern!(py, "audio"))?;
        let heard_by = heard_by.cast_into::<PyTuple>()?;
        if heard_by.is_empty() {
            return Ok(());
        }
        let Some(event) = self.audio.make(py, audio)? else {
            return Ok(());
        };
        for listener in &heard_by {
            let (name, what) = match self.run.call1(py, (listener, &event)) {
                Ok(result) if result.is_none(py) => continue,
                Ok(result) => ("answered", result),
                Err(error) if error.is_instance_of::<PyException>(py) => {
                    ("failed", error.into_value(py).into_any())
                }
                Err(error) => return Err(error),
            };
            self.run
                .call1(py, (listeners.getattr(name)?, &event, what))?;
        }
        Ok(())
    }
}
