//! `stapes._core`: the bindings. They convert between Rust and Python.

mod acts;
mod audio;
mod audio_event;
mod audio_input;
mod errors;
mod event_queue;
mod external_connection;
mod history;
mod hub;
mod logging;
mod loop_runtime;
mod message_objects;
mod options;
mod probe;
mod record;
mod route;
mod session;

use pyo3::pymodule;

#[pymodule]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;
    use stapes_core::conversation::{ContentPart, Event, Interest, Item, Record};
    use stapes_core::dispatch::Notice;

    use crate::message_objects::table;

    #[pymodule_export]
    use crate::acts::Acts;
    #[pymodule_export]
    use crate::audio_input::AudioStream;
    #[pymodule_export]
    use crate::event_queue::EventQueue;
    #[pymodule_export]
    use crate::external_connection::ExternalConnection;
    #[pymodule_export]
    use crate::history::History;
    #[pymodule_export]
    use crate::hub::Hub;
    #[pymodule_export]
    use crate::logging::set_log_level;
    #[pymodule_export]
    use crate::loop_runtime::LoopRuntime;
    #[cfg(feature = "webrtc")]
    #[pymodule_export]
    use crate::options::WebRtcOptions;
    #[pymodule_export]
    use crate::options::WebSocketOptions;
    #[pymodule_export]
    use crate::probe::Probe;
    #[pymodule_export]
    use crate::route::DispatchCursor;
    #[pymodule_export]
    use crate::session::Session;

    /// A URL as it may be shown: without credentials and the values of its query, but harmless ones.
    #[pyfunction]
    fn shown_url(url: &str) -> String {
        stapes_core::transport::net::redact_url(url)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::audio::register(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("HAS_WEBRTC", cfg!(feature = "webrtc"))?;
        module.add("OPTION_DEFAULTS", crate::options::defaults(module.py())?)?;
        let audio_types = stapes_core::audio::AudioFormat::types();
        module.add(
            "AUDIO_TYPES",
            PyTuple::new(module.py(), audio_types.collect::<Vec<_>>())?,
        )?;
        let messages = Event::TYPES.iter().chain(Notice::TYPES);
        module.add("MESSAGES", table(module.py(), messages)?)?;
        let items = Item::TYPES.iter().chain(ContentPart::TYPES);
        module.add("ITEMS", table(module.py(), items)?)?;
        module.add("INTEREST_AUDIO", Interest::AUDIO.0)?;
        module.add("INTEREST_RAW", Interest::RAW.0)?;
        module.add("INTEREST_TRANSCRIPT", Interest::TRANSCRIPT.0)?;
        module.add("INTEREST_HISTORY", Interest::HISTORY.0)?;
        module.add("INTEREST_GUARDRAILS", Interest::GUARDRAILS.0)?;
        module.add("INTEREST_PLAYBACK", Interest::PLAYBACK.0)?;
        module.add("INTEREST_RESPONSES", Interest::RESPONSES.0)?;
        module.add("INTEREST_OUTGOING", Interest::OUTGOING.0)
    }
}
