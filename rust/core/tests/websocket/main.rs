//! The WebSocket transport on real sockets: servers, proxies and certificates are made here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod carrying;
mod closing;
mod environment;
mod keepalive;
mod proxy;
mod refusals;
mod support;
mod tls;
