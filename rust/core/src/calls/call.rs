//! A call: a leg with its line, its timers, and the session that it is coupled with.
//!
//! Lock order: the session's lock, then the leg's. The leg's lock is never held while the session, the
//! line or the observer is called.

mod input;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep_until};

#[cfg(feature = "webrtc")]
use super::carrier::Ignored;
use super::carrier::{Carrier, Started};
use super::event::CallEvent;
use super::leg::{CallEnd, Effects, Leg, UnsentMessage};
use super::line::CallLine;
use super::options::CallOptions;
use crate::audio::passthrough::PacketLimits;
use crate::audio::resample::ResampleError;
use crate::audio::{AudioFormat, Resampler};
use crate::conversation::{CallerCommand, Conversation};
use crate::session::{CallerEnd, Clock, Microphone, Session};
use crate::transport::timer_grid::TimerGrid;
use crate::transport::{Frame, Outgoing, SoundStats};

/// A line that is silent for so long may be broken: carriers send a packet each 10 to 60 ms.
const SILENT_LINE: Duration = Duration::from_millis(200);

/// Hears what happens to a call. Nothing may block or run users' code.
pub trait CallObserver: fmt::Debug + Send + Sync + 'static {
    /// The stream has started, for the first time.
    fn started(&self, call: &Arc<Call>);

    fn event(&self, event: CallEvent);
}

/// The session that a call is coupled with. It owns the call's end, and not the other way round.
#[derive(Debug)]
struct Coupling {
    session: Weak<Session>,
    microphone: Weak<Microphone>,
}

