//! `stapes._core`: the bindings. They convert between Rust and Python.

mod acts;
mod audio;
mod audio_event;
mod audio_input;
mod calls;
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
    use stapes_core::audio::AudioFormat;
    use stapes_core::conversation::{ContentPart, Event, Interest, Item, Record};
    use stapes_core::dispatch::Notice;

    use crate::message_objects::table;

    #[cfg(feature = "webrtc")]
    #[pymodule_export]
    use crate::options::WebRtcOptions;
    #[pymodule_export]
    use crate::{
        acts::Acts, audio_input::AudioStream, event_queue::EventQueue,
        external_connection::ExternalConnection, history::History, hub::Hub,
        logging::set_log_level, loop_runtime::LoopRuntime, options::WebSocketOptions, probe::Probe,
        session::Session,
    };

    /// A URL as it may be shown: without credentials and the values of its query, but harmless ones.
    #[pyfunction]
    fn shown_url(url: &str) -> String {
        stapes_core::transport::net::redact_url(url)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::audio::register(module)?;
        crate::calls::register(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("HAS_WEBRTC", cfg!(feature = "webrtc"))?;
        module.add("OPTION_DEFAULTS", crate::options::defaults(module.py())?)?;
        let types = AudioFormat::types().collect::<Vec<_>>();
        module.add("AUDIO_TYPES", PyTuple::new(module.py(), types)?)?;
        let messages = Event::TYPES.iter().chain(Notice::TYPES);
        module.add("MESSAGES", table(module.py(), messages)?)?;
        let items = Item::TYPES.iter().chain(ContentPart::TYPES);
        module.add("ITEMS", table(module.py(), items)?)?;
        for (name, interest) in Interest::NAMES {
            module.add(format!("INTEREST_{name}"), interest.0)?;
        }
        Ok(())
    }
}
