//! The far side of each test, and an endpoint that writes down what it sees.

pub mod certificates;
pub mod endpoint;
pub mod server;

use std::time::Duration;

use stapes_core::transport::websocket::{ConnectRequest, Proxy, WebSocketOptions};

/// A request without headers.
pub fn request(url: &str) -> ConnectRequest {
    ConnectRequest {
        url: url.to_owned(),
        headers: Vec::new(),
    }
}

/// Options that do not depend on the environment of the test.
pub fn options() -> WebSocketOptions {
    WebSocketOptions {
        proxy: Proxy::Direct,
        ..WebSocketOptions::default()
    }
}

/// A limit that only a hanging test reaches.
pub const PATIENCE: Duration = Duration::from_secs(20);