/// One call.
pub struct Call {
    leg: Mutex<Leg>,
    clock: Clock,
    coupling: OnceLock<Coupling>,
    /// The caller's sound that no session has taken yet.
    early: Mutex<Vec<u8>>,
    has_early: AtomicBool,
    max_early: Duration,
    line: Mutex<Option<Arc<CallLine>>>,
    observer: Arc<dyn CallObserver>,
    /// The deadline that the timer sleeps until, and how it is told of an earlier one.
    armed: Mutex<Option<Duration>>,
    rearmed: Arc<Notify>,
    has_ended: AtomicBool,
    /// How its sound fares, where the line tells.
    sound: Mutex<Option<SoundStats>>,
    /// Its place among the calls of a server.
    seat: Mutex<Option<OwnedSemaphorePermit>>,
    myself: Weak<Self>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Call {
    /// A call whose timers run on `runtime`.
    pub fn new(
        carrier: Box<dyn Carrier>,
        options: CallOptions,
        clock: Clock,
        runtime: &Handle,
        observer: Arc<dyn CallObserver>,
    ) -> Arc<Self> {
        let call = Arc::new_cyclic(|myself| Self {
            leg: Mutex::new(Leg::new(carrier, options.leg, clock.now())),
            coupling: OnceLock::new(),
            early: Mutex::default(),
            has_early: AtomicBool::new(false),
            max_early: options.max_early,
            line: Mutex::default(),
            observer,
            armed: Mutex::default(),
            rearmed: Arc::default(),
            has_ended: AtomicBool::new(false),
            sound: Mutex::default(),
            seat: Mutex::default(),
            myself: Weak::clone(myself),
            clock,
        });
        if !call.clock.is_virtual() {
            let rearmed = Arc::clone(&call.rearmed);
            runtime.spawn(run_timers(Arc::downgrade(&call), rearmed));
        }
        call
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn leg(&self) -> MutexGuard<'_, Leg> {
        lock(&self.leg)
    }

    /// Who called; `None` before the stream has started.
    pub fn started(&self) -> Option<Started> {
        self.look(|leg| leg.started().cloned())
    }

    pub(super) fn observer(&self) -> &Arc<dyn CallObserver> {
        &self.observer
    }

    /// Reads from the leg.
    pub fn look<T>(&self, look: impl FnOnce(&Leg) -> T) -> T {
        look(&self.leg())
    }

    /// The URL of the stream brought these parameters.
    pub fn set_query(&self, query: Vec<(String, String)>) {
        self.leg().set_query(query);
    }

    /// The line that carries the call from now on, in place of the one that it returns.
    pub(super) fn carried_by(&self, line: &Arc<CallLine>) -> Option<Arc<CallLine>> {
        lock(&self.line).replace(Arc::clone(line))
    }

    /// It has a place among the calls of a server, until it ends.
    pub(super) fn sit(&self, seat: OwnedSemaphorePermit) {
        *lock(&self.seat) = Some(seat);
    }

    /// Ends a call that is not taken, and closes its line with that code.
    pub fn refuse(&self, close_code: u16, reason: &str) {
        self.act(|leg, now, effects| {
            leg.refuse(close_code, reason, now);
            leg.settle(now, effects);
        });
    }

    /// Changes the leg, and carries out what follows.
    fn act<T>(&self, act: impl FnOnce(&mut Leg, Duration, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let result = act(&mut self.leg(), self.clock.now(), &mut effects);
        self.carry_out(effects);
        result
    }

    /// A frame of the carrier has come. What follows is to be [carried out](Self::carry_out).
    pub(super) fn receive(&self, frame: Frame<'_>) -> Effects {
        let mut effects = Effects::default();
        self.leg().receive(frame, self.clock.now(), &mut effects);
        effects
    }

    pub(super) fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        self.leg().take_outgoing(batch, max_bytes);
    }

    pub(super) fn line_ended(&self, line: &Arc<CallLine>, reason: &str, is_clean: bool) {
        {
            let mut current = lock(&self.line);
            if !current.as_ref().is_some_and(|it| Arc::ptr_eq(it, line)) {
                return;
            }
            *current = None;
        }
        self.act(|leg, now, effects| leg.line_ended(reason, is_clean, now, effects));
    }

    /// Gives its codec away: the call goes on as `other`, over this line.
    pub(super) fn go_on_as(&self, other: &Self, line: &Arc<CallLine>) {
        let now = self.clock.now();
        let leg = std::mem::replace(&mut *self.leg(), Leg::over(now));
        *lock(&self.line) = None;
        self.has_ended.store(true, Ordering::Release);
        let (carrier, started) = leg.into_line();
        let Some(started) = started else {
            return;
        };
        if let (Some(before), Some(over)) = (other.carried_by(line), self.myself.upgrade()) {
            before.abandon(&over);
        }
        other.act(|leg, now, effects| leg.resume(carrier, started, now, effects));
    }

    /// Whether another line may carry it: its own is lost, or silent.
    pub(super) fn awaits_line(&self) -> bool {
        let now = self.clock.now();
        self.look(|leg| {
            // Over WebRTC pauses are filled: a line that is broken is not silent, and the page knows.
            let tells_nothing = leg.is_standing() && !leg.capabilities().close_codes;
            leg.is_lost() || tells_nothing || leg.is_silent(SILENT_LINE, now)
        })
    }

    pub(super) fn carry_out(&self, effects: Effects) {
        if effects.progressed
            && let Some(session) = self.session()
        {
            session.caller_progressed();
        }
        if !effects.sound.is_empty() {
            self.send_input(effects.sound);
        }
        self.send_packets(&effects.packets);
        if effects.started
            && let Some(call) = self.myself.upgrade()
        {
            self.observer.started(&call);
        }
        for event in effects.events {
            self.observer.event(event);
        }
        for (token, heard) in effects.played {
            self.observer.event(CallEvent::CallPlayed { token, heard });
        }
        if effects.ended && !self.has_ended.swap(true, Ordering::AcqRel) {
            self.finish();
        }
        self.flush();
    }

    /// The call is over: so is the conversation, which nobody hears.
    fn finish(&self) {
        let now = self.clock.now();
        let (end, begun) = self.look(|leg| (leg.end().cloned(), leg.begun()));
        if let Some(session) = self.session() {
            session.act(|conversation, _| conversation.close(1000, ""));
        }
        if let Some(CallEnd { by, reason }) = end {
            let duration = now.saturating_sub(begun);
            let event = CallEvent::CallEnded {
                by,
                reason,
                duration,
            };
            self.observer.event(event);
        }
        lock(&self.early).clear();
        *lock(&self.seat) = None;
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.coupling.get()?.session.upgrade()
    }

    /// Couples the call with a session: its sound goes there, and what the session says is played. False
    /// where either was coupled before.
    pub fn couple(&self, microphone: &Arc<Microphone>) -> bool {
        let session = microphone.session();
        let coupling = Coupling {
            session: Arc::downgrade(session),
            microphone: Arc::downgrade(microphone),
        };
        let Some(call) = self.myself.upgrade() else {
            return false;
        };
        self.coupling.set(coupling).is_ok() && session.couple(call)
    }

    /// Plays sound that is no answer of the model, behind all that is played. Fails where its rate cannot be
    /// converted to the call's.
    pub fn play(&self, sound: &[u8], format: AudioFormat) -> Result<(), ResampleError> {
        let rate = self.look(Leg::format).sample_rate();
        // The plan of a ratio that is in use is shared.
        Resampler::new(format.sample_rate(), rate)?;
        if let Some(session) = self.session() {
            session.play_aside(|now| self.leg().play(sound, format, now));
        } else {
            let now = self.clock.now();
            self.leg().play(sound, format, now);
        }
        self.flush();
        Ok(())
    }

    /// Stops all that is played: an answer is cut where it was heard to.
    pub fn clear(&self) {
        match self.session() {
            Some(session) => session.act(Conversation::interrupt_speech),
            None => self.act(|leg, now, _| leg.clear(now)),
        }
        self.act(|leg, now, _| leg.clear(now));
    }

    /// Tells by [`CallEvent::CallPlayed`] with this token when all that was played so far was heard.
    pub fn when_played(&self, token: u64) {
        self.act(|leg, now, effects| {
            leg.when_played(token, now);
            leg.settle(now, effects);
        });
    }

    /// Ends the call: at once, or when all was heard.
    pub fn hang_up(&self, after_playback: bool) {
        self.act(|leg, now, effects| {
            leg.hang_up(after_playback, now);
            leg.settle(now, effects);
        });
    }

    /// Sends a key; false where the carrier cannot.
    pub fn send_dtmf(&self, digit: char) -> bool {
        self.act(|leg, _, _| leg.send_dtmf(digit))
    }

    /// Sends the application at the far end a message, as JSON.
    pub fn send_message(&self, json: &str) -> Result<(), UnsentMessage> {
        self.act(|leg, now, _| leg.send_message(json, now))
    }

    /// Its line takes no longer message than this, in bytes.
    #[cfg(feature = "webrtc")]
    pub(super) fn limit_messages(&self, most: usize) {
        self.leg().limit_messages(most);
    }

    /// Stops the caller's sound on its way to the model, or lets it go on.
    pub fn pause_input(&self, paused: bool) {
        self.leg().pause_input(paused);
        if paused {
            lock(&self.early).clear();
        }
    }

    /// Stops what the far side plays, or lets it go on; false where the carrier cannot, or the call is over.
    pub fn pause_output(&self, paused: bool) -> bool {
        self.act(|leg, now, _| leg.pause_output(paused, now))
    }

    /// Handles all that is due.
    pub fn handle_timeouts(&self) {
        self.act(Leg::handle_timeout);
    }

    /// Nothing has come over the line for a while, for this reason; without one, something has come again.
    pub fn line_is_silent(&self, reason: Option<&str>) {
        self.act(|leg, now, effects| leg.line_is_silent(reason, now, effects));
    }

    /// The caller has hung up, by another way than the line.
    #[cfg(feature = "webrtc")]
    pub(super) fn hung_up_by_caller(&self, reason: &str) {
        self.act(|leg, now, effects| {
            leg.hung_up_by_caller(reason, now);
            leg.settle(now, effects);
        });
    }

    /// Its line has dropped so many frames, for this reason, before anybody looked into them.
    #[cfg(feature = "webrtc")]
    pub(super) fn frames_ignored(&self, why: &Ignored, frames: u64) {
        self.act(|leg, _, effects| leg.ignore(why, frames, effects));
    }

    #[cfg(feature = "webrtc")]
    pub(super) fn report_sound(&self, stats: SoundStats) {
        *lock(&self.sound) = Some(stats);
    }

    /// How its sound fares, as the line told last; `None` where it does not tell.
    pub fn sound(&self) -> Option<SoundStats> {
        *lock(&self.sound)
    }

    /// Advances a virtual clock.
    pub fn advance_clock(&self, by: Duration) {
        match self.session() {
            Some(session) => session.advance_clock(by),
            None => self.clock.advance(by),
        }
        self.handle_timeouts();
    }

    /// Sees to it that the timer wakes for what is due next.
    fn arm(&self) {
        if self.clock.is_virtual() {
            return;
        }
        if self.has_ended.load(Ordering::Acquire) {
            self.rearmed.notify_one();
            return;
        }
        let now = self.clock.now();
        let Some(due) = self.look(|leg| leg.poll_timeout(now)) else {
            return;
        };
        let mut armed = lock(&self.armed);
        if armed.is_none_or(|armed| due < armed) {
            *armed = Some(due);
            self.rearmed.notify_one();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Its timer ends.
        self.rearmed.notify_one();
    }
}

/// Wakes a call for what is due, until it is over. Asleep, it keeps nothing alive.
async fn run_timers(call: Weak<Call>, rearmed: Arc<Notify>) {
    let grid = TimerGrid::shared();
    loop {
        let wait = {
            let Some(call) = call.upgrade() else {
                return;
            };
            if call.has_ended.load(Ordering::Acquire) {
                return;
            }
            let now = call.clock.now();
            let due = call.look(|leg| leg.poll_timeout(now));
            *lock(&call.armed) = due;
            due.map(|due| due.saturating_sub(now))
        };
        let Some(wait) = wait else {
            rearmed.notified().await;
            continue;
        };
        let mut at = Instant::now() + wait;
        if !wait.is_zero() {
            // Frames of many calls are sent at one wake-up. They stay 20 ms apart, for the grid divides that.
            at = grid.at_or_after(at);
        }
        tokio::select! {
            () = sleep_until(at) => {}
            () = rearmed.notified() => continue,
        }
        if let Some(call) = call.upgrade() {
            call.handle_timeouts();
        }
    }
}

impl CallerEnd for Call {
    fn play(&self, sound: &[u8], format: AudioFormat, now: Duration) {
        self.leg().play(sound, format, now);
    }

    fn command(&self, command: CallerCommand, now: Duration) {
        self.leg().command(command, now);
    }

    fn packet_limits(&self) -> Option<PacketLimits> {
        self.look(Leg::packet_limits)
    }

    fn left_to_play_ms(&self, now: Duration) -> f64 {
        self.leg().left_to_play_ms(now)
    }

    fn is_over(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    fn flush(&self) {
        // The session may take now what was said before.
        if self.has_early.load(Ordering::Acquire) {
            self.send_input(Vec::new());
        }
        if self.look(Leg::has_outgoing) {
            let line = lock(&self.line).clone();
            if let Some(line) = line {
                line.announce();
            }
        }
        self.arm();
    }

    fn clock_advanced(&self) {
        self.handle_timeouts();
    }
}
