//! The user's sound on its way to a media track. It outlives the connection that carries the track: what
//! one has not sent, and what comes while there is none, the next one sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Session, State};
use crate::audio::passthrough::{PacketLimits, Passed};
use crate::conversation::{CoreError, Rejected, Status};
use crate::transport::{Uplink, UplinkFrame};

/// How much of it may wait for a moment to count as quiet.
const QUIET: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct UserSound {
    pub uplink: Uplink,
    /// Samples per second.
    rate: u32,
    /// A sender may wait until fewer bytes are queued.
    congested: AtomicBool,
}

impl UserSound {
    pub fn new(rate: u32, max_waiting: usize) -> Self {
        Self {
            uplink: Uplink::new(max_waiting),
            rate,
            congested: AtomicBool::new(false),
        }
    }

    fn note_congestion(&self, congested: bool) {
        self.congested.fetch_or(congested, Ordering::AcqRel);
    }

    /// Whether a sender may be waiting for room, and need not any more where `has_room`.
    pub fn relieve(&self, has_room: impl FnOnce() -> bool) -> bool {
        self.congested.load(Ordering::Acquire)
            && has_room()
            && self.congested.swap(false, Ordering::AcqRel)
    }

    fn bytes_of(&self, duration: Duration) -> usize {
        (duration.as_secs_f64() * f64::from(self.rate)) as usize * 2
    }

    /// There is no connection, and another one follows.
    pub fn suspend(&self, most: Duration) {
        self.uplink.suspend(self.bytes_of(most));
    }

    /// Another connection sends what waits. Returns a sentence about what was lost meanwhile.
    pub fn resume(&self, most: Duration) -> Option<String> {
        let lost = self.uplink.resume();
        (lost > 0).then(|| {
            format!(
                "{} ms of the user's sound are lost: there was no connection for longer than \
                 max_unsent_audio, which is {} s",
                lost / 2 * 1000 / self.rate.max(1) as usize,
                most.as_secs_f64()
            )
        })
    }

    /// Whether hardly any of it waits, so that another connection can go on with it.
    pub fn is_quiet(&self) -> bool {
        self.uplink.bytes() <= self.bytes_of(QUIET)
    }
}

impl State {
    /// The user's sound for a new connection: what waits is the conversation's, not the connection's.
    pub(super) fn user_sound(&mut self, rate: u32, max_waiting: usize) -> Arc<UserSound> {
        let same = self.user_sound.take().filter(|it| it.rate == rate);
        let sound = same.unwrap_or_else(|| Arc::new(UserSound::new(rate, max_waiting)));
        self.user_sound = Some(Arc::clone(&sound));
        sound
    }

    /// The connection is lost, and another one follows.
    pub(super) fn suspend_user_sound(&self) {
        if let Some(sound) = &self.user_sound {
            sound.suspend(self.conversation.max_unsent_audio());
        }
    }

    /// Another connection sends the user's sound.
    pub(super) fn resume_user_sound(&mut self) {
        let most = self.conversation.max_unsent_audio();
        let lost = self.user_sound.as_ref().and_then(|it| it.resume(most));
        if let Some(lost) = lost {
            self.conversation.reported(CoreError::NotSent(lost));
        }
    }

    /// Forgets the user's sound where no connection follows.
    pub(super) fn forget_user_sound(&mut self) {
        if self.conversation.status() == Status::Disconnected {
            self.user_sound = None;
        }
    }
}

impl Session {
    /// Sends the user's sound on the media track. With `commit` the user's turn ends after it. While the
    /// session is muted, the sound is dropped; while it is being connected again, it waits.
    pub fn send_sound(&self, samples: Vec<i16>, commit: bool) -> Result<(), Rejected> {
        let pieces = (!samples.is_empty()).then_some(UplinkFrame::Samples(samples));
        self.send_pieces(pieces, commit)
    }

    /// As [`send_sound`](Self::send_sound): a packet of Opus, after `samples` that came before it. The driver
    /// sends it as it is, even where it takes no more of them from now on.
    pub(super) fn send_packet(
        &self,
        samples: Vec<i16>,
        packet: Passed,
        commit: bool,
    ) -> Result<(), Rejected> {
        let before = (!samples.is_empty()).then_some(UplinkFrame::Samples(samples));
        let rate = self.track_rate().ok_or(Rejected::NotConnected)?;
        let length = packet.samples(rate);
        let packet = UplinkFrame::Packet(packet, length);
        self.send_pieces(before.into_iter().chain([packet]), commit)
    }

    /// Which packets of Opus [`send_packet`](Self::send_packet) takes now; `None`: the user's sound is sent as
    /// samples.
    pub fn packet_limits(&self) -> Option<PacketLimits> {
        let state = self.state();
        let sound = state.user_sound.as_ref()?;
        let is_taken = state.conversation.takes_audio().is_ok();
        sound.uplink.packet_limits().filter(|_| is_taken)
    }

