//! How many connections the process makes at once: when a provider restarts, thousands of sessions
//! come back together.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Of the whole process, whatever thread a session runs on.
static HANDSHAKES: Mutex<Handshakes> = Mutex::new(Handshakes {
    under_way: 0,
    waiting: VecDeque::new(),
});

struct Handshakes {
    under_way: usize,
    /// Those who wait, each with its own bound.
    waiting: VecDeque<(usize, oneshot::Sender<Handshake>)>,
}

fn handshakes() -> MutexGuard<'static, Handshakes> {
    HANDSHAKES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to make one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Handshake(());

impl Handshake {
    /// Waits until fewer than `most` connections are being made.
    pub async fn begin(most: usize) -> Self {
        let turn = {
            let mut all = handshakes();
            if all.under_way < most {
                all.under_way += 1;
                return Self(());
            }
            let (sender, turn) = oneshot::channel();
            all.waiting.push_back((most, sender));
            turn
        };
        // The sender is dropped with the process alone.
        turn.await.unwrap_or_else(|_| Self(()))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut all = handshakes();
        all.under_way = all.under_way.saturating_sub(1);
        while let Some((most, _)) = all.waiting.front() {
            if all.under_way >= *most {
                return;
            }
            let Some((_, next)) = all.waiting.pop_front() else {
                return;
            };
            all.under_way += 1;
            if let Err(given_up) = next.send(Self(())) {
                // Nobody waits for it any more. It is no handshake: dropping it would lock again.
                std::mem::forget(given_up);
                all.under_way -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_than_the_bound_are_made_at_once_and_those_that_wait_come_in_order() {
        // Other tests may hold some: the bound is above theirs.
        let before = handshakes().under_way;
        let most = before + 2;
        let (first, second) = (Handshake::begin(most).await, Handshake::begin(most).await);
        let mut third = Box::pin(Handshake::begin(most));
        let given_up = Box::pin(Handshake::begin(most));
        let waits = tokio::time::timeout(std::time::Duration::ZERO, &mut third).await;
        assert!(waits.is_err());
        drop(given_up);
        drop(first);
        let third = third.await;
        assert!(handshakes().under_way >= 2);
        drop((second, third));
        assert_eq!(handshakes().under_way, before);
    }
}
