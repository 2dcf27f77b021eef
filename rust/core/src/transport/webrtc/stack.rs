//! The stack: webrtc-rs, as a [`Peer`].

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::{
    SctpMaxMessageSize, SettingEngine, SettingEngineBuilder,
};
use rtc::peer_connection::configuration::{RTCConfiguration, RTCConfigurationBuilder};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::RTCIceServer;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::error::Error;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceConnectionState,
    RTCIceGatheringState, RTCPeerConnectionState,
};
use webrtc::rtp_transceiver::RtpSender;
use webrtc::runtime::TokioRuntime;

use super::peer::{
    IceServer, OPUS_PAYLOAD_TYPE, Opus, Peer, PeerError, PeerEvent, PeerSettings, PeerState,
    PeerStats, Received,
};

/// The data channel of the realtime protocol.
const CHANNEL: &str = "oai-events";

/// Changes of state and new streams that may wait to be seen. A call has a handful in all.
const NOTICES: usize = 32;

/// How often a channel that is to be closed is asked whether all has arrived: the stack tells of it by
/// no event that could not be missed.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How often the far side is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// A call's end, made of webrtc-rs.
pub struct StackPeer {
    connection: Arc<dyn PeerConnection>,
    /// The data channel: ours from the beginning, or the far side's once it came.
    channel: OnceLock<Arc<dyn DataChannel>>,
    /// The channel has been open.
    opened: AtomicBool,
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    ssrc: u32,
    sequence: AtomicU16,
    /// The number that was agreed for Opus; 0 until then.
    payload_type: AtomicU8,
    inbox: Mutex<Inbox>,
    gathered: watch::Receiver<bool>,
    counters: Counters,
    runtime: Handle,
}

#[derive(Default)]
struct Counters {
    packets_sent: AtomicU64,
    bytes_sent: AtomicU64,
    packets_received: AtomicU64,
    bytes_received: AtomicU64,
}

/// What comes from the far side.
struct Inbox {
    notices: mpsc::Receiver<Notice>,
    track: Option<Arc<dyn TrackRemote>>,
    channel: Option<Arc<dyn DataChannel>>,
}

/// What the stack tells its handler.
enum Notice {
    State(PeerState),
    Track(Arc<dyn TrackRemote>),
    Channel(Arc<dyn DataChannel>),
}

