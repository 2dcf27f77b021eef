//! What the core logs, for a logger that only one thread may call.
//!
//! The threads that log must not wait for that thread, so a record waits in a bounded queue, and the
//! reader of a hub hands it out when it is woken. While a level is off its callsites cost one atomic
//! load, and nothing is formatted.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, TryLockError, Weak};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// How many records wait at most; the oldest are dropped, and [`Waiting::dropped`] counts them.
const MAX_RECORDS: usize = 256;

/// The crate whose records are kept.
const CRATE: &str = "stapes_core";

/// A record that waits.
#[derive(Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// See [`set_level`].
    pub level: u8,
    /// The module that said it, within its crate: with `::` before each name.
    pub module: &'static str,
    pub text: String,
}

/// The records that have waited.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub records: VecDeque<LogRecord>,
    /// How many older ones were dropped.
    pub dropped: u64,
}

static LEVEL: AtomicU8 = AtomicU8::new(0);
static RECORDS: Mutex<VecDeque<LogRecord>> = Mutex::new(VecDeque::new());
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Records wait; looked at each time a reader is woken.
static WAITING: AtomicBool = AtomicBool::new(false);
static INSTALLED: Once = Once::new();

/// Who hands records out when it is woken.
pub trait LogReader: Send + Sync {
    fn records_wait(self: Arc<Self>);
}

/// The readers that there are; the last one that is alive is woken.
static READERS: Mutex<Vec<Weak<dyn LogReader>>> = Mutex::new(Vec::new());

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
            level: number(*event.metadata().level()),
            module: event
                .metadata()
                .target()
                .strip_prefix(CRATE)
                .unwrap_or_default(),
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
            let readers = READERS.lock().unwrap_or_else(PoisonError::into_inner);
            let alive = readers.iter().rev().find_map(Weak::upgrade);
            drop(readers);
            if let Some(alive) = alive {
                alive.records_wait();
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

/// Sets the least level that is recorded: 5 (trace), 10 (debug), 20 (info), 30 (warning), 40 (error) or a
/// number between them; 0: nothing is.
pub fn set_level(level: u8) {
    if level != 0 {
        // Where another library has installed its own subscriber, records go there.
        INSTALLED.call_once(|| drop(tracing::subscriber::set_global_default(Forwarder)));
    }
    if LEVEL.swap(level, Ordering::AcqRel) != level && INSTALLED.is_completed() {
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Has that reader woken, from any thread, when the first record waits.
pub fn add_reader(reader: Weak<dyn LogReader>) {
    let mut readers = READERS.lock().unwrap_or_else(PoisonError::into_inner);
    readers.retain(|known| known.strong_count() > 0);
    readers.push(reader);
}

/// The records that wait; mostly none, which costs one atomic load.
pub fn take() -> Option<Waiting> {
    if !WAITING.load(Ordering::Acquire) || !WAITING.swap(false, Ordering::AcqRel) {
        return None;
    }
    // In a child of a fork the lock may be held for ever by a thread that is not there.
    let records = match RECORDS.try_lock() {
        Ok(mut records) => std::mem::take(&mut *records),
        Err(TryLockError::Poisoned(poisoned)) => std::mem::take(&mut *poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            WAITING.store(true, Ordering::Release);
            return None;
        }
    };
    let dropped = DROPPED.swap(0, Ordering::Relaxed);
    Some(Waiting { records, dropped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_takes_what_is_as_grave() {
        for level in [
            Level::TRACE,
            Level::DEBUG,
            Level::INFO,
            Level::WARN,
            Level::ERROR,
        ] {
            let number = number(level);
            assert!(level <= filter(number));
            assert!(level > filter(number + 10) || level == Level::ERROR);
        }
        assert_eq!(filter(0), LevelFilter::OFF);
    }

    #[test]
    fn records_wait_within_a_bound_and_wake_a_reader_once() {
        #[derive(Default)]
        struct Counter(AtomicU64);
        impl LogReader for Counter {
            fn records_wait(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let counter = Arc::new(Counter::default());
        let reader = Arc::clone(&counter) as Arc<dyn LogReader>;
        add_reader(Arc::downgrade(&reader));
        LEVEL.store(20, Ordering::Release);
        tracing::subscriber::with_default(Forwarder, || {
            tracing::debug!("not this");
            for number in 0..MAX_RECORDS + 2 {
                tracing::info!(number, "said");
            }
        });
        let waiting = take().expect("they wait");
        assert_eq!(waiting.records.len(), MAX_RECORDS);
        assert_eq!(waiting.dropped, 2);
        let first = &waiting.records[0];
        assert_eq!((first.level, &*first.text), (20, "said number=2"));
        assert_eq!(first.module, "::delivery::logging::tests");
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        assert_eq!(take(), None);
        LEVEL.store(0, Ordering::Release);
    }
}
