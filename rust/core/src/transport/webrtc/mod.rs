//! Runs a session over WebRTC: messages over a data channel, sound over RTP.
//!
//! [`connect`] offers a call by one HTTP request and waits until it is connected;
//! [`WebRtcConnection::run`] then moves messages and sound between it and an endpoint until it
//! ends. The WebRTC stack is behind the trait [`Peer`], so that it can be replaced.

mod downlink;
mod driver;
mod media_watch;
mod offer;
mod options;
mod peer;
mod stack;
mod uplink;

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};
use tracing::debug;

pub use self::options::WebRtcOptions;
pub use self::peer::{
    IceServer, Opus, Peer, PeerError, PeerEvent, PeerSettings, PeerState, PeerStats, Received,
};
pub use self::stack::StackPeer;
pub use super::net::{CertificateProblem, ConnectError, ConnectPhase, ConnectRequest, Proxy, Tls};

use self::driver::{AudioPipelines, DriverSettings};
use super::end::EndGuard;
use super::media::{SampleRates, SoundEndpoint};
use super::net::addresses::reachable;
use super::net::{ByteStream, Deadline, Secrets, ServerClock, Target, dial};

/// The time limit of the DTLS handshake. It takes two round trips; a server that rejects a certificate
/// sends nothing more.
const DTLS_PATIENCE: Duration = Duration::from_secs(5);

/// The label of the realtime protocol's data channel.
const CHANNEL: &str = "oai-events";

const NO_KEYS: &str = "it was reached, but no keys could be agreed on (DTLS): its certificate must \
                       be the one that its answer names by its fingerprint";

/// Offers a call to a server, with sound at these rates, and waits until it is connected, at most
/// `options.connect_timeout`.
pub async fn connect(
    request: &ConnectRequest,
    options: &WebRtcOptions,
    rates: SampleRates,
) -> Result<WebRtcConnection, ConnectError> {
    // Boxed, because the future of the handshakes is many times larger than the call.
    Box::pin(call(request, options, rates)).await
}

/// What the far side of such a call may quote, and nobody may read.
pub fn secrets(request: &ConnectRequest, options: &WebRtcOptions) -> Secrets {
    let mut secrets = request.secrets(&options.proxy);
    for server in &options.ice_servers {
        secrets.add(&server.credential);
    }
    secrets
}

async fn call(
    request: &ConnectRequest,
    options: &WebRtcOptions,
    rates: SampleRates,
) -> Result<WebRtcConnection, ConnectError> {
    let deadline = Deadline::after(options.connect_timeout);
    // Invalid options fail before the server is contacted.
    let mut pipelines = AudioPipelines::new(options, rates)?;
    let (target, headers) = request.check(offer::SCHEMES, &offer::OWN_HEADERS)?;
    debug!(address = target.address(), "offering a call");
    let stream = dial(&target, &options.proxy, &options.tls, deadline).await?;
    let failed = |problem: String| ConnectError::Call {
        address: target.address(),
        problem,
    };
    let mut settings = settings(options, &stream).map_err(failed)?;
    // A server that is silent leaves time for the call without it.
    let patience = deadline.remaining() / 2;
    settings.ice_server_timeout = settings.ice_server_timeout.min(patience);
    let peer = StackPeer::new(&settings)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let offering = async { peer.offer().await.map_err(|e| failed(e.to_string())) };
    let description = deadline.bound(ConnectPhase::Gather, offering).await?;
    let secrets = secrets(request, options);
    let answered = offer::offer(stream, description, &secrets, &target, headers, deadline).await?;
    peer.accept(&answered.description)
        .await
        .map_err(|error| ConnectError::NotWebRtc {
            problem: format!("its session description cannot be met ({error})"),
        })?;
    let limited = pipelines.limit(peer.packet_limits().max_bitrate);
    limited.map_err(|error| failed(error.to_string()))?;
    wait_until_open(&peer, &target, deadline, peer.silent_servers()).await?;
    debug!(address = target.address(), "the call is connected");
    Ok(WebRtcConnection {
        peer,
        call_id: answered.call_id,
        server_clock: answered.server_clock,
        settings: DriverSettings::from(options),
        pipelines,
    })
}

