//! How a session gets a connection: over a WebSocket, over WebRTC, or by a driver of the caller's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, ConnectionSettings, SoundSettings};
use super::{Connecting, Session, SessionSetup};
use crate::conversation::{Capabilities, Media, Rejected, Truncation};
use crate::transport::SampleRates;
use crate::transport::net::{ConnectRequest, Proxy};
use crate::transport::websocket::{self, WebSocketConnection, WebSocketOptions};

/// Seconds of the user's sound that may wait for a driver of the caller's.
const EXTERNAL_QUEUE: usize = 60;

impl Session {
    /// Begins to connect over a WebSocket. Returns the connection id; see [`dial`](Self::dial).
    pub fn connect_websocket(
        self: &Arc<Self>,
        request: ConnectRequest,
        options: WebSocketOptions,
        setup: SessionSetup,
    ) -> Result<u64, Rejected> {
        let asked = Arc::new((request, options));
        let settings = websocket_settings(&asked.0, &asked.1);
        let connecting = connecting_websocket(Arc::clone(&asked));
        let connection_id = self.dial(settings, setup, connecting, run_websocket)?;
        if self.keeps_redial() {
            let held_by_server = joins_call(&asked.0);
            self.redial_by(held_by_server, move |session| {
                session.redial_websocket(Arc::clone(&asked))
            });
        }
        Ok(connection_id)
    }

    /// Makes another connection over a WebSocket, in place of one that was lost. Returns its wire id.
    pub fn reconnect_websocket(
        self: &Arc<Self>,
        request: ConnectRequest,
        options: WebSocketOptions,
    ) -> Result<u64, Rejected> {
        self.redial_websocket(Arc::new((request, options)))
    }

    fn redial_websocket(
        self: &Arc<Self>,
        asked: Arc<(ConnectRequest, WebSocketOptions)>,
    ) -> Result<u64, Rejected> {
        let mut settings = websocket_settings(&asked.0, &asked.1);
        let asked = match self.resumed(&asked.0) {
            Some((request, id)) => {
                settings.resumes = Some(id);
                Arc::new((request, asked.1.clone()))
            }
            None => asked,
        };
        self.dial_again(settings, connecting_websocket(asked), run_websocket)
    }

    /// The same over WebRTC, with sound at these rates, which Opus must have.
    #[cfg(feature = "webrtc")]
    pub fn connect_webrtc(
        self: &Arc<Self>,
        request: ConnectRequest,
        options: crate::transport::webrtc::WebRtcOptions,
        rates: SampleRates,
        setup: SessionSetup,
    ) -> Result<u64, Rejected> {
        use crate::transport::webrtc;

        let settings = webrtc_settings(&request, &options, rates);
        let kept = self
            .keeps_redial()
            .then(|| (request.clone(), options.clone()));
        let connecting = Box::pin(async move { webrtc::connect(&request, &options, rates).await });
        let connection_id = self.dial(settings, setup, connecting, run_webrtc)?;
        if let Some((request, options)) = kept {
            self.redial_by(false, move |session| {
                session.reconnect_webrtc(request.clone(), options.clone(), rates)
            });
        }
        Ok(connection_id)
    }

    /// Makes another call over WebRTC, in place of one that was lost.
    #[cfg(feature = "webrtc")]
    pub fn reconnect_webrtc(
        self: &Arc<Self>,
        request: ConnectRequest,
        options: crate::transport::webrtc::WebRtcOptions,
        rates: SampleRates,
    ) -> Result<u64, Rejected> {
        use crate::transport::webrtc;

        let settings = webrtc_settings(&request, &options, rates);
        let connecting = Box::pin(async move { webrtc::connect(&request, &options, rates).await });
        self.dial_again(settings, connecting, run_webrtc)
    }

