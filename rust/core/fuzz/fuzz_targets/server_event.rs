//! Parsing never panics, whatever the server sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stapes_core::conversation::{Interest, ServerEvent};

fuzz_target!(|text: &str| {
    let _ = ServerEvent::parse(text, Interest::ALL);
    let _ = ServerEvent::parse(text, Interest::default());
});