struct Handler {
    notices: mpsc::Sender<Notice>,
    gathered: watch::Sender<bool>,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        if state == RTCIceConnectionState::Connected {
            let _ = self.notices.try_send(Notice::State(PeerState::Reached));
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let state = match state {
            RTCPeerConnectionState::Connecting => PeerState::Connecting,
            RTCPeerConnectionState::Connected => PeerState::Connected,
            RTCPeerConnectionState::Disconnected => PeerState::Disconnected,
            RTCPeerConnectionState::Failed => PeerState::Failed,
            RTCPeerConnectionState::Closed => PeerState::Closed,
            _ => return,
        };
        // Awaiting here would stop the whole connection. Who does not read thirty changes of state
        // has given up on it.
        let _ = self.notices.try_send(Notice::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.notices.try_send(Notice::Channel(channel));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let _ = self.notices.try_send(Notice::Track(track));
    }
}

impl StackPeer {
    /// A peer that offers a data channel (`calls`), or one that waits for the other's. To be called
    /// within a tokio runtime.
    pub async fn new(settings: &PeerSettings, calls: bool) -> Result<Self, PeerError> {
        let mut media = MediaEngine::default();
        let codec = opus(settings);
        media
            .register_codec(
                RTCRtpCodecParameters {
                    rtp_codec: codec.clone(),
                    payload_type: OPUS_PAYLOAD_TYPE,
                },
                RtpCodecKind::Audio,
            )
            .map_err(local)?;
        let (notices, inbox) = mpsc::channel(NOTICES);
        let (gathered, gathering) = watch::channel(false);
        let addresses: Vec<_> = settings
            .local
            .iter()
            .map(|ip| SocketAddr::new(*ip, 0))
            .collect();
        let building = PeerConnectionBuilder::new()
            .with_configuration(configuration(settings))
            .with_media_engine(media)
            .with_setting_engine(engine(settings))
            // Reports of what was received, and nothing else: no retransmission and no bandwidth
            // estimate for a voice.
            .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
            .with_handler(Arc::new(Handler { notices, gathered }))
            .with_runtime(Arc::new(TokioRuntime))
            .with_udp_addrs(addresses)
            .with_data_channel_send_buffer_limit(settings.channel_buffer)
            .build();
        // The stack's future is 20 KB, which all futures around it would have to hold.
        let connection: Arc<dyn PeerConnection> =
            Arc::new(Box::pin(building).await.map_err(local)?);
        let ssrc = random() as u32;
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "stapes".to_owned(),
            "voice".to_owned(),
            "voice".to_owned(),
            RtpCodecKind::Audio,
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    ssrc: Some(ssrc),
                    ..Default::default()
                },
                codec,
                ..Default::default()
            }],
        )));
        let sender = connection
            .add_track(Arc::clone(&track) as Arc<dyn TrackLocal>)
            .await
            .map_err(local)?;
        let channel = OnceLock::new();
        let mut inbox = Inbox {
            notices: inbox,
            track: None,
            channel: None,
        };
        if calls {
            let ours = connection
                .create_data_channel(CHANNEL, None)
                .await
                .map_err(local)?;
            inbox.channel = Some(Arc::clone(&ours));
            let _ = channel.set(ours);
        }
        Ok(Self {
            connection,
            channel,
            opened: AtomicBool::new(false),
            track,
            sender,
            ssrc,
            sequence: AtomicU16::new(random() as u16),
            payload_type: AtomicU8::new(0),
            inbox: Mutex::new(inbox),
            gathered: gathering,
            counters: Counters::default(),
            runtime: Handle::current(),
        })
    }

    /// Our description, once it has all addresses in it.
    async fn described(&self, description: RTCSessionDescription) -> Result<String, PeerError> {
        self.connection
            .set_local_description(description)
            .await
            .map_err(refused)?;
        let mut gathered = self.gathered.clone();
        gathered
            .wait_for(|gathered| *gathered)
            .await
            .map_err(|_| PeerError::Closed)?;
        match self.connection.local_description().await {
            Some(description) => Ok(description.sdp),
            None => Err(PeerError::Closed),
        }
    }

    async fn agreed_payload_type(&self) -> Result<u8, PeerError> {
        let known = self.payload_type.load(Ordering::Acquire);
        if known != 0 {
            return Ok(known);
        }
        let parameters = self.sender.get_parameters().await.map_err(local)?;
        let agreed = parameters
            .rtp_parameters
            .codecs
            .iter()
            .find(|codec| {
                codec
                    .rtp_codec
                    .mime_type
                    .eq_ignore_ascii_case(MIME_TYPE_OPUS)
            })
            .map_or(OPUS_PAYLOAD_TYPE, |codec| codec.payload_type);
        self.payload_type.store(agreed, Ordering::Release);
        Ok(agreed)
    }

    /// Closes the data channel once all that was sent has arrived, and waits for the far side's word.
    async fn say_goodbye(&self, channel: &dyn DataChannel) {
        let gone = |event| {
            matches!(
                event,
                PeerEvent::ChannelClosed | PeerEvent::Changed(PeerState::Closed)
            )
        };
        // The stack resets the channel at once, and what it still holds is lost with it.
        while channel
            .outstanding_bytes()
            .await
            .is_ok_and(|bytes| bytes > 0)
        {
            if timeout(LOOK_AGAIN, self.receive()).await.is_ok_and(gone) {
                return;
            }
        }
        if channel.close().await.is_err() {
            return;
        }
        let open = self.inbox.lock().await.channel.is_some();
        while open && !gone(self.receive().await) {}
    }

    fn count_received(&self, packet: &rtp::Packet) {
        self.counters
            .packets_received
            .fetch_add(1, Ordering::Relaxed);
        self.counters
            .bytes_received
            .fetch_add(packet.payload.len() as u64, Ordering::Relaxed);
    }
}

