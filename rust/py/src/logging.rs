//! What the core logs, for Python's `logging`: logger `stapes` and children.
//!
//! The core's threads must not wait for the GIL, so a record waits in a bounded queue, and the event
//! loop hands it to its logger when it is woken. While a level is off its callsites cost one atomic
//! load, and nothing is formatted.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, TryLockError, Weak};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::message::MessageHub;

/// How many records wait at most; the oldest are dropped, and the next one handed out says how many.
const MAX_RECORDS: usize = 256;

/// The crate whose records are handed out, and its name as a logger.
const CRATE: &str = "stapes_core";
const LOGGER: &str = "stapes";

#[derive(Debug)]
struct LogRecord {
    level: Level,
    /// The module that said it.
    target: &'static str,
    text: String,
}

static LEVEL: AtomicU8 = AtomicU8::new(0);
static RECORDS: Mutex<VecDeque<LogRecord>> = Mutex::new(VecDeque::new());
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Records wait; looked at each time the event loop is woken.
static WAITING: AtomicBool = AtomicBool::new(false);
static INSTALLED: Once = Once::new();

/// Wakes an event loop that hands records out.
pub trait WakeLoop: Send + Sync {
    fn wake_loop(self: Arc<Self>);
}

impl WakeLoop for MessageHub {
    fn wake_loop(self: Arc<Self>) {
        self.notify();
    }
}

/// The event loops that there are; the last one that is alive is woken.
static LOOPS: Mutex<Vec<Weak<dyn WakeLoop>>> = Mutex::new(Vec::new());

/// The numbers of Python's levels: what is below the one that is set is not recorded.
fn filter(level: u8) -> LevelFilter {
    match level {
        0 | 51.. => LevelFilter::OFF,
        1..=9 => LevelFilter::TRACE,
        10..=19 => LevelFilter::DEBUG,
        20..=29 => LevelFilter::INFO,
        30..=39 => LevelFilter::WARN,
        40..=50 => LevelFilter::ERROR,
    }
}

fn number(level: Level) -> u8 {
    match level {
        Level::TRACE => 5,
        Level::DEBUG => 10,
        Level::INFO => 20,
        Level::WARN => 30,
        Level::ERROR => 40,
    }
}

struct Forwarder;

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with(CRATE)
            && *metadata.level() <= filter(LEVEL.load(Ordering::Relaxed))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter(LEVEL.load(Ordering::Relaxed)))
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let record = LogRecord {
            level: *event.metadata().level(),
            target: event.metadata().target(),
            text: text.message + &text.fields,
        };
        let mut records = RECORDS.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == MAX_RECORDS {
            records.pop_front();
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        records.push_back(record);
        drop(records);
        if !WAITING.swap(true, Ordering::AcqRel) {
            let loops = LOOPS.lock().unwrap_or_else(PoisonError::into_inner);
            let alive = loops.iter().rev().find_map(Weak::upgrade);
            drop(loops);
            if let Some(alive) = alive {
                alive.wake_loop();
            }
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event's message, and its other fields behind it.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
        // A `String` takes everything.
        let _ = written;
    }
}

/// Sets the least level that is recorded, a number of Python's `logging`; 0: none is.
#[pyfunction]
pub fn set_log_level(level: u8) {
    if level != 0 {
        // Where another library has installed its own subscriber, records go there.
        INSTALLED.call_once(|| drop(tracing::subscriber::set_global_default(Forwarder)));
    }
    if LEVEL.swap(level, Ordering::AcqRel) != level && INSTALLED.is_completed() {
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Has that loop woken, from any thread, when the first record waits.
pub fn add_loop(event_loop: Weak<dyn WakeLoop>) {
    let mut loops = LOOPS.lock().unwrap_or_else(PoisonError::into_inner);
    loops.retain(|known| known.strong_count() > 0);
    loops.push(event_loop);
}

/// Hands the records that wait to their loggers. The error is the first that a logger raised; all other
/// records have been handed out then.
pub fn hand_out(py: Python<'_>) -> PyResult<()> {
    if !WAITING.load(Ordering::Acquire) || !WAITING.swap(false, Ordering::AcqRel) {
        return Ok(());
    }
    // In a child of a fork the lock may be held for ever by a thread that is not there.
    let records = match RECORDS.try_lock() {
        Ok(mut records) => std::mem::take(&mut *records),
        Err(TryLockError::Poisoned(poisoned)) => std::mem::take(&mut *poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            WAITING.store(true, Ordering::Release);
            return Ok(());
        }
    };
    let get_logger = py.import("logging")?.getattr("getLogger")?;
    let dropped = DROPPED.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        get_logger.call1((LOGGER,))?.call_method1(
            "warning",
            (
                "%d log records were dropped: the event loop did not come to hand them out",
                dropped,
            ),
        )?;
    }
    let mut failure = None;
    for record in records {
        let module = record.target.strip_prefix(CRATE).unwrap_or_default();
        let name = format!("{LOGGER}{}", module.replace("::", "."));
        let logged = get_logger.call1((name,)).and_then(|logger| {
            logger.call_method1("log", (number(record.level), "%s", record.text))
        });
        if let Err(error) = logged {
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}