    fn track_rate(&self) -> Option<u32> {
        self.state().user_sound.as_ref().map(|sound| sound.rate)
    }

    fn send_pieces(
        &self,
        pieces: impl IntoIterator<Item = UplinkFrame>,
        commit: bool,
    ) -> Result<(), Rejected> {
        let mut state = self.lock();
        state.conversation.takes_audio()?;
        let Some(sound) = state.user_sound.clone() else {
            return Err(Rejected::NotConnected);
        };
        for piece in pieces {
            if state.conversation.muted() {
                break;
            }
            state.conversation.sound_on_track();
            let dropped = sound.uplink.push(piece);
            state.counters.dropped(u64::from(dropped > 0));
        }
        if commit {
            sound.uplink.mark();
        }
        let announced = state.connection.as_ref().is_some_and(|it| it.announced);
        if announced && state.conversation.connected().is_ok() {
            self.sink.outgoing_ready();
        }
        sound.note_congestion(Self::waiting_bytes(&state) > self.limits.high_water);
        drop(state);
        sound.uplink.wake_driver();
        Ok(())
    }

    /// So much of what was sent last had waited for the session: on a media track, all sound after it would be
    /// as late for the rest of the call.
    pub fn sound_came_late(&self, length: Duration) {
        if let Some(sound) = &self.state().user_sound {
            sound.uplink.hurry(sound.bytes_of(length));
        }
    }

    /// While muted, the user's sound is dropped before it is sent. Sound that waits for a media track is
    /// dropped too.
    pub fn mute(&self, muted: bool) {
        let mut state = self.lock();
        state.conversation.mute(muted);
        if muted && let Some(sound) = state.user_sound.clone() {
            sound.uplink.clear();
            drop(state);
            sound.uplink.wake_driver();
        }
    }

    /// The bytes that wait to be sent, of messages and of the media track.
    pub fn outgoing_bytes(&self) -> usize {
        Self::waiting_bytes(&self.lock())
    }

    /// The connection before the one in charge has given back what it had not sent.
    pub(super) fn hand_over_sound(&self) {
        let connection = self.lock().connection.clone();
        if let Some(connection) = connection {
            connection.start_sound();
        }
    }

    fn waiting_bytes(state: &State) -> usize {
        let sound = state.user_sound.as_ref();
        match &state.connection {
            Some(connection) => connection.bytes(),
            None => sound.map_or(0, |sound| sound.uplink.bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};

    use tokio::runtime::Handle;

    use super::*;
    use crate::conversation::{Capabilities, Event, Options};
    use crate::session::{Clock, ConnectionSettings, EventSink, OutgoingLimits, SoundSettings};
    use crate::transport::{SampleRates, SoundEndpoint as _};

    struct Deaf;

    impl EventSink for Deaf {
        fn push(&self, _: u64, _: Event) {}
        fn pushed(&self) {}
        fn drained(&self) {}
        fn outgoing_ready(&self) {}
    }

    /// Looks, as soon as it is woken, whether it could go on.
    struct Driver {
        session: Arc<Session>,
        could_go_on: AtomicBool,
    }

    impl Wake for Driver {
        fn wake(self: Arc<Self>) {
            let is_free = self.session.state.try_lock().is_ok();
            self.could_go_on.store(is_free, Ordering::Release);
        }
    }

    #[tokio::test]
    async fn the_driver_is_woken_for_the_users_sound_when_the_session_is_free() {
        let session = Session::new(
            Options::default(),
            OutgoingLimits::default(),
            Clock::default(),
            Handle::current(),
            Arc::new(Deaf),
        );
        let rates = SampleRates {
            input: 24_000,
            output: 24_000,
        };
        let settings = ConnectionSettings {
            capabilities: Capabilities::MEDIA_TRACK,
            sound: Some(SoundSettings {
                rates,
                max_waiting: 1 << 20,
            }),
            ..ConnectionSettings::default()
        };
        let connection = session.connecting(settings).unwrap();
        connection.start_sound();
        let acts: [fn(&Session); 3] = [
            |session| session.send_sound(vec![1; 480], false).unwrap(),
            |session| session.send_sound(Vec::new(), true).unwrap(),
            |session| session.mute(true),
        ];
        for act in acts {
            let uplink = connection.uplink().expect("a media track");
            let mut ready = pin!(uplink.ready().notified());
            let driver = Arc::new(Driver {
                session: Arc::clone(&session),
                could_go_on: AtomicBool::new(false),
            });
            let waker = Waker::from(Arc::clone(&driver));
            let mut context = Context::from_waker(&waker);
            assert_eq!(ready.as_mut().poll(&mut context), Poll::Pending);
            act(&session);
            assert!(driver.could_go_on.load(Ordering::Acquire));
            assert_eq!(ready.as_mut().poll(&mut context), Poll::Ready(()));
        }
    }
}