impl Peer for StackPeer {
    async fn offer(&self) -> Result<String, PeerError> {
        let offer = self.connection.create_offer(None).await.map_err(local)?;
        self.described(offer).await
    }

    async fn accept(&self, answer: &str) -> Result<(), PeerError> {
        let answer = RTCSessionDescription::answer(with_known_hash(answer)).map_err(refused)?;
        self.connection
            .set_remote_description(answer)
            .await
            .map_err(refused)
    }

    async fn answer(&self, offer: &str) -> Result<String, PeerError> {
        let offer = RTCSessionDescription::offer(with_known_hash(offer)).map_err(refused)?;
        self.connection
            .set_remote_description(offer)
            .await
            .map_err(refused)?;
        let answer = self.connection.create_answer(None).await.map_err(refused)?;
        self.described(answer).await
    }

    async fn send_event(&self, text: &str) -> Result<(), PeerError> {
        let channel = self.channel.get().ok_or(PeerError::Closed)?;
        channel.send_text(text).await.map_err(|error| match error {
            Error::ErrOutboundPacketTooLarge => PeerError::TooLong { bytes: text.len() },
            Error::ErrDataChannelClosed => PeerError::Closed,
            other => PeerError::Local(other.to_string()),
        })
    }

    async fn send_opus(&self, packet: Opus) -> Result<(), PeerError> {
        let bytes = packet.payload.len() as u64;
        let header = rtp::header::Header {
            version: 2,
            marker: packet.marker,
            payload_type: self.agreed_payload_type().await?,
            sequence_number: self.sequence.fetch_add(1, Ordering::Relaxed),
            timestamp: packet.timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        let payload = packet.payload;
        self.track
            .write_rtp(rtp::Packet { header, payload })
            .await
            .map_err(|_| PeerError::Closed)?;
        self.counters.packets_sent.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    async fn receive(&self) -> PeerEvent {
        let mut inbox = self.inbox.lock().await;
        loop {
            let Inbox {
                notices,
                track,
                channel,
            } = &mut *inbox;
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(Notice::State(state)) => return PeerEvent::Changed(state),
                    Some(Notice::Track(new)) => *track = Some(new),
                    Some(Notice::Channel(new)) => {
                        // What is not ours of the far side's channels is left alone.
                        if new.label().await.is_ok_and(|label| label == CHANNEL)
                            && self.channel.set(Arc::clone(&new)).is_ok()
                        {
                            *channel = Some(new);
                        }
                    }
                    None => return PeerEvent::Changed(PeerState::Closed),
                },
                event = async { track.as_ref()?.poll().await }, if track.is_some() => match event {
                    Some(TrackRemoteEvent::OnRtpPacket(packet)) => {
                        self.count_received(&packet);
                        return PeerEvent::Opus(Received {
                            ssrc: packet.header.ssrc,
                            sequence: packet.header.sequence_number,
                            timestamp: packet.header.timestamp,
                            payload: packet.payload,
                        });
                    }
                    Some(_) => {}
                    None => *track = None,
                },
                event = async { channel.as_ref()?.poll().await }, if channel.is_some() => match event {
                    Some(DataChannelEvent::OnOpen) => {
                        self.opened.store(true, Ordering::Release);
                        return PeerEvent::Opened;
                    }
                    Some(DataChannelEvent::OnMessage(message)) if message.is_string => {
                        return match String::from_utf8(message.data.into()) {
                            Ok(text) => PeerEvent::Text(text),
                            Err(error) => PeerEvent::Binary(error.into_bytes().into()),
                        };
                    }
                    Some(DataChannelEvent::OnMessage(message)) => {
                        return PeerEvent::Binary(message.data.freeze());
                    }
                    Some(DataChannelEvent::OnClose) | None => {
                        *channel = None;
                        return PeerEvent::ChannelClosed;
                    }
                    Some(_) => {}
                },
            }
        }
    }

