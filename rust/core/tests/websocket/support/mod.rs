//! The far side of each test, and an endpoint that records what it is told.

pub mod certificates;
pub mod endpoint;
pub mod proxy;
pub mod server;

use std::time::Duration;

use stapes_core::transport::websocket::{
    ConnectError, ConnectRequest, Proxy, WebSocketOptions, connect,
};

use self::endpoint::{Carried, Recorder, run};
use self::server::Server;

/// A request without headers.
pub fn request(url: &str) -> ConnectRequest {
    ConnectRequest {
        url: url.to_owned(),
        headers: Vec::new(),
        ..ConnectRequest::default()
    }
}

/// Options that do not depend on the environment of the test.
pub fn options() -> WebSocketOptions {
    WebSocketOptions {
        proxy: Proxy::Direct,
        ..WebSocketOptions::default()
    }
}

/// A timeout that only a hanging test reaches.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Connects to `server` and runs the connection.
pub async fn open<T>(server: &Server<T>) -> Carried {
    open_with(server, &options()).await
}

/// The same with other options.
pub async fn open_with<T>(server: &Server<T>, options: &WebSocketOptions) -> Carried {
    let connection = connect(&request(&server.url("ws")), options).await.unwrap();
    let (endpoint, seen) = Recorder::new();
    run(connection, endpoint, seen)
}

/// Why connecting fails.
pub async fn refused(request: &ConnectRequest, options: &WebSocketOptions) -> ConnectError {
    match connect(request, options).await {
        Ok(_) => panic!("no connection was expected"),
        Err(error) => error,
    }
}
