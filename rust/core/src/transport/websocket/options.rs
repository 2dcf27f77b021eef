//! The limits of a WebSocket connection.

use std::time::Duration;

use crate::transport::endpoint::FIRST_EVENT_TIMEOUT;
use crate::transport::net::{Proxy, Tls};

/// Timeouts, limits, proxy and TLS of a WebSocket connection. Every default is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketOptions {
    /// The time limit for connecting: name lookup, TCP, proxy, TLS and handshake. 10 s.
    pub connect_timeout: Duration,
    /// How long the server's first event is awaited, by whoever uses the connection. 2 s; zero: not at
    /// all.
    pub first_event_timeout: Duration,
    /// The time limit of the closing handshake, whoever begins it. 5 s.
    pub close_timeout: Duration,
    /// The silence of the far side after which it is pinged. 20 s; `None`: never.
    pub ping_interval: Option<Duration>,
    /// The time that the far side has after a ping to send anything at all. 20 s.
    pub ping_timeout: Duration,
    /// The same while this side sends, where it is shorter. 5 s.
    pub sending_ping_interval: Duration,
    /// The same while this side sends, where it is shorter. 3 s.
    pub sending_ping_timeout: Duration,
    /// How long what was sent may stay unacknowledged by the far side's system (`TCP_USER_TIMEOUT`),
    /// where the system has that (Linux). A far side whose system takes nothing more, because nobody
    /// reads there, has this time too. 5 s; `None`: as long as the system retries.
    pub unacknowledged_timeout: Option<Duration>,
    /// The longest message that is accepted, in bytes. 16 MiB.
    pub max_message_size: usize,
    /// The longest frame that is accepted, in bytes. 16 MiB.
    pub max_frame_size: usize,
    /// Bytes per read, into a buffer that the connections of a thread share. 64 KiB.
    pub read_buffer_size: usize,
    /// The size of a batch of outgoing messages, in bytes. A longer message is a batch of its own.
    /// 64 KiB.
    pub write_batch_bytes: usize,
    /// The proxy. Default: from the environment.
    pub proxy: Proxy,
    /// How the server is verified.
    pub tls: Tls,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            first_event_timeout: FIRST_EVENT_TIMEOUT,
            close_timeout: Duration::from_secs(5),
            ping_interval: Some(Duration::from_secs(20)),
            ping_timeout: Duration::from_secs(20),
            sending_ping_interval: Duration::from_secs(5),
            sending_ping_timeout: Duration::from_secs(3),
            unacknowledged_timeout: Some(Duration::from_secs(5)),
            max_message_size: 16 << 20,
            max_frame_size: 16 << 20,
            read_buffer_size: 64 << 10,
            write_batch_bytes: 64 << 10,
            proxy: Proxy::FromEnvironment,
            tls: Tls::default(),
        }
    }
}
