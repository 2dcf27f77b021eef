//! The driver over a peer that says what a test has it say.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::*;
use crate::audio::passthrough::PacketLimits;
use crate::calls::webrtc::carrier;
use crate::calls::{Call, CallEvent, CallObserver, CallOptions};
use crate::session::Clock;
use crate::transport::webrtc::{Opus, PeerStats, Received};

const START: &str = r#"{"type":"start","call_id":"0123456789abcdef"}"#;

/// Two frames of 60 ms of SILK: a few bytes of 120 ms.
const LONG: &[u8] = &[0x19, 0x80, 1, 0x80, 1];
const LONG_TICKS: u32 = 5_760;

/// A page that takes sound, and no message.
struct Page(tokio::sync::Mutex<UnboundedReceiver<PeerEvent>>);

impl Peer for Page {
    async fn offer(&self) -> Result<String, PeerError> {
        Err(PeerError::Closed)
    }

    async fn accept(&self, _: &str) -> Result<(), PeerError> {
        Err(PeerError::Closed)
    }

    async fn answer(&self, _: &str) -> Result<String, PeerError> {
        Err(PeerError::Closed)
    }

    async fn send_events(&self, _: &mut VecDeque<String>) -> Result<(), PeerError> {
        pending().await
    }

    fn send_opus(&self, _: Opus) -> Result<(), PeerError> {
        Ok(())
    }

    async fn receive(&self) -> PeerEvent {
        match self.0.lock().await.recv().await {
            Some(event) => event,
            None => pending().await,
        }
    }

    async fn tend(&self) {
        pending::<()>().await;
    }

    fn max_message(&self) -> usize {
        65_536
    }

    fn packet_limits(&self) -> PacketLimits {
        PacketLimits::default()
    }

    fn stats(&self) -> PeerStats {
        PeerStats::default()
    }

    async fn close(&self, _: Duration) {}
}

#[derive(Debug, Default)]
struct Events(Mutex<Vec<CallEvent>>);

impl CallObserver for Events {
    fn started(&self, _: &Arc<Call>) {}

    fn event(&self, event: CallEvent) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
    }
}

struct Scene {
    call: Arc<Call>,
    line: Arc<CallLine>,
    events: Arc<Events>,
    options: WebRtcCallOptions,
    page: Page,
    says: UnboundedSender<PeerEvent>,
}

impl Scene {
    /// A page whose call has begun.
    fn new() -> Self {
        let events = Arc::<Events>::default();
        let observer = Arc::clone(&events) as Arc<dyn CallObserver>;
        let call = Call::new(
            carrier(),
            CallOptions::default(),
            Clock::default(),
            &Handle::current(),
            observer,
        );
        let (says, heard) = unbounded_channel();
        let scene = Self {
            line: CallLine::new(&call, None, false),
            call,
            events,
            options: WebRtcCallOptions::default(),
            page: Page(tokio::sync::Mutex::new(heard)),
            says,
        };
        scene.say(PeerEvent::Changed(PeerState::Connected));
        scene.say(PeerEvent::Opened);
        scene.say(PeerEvent::Text(START.to_owned()));
        scene
    }

    fn say(&self, event: PeerEvent) {
        self.says.send(event).expect("the page is there");
    }

    fn sound(&self, ssrc: u32, sequence: u16, timestamp: u32, payload: &'static [u8]) {
        self.say(PeerEvent::Opus(Received {
            ssrc,
            sequence,
            timestamp,
            payload: Bytes::from_static(payload),
        }));
    }

    fn driver(&self) -> Driver<'_, Page> {
        let pipelines = Pipelines::new(&self.options).expect("usable options");
        let id = "fedcba9876543210".to_owned();
        let mut driver = Driver::new(&self.page, &self.line, &self.options, id, pipelines);
        driver.messages = Messages::new(true);
        driver
    }
}

fn cause(ended: CloseReason) -> String {
    match ended {
        CloseReason::Lost { cause } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_that_takes_no_messages_loses_its_line_and_fills_no_memory() {
    let scene = Scene::new();
    let mut driver = scene.driver();
    let talk = async {
        for n in 0..10_000 {
            // Refused as soon as the line is lost.
            let _ = scene.call.send_message(r#"{"type":"note"}"#);
            if n % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        pending::<()>().await;
    };
    let ended = async {
        tokio::select! {
            ended = driver.run() => ended,
            () = talk => unreachable!(),
        }
    };
    let ended = timeout(Duration::from_secs(10), ended).await;
    assert!(cause(ended.expect("it ends")).contains("takes no messages"));
}

#[tokio::test]
async fn sound_beyond_real_time_is_dropped_before_it_is_decoded_and_told() {
    let scene = Scene::new();
    let mut driver = scene.driver();
    for n in 0..2_000_u16 {
        scene.sound(1, n, u32::from(n) * LONG_TICKS, LONG);
    }
    let run = timeout(Duration::from_millis(600), driver.run()).await;
    assert!(run.is_err(), "{run:?}");
    let decoded = driver.pipelines.receiver.decoded();
    // 15 s and what time has passed, of 61 s that the jitter buffer holds.
    assert!((100..150).contains(&decoded), "{decoded}");
    let events = scene.events.0.lock().expect("no panic");
    let told = events.iter().any(|event| {
        matches!(event, CallEvent::CallFrameIgnored { reason, .. } if reason.contains("real time"))
    });
    assert!(told, "{events:?}");
}

#[tokio::test]
async fn a_stream_that_begins_anew_adds_no_silence() {
    let scene = Scene::new();
    let mut driver = scene.driver();
    let silence: &[u8] = &[0xf8, 0xff, 0xfe];
    let talk = async {
        // Half an hour apart, by clocks that have nothing to do with each other.
        for (ssrc, begin) in [(1, 5_000), (2, 86_405_000)] {
            for n in 0..20_u16 {
                scene.sound(ssrc, n, begin + u32::from(n) * 960, silence);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::select! {
        ended = driver.run() => panic!("{ended:?}"),
        () = talk => {}
    }
    let stats = scene.call.look(Leg::intake_stats);
    assert!(stats.packets >= 30, "{stats:?}");
    assert!(stats.filled_ms < 500, "{stats:?}");
}

#[tokio::test]
async fn a_line_whose_address_is_lost_says_so() {
    let scene = Scene::new();
    scene.say(PeerEvent::AddressLost);
    let ended = timeout(Duration::from_secs(5), async { scene.driver().run().await }).await;
    assert!(cause(ended.expect("it ends")).contains("this machine's network address"));
}
