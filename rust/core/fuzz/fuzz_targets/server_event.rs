//! Whatever the server sends, reading it ends well.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stapes_core::conversation::{Interest, ServerEvent};

fuzz_target!(|text: &str| {
    let _ = ServerEvent::parse(text, Interest::ALL);
    let _ = ServerEvent::parse(text, Interest::default());
});