    /// Begins a connection that the caller carries; `again`: in place of one that was lost. With `rates`
    /// sound travels beside the messages; with `server_truncates` the server cuts what it has not played of
    /// a response.
    pub fn connect_external(
        &self,
        request: &ConnectRequest,
        rates: Option<SampleRates>,
        server_truncates: bool,
        first_event_timeout: Duration,
        again: bool,
    ) -> Result<Arc<Connection>, Rejected> {
        let media = if rates.is_some() {
            Media::Track
        } else {
            Media::InFrames
        };
        let truncation = if server_truncates {
            Truncation::Server
        } else {
            Truncation::Client
        };
        let settings = ConnectionSettings {
            announced: true,
            capabilities: Capabilities { media, truncation },
            sound: rates.map(|rates| SoundSettings {
                rates,
                max_waiting: rates.input as usize * 2 * EXTERNAL_QUEUE,
            }),
            first_event_timeout,
            secrets: request.secrets(&Proxy::Direct),
            resumes: None,
        };
        if again {
            self.next_connection(settings)
        } else {
            self.connecting(settings)
        }
    }
}

fn connecting_websocket(
    asked: Arc<(ConnectRequest, WebSocketOptions)>,
) -> Connecting<WebSocketConnection> {
    Box::pin(async move { websocket::connect(&asked.0, &asked.1).await })
}

/// Runs a WebSocket; the connection learns the server's time from the handshake.
fn run_websocket(
    socket: WebSocketConnection,
    connection: Arc<Connection>,
) -> impl Future<Output = ()> + Send {
    if let Some(date) = socket.server_date() {
        connection.note_server_date(date);
    }
    socket.run(connection)
}

/// Runs a call over WebRTC; the connection learns from the answer to the offer what time the server has, and
/// how long a message may be.
#[cfg(feature = "webrtc")]
fn run_webrtc(
    call: crate::transport::webrtc::WebRtcConnection,
    connection: Arc<Connection>,
) -> impl Future<Output = ()> + Send {
    if let Some(date) = call.server_date() {
        connection.note_server_date(date);
    }
    connection.limit_messages(call.max_message());
    call.run(connection)
}

/// Whether the URL joins a call that the server holds, such as one over SIP or WebRTC: the conversation
/// is the call's, and outlives the connection.
fn joins_call(request: &ConnectRequest) -> bool {
    let query = request.url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|field| field.starts_with("call_id="))
}

fn websocket_settings(request: &ConnectRequest, options: &WebSocketOptions) -> ConnectionSettings {
    ConnectionSettings {
        first_event_timeout: options.first_event_timeout,
        secrets: websocket::secrets(request, options),
        ..ConnectionSettings::default()
    }
}

#[cfg(feature = "webrtc")]
fn webrtc_settings(
    request: &ConnectRequest,
    options: &crate::transport::webrtc::WebRtcOptions,
    rates: SampleRates,
) -> ConnectionSettings {
    let max_waiting = (options.max_queue.as_secs_f64() * f64::from(rates.input)) as usize * 2;
    ConnectionSettings {
        announced: false,
        capabilities: Capabilities::MEDIA_TRACK,
        sound: Some(SoundSettings { rates, max_waiting }),
        first_event_timeout: options.first_event_timeout,
        secrets: crate::transport::webrtc::secrets(request, options),
        resumes: None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::*;
    use crate::conversation::{Conversation, Event, Options};
    use crate::session::{Clock, EventSink, OutgoingLimits};

    struct Deaf;

    impl EventSink for Deaf {
        fn push(&self, _: u64, _: Event) {}
        fn pushed(&self) {}
        fn drained(&self) {}
        fn outgoing_ready(&self) {}
    }

    #[tokio::test]
    async fn a_caller_who_carries_sound_apart_gets_a_track() {
        let (options, limits) = (Options::default(), OutgoingLimits::default());
        let session = Session::new(
            options,
            limits,
            Clock::stopped(),
            Handle::current(),
            Arc::new(Deaf),
        );
        let request = ConnectRequest::default();
        let rates = SampleRates {
            input: 8_000,
            output: 24_000,
        };
        let connection =
            session.connect_external(&request, Some(rates), true, Duration::ZERO, false);
        assert_eq!(connection.map(|it| it.connection_id()).ok(), Some(1));
        let capabilities = session.look(Conversation::capabilities);
        assert_eq!(capabilities.media, Media::Track);
        assert_eq!(capabilities.truncation, Truncation::Server);
        let again = session.connect_external(&request, None, false, Duration::ZERO, false);
        assert_eq!(again.map(drop), Err(Rejected::AlreadyConnected));
    }
}