fn settings(options: &WebRtcOptions, stream: &ByteStream) -> Result<PeerSettings, String> {
    let mut local = options.local_addresses.clone();
    let is_bound = !local.is_empty();
    if !is_bound {
        // Nobody can send to 0.0.0.0.
        local = reachable(stream.local_ip().map_err(|error| error.to_string())?);
    }
    if let Some(unusable) = local.iter().find(|ip| ip.is_unspecified()) {
        return Err(format!(
            "local_addresses has {unusable}, which nobody can send to: name the address of an \
             interface"
        ));
    }
    Ok(PeerSettings {
        local,
        channel: CHANNEL,
        is_bound,
        ice_servers: options.ice_servers.clone(),
        ice_server_timeout: options.ice_server_timeout,
        tls: options.tls.clone(),
        channel_buffer: options.channel_buffer,
        disconnected_after: options.disconnected_after,
        // The driver gives up first; this is a fallback.
        failed_after: options.disconnected_grace * 2 + Duration::from_secs(5),
        dtx: options.encoder.dtx,
        fec: true,
    })
}

/// Waits until the data channel of `peer` is open. `silent` names the STUN and TURN servers that did not
/// answer.
async fn wait_until_open<P: Peer>(
    peer: &P,
    target: &Target,
    deadline: Deadline,
    silent: &[String],
) -> Result<(), ConnectError> {
    let failed = |problem: &str| {
        Err(ConnectError::Call {
            address: target.address(),
            problem: problem.to_owned(),
        })
    };
    let mut phase = ConnectPhase::Ice;
    let mut too_late = pin!(sleep(deadline.remaining()));
    let mut no_keys = pin!(sleep(deadline.remaining()));
    loop {
        let event = tokio::select! {
            event = peer.receive() => event,
            () = too_late.as_mut() => return deadline.bound(phase, pending()).await,
            () = no_keys.as_mut(), if phase == ConnectPhase::Dtls => return failed(NO_KEYS),
        };
        match event {
            PeerEvent::Opened => return Ok(()),
            PeerEvent::Changed(PeerState::Reached) => {
                phase = ConnectPhase::Dtls;
                no_keys.as_mut().reset(Instant::now() + DTLS_PATIENCE);
            }
            PeerEvent::Changed(PeerState::Connected) => phase = ConnectPhase::Channel,
            PeerEvent::Changed(PeerState::Failed) if phase == ConnectPhase::Ice => {
                return failed(&unreached(silent));
            }
            PeerEvent::Changed(PeerState::Failed) if phase == ConnectPhase::Dtls => {
                return failed(NO_KEYS);
            }
            PeerEvent::Changed(PeerState::Failed) => {
                return failed("the media connection failed; try again");
            }
            PeerEvent::Changed(PeerState::Closed) | PeerEvent::ChannelClosed => {
                return failed("the server hung up before it stood; try again");
            }
            // Sound that comes before the channel is open belongs to nothing yet.
            _ => {}
        }
    }
}

fn unreached(silent: &[String]) -> String {
    let remedy = if silent.is_empty() {
        "name a TURN server in ice_servers".to_owned()
    } else {
        let servers = silent.join(", ");
        format!("check these servers in ice_servers, which did not answer: {servers}")
    };
    format!(
        "none of its media addresses answers; check that the firewall lets UDP out, or {remedy}"
    )
}

/// A call that stands, which nobody carries yet.
pub struct WebRtcConnection {
    peer: StackPeer,
    call_id: Option<String>,
    server_clock: Option<ServerClock>,
    settings: DriverSettings,
    pipelines: AudioPipelines,
}

impl WebRtcConnection {
    /// The call's name at the server, where it gave one.
    pub fn call_id(&self) -> Option<&str> {
        self.call_id.as_deref()
    }

    /// What the server's clock shows now, by the `Date` of its answer to the offer, where it had one.
    pub fn server_date(&self) -> Option<SystemTime> {
        self.server_clock?.now()
    }

    /// The longest message that the server takes, in bytes.
    pub fn max_message(&self) -> usize {
        self.peer.max_message()
    }

    /// Moves messages and sound between the call and `endpoint` until the call ends.
    ///
    /// Dropping the future, polled or not, ends the call; `endpoint.on_ended` is called exactly once
    /// in any case, after all resources of the call have been freed.
    pub fn run<E: SoundEndpoint + ?Sized>(
        self,
        endpoint: Arc<E>,
    ) -> impl Future<Output = ()> + Send + use<E> {
        let Self {
            peer,
            settings,
            pipelines,
            ..
        } = self;
        let end = EndGuard::new(endpoint);
        async move {
            let ended = driver::drive(&peer, end.endpoint().as_ref(), settings, pipelines).await;
            end.report(ended);
        }
    }
}

impl fmt::Debug for WebRtcConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRtcConnection")
            .field("call_id", &self.call_id)
            .finish_non_exhaustive()
    }
}
