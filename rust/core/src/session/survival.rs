//! Decides whether a session goes on over another connection, and when. It does no IO, and is told the
//! time.
//!
//! An end of a connection is one of three. A *loss* is replaced: the line broke, the server went away,
//! the session expired. A *goodbye* is not: this side closed, or the server did between two turns. A
//! *refusal* is not either: the server said by name why it does not want this client.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::conversation::{ConnectionEnd, SurvivalOptions};

/// What the ends of a provider's connections mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endings {
    /// Close codes of a connection that was lost.
    pub loss_close_codes: Vec<u16>,
    /// Codes of errors, or of an answer to the handshake, after which another connection is of no use.
    pub refusal_codes: Vec<String>,
    /// HTTP statuses of a handshake that is tried again; any other one refuses this client.
    pub retry_statuses: Vec<u16>,
    /// Codes of errors that say that the session's time is over.
    pub expiry_codes: Vec<String>,
}

impl Default for Endings {
    fn default() -> Self {
        let texts = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
        Self {
            loss_close_codes: vec![1001, 1006, 1011, 1012, 1013],
            refusal_codes: texts(&["insufficient_quota", "invalid_api_key"]),
            retry_statuses: vec![408, 425, 429, 500, 502, 503, 504],
            expiry_codes: texts(&["session_expired"]),
        }
    }
}

impl Endings {
    /// The same in memory as that of the session before, where it is alike.
    pub fn shared(self) -> Arc<Self> {
        static LAST: Mutex<Weak<Endings>> = Mutex::new(Weak::new());
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = last.upgrade().filter(|last| **last == self) {
            return same;
        }
        let new = Arc::new(self);
        *last = Arc::downgrade(&new);
        new
    }
}

/// When a connection that is lost is replaced, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconnectPolicy {
    /// Attempts after each loss: 8.
    pub attempts: u32,
    /// Losses of one session that are replaced; `None`: as many as it takes.
    pub max_reconnects: Option<u32>,
    /// Before the first attempt: none.
    pub first_delay: Duration,
    /// Before the second one; it doubles with each: 250 ms.
    pub base_delay: Duration,
    /// What no delay exceeds, but one that the server asks for: 8 s.
    pub max_delay: Duration,
    /// The share of a delay that is random: half.
    pub jitter: f64,
    /// Connections that the process makes at once: 64.
    pub max_handshakes: usize,
    /// How long a connection lasts before it is replaced; `None`: as long as the server lets it.
    pub max_session_duration: Option<Duration>,
    /// How long before that a quiet moment is awaited: 120 s.
    pub rollover_margin: Duration,
    /// One for all sessions of a provider.
    pub endings: Arc<Endings>,
    /// Whether the session layer decides on each attempt and says where to connect to.
    pub asks: bool,
    /// Whether what the session layer says holds against everything but `attempts`.
    pub overrides: bool,
    /// The key is good for one connection.
    pub single_use: bool,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            attempts: 8,
            max_reconnects: None,
            first_delay: Duration::ZERO,
            base_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(8),
            jitter: 0.5,
            max_handshakes: 64,
            max_session_duration: None,
            rollover_margin: Duration::from_secs(120),
            endings: Arc::default(),
            asks: false,
            overrides: false,
            single_use: false,
        }
    }
}

/// How a session goes on over another connection.
#[derive(Debug, Clone, Default)]
pub struct ReconnectOptions {
    pub policy: ReconnectPolicy,
    pub survival: SurvivalOptions,
}

/// What survival has cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SurvivalStats {
    /// Connections that took the place of others.
    pub reconnects: u64,
    /// Attempts to make one that failed.
    pub failed_attempts: u64,
    /// Connections that took over while the one before stood.
    pub rollovers: u64,
    /// Turns that were cut because the time of a connection was over.
    pub cut_turns: u64,
    /// Time without a connection.
    pub gaps: Duration,
}

/// What became of a connection, or of an attempt to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another connection is made; why, for people.
    Reconnect(&'static str),
    /// It is over; with a sentence where something gave up.
    Over(Option<String>),
}