    fn stats(&self) -> PeerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PeerStats {
            packets_sent: read(&self.counters.packets_sent),
            bytes_sent: read(&self.counters.bytes_sent),
            packets_received: read(&self.counters.packets_received),
            bytes_received: read(&self.counters.bytes_received),
        }
    }

    async fn close(&self, patience: Duration) {
        if let Some(channel) = self.channel.get()
            && self.opened.load(Ordering::Acquire)
        {
            let _ = timeout(patience, self.say_goodbye(channel.as_ref())).await;
        }
        let _ = self.connection.close().await;
    }
}

impl Drop for StackPeer {
    fn drop(&mut self) {
        // The stack's own task would go on for ever; closing twice is no harm.
        let connection = Arc::clone(&self.connection);
        self.runtime.spawn(async move {
            let _ = connection.close().await;
        });
    }
}

impl fmt::Debug for StackPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackPeer")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn opus(settings: &PeerSettings) -> RTCRtpCodec {
    let mut parameters = format!("minptime=10;useinbandfec={}", u8::from(settings.fec));
    if settings.dtx {
        parameters.push_str(";usedtx=1");
    }
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        // What RFC 7587 wants to be said, of one channel or two.
        channels: 2,
        sdp_fmtp_line: parameters,
        rtcp_feedback: Vec::new(),
    }
}

fn configuration(settings: &PeerSettings) -> RTCConfiguration {
    let server = |server: &IceServer| RTCIceServer {
        urls: server.urls.clone(),
        username: server.username.clone(),
        credential: server.credential.clone(),
    };
    RTCConfigurationBuilder::new()
        .with_ice_servers(settings.ice_servers.iter().map(server).collect())
        .build()
}

fn engine(settings: &PeerSettings) -> SettingEngine {
    SettingEngineBuilder::new()
        // It would listen to all of the network on a port of its own, for every call.
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(true)
        .with_ice_timeouts(
            Some(settings.disconnected_after),
            Some(settings.failed_after),
            Some(KEEP_ALIVE.min(settings.disconnected_after / 2)),
        )
        .with_sctp_max_message_size(SctpMaxMessageSize::Unbounded)
        .build()
}

/// The description with fingerprints by SHA-256 alone, where there are such: the stack knows no other
/// hash, and gives up at the first that it does not know.
fn with_known_hash(description: &str) -> String {
    const ANY: &str = "a=fingerprint:";
    const KNOWN: &str = "a=fingerprint:sha-256 ";
    let starts = |line: &str, with: &str| {
        line.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if !description.lines().any(|line| starts(line, KNOWN)) {
        return description.to_owned();
    }
    description
        .split_inclusive('\n')
        .filter(|line| !starts(line, ANY) || starts(line, KNOWN))
        .collect()
}

/// A number to tell streams apart, and no secret.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn local(error: Error) -> PeerError {
    PeerError::Local(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn refused(error: Error) -> PeerError {
    PeerError::Description(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_by_other_hashes_are_left_out_where_there_is_a_known_one() {
        let both = "v=0\r\na=fingerprint:sha-512 11\r\na=fingerprint:SHA-256 22\r\nm=audio\r\n";
        let one = "v=0\r\na=fingerprint:SHA-256 22\r\nm=audio\r\n";
        assert_eq!(with_known_hash(both), one);
        assert_eq!(with_known_hash(one), one);
        let unknown = "v=0\r\na=fingerprint:sha-512 11\r\n";
        assert_eq!(with_known_hash(unknown), unknown);
    }
}
