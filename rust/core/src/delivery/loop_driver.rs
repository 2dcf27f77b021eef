//! A runtime that the thread of an event loop drives itself, while the loop waits.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Runtime};

use super::process::{Forked, Process, duplicate};
use super::wakeup::{LoopWaker, WakeBatcher};
use super::workers::{self, StartError};

/// A signal does not end a turn, but Python must come to see it before long.
const LONGEST_TURN: Duration = Duration::from_millis(200);

/// Why a loop cannot drive its sessions.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Selector(#[from] io::Error),
    #[error(transparent)]
    Forked(#[from] Forked),
    #[error("another thread runs this event loop")]
    InTurn,
    #[error("this event loop is closed")]
    Closed,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The selector of the loop has events.
    pub has_events: bool,
    /// A hub has messages for the loop.
    pub has_messages: bool,
}

/// The selector of the loop, an epoll or a kqueue: it can be waited for as a descriptor itself.
#[derive(Debug)]
struct Selector(AsyncFd<File>);

impl Selector {
    /// Within the runtime.
    fn new(fd: RawFd) -> io::Result<Self> {
        let own = duplicate(fd)?;
        // SAFETY: the file is a descriptor of our own, which it stays and closes only when it is dropped.
        let watched = unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) };
        Ok(Self(watched.map_err(|error| error.into_parts().1)?))
    }

    /// Runs sessions until the selector has events (true), the loop is woken or the time is over.
    async fn wait(&self, waker: &LoopWaker, timeout: Duration) -> bool {
        if timeout.is_zero() {
            // Every task has its turn, and the network is polled.
            tokio::task::yield_now().await;
            return poll_fn(|context| Poll::Ready(self.poll_ready(context))).await;
        }
        let mut over = pin!(tokio::time::sleep(timeout));
        poll_fn(|context| {
            let found = self.poll_ready(context);
            if found || waker.is_woken(context) || over.as_mut().poll(context).is_ready() {
                Poll::Ready(found)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Whether it has events. The runtime reports changes only: readiness is polled until it is gone.
    fn poll_ready(&self, context: &mut Context<'_>) -> bool {
        while let Poll::Ready(ready) = self.0.poll_read_ready(context) {
            let Ok(mut ready) = ready else { return true };
            if self.has_events() {
                return true;
            }
            ready.clear_ready();
        }
        false
    }

    fn has_events(&self) -> bool {
        let mut polled = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: it is one descriptor, which lives on this stack for the length of the call.
        unsafe { libc::poll(&raw mut polled, 1, 0) > 0 }
    }
}

#[derive(Debug)]
struct Driven {
    // Before the runtime, which it belongs to: fields are dropped in this order.
    selector: Selector,
    runtime: Runtime,
    wakeups: WakeBatcher,
}

/// The runtime of an event loop whose thread runs the sessions itself.
#[derive(Debug)]
pub struct LoopDriver {
    driven: Mutex<Option<Driven>>,
    waker: Arc<LoopWaker>,
    handle: Handle,
    process: Process,
}

impl LoopDriver {
    /// `selector` is the descriptor that the loop waits for; this keeps a duplicate.
    pub fn new(selector: RawFd) -> Result<Self, DriverError> {
        let runtime = workers::runtime()?;
        let selector = {
            let _within = runtime.enter();
            Selector::new(selector)?
        };
        Ok(Self {
            handle: runtime.handle().clone(),
            driven: Mutex::new(Some(Driven {
                selector,
                runtime,
                wakeups: WakeBatcher::default(),
            })),
            waker: Arc::default(),
            process: Process::current(),
        })
    }

    /// The runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends a turn: there are messages for the loop.
    pub fn waker(&self) -> &Arc<LoopWaker> {
        &self.waker
    }

    /// Runs sessions for so long at most, or for a fifth of a second, until there is something for the loop.
    pub fn turn(&self, timeout: Option<Duration>) -> Result<Turn, DriverError> {
        self.process.check("event loop")?;
        let timeout = timeout.map_or(LONGEST_TURN, |timeout| timeout.min(LONGEST_TURN));
        let mut driven = self.unless_in_turn().ok_or(DriverError::InTurn)?;
        let Driven {
            selector,
            runtime,
            wakeups,
        } = driven.as_mut().ok_or(DriverError::Closed)?;
        let has_events = wakeups.run(|| runtime.block_on(selector.wait(&self.waker, timeout)));
        Ok(Turn {
            has_events,
            has_messages: self.waker.reset(),
        })
    }

    /// Runs nothing more; the tasks of the runtime are dropped. While a thread is in a turn this does nothing.
    pub fn close(&self) {
        let driven = self.unless_in_turn().and_then(|mut driven| driven.take());
        let Some(driven) = driven else { return };
        if self.process.is_current() {
            drop(driven.selector);
            driven.runtime.shutdown_background();
        } else {
            // In a child of a fork its descriptors are the parent's as well.
            std::mem::forget(driven);
        }
    }

    fn unless_in_turn(&self) -> Option<MutexGuard<'_, Option<Driven>>> {
        match self.driven.try_lock() {
            Ok(driven) => Some(driven),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Drop for LoopDriver {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::wakeup::Waker as _;
    use super::*;

    const NOTHING: Turn = Turn {
        has_events: false,
        has_messages: false,
    };

    fn driver() -> (LoopDriver, io::PipeWriter, io::PipeReader) {
        let (reader, writer) = io::pipe().expect("a pipe");
        let driver = LoopDriver::new(reader.as_raw_fd()).expect("a runtime");
        (driver, writer, reader)
    }

    #[test]
    fn a_turn_ends_when_the_selector_has_events_and_as_long_as_it_has() {
        let (driver, mut writer, _reader) = driver();
        assert_eq!(driver.turn(Some(Duration::ZERO)).ok(), Some(NOTHING));
        writer.write_all(b"x").expect("writable");
        for _ in 0..2 {
            let turn = driver.turn(None).expect("a turn");
            assert!(turn.has_events && !turn.has_messages);
        }
    }

    #[test]
    fn a_turn_ends_when_the_loop_is_woken() {
        let (driver, _writer, _reader) = driver();
        let waker = Arc::clone(driver.waker());
        driver.handle().spawn(async move { waker.wake() });
        let turn = driver.turn(None).expect("a turn");
        assert!(turn.has_messages && !turn.has_events);
        assert_eq!(driver.turn(Some(Duration::ZERO)).ok(), Some(NOTHING));
    }

    #[test]
    fn a_closed_loop_has_no_turn() {
        let (driver, _writer, _reader) = driver();
        driver.close();
        assert!(matches!(driver.turn(None), Err(DriverError::Closed)));
    }
}