#[derive(Debug)]
pub(super) struct Survival {
    policy: ReconnectPolicy,
    /// Attempts since the loss.
    attempt: u32,
    /// When the next attempt is due.
    due: Option<Duration>,
    lost_at: Option<Duration>,
    /// The code of an error that the server sent, which explains the end that follows.
    said: Option<String>,
    /// How the last connection ended, or the attempt after it, until another one stands.
    end: Option<Box<ConnectionEnd>>,
    stats: SurvivalStats,
}

impl Survival {
    pub fn new(policy: ReconnectPolicy) -> Self {
        Self {
            policy,
            attempt: 0,
            due: None,
            lost_at: None,
            said: None,
            end: None,
            stats: SurvivalStats::default(),
        }
    }

    pub fn policy(&self) -> &ReconnectPolicy {
        &self.policy
    }

    pub fn redial_with(&mut self, asks: bool, overrides: bool, single_use: bool) {
        self.policy.asks = asks;
        self.policy.overrides = overrides;
        self.policy.single_use = single_use;
    }

    pub fn stats(&self) -> SurvivalStats {
        self.stats
    }

    /// The server reported an error of that code.
    pub fn note_error(&mut self, code: &str) {
        let endings = &self.policy.endings;
        let mut known = endings.refusal_codes.iter().chain(&endings.expiry_codes);
        if known.any(|known| known == code) {
            self.said = Some(code.to_owned());
        }
    }

    fn is_expiry(&self) -> bool {
        let said = self.said.as_ref();
        said.is_some_and(|said| self.policy.endings.expiry_codes.contains(said))
    }

    /// A connection that stood is over.
    pub fn lost(&mut self, end: &ConnectionEnd, in_turn: bool, now: Duration) -> Verdict {
        let expired = self.is_expiry();
        let said = self.said.take();
        if end.is_ours {
            return Verdict::Over(None);
        }
        let overrides = self.policy.overrides;
        if let Some(said) = said.filter(|_| !expired && !overrides) {
            return Verdict::Over(Some(format!(
                "the session is not connected again: the server refused it ({said})"
            )));
        }
        let endings = &self.policy.endings;
        let is_loss = match end.code {
            _ if expired => true,
            Some(1000) => in_turn,
            Some(code) => endings.loss_close_codes.contains(&code) || end.is_retryable,
            // A call over WebRTC that the server closes has no code.
            None => end.is_retryable || (end.is_clean && in_turn),
        };
        if !is_loss && !overrides {
            return Verdict::Over(None);
        }
        if self.policy.single_use && !overrides {
            return Verdict::Over(Some(
                "the session is not connected again: its key was good for one connection; give \
                 api_key a function that gets a new one"
                    .to_owned(),
            ));
        }
        let most = self.policy.max_reconnects;
        if most.is_some_and(|most| self.stats.reconnects >= u64::from(most)) {
            return Verdict::Over(Some(format!(
                "the session is not connected again: it was {} times, which is max_reconnects",
                self.stats.reconnects
            )));
        }
        self.attempt = 0;
        self.lost_at = Some(now);
        self.due = Some(now + self.policy.first_delay);
        self.end = Some(Box::new(end.clone()));
        Verdict::Reconnect(if expired { "expired" } else { "lost" })
    }

    /// An attempt has failed. `random`: from 0 to 1.
    /// `again`: it is made in another way, so that it may succeed whatever the end says.
    pub fn attempt_failed(
        &mut self,
        end: &ConnectionEnd,
        again: bool,
        random: f64,
        now: Duration,
    ) -> Verdict {
        self.stats.failed_attempts += 1;
        self.due = None;
        self.end = Some(Box::new(end.clone()));
        if !(again || self.may_succeed(end) || self.policy.overrides) {
            return Verdict::Over(Some(format!(
                "the session is not connected again: {}",
                end.reason
            )));
        }
        if self.attempt >= self.policy.attempts {
            return Verdict::Over(Some(format!(
                "the session could not be connected again in {} attempts: {}",
                self.attempt, end.reason
            )));
        }
        let delay = self.delay(random).max(end.retry_after.unwrap_or_default());
        self.due = Some(now + delay);
        Verdict::Reconnect("lost")
    }

