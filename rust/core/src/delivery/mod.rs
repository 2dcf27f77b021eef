//! Delivery of messages from Rust threads to the readers of another thread.
//!
//! - [`Message`]: what a queue must know of the messages that it holds.
//! - [`queue`]: a bounded queue, and the one policy of what it drops.
//! - [`reader_queue`]: the queue of one reader whose events are objects of another language.
//! - [`hub`]: the queues of many sessions for one reader thread; [`DispatchCursor`]: how far it has come.
//! - [`wakeup`]: when a writer wakes the reader.
//! - [`workers`]: the threads that run sessions; [`loop_driver`]: a runtime that an event loop drives.
//! - [`logging`]: what the core logs, for a reader's logger.
//! - [`process`]: the guard against use across a fork.
//!
//! This floor stands beside the others and knows none of them.

mod cursor;
pub mod hub;
pub mod logging;
pub mod loop_driver;
mod message;
pub mod process;
pub mod queue;
pub mod reader_queue;
pub mod wakeup;
pub mod workers;

pub use cursor::DispatchCursor;
pub use message::{DropPolicy, Dropped, Message};
