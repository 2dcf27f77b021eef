//! What belongs to one process, and must not be used by a child that was forked from it.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The id of this process, or 0 where nobody has asked for it yet.
static PROCESS: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    PROCESS.store(std::process::id(), Ordering::Release);
}

/// The id of this process. Callers ask for it with each chunk of audio, and the system is asked once.
fn current() -> u32 {
    static WATCH: Once = Once::new();
    let known = PROCESS.load(Ordering::Acquire);
    if known != 0 {
        return known;
    }
    WATCH.call_once(|| {
        // SAFETY: the handler only stores a number, which is allowed in a child of a fork.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        if refused == 0 {
            forked();
        }
    });
    match PROCESS.load(Ordering::Acquire) {
        0 => std::process::id(),
        known => known,
    }
}

/// The process that made an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// This one.
    pub fn current() -> Self {
        Self(current())
    }

    /// Whether this is the process that runs.
    pub fn is_current(self) -> bool {
        self.0 == current()
    }

    /// Refuses to use an object of a parent process: its threads do not run here, and its locks may be
    /// held for ever.
    pub fn check(self, object: &'static str) -> Result<(), Forked> {
        if self.is_current() {
            Ok(())
        } else {
            Err(Forked(object))
        }
    }
}

/// An object of the parent process was used in a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this {0} belongs to the process that was forked: create a new one in the child")]
pub struct Forked(&'static str);

/// A descriptor of our own for the file of another one.
pub fn duplicate(fd: RawFd) -> io::Result<File> {
    // SAFETY: the caller owns the descriptor and keeps it open during this call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn an_object_of_another_process_is_refused_by_name() {
        assert_eq!(Process::current().check("hub"), Ok(()));
        let parents = Process(Process::current().0 + 1);
        assert!(!parents.is_current());
        let refused = parents.check("hub").expect_err("it is another process");
        assert!(refused.to_string().starts_with("this hub belongs to"));
    }

    #[test]
    fn a_duplicate_outlives_the_descriptor() {
        let (mut reader, mut writer) = io::pipe().expect("a pipe");
        let mut own = duplicate(writer.as_raw_fd()).expect("a duplicate");
        writer.write_all(b"a").expect("writable");
        drop(writer);
        own.write_all(b"b").expect("writable");
        assert!(own.stream_position().is_err(), "it is the pipe");
        drop(own);
        let mut read = String::new();
        reader.read_to_string(&mut read).expect("readable");
        assert_eq!(read, "ab");
    }
}