    /// Whether an attempt that ended so may succeed when it is made again.
    fn may_succeed(&self, end: &ConnectionEnd) -> bool {
        let endings = &self.policy.endings;
        let said = end.error_code.as_deref();
        if said.is_some_and(|said| endings.refusal_codes.iter().any(|code| code == said)) {
            return false;
        }
        match end.status {
            Some(status) => endings.retry_statuses.contains(&status),
            None => end.is_retryable,
        }
    }

    fn delay(&self, random: f64) -> Duration {
        let doublings = self.attempt.saturating_sub(1).min(20);
        let whole = self.policy.base_delay * 2_u32.pow(doublings);
        let whole = whole.min(self.policy.max_delay);
        whole.mul_f64(1.0 - self.policy.jitter * random.clamp(0.0, 1.0))
    }

    /// When the next attempt is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.due
    }

    /// Whether an attempt is due now: its number, which then is under way.
    pub fn take_due(&mut self, now: Duration) -> Option<u32> {
        self.due.take_if(|due| *due <= now)?;
        self.attempt += 1;
        Some(self.attempt)
    }

    /// Another connection has taken over while the one before stood.
    pub fn rolled_over(&mut self) {
        self.stats.rollovers += 1;
    }

    /// A connection that was to take over could not be made.
    pub fn second_failed(&mut self) {
        self.stats.failed_attempts += 1;
    }

    /// This side ends a connection whose time is over, within a turn.
    pub fn expire(&mut self) {
        self.stats.cut_turns += 1;
        self.said = self.policy.endings.expiry_codes.first().cloned();
    }

    /// How the last connection ended, or the attempt after it.
    pub fn end(&self) -> ConnectionEnd {
        self.end.as_deref().cloned().unwrap_or_default()
    }

    /// Another connection has taken the place of the lost one.
    pub fn resumed(&mut self, now: Duration) {
        self.stats.reconnects += 1;
        if let Some(lost_at) = self.lost_at.take() {
            self.stats.gaps += now.saturating_sub(lost_at);
        }
        self.stop();
    }

    /// Nothing is to be connected any more.
    pub fn stop(&mut self) {
        self.attempt = 0;
        self.due = None;
        self.lost_at = None;
        self.said = None;
        self.end = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::CloseReason;

    const NOW: Duration = Duration::from_secs(100);

    fn survival(policy: ReconnectPolicy) -> Survival {
        Survival::new(policy)
    }

    fn closed(code: u16, is_retryable: bool) -> ConnectionEnd {
        ConnectionEnd {
            code: Some(code),
            is_retryable,
            is_clean: code == 1000,
            ..ConnectionEnd::default()
        }
    }

    fn is_replaced(survival: &mut Survival, end: &ConnectionEnd, in_turn: bool) -> bool {
        matches!(survival.lost(end, in_turn, NOW), Verdict::Reconnect(_))
    }

    #[test]
    fn a_loss_is_replaced_and_a_goodbye_is_not() {
        for code in [1001, 1006, 1011, 1012, 1013] {
            let mut survival = survival(ReconnectPolicy::default());
            assert!(is_replaced(&mut survival, &closed(code, true), false));
        }
        let lost = ConnectionEnd::lost("the line broke");
        assert!(is_replaced(
            &mut survival(ReconnectPolicy::default()),
            &lost,
            false
        ));
        let without_code = ConnectionEnd::from(CloseReason::ClosedByPeer {
            code: 1005,
            reason: String::new(),
        });
        for (in_turn, replaced) in [(true, true), (false, false)] {
            let mut survival = survival(ReconnectPolicy::default());
            for end in [closed(1000, false), without_code.clone()] {
                assert_eq!(is_replaced(&mut survival, &end, in_turn), replaced);
            }
        }
        for end in [
            ConnectionEnd::by_us(),
            closed(1008, false),
            closed(4001, false),
        ] {
            assert!(!is_replaced(
                &mut survival(ReconnectPolicy::default()),
                &end,
                true
            ));
        }
    }

    #[test]
    fn a_refusal_by_name_is_told_and_an_expiry_is_a_loss() {
        let mut refused = survival(ReconnectPolicy::default());
        refused.note_error("insufficient_quota");
        let verdict = refused.lost(&closed(1011, true), true, NOW);
        let Verdict::Over(Some(why)) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(why.contains("insufficient_quota"), "{why}");
        let mut expired = survival(ReconnectPolicy::default());
        expired.note_error("session_expired");
        let verdict = expired.lost(&closed(1000, false), false, NOW);
        assert_eq!(verdict, Verdict::Reconnect("expired"));
        let mut other = survival(ReconnectPolicy::default());
        other.note_error("invalid_value");
        assert!(is_replaced(&mut other, &closed(1011, true), true));
    }

    #[test]
    fn the_first_attempt_is_at_once_and_the_others_wait_longer_each_time() {
        let mut survival = survival(ReconnectPolicy {
            jitter: 0.0,
            attempts: 4,
            max_delay: Duration::from_millis(600),
            ..ReconnectPolicy::default()
        });
        let end = ConnectionEnd::lost("no line");
        assert!(is_replaced(&mut survival, &end, true));
        let mut now = NOW;
        let mut delays = Vec::new();
        while let Some(due) = survival.poll_timeout() {
            delays.push(due.saturating_sub(now).as_millis());
            now = due;
            assert_eq!(survival.take_due(now), Some(delays.len() as u32));
            assert_eq!(survival.take_due(now), None, "one at a time");
            survival.attempt_failed(&end, false, 0.5, now);
        }
        assert_eq!(delays, [0, 250, 500, 600]);
    }

    #[test]
    fn the_profile_says_what_an_answer_to_the_handshake_means() {
        let answered = |status: u16, code: Option<&str>| ConnectionEnd {
            status: Some(status),
            error_code: code.map(Box::from),
            // What the transport makes of it says less.
            is_retryable: true,
            ..ConnectionEnd::default()
        };
        let is_tried_again = |end: &ConnectionEnd| {
            let mut survival = survival(ReconnectPolicy::default());
            is_replaced(&mut survival, &ConnectionEnd::lost("no line"), true);
            survival.take_due(NOW);
            matches!(
                survival.attempt_failed(end, false, 0.0, NOW),
                Verdict::Reconnect(_)
            )
        };
        for status in [408, 429, 500, 503] {
            assert!(is_tried_again(&answered(status, None)), "{status}");
        }
        for status in [400, 401, 403, 404] {
            assert!(!is_tried_again(&answered(status, None)), "{status}");
        }
        assert!(!is_tried_again(&answered(429, Some("insufficient_quota"))));
    }

    #[test]
    fn the_server_may_ask_for_a_longer_wait() {
        let mut survival = survival(ReconnectPolicy::default());
        is_replaced(&mut survival, &ConnectionEnd::lost("no line"), true);
        survival.take_due(NOW);
        let busy = ConnectionEnd {
            retry_after: Some(Duration::from_secs(20)),
            ..ConnectionEnd::lost("busy")
        };
        survival.attempt_failed(&busy, false, 0.0, NOW);
        assert_eq!(survival.poll_timeout(), Some(NOW + Duration::from_secs(20)));
    }

    #[test]
    fn losses_of_a_session_are_bounded_and_a_key_may_be_good_for_one() {
        let mut survival = survival(ReconnectPolicy {
            max_reconnects: Some(1),
            ..ReconnectPolicy::default()
        });
        let end = ConnectionEnd::lost("no line");
        assert!(is_replaced(&mut survival, &end, true));
        survival.take_due(NOW);
        survival.resumed(NOW + Duration::from_secs(2));
        assert_eq!(survival.stats().gaps, Duration::from_secs(2));
        assert!(!is_replaced(&mut survival, &end, true));
        let mut once = Survival::new(ReconnectPolicy {
            single_use: true,
            ..ReconnectPolicy::default()
        });
        assert!(matches!(once.lost(&end, true, NOW), Verdict::Over(Some(_))));
    }
}
